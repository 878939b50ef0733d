"""A multiclass task and a regression from the call to the alarm: answered, captured, replayed and judged."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.fleet import EndpointPolicy
from contracts.rollout import ServingPolicy
from contracts.snapshot import DataPolicy
from contracts.training import Task
from learning.artifact import Artifact, Member, Model, encoded
from platforms.local.capture import CapturedRow, CaptureWriter, capture_line, read_segment, segments
from platforms.local.capture_table import compact
from platforms.local.feature_table import FeatureTable
from platforms.local.predict import InService, PredictService
from platforms.local.quality import EndpointMonitor
from platforms.local.serving_state import InstanceState
from platforms.local.traffic import LocalTrafficLog
from tests.platforms.serving.captured import DIGEST, LATE, START, WEEK, answer, append_labels, write

CLASSES = ("calm", "busy", "full")
HOURS = np.random.default_rng(1).random((600, 2)) * 24


def _model(task: Task) -> Model:
    """Three classes by the hour's third of the day, or ten times the hour."""
    label = HOURS[:, 0] // 8 if task is Task.MULTICLASS else 10 * HOURS[:, 0]
    told: dict[str, Any] = {"objective": task.value, "verbosity": -1, "num_threads": 1}
    told |= {"num_class": 3} if task is Task.MULTICLASS else {}
    trees = lightgbm.train(told, lightgbm.Dataset(HOURS, label), 40).model_to_string()
    classes = CLASSES if task is Task.MULTICLASS else ()
    made = Artifact(
        features=("hour", "temperature"),
        task=task,
        classes=classes,
        shift=(0.0,) * max(1, len(classes)),
        members=(Member(name="all", trees=trees),),
    )
    return Model.load(encoded(made))


def _service(capture: Path, model: Model) -> PredictService:
    service = PredictService("bikes", CaptureWriter(capture), lambda: InstanceState(pid=1, heartbeat=datetime.now(UTC)))
    service.in_service = InService(model, 0.5)
    return service


