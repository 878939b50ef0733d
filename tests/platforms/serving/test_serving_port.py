"""What any platform's serving must show: models land, swap without a lost call, and answer for their errors."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from contracts.rollout import CheckBake, DeployModel, ServingPolicy
from contracts.snapshot import DataPolicy
from contracts.training import ModelRef
from platforms.errors import Conflict, NotFound
from tests.platforms.serving.captured import START, WEEK
from tests.platforms.serving.stages import STAGES, Stage

pytestmark = pytest.mark.processes


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest) -> Stage:
    return STAGES[request.param](request.getfixturevalue)


def test_a_deployed_model_lands_and_answers(stage: Stage, tools: Any) -> None:
    model = stage.register("lands")
    assert stage.land(model, "k1").url.startswith("http")
    answer = stage.call("lands", tools.request_row("a", hour=20.0), tools.request_row("b", hour=2.0)).said
    assert answer["model"] == model.digest
    assert [(a["id"], a["label"]) for a in answer["answers"]] == [("a", 1), ("b", 0)]
    assert all(0 < a["score"] < 1 for a in answer["answers"])
    assert stage.serving.describe("lands").digests == {model.digest: 1}


def test_the_same_row_gets_the_same_score_on_every_platform(request: pytest.FixtureRequest, tools: Any) -> None:
    """To the last bit: the same artifact, the same code around it."""
    rows = [tools.request_row(f"{n}", hour=float(n)) for n in range(24)]
    said = []
    for open_stage in STAGES.values():
        stage = open_stage(request.getfixturevalue)
        stage.land(stage.register("alike", 3), "k1", threshold=0.3)
        said.append(stage.call("alike", *rows).said)
    assert said[0] == said[1]


def test_an_endpoint_that_was_never_deployed_is_not_found(stage: Stage) -> None:
    with pytest.raises(NotFound, match="nothing was ever deployed to endpoint nowhere"):
        stage.serving.describe("nowhere")


def test_a_model_that_was_never_registered_is_not_found_and_changes_nothing(stage: Stage) -> None:
    model = stage.register("unregistered")
    stage.land(model, "k1")
    other = ModelRef(endpoint="unregistered", digest="ab" * 32)
    with pytest.raises(NotFound):
        stage.serving.deploy(DeployModel(key="k2", model=other, serving=ServingPolicy()))
    assert stage.serving.describe("unregistered").wanted == model.digest


def test_a_key_deploys_once_even_when_another_model_came_after_it(stage: Stage) -> None:
    first, second = stage.register("once", 1), stage.register("once", 2)
    stage.land(first, "k1")
    stage.land(second, "k2")
    again = stage.serving.deploy(DeployModel(key="k1", model=first, serving=ServingPolicy()))
    assert again.wanted == second.digest
    with pytest.raises(Conflict, match="use a new key"):
        stage.serving.deploy(DeployModel(key="k1", model=second, serving=ServingPolicy()))


def test_a_swap_under_load_loses_no_call(stage: Stage, tools: Any) -> None:
    models = [stage.register("swap", seed) for seed in (1, 2)]
    stage.land(models[0], "k0", instances=2)
    ended, statuses, seen = threading.Event(), set(), set()

    def call() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            answer = stage.call("swap", tools.request_row(f"{threading.get_ident()}-{number}"))
            statuses.add(answer.status)
            seen.add(answer.said.get("model", answer.said.get("error")))

    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
        caller.start()
    tools.eventually("the first model answers", lambda: seen)
    stage.land(models[1], "k1", instances=2)
    tools.eventually("the second model answers", lambda: len(seen) > 1)
    ended.set()
    for caller in callers:
        caller.join()
    assert seen == {model.digest for model in models}
    assert statuses == {200}


def test_health_counts_calls_and_failures_of_one_model(stage: Stage, tools: Any) -> None:
    since = datetime.now(UTC)
    model = stage.register("health")
    stage.land(model, "k1")
    for number in range(5):
        assert stage.call("health", tools.request_row(f"{number}")).status == 200
    check = CheckBake(endpoint="health", digest=model.digest, since=since, max_error_rate=0.01)
    report = tools.eventually("five calls are counted", lambda: (r := stage.serving.health(check)).requests >= 5 and r)
    assert (report.healthy, report.requests, report.errors) == (True, 5, 0)
    later = check.model_copy(update={"since": datetime.now(UTC) + timedelta(days=60)})
    assert stage.serving.health(later).requests == 0


def test_health_fails_when_another_model_is_wanted(stage: Stage) -> None:
    first, second = stage.register("health-other", 1), stage.register("health-other", 2)
    stage.land(first, "k1")
    stage.land(second, "k2")
    check = CheckBake(endpoint="health-other", digest=first.digest, since=datetime.now(UTC), max_error_rate=0.5)
    report = stage.serving.health(check)
    assert not report.healthy
    assert "another model" in report.sentence


def test_what_was_answered_can_be_replayed_with_its_labels(stage: Stage, tools: Any, data: DataPolicy) -> None:
    model = stage.register("replayed")
    stage.land(model, "k1")
    asked = tools.request_row("w0"), tools.request_row("w1", "2024-03-01T11:00:00Z", hour=None)
    answers = stage.call("replayed", *asked).said["answers"]
    stage.label(data.table, ("w0", 10, 11, 1.0), ("w1", 11, 12, 0.0))
    known_at = START + timedelta(hours=11)
    look = lambda: stage.traffic.replay("replayed", data, WEEK, known_at)  # noqa: E731 - asked again and again
    served = tools.eventually("both are captured", lambda: (found := look()) and len(found.ids) == 2 and found)
    assert served.ids.tolist() == ["w0", "w1"]
    assert served.score.tolist() == [answer["score"] for answer in answers]
    assert np.array_equal(served.features, [[18.0, 3.5], [np.nan, 3.5]], equal_nan=True)
    assert np.array_equal(served.label, [1.0, np.nan], equal_nan=True)
    assert served.digest.tolist() == [model.digest] * 2
