"""What every trainer does: one job under a key, the same rows give the same model, and nothing of the future is read."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from contracts.snapshot import Snapshot, Window
from contracts.training import Challenger, JobPhase, LearnerSettings, Purpose, Recipe, Task
from platforms.errors import Conflict, Invalid, NotFound
from policies import metrics
from policies.paired import PairedScores
from tests.platforms.data_fixtures import (
    DATA,
    DAY,
    LEARNER,
    DataPlatform,
    at,
    changed,
    finished,
    hourly,
    job,
    long_job,
    take,
    trained,
    until,
)

pytestmark = pytest.mark.processes


@pytest.fixture
def snapshot(platform: DataPlatform) -> Snapshot:
    platform.append("bikes", hourly(60))
    return platform.features.snapshot(take(horizons=("all",)))


def test_a_challenger_says_what_it_was_made_from(platform: DataPlatform, snapshot: Snapshot) -> None:
    challenger = trained(platform.trainer, job(snapshot))
    window = Window(start=at(30), end=at(60))
    used = platform.features.rows(snapshot.dataset, DATA, window)
    assert (challenger.rows, challenger.positives) == (len(used), used.label.sum())
    assert challenger.base_rate == pytest.approx(used.label.mean())
    assert (challenger.purpose, challenger.trained_through) == (Purpose.REFIT, at(60))
    assert challenger.dataset_sha256 == snapshot.fingerprint
    assert challenger.cost_usd == pytest.approx(challenger.seconds * 3.6 / 3600)
    assert challenger.seconds > 0


def test_a_challenger_learns_something(platform: DataPlatform, snapshot: Snapshot) -> None:
    challenger = trained(platform.trainer, job(snapshot, end=snapshot.cut, purpose=Purpose.JUDGE))
    rows = platform.features.rows(snapshot.dataset, DATA, snapshot.holdout)
    score = platform.scorer.score(challenger.artifact_uri, challenger.model, DATA.features, rows)
    assert score[rows.label == 1].mean() > score[rows.label == 0].mean() + 0.1


def test_the_same_rows_give_the_same_bytes(platform: DataPlatform, snapshot: Snapshot) -> None:
    again = platform.features.snapshot(take("snapshot/again", horizons=("all",)))
    recipe = Recipe(horizons=(30 * DAY, "all"), learner=LEARNER)
    digests = {
        trained(platform.trainer, job(frozen, f"train/{n}", recipe=recipe)).model.digest
        for n, frozen in enumerate((snapshot, again))
    }
    assert len(digests) == 1


def test_the_judged_challenger_reads_no_label_that_arrives_after_its_end(platform: DataPlatform, snapshot: Snapshot) -> None:
    rows = hourly(60)
    late = np.array([moment > snapshot.cut for moment in rows["label_time"].to_pylist()])
    lies = np.where(late, 1 - rows["busy"].to_numpy(), rows["busy"].to_numpy())
    platform.append("poisoned", changed(rows, busy=list(lies), temp=list(np.where(late, 99.0, rows["temp"].to_numpy()))))
    data = DATA.model_copy(update={"table": "poisoned"})
    poisoned = platform.features.snapshot(take("snapshot/poisoned", data=data, horizons=("all",)))
    assert poisoned.fingerprint != snapshot.fingerprint
    judged = [
        trained(platform.trainer, job(frozen, f"train/{frozen.fingerprint}", end=snapshot.cut, purpose=Purpose.JUDGE))
        for frozen in (snapshot, poisoned)
    ]
    assert judged[0].model.digest == judged[1].model.digest
    assert judged[0].rows == 29 * 24 + 1


def test_a_code_is_not_a_quantity(platform: DataPlatform, snapshot: Snapshot) -> None:
    plain, coded = (
        trained(
            platform.trainer,
            job(snapshot, f"train/{codes}", recipe=Recipe(learner=LEARNER.model_copy(update={"categorical": codes}))),
        ).model.digest
        for codes in ((), ("hour",))
    )
    assert plain != coded


# ---- one job under a key


def test_a_key_that_is_known_adopts_the_job(platform: DataPlatform, snapshot: Snapshot) -> None:
    first = finished(platform.trainer, job(snapshot))
    assert platform.trainer.start(job(snapshot)) == first
    assert platform.trainer.describe("train/1") == first


def test_two_starts_at_once_are_one_job(platform: DataPlatform, snapshot: Snapshot) -> None:
    wanted = job(snapshot)
    with ThreadPoolExecutor(4) as pool:
        states = list(pool.map(platform.trainer.start, [wanted] * 4))
    assert {state.phase for state in states} == {JobPhase.RUNNING}
    assert finished(platform.trainer, wanted).phase is JobPhase.COMPLETED


def test_another_job_under_a_known_key_is_a_conflict(platform: DataPlatform, snapshot: Snapshot) -> None:
    finished(platform.trainer, job(snapshot))
    with pytest.raises(Conflict, match="'train/1' belongs to another training job"):
        platform.trainer.start(job(snapshot, end=at(40)))


def test_an_unknown_key_is_not_found(platform: DataPlatform) -> None:
    with pytest.raises(NotFound, match="no training job has the key 'train/none'"):
        platform.trainer.describe("train/none")


# ---- stop


def test_a_stopped_job_stays_stopped(platform: DataPlatform, snapshot: Snapshot) -> None:
    wanted = long_job(snapshot)
    assert platform.trainer.start(wanted).phase is JobPhase.RUNNING
    until(lambda: platform.trainer.describe(wanted.key).progress.lower().startswith("training "))
    for _ in range(2):
        platform.trainer.stop(wanted.key)
        assert platform.trainer.describe(wanted.key).phase is JobPhase.STOPPED
    assert platform.trainer.start(wanted).phase is JobPhase.STOPPED


def test_a_job_stopped_right_after_its_start_does_not_run(platform: DataPlatform, snapshot: Snapshot) -> None:
    wanted = long_job(snapshot)
    platform.trainer.start(wanted)
    platform.trainer.stop(wanted.key)
    assert platform.trainer.describe(wanted.key).phase is JobPhase.STOPPED


def test_stopping_what_never_was_or_is_over_is_nothing(platform: DataPlatform, snapshot: Snapshot) -> None:
    platform.trainer.stop("train/none")
    done = finished(platform.trainer, job(snapshot))
    platform.trainer.stop("train/1")
    assert platform.trainer.describe("train/1") == done


# ---- jobs that can't end well


def test_a_job_that_takes_too_long_fails_and_says_so(platform: DataPlatform, snapshot: Snapshot) -> None:
    state = finished(platform.trainer, long_job(snapshot, max_runtime=timedelta(seconds=2)))
    assert state.phase is JobPhase.FAILED
    assert state.failure == "training took longer than 0:00:02: raise max_runtime, or shorten the horizons"


def test_without_positives_there_is_no_model(platform: DataPlatform) -> None:
    rows = hourly(60)
    platform.append("bikes", changed(rows, busy=[0.0] * rows.num_rows))
    state = finished(platform.trainer, job(platform.features.snapshot(take())))
    assert state.phase is JobPhase.FAILED
    assert "no positives between 2012-01-31 00:00 and 2012-03-01 00:00" in (state.failure or "")


def test_a_horizon_that_can_not_be_trained_is_left_out_and_said(platform: DataPlatform) -> None:
    rows = hourly(60)
    busy = [1.0 if i >= 40 * 24 else value for i, value in enumerate(rows["busy"].to_pylist())]
    platform.append("bikes", changed(rows, busy=busy))
    snapshot = platform.features.snapshot(take(horizons=("all",)))
    recipe = Recipe(horizons=(timedelta(hours=30), 10 * DAY, "all"), learner=LEARNER)
    state = finished(platform.trainer, job(snapshot, recipe=recipe))
    assert state.phase is JobPhase.COMPLETED
    assert state.progress.startswith("1 of 3 members trained; 1.25d skipped: 7 labelled rows, at least 20 wanted between")
    assert "10d skipped: no negatives between" in state.progress
    assert state.challenger is not None
    assert state.challenger.rows == 59 * 24 + 1


def test_a_dataset_that_is_gone_fails_the_job(platform: DataPlatform, snapshot: Snapshot) -> None:
    """Or the start is refused at once: either way nobody waits for a model."""
    gone = snapshot.dataset.model_copy(update={"uri": f"{snapshot.dataset.uri.rsplit('/', 2)[0]}/gone/rows.parquet"})
    try:
        failure = finished(platform.trainer, job(snapshot, dataset=gone)).failure
    except Invalid as refused:
        failure = str(refused)
    assert "gone" in (failure or "")


def test_fewer_rows_than_two_leaves_need_fail_the_job(platform: DataPlatform, snapshot: Snapshot) -> None:
    recipe = Recipe(learner=LearnerSettings(rounds=1, min_rows_per_leaf=10_000))
    state = finished(platform.trainer, job(snapshot, recipe=recipe))
    assert state.phase is JobPhase.FAILED
    assert "at least 20000 wanted" in (state.failure or "")


def test_members_with_a_half_life_and_a_boost_are_trained_and_served_as_one_blend(platform: DataPlatform) -> None:
    platform.append("bikes", hourly(60))
    snapshot = platform.features.snapshot(take(horizons=("all",)))
    recipe = Recipe.model_validate({"members": ["30d", "all", "all/9d", "all+5d"], "learner": LEARNER})
    state = finished(platform.trainer, job(snapshot, recipe=recipe))
    assert state.phase is JobPhase.COMPLETED, state.failure
    assert state.progress == "4 of 4 members trained"
    assert state.challenger is not None
    alone = finished(platform.trainer, job(snapshot, key="train/alone", recipe=Recipe(horizons=("all",), learner=LEARNER)))
    assert alone.challenger is not None
    assert alone.challenger.model != state.challenger.model
    assert alone.challenger.rows == state.challenger.rows


# ---- tasks


def test_a_multiclass_task_tells_all_its_classes_apart_also_one_that_has_not_occurred(
    platform: DataPlatform, snapshot: Snapshot
) -> None:
    classes = ("idle", "busy", "closed")
    made = trained(platform.trainer, job(snapshot, task=Task.MULTICLASS, classes=classes))
    rows = platform.features.rows(snapshot.dataset, DATA, Window(start=at(50), end=at(55)))
    score = platform.scorer.score(made.artifact_uri, made.model, DATA.features, rows)
    assert score.shape == (len(rows), 3)
    assert score[:, 2].max() < 0.05
    assert score[rows.label == 1, 1].mean() > score[rows.label == 0, 1].mean() + 0.1


def test_a_regression_learns_a_number(platform: DataPlatform, snapshot: Snapshot) -> None:
    made = trained(platform.trainer, job(snapshot, task=Task.REGRESSION))
    rows = platform.features.rows(snapshot.dataset, DATA, Window(start=at(50), end=at(55)))
    score = platform.scorer.score(made.artifact_uri, made.model, DATA.features, rows)
    assert ((score - rows.label) ** 2).mean() < 0.9 * rows.label.var()


def test_the_threshold_is_part_of_the_artifact(platform: DataPlatform, snapshot: Snapshot) -> None:
    digests = {
        trained(platform.trainer, job(snapshot, f"train/{threshold}", threshold=threshold)).model.digest
        for threshold in (None, 0.2, 0.5)
    }
    assert len(digests) == 3


# ---- other tasks

CLASSES = ("calm", "busy", "full")


def _fitted(platform: DataPlatform, label: list[float], **task: Any) -> tuple[Challenger, np.ndarray]:
    """The challenger, and its scores on the rows of the first day."""
    rows = hourly(60)
    platform.append("bikes", changed(rows, busy=[label[i % len(label)] for i in range(rows.num_rows)]))
    data = DATA.model_validate(DATA.model_dump() | task)
    snapshot = platform.features.snapshot(take(horizons=("all",), data=data))
    made = trained(platform.trainer, job(snapshot, recipe=Recipe(horizons=("all",), learner=LEARNER), **task))
    kept = platform.features.rows(snapshot.dataset, data, Window(start=at(0), end=at(1)))
    return made, platform.scorer.score(made.artifact_uri, made.model, data.features, kept)


def test_a_class_that_the_window_lacks_keeps_its_place_and_a_small_probability(platform: DataPlatform) -> None:
    made, scores = _fitted(platform, [0.0, 0.0, 0.0, 1.0], task=Task.MULTICLASS, classes=CLASSES)
    assert (made.task, made.classes, made.positives, made.base_rate) == (Task.MULTICLASS, CLASSES, 0, 0.0)
    assert made.baseline == pytest.approx((0.75, 0.25, 0.0), abs=0.001)
    assert scores.shape == (24, 3)
    assert scores.sum(axis=1) == pytest.approx(np.ones(24))
    assert (scores[:, 2] < 0.01).all()
    surprised = PairedScores(np.arange(24), np.full(24, 2.0), np.tile(made.baseline, (24, 1)), scores, Task.MULTICLASS)
    assert np.isfinite(metrics.row_class_log_loss(surprised.label, surprised.challenger)).all()
    assert np.isfinite(metrics.row_class_log_loss(surprised.label, surprised.champion)).all()


def test_a_regression_says_its_mean_and_a_binary_model_its_threshold(platform: DataPlatform) -> None:
    made, scores = _fitted(platform, [100.0, -50.0, 1000.0], task=Task.REGRESSION)
    assert made.baseline == pytest.approx((350.0,), rel=1e-3)
    assert (made.positives, made.base_rate, made.threshold, scores.shape) == (0, 0.0, None, (24,))
    platform.append("yes", hourly(60))
    snapshot = platform.features.snapshot(take("snapshot/yes", data=DATA.model_copy(update={"table": "yes"})))
    binary = trained(platform.trainer, job(snapshot, "train/yes", threshold=0.2))
    assert (binary.threshold, binary.baseline, binary.task) == (0.2, (), Task.BINARY)


def test_a_shift_is_part_of_the_artifact_and_told_with_it(platform: DataPlatform, snapshot: Snapshot) -> None:
    made = trained(platform.trainer, job(snapshot, shift=(0.25,)))
    rows = platform.features.rows(snapshot.dataset, DATA, Window(start=at(50), end=at(51)))
    assert made.shift == (0.25,)
    assert platform.scorer.margins(made.artifact_uri, made.model, DATA.features, rows).shift == (0.25,)
