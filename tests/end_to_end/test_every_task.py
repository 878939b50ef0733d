"""Many classes and numbers through the whole loop on the real local platform, alarm by alarm.

A first champion is trained, judged against its baseline and served; it answers over HTTP, its answers are captured; the world
turns round, the monitor says so, and the loop replaces the champion. Then the decision is taken again from its record.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pyarrow as pa
import pytest
import pytest_asyncio
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

from activities.bake import BakeActivities
from activities.reproduction import reproduce
from contracts.alarm import Alarm
from contracts.evaluation import Judgement, Verdict
from contracts.fleet import EndpointPolicy
from contracts.incident import Stage
from contracts.reproduction import Standing
from contracts.review import Decision
from contracts.rollout import CheckWatch, WatchReport
from contracts.training import ModelCard, Task
from learning.artifact import Model, decoded
from platforms.local.feature_store import LocalFeatureStore
from platforms.local.quality import EndpointMonitor
from platforms.local.serving_port import LocalServing
from platforms.ports import Platform
from tests.console.recorded_decisions import platform_at
from tests.end_to_end.whole_system import DRIFT_DAY, ONBOARDED_DAY, day, hourly_rows
from tests.fakes import World
from tests.stories import Loop, a_policy, an_alarm, running_loop

pytestmark = pytest.mark.processes
CLASSES = ("calm", "busy", "full")
FIRST_SERVED, LAST_SERVED = DRIFT_DAY + 2, DRIFT_DAY + 30


def rows_of(task: Task) -> pa.Table:
    """`x` drives the label and turns round on DRIFT_DAY, everywhere but at site 2, where nothing changes."""
    rows = hourly_rows()
    n, chance = rows.num_rows, np.random.default_rng(5)
    site = chance.integers(0, 3, n).astype(float)
    turned = np.where((np.arange(n) >= 24 * DRIFT_DAY) & (site < 2), -1, 1)
    signal = turned * rows["x"].to_numpy() + 0.3 * rows["noise"].to_numpy()
    label = np.digitize(signal, [-0.5, 0.8]).astype(float) if task is Task.MULTICLASS else 1e4 + 2e3 * signal
    return rows.set_column(rows.column_names.index("label"), "label", pa.array(label)).append_column("site", pa.array(site))


def policy_of(task: Task) -> EndpointPolicy:
    classes = {"classes": CLASSES} if task is Task.MULTICLASS else {}
    return a_policy(
        data={
            "table": task.value,
            "features": ["x", "noise", "site"],
            "label": "label",
            "label_delay": "1h",
            "coverage": {"min_days": 10},
            "task": task.value,
            "slices": ["site"],
            **classes,
        },
        training={
            "recipe": {"horizons": ["15d"], "learner": {"rounds": 30, "min_rows_per_leaf": 10, "categorical": ["site"]}},
            "max_runtime": "5m",
        },
        gate={"resamples": 200, "max_score_shift": 9.0},
        intake={"cool_down": "0s", "promotions_start": 3},
        rollout={"bake": "0.1s", "watch": "0s"},
    )


@dataclass
class Bridge:
    """Takes what the monitor raises."""

    taken: list[Alarm] = field(default_factory=list)

    def send(self, alarm: Alarm) -> bool:
        self.taken.append(alarm)
        return True


@dataclass
class Told:
    """One endpoint's story."""

    home: Path
    task: Task
    policy: EndpointPolicy
    platform: Platform
    endpoint: str
    answers: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    served_at_last: str | None = None

    def judgement(self, incident: int) -> Judgement:
        decided = [r for r in self.platform.audit.read(self.endpoint) if r.entry.event.value == "decided"]
        return Judgement.model_validate(decided[incident].entry.facts["judgement"])

    def card(self, back: int = 0) -> ModelCard:
        """The champion, or the one so many promotions before it."""
        model = list(self.platform.manifests.history(self.endpoint))[-1 - back].champion
        return self.platform.registry.get(model)

    def serve(self) -> None:
        """Ask the endpoint about the weeks after the drift."""
        deployed = self.platform.serving.describe(self.endpoint)
        rows = rows_of(self.task).slice(FIRST_SERVED * 24, (LAST_SERVED - FIRST_SERVED) * 24).to_pylist()
        requests = [
            {"id": r["id"], "event_time": r["event_time"].isoformat(), "features": {f: r[f] for f in self.policy.data.features}}
            for r in rows
        ]
        answer = httpx.post(f"{deployed.url}/predict", json={"requests": requests}, timeout=20)
        assert answer.status_code == 200, answer.text
        self.answers = answer.json()["answers"]

    def monitor(self) -> None:
        bridge = Bridge()
        assert EndpointMonitor(self.home, self.endpoint, self.policy, bridge).judge() == 4  # type: ignore[arg-type] - all that it asks for
        self.alarms = bridge.taken