async def _answers(service: PredictService, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    transport = httpx.ASGITransport(app=service.app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://bikes") as client:
        found: list[dict[str, Any]] = (await client.post("/predict", json={"requests": list(rows)})).json()["answers"]
    return found


async def test_a_multiclass_answer_names_the_class_and_captures_the_scores_of_all(capture: Path, tools: Any) -> None:
    model = _model(Task.MULTICLASS)
    found = await _answers(_service(capture, model), *(tools.request_row(f"r{hour}", hour=hour) for hour in (2.0, 12.0, 22.0)))
    assert [(a["label"], a["class"]) for a in found] == [(0, "calm"), (1, "busy"), (2, "full")]
    assert [list(a["scores"]) for a in found] == [list(CLASSES)] * 3
    assert all(a["score"] == max(a["scores"].values()) for a in found)
    kept = read_segment(segments(capture)[0]).rows
    assert [row.answer for row in kept] == [0, 1, 2]
    assert [row.scores for row in kept] == [tuple(a["scores"].values()) for a in found]


async def test_a_regression_answers_a_number_without_a_label(capture: Path, tools: Any) -> None:
    found = (await _answers(_service(capture, _model(Task.REGRESSION)), tools.request_row("a", hour=12.0)))[0]
    assert set(found) == {"id", "score"}
    assert found["score"] == pytest.approx(120, abs=15)
    row = read_segment(segments(capture)[0]).rows[0]
    assert (row.score, row.answer, row.scores) == (found["score"], None, None)


@pytest.mark.parametrize("compacted", [False, True])
def test_scores_of_all_classes_are_replayed_whether_compacted_or_not(
    home: Path, capture: Path, data: DataPolicy, table: FeatureTable, compacted: bool
) -> None:
    several = answer("a", 2).model_copy(update={"scores": (0.7, 0.2, 0.1), "answer": 0})
    fewer = answer("b", 3).model_copy(update={"scores": (0.6, 0.4), "answer": 0})
    write(capture, several, fewer, answer("c", 4))
    if compacted:
        compact(capture)
    append_labels(table, ("a", 2, 3, 2.0))
    many = data.model_copy(update={"task": Task.MULTICLASS, "classes": CLASSES})
    served = LocalTrafficLog(home).replay("bikes", many, WEEK, LATE)
    assert served.score[0].tolist() == [0.7, 0.2, 0.1]
    assert np.isnan(served.score[1:]).all()
    assert served.label[0] == 2


def test_files_and_segments_of_an_earlier_release_are_still_read(
    home: Path, capture: Path, data: DataPolicy, table: FeatureTable
) -> None:
    stamp = pa.timestamp("us", "UTC")
    old = pa.table(
        {
            "id": ["old"],
            "event_time": pa.array([START], stamp),
            "served_at": pa.array([START], stamp),
            "digest": [DIGEST],
            "score": [0.25],
            "answer": pa.array([0], pa.int8()),
            "feature_hour": [3.0],
        }
    )
    folder = capture / "day=2024-03-01"
    folder.mkdir(parents=True)
    pq.write_table(old, folder / "old.parquet")
    line = json.loads(capture_line(answer("waiting", 1)))
    assert "scores" not in line
    (capture / "wal").mkdir()
    (capture / "wal" / "20240301T000000000000-1.jsonl").write_text(json.dumps(line) + "\n")
    served = LocalTrafficLog(home).replay("bikes", data, WEEK, LATE)
    assert (served.ids.tolist(), served.score.tolist()) == (["old", "waiting"], [0.25, 0.7])
    assert not (capture / "quarantine").exists()


def test_a_number_without_label_is_captured_and_replayed(
    home: Path, capture: Path, data: DataPolicy, table: FeatureTable
) -> None:
    row = CapturedRow(id="a", event_time=START, served_at=START, digest=DIGEST, score=1234.5, features={"hour": 1.0})
    write(capture, row)
    compact(capture)
    append_labels(table, ("a", 0, 1, 1200.25))
    served = LocalTrafficLog(home).replay("bikes", data.model_copy(update={"task": Task.REGRESSION}), WEEK, LATE)
    assert (served.score.tolist(), served.label.tolist()) == ([1234.5], [1200.25])


def test_costs_declare_the_threshold_and_survive_being_written_down() -> None:
    policy = ServingPolicy.model_validate({"costs": {"false_positive": 1, "false_negative": 4}})
    assert policy.threshold == 0.2
    assert ServingPolicy.model_validate_json(policy.model_dump_json()) == policy
    assert ServingPolicy().threshold == 0.5


def test_costs_and_another_threshold_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match=r"declare threshold or costs, not both: these costs make the threshold 0.2"):
        ServingPolicy.model_validate({"threshold": 0.5, "costs": {"false_positive": 1, "false_negative": 4}})


@pytest.mark.parametrize("threshold", [None, 0.9])
def test_a_threshold_belongs_to_its_artifact(tmp_path: Path, tools: Any, threshold: float | None) -> None:
    """Deployed with .5; the artifact's own wins where it has one."""
    artifact = _model(Task.REGRESSION).artifact.model_copy(update={"task": Task.BINARY, "threshold": threshold})
    model = Model.load(encoded(artifact))
    assert InService.of(model, 0.5).threshold == (threshold or 0.5)


def test_the_monitor_raises_an_alarm_for_a_regression_that_errs_more_than_its_reference(home: Path) -> None:
    capture, rides = home / "capture" / "bikes", FeatureTable(home / "features", "rides")
    rides.folder.mkdir(parents=True)
    rows = [answer(f"r{hour}", hour, 0.5).model_copy(update={"score": 100.0, "answer": None}) for hour in range(168)]
    write(capture, *rows)
    append_labels(rides, *((f"r{hour}", hour, hour + 1, 90.0 if hour % 2 else 130.0) for hour in range(168)))
    append_labels(rides, ("end", 170, 200, 1.0))
    policy = EndpointPolicy.model_validate(
        {
            "team": "t",
            "cost_center": "c",
            "data": {"table": "rides", "features": ["hour"], "label": "busy", "label_delay": "1h", "task": "regression"},
        }
    )
    card = {
        "model": {"endpoint": "bikes", "digest": DIGEST},
        "artifact_uri": "",
        "recipe": {},
        "features": ["hour"],
        "trained_through": START.isoformat(),
        "rows": 1,
        "base_rate": 0,
        "dataset_sha256": "0" * 64,
        "incident": "i",
        "reference": {"rmse": 15.0, "absolute_error": 12.0, "bias": 1.0},
    }
    folder = home / "registry" / "bikes" / DIGEST
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps(card))
    sent: list[Any] = []

    class Post:
        def send(self, alarm: Any) -> bool:
            sent.append(alarm)
            return True

    assert EndpointMonitor(home, "bikes", policy, Post()).judge() == 1  # type: ignore[arg-type] - all that is asked of it
    assert {reading.name: reading.value for reading in sent[0].metrics} == pytest.approx(
        {"rmse": np.sqrt(500), "absolute_error": 20.0, "bias": 10.0}
    )
    assert sent[0].as_of == START + timedelta(days=7, hours=1)
