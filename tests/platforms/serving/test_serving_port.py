"""What any platform's serving must show: models land, swap without a lost call, and answer for their errors."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from contracts.rollout import CheckBake, DeployModel, ServingPolicy
from contracts.snapshot import DataPolicy
from contracts.training import ModelRef
from platforms.errors import Conflict, NotFound
from platforms.local.feature_table import FeatureTable
from platforms.ports import Serving, TrafficLog
from tests.platforms.serving.captured import START, WEEK, append_labels

pytestmark = pytest.mark.processes


@pytest.fixture
def register(supervisor: Any, tools: Any) -> Any:
    return lambda endpoint, seed=1: tools.make_model(supervisor.home, endpoint, seed)


def test_a_deployed_model_lands_and_answers(supervisor: Any, serving: Serving, register: Any, tools: Any) -> None:
    model = register("lands")
    deployment = supervisor.deploy(model, "k1")
    answer = tools.post(deployment.url, tools.request_row("a", hour=20.0), tools.request_row("b", hour=2.0)).json()
    assert answer["model"] == model.digest
    assert [(a["id"], a["label"]) for a in answer["answers"]] == [("a", 1), ("b", 0)]
    assert all(0 < a["score"] < 1 for a in answer["answers"])
    assert serving.describe("lands").digests == {model.digest: 1}


def test_an_endpoint_that_was_never_deployed_is_not_found(supervisor: Any, serving: Serving) -> None:
    with pytest.raises(NotFound, match="nothing was ever deployed to endpoint nowhere"):
        serving.describe("nowhere")


def test_a_model_that_was_never_registered_is_not_found_and_changes_nothing(
    supervisor: Any, serving: Serving, register: Any
) -> None:
    model = register("unregistered")
    supervisor.deploy(model, "k1")
    other = ModelRef(endpoint="unregistered", digest="ab" * 32)
    with pytest.raises(NotFound):
        serving.deploy(DeployModel(key="k2", model=other, serving=ServingPolicy()))
    assert serving.describe("unregistered").wanted == model.digest


def test_a_key_deploys_once_even_when_another_model_came_after_it(supervisor: Any, serving: Serving, register: Any) -> None:
    first, second = register("once", 1), register("once", 2)
    supervisor.deploy(first, "k1")
    supervisor.deploy(second, "k2")
    again = serving.deploy(DeployModel(key="k1", model=first, serving=ServingPolicy()))
    assert again.wanted == second.digest
    with pytest.raises(Conflict, match="use a new key"):
        serving.deploy(DeployModel(key="k1", model=second, serving=ServingPolicy()))


def test_a_swap_under_load_loses_no_call(supervisor: Any, register: Any, tools: Any) -> None:
    models = [register("swap", seed) for seed in (1, 2, 3)]
    url = supervisor.deploy(models[0], "k0", instances=2).url
    with tools.under_load(url) as load:
        for number, model in enumerate(models[1:], start=1):
            supervisor.deploy(model, f"k{number}", instances=2)
            load.wait_for(20)
    assert load.failures == []
    assert load.models == {model.digest for model in models}


def test_scaling_up_and_down_under_load_loses_no_call(supervisor: Any, serving: Serving, register: Any, tools: Any) -> None:
    model = register("scale")
    url = supervisor.deploy(model, "k1").url
    with tools.under_load(url) as load:
        assert supervisor.deploy(model, "k3", instances=3).ready == 3
        load.wait_for(50)
        supervisor.deploy(model, "k2", instances=1)
        tools.eventually("one instance is left", lambda: serving.describe("scale").instances == 1)
        tools.eventually("the others have left", lambda: len(supervisor.instances("scale")) == 1)
        load.wait_for(50)
    assert load.failures == []
    assert serving.describe("scale").url == url


def test_health_counts_calls_and_failures_of_one_model(supervisor: Any, serving: Serving, register: Any, tools: Any) -> None:
    since = datetime.now(UTC)
    model = register("health")
    url = supervisor.deploy(model, "k1").url
    for number in range(5):
        assert tools.post(url, tools.request_row(f"{number}")).status_code == 200
    check = CheckBake(endpoint="health", digest=model.digest, since=since, max_error_rate=0.01)
    report = tools.eventually("five calls are counted", lambda: (r := serving.health(check)).requests >= 5 and r)
    assert (report.healthy, report.requests, report.errors) == (True, 5, 0)
    later = check.model_copy(update={"since": datetime.now(UTC) + timedelta(hours=2)})
    assert serving.health(later).requests == 0


def test_health_fails_when_another_model_is_wanted(supervisor: Any, serving: Serving, register: Any) -> None:
    first, second = register("health-other", 1), register("health-other", 2)
    supervisor.deploy(first, "k1")
    supervisor.deploy(second, "k2")
    report = serving.health(CheckBake(endpoint="health-other", digest=first.digest, since=datetime.now(UTC), max_error_rate=0.5))
    assert not report.healthy
    assert "another model" in report.sentence


def test_what_was_answered_can_be_replayed_with_its_labels(
    supervisor: Any, traffic: TrafficLog, register: Any, tools: Any, data: DataPolicy
) -> None:
    model = register("replayed")
    url = supervisor.deploy(model, "k1").url
    answers = tools.post(url, tools.request_row("w0"), tools.request_row("w1", "2024-03-01T11:00:00Z", hour=None)).json()[
        "answers"
    ]
    append_labels(FeatureTable(supervisor.home / "features", data.table), ("w0", 10, 11, 1.0), ("w1", 11, 12, 0.0))
    served = traffic.replay("replayed", data, WEEK, START + timedelta(hours=11))
    assert served.ids.tolist() == ["w0", "w1"]
    assert served.score.tolist() == [answer["score"] for answer in answers]
    assert np.array_equal(served.features, [[18.0, 3.5], [np.nan, 3.5]], equal_nan=True)
    assert np.array_equal(served.label, [1.0, np.nan], equal_nan=True)
    assert served.digest.tolist() == [model.digest] * 2