@contextmanager
def supervised(home: Path) -> Iterator[None]:
    """`python -m platforms.local.serving` as its own process."""
    command = [sys.executable, "-m", "platforms.local.serving", "--home", str(home)]
    with (home / "serving.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=log)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


async def approve(loop: Loop) -> None:
    """Decide like a person who was shown the evidence."""
    remediation = await loop.in_stage(Stage.REVIEW)
    shown = (await loop.incident_status(remediation)).evidence
    decision = Decision(approve=True, reviewer="ana", note="site 2 closes next week", evidence=shown)
    await remediation.execute_update("decide", decision)


@pytest_asyncio.fixture(
    scope="module", loop_scope="session", params=[Task.MULTICLASS, Task.REGRESSION], ids=lambda task: task.value
)
async def told(
    request: pytest.FixtureRequest, temporal_env: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> Told:
    """Onboarded, served, drifted, noticed by the monitor, promoted."""
    task: Task = request.param
    home, world = tmp_path_factory.mktemp(task.value), World(endpoint=task.value)
    platform = replace(platform_at(home, world), serving=LocalServing(home))
    story = Told(home, task, policy_of(task), platform, world.endpoint)
    LocalFeatureStore(home).append(task.value, rows_of(task))
    with supervised(home):
        async with running_loop(temporal_env, world, f"task-{uuid4().hex}", story.policy, platform) as loop:
            await loop.alarm(an_alarm(1, day(ONBOARDED_DAY), kind="onboarding"))
            first = await loop.closed(1)
            assert first.state.history[0].promoted, first.state.history
            await asyncio.to_thread(story.serve)
            await asyncio.to_thread(story.monitor)
            await loop.alarm(story.alarms[-1])
            if task is Task.REGRESSION:
                await approve(loop)
            last = await loop.closed(2)
            assert last.state.history[1].promoted, last.state.history
            story.served_at_last = platform.serving.describe(world.endpoint).wanted
    return story


def test_the_first_champion_is_held_against_what_its_labels_alone_would_answer(told: Told) -> None:
    judgement, card = told.judgement(0), told.card(back=1)
    assert (judgement.verdict, judgement.task, card.task) == (Verdict.PROMOTE, told.task, told.task)
    assert card.classes == (CLASSES if told.task is Task.MULTICLASS else ())
    assert "There is no champion yet" in " ".join(judgement.reasons)
    if told.task is Task.REGRESSION:
        explained = judgement.metric("explained")
        assert explained is not None
        assert explained.champion == pytest.approx(0, abs=0.05)
        assert explained.challenger > 0.7


def test_answers_over_http_are_those_of_the_task_and_of_the_model(told: Told) -> None:
    card = told.card(back=1)
    rows = rows_of(told.task).slice(FIRST_SERVED * 24, len(told.answers)).select(list(told.policy.data.features))
    matrix = np.column_stack([column.to_numpy() for column in rows.columns])
    score = Model.load((Path(card.artifact_uri)).read_bytes()).score(matrix)
    if told.task is Task.REGRESSION:
        assert [set(answer) for answer in told.answers[:2]] == [{"id", "score"}] * 2
        assert [answer["score"] for answer in told.answers] == pytest.approx(score)
        return
    assert [list(answer["scores"]) for answer in told.answers[:2]] == [list(CLASSES)] * 2
    assert [answer["class"] for answer in told.answers] == [CLASSES[number] for number in score.argmax(axis=1)]
    assert {answer["class"] for answer in told.answers} == set(CLASSES)


def test_the_monitor_raises_its_alarm_on_the_metrics_of_the_task(told: Told) -> None:
    wanted = {Task.MULTICLASS: {"log_loss", "accuracy", "macro_recall"}, Task.REGRESSION: {"rmse", "absolute_error"}}[told.task]
    assert len(told.alarms) == 4
    for alarm in told.alarms:
        crossed = {reading.name for reading in alarm.metrics}
        assert wanted <= crossed
        assert all(reading.reference == told.card(back=1).reference[reading.name] for reading in alarm.metrics)


def test_the_gate_judges_by_the_tasks_metrics_and_replayed_answers_and_names_every_slice(told: Told) -> None:
    """In the regression the gain on average harms site 2, so that a person was asked."""
    judgement = told.judgement(1)
    primary = {Task.MULTICLASS: "log_loss", Task.REGRESSION: "squared_error"}[told.task]
    assert judgement.primary == primary
    if told.task is Task.REGRESSION:
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert judgement.reasons[0].startswith("The challenger harms the slice site = 2: ")
    else:
        assert judgement.verdict is Verdict.PROMOTE
    assert {slice_.value: slice_.evaluable for slice_ in judgement.slices} == {"0": True, "1": True, "2": True}
    assert {slice_.feature for slice_ in judgement.slices} == {"site"}
    gain = {slice_.value: slice_.gain for slice_ in judgement.slices}
    assert gain["2"] < min(gain["0"], gain["1"]), "nothing changed at site 2"
    assert judgement.replay
    assert judgement.refit is not None
    assert judgement.refit.agrees
    assert judgement.refit.rows > 300


def test_the_report_reads_labels_by_their_names(told: Told) -> None:
    uri = told.judgement(1).report_uri
    page = told.platform.evidence.read(uri.replace("http://127.0.0.1/evidence/", "evidence://")).decode()
    assert "site = 2" in page
    if told.task is Task.MULTICLASS:
        assert all(f"was {name}" in page and f"said {name}" in page for name in CLASSES)
    else:
        assert "so many of all rows have an error of at most" in page


async def test_every_decision_is_reproduced_to_the_last_bit(told: Told) -> None:
    record = next(r for r in reversed(list(told.platform.audit.read(told.endpoint))) if r.entry.event.value == "decided")
    asked = record.entry.facts["requests"]
    assert asked["snapshot"]["data"]["task"] == asked["judge"]["task"] == told.task.value
    assert asked["judge"]["slices"] == ["site"]
    offline = told.task is Task.REGRESSION
    found = await reproduce(told.platform, record, nonce=uuid4().hex[:8], offline=offline, say=lambda _: None)
    anew = set() if offline else {"retrieval", "training", "scores"}
    assert {check.step for check in found.checks} >= {"evidence", "verdict", *anew}
    assert [check for check in found.checks if check.standing is not Standing.SAME] == []


def test_late_labels_hold_the_champion_against_the_former_one(told: Told) -> None:
    """As if the two had changed places: the first one, promoted again after the drift, is found out."""
    now, former = (told.card(back) for back in (0, 1))
    at = {
        "since": day(FIRST_SERVED),
        "until": day(LAST_SERVED),
        "alpha": 0.01,
        "margin": 0.005,
        "check_every": timedelta(hours=1),
    }
    reports: list[WatchReport] = []
    for champion, other in ((now, former), (former, now)):
        pair = {"champion": champion.model, "former": other.model}
        request = CheckWatch(key="watch", endpoint=told.endpoint, data=told.policy.data, **pair, **at)
        reports.append(ActivityEnvironment().run(BakeActivities(told.platform).watch_promotion, request))
    assert [report.worse for report in reports] == [False, True]
    assert all(report.complete for report in reports)
    assert reports[0].metric == ("rmse" if told.task is Task.REGRESSION else "brier")


def test_what_serves_in_the_end_is_the_registered_model_of_the_task(told: Told) -> None:
    card = told.card()
    artifact = decoded(Path(card.artifact_uri).read_bytes())
    assert told.served_at_last == card.model.digest
    assert (artifact.task, artifact.classes, artifact.threshold) == (told.task, card.classes, None)
