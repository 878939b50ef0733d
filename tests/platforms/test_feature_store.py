"""What every feature store does: the window as it was known at a moment, frozen, and the same for the same rows."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from contracts.snapshot import DataPolicy, Snapshot, Window
from platforms.errors import Invalid, NotFound
from tests.platforms.data_fixtures import DATA, DAY, HOUR, at, changed, hourly, lenient, take, unlabelled
from tests.platforms.feature_fixtures import Features


def _policy(**other: object) -> DataPolicy:
    return DATA.model_copy(update=other)


def _after(rows: pa.Table, column: str, moment: object) -> np.ndarray:
    return np.array([value is not None and value > moment for value in rows[column].to_pylist()])


# ---- the window


def test_the_window_reaches_from_the_longest_horizon_before_the_cut_to_the_anomaly(store: Features) -> None:
    store.append("bikes", hourly(90))
    snapshot = store.features.snapshot(take(as_of=at(80), horizons=(10 * DAY, 30 * DAY)))
    assert (snapshot.holdout.start, snapshot.holdout.end) == (at(66), at(80))
    assert snapshot.cut == at(65)
    assert (snapshot.window.start, snapshot.window.end) == (at(35), at(80))


def test_all_takes_everything_there_is(store: Features) -> None:
    store.append("bikes", hourly(60))
    snapshot = store.features.snapshot(take(horizons=(30 * DAY, "all")))
    assert snapshot.window.start == at(0)
    assert snapshot.dataset.rows == 59 * 24 + 1


def test_rows_come_half_open_in_event_time_order_with_gaps_as_nan(store: Features) -> None:
    rows = hourly(60)
    gaps = [None if i % 7 == 0 else value for i, value in enumerate(rows["temp"].to_pylist())]
    store.append("bikes", changed(rows, temp=gaps))
    snapshot = store.features.snapshot(take())
    found = store.features.rows(snapshot.dataset, DATA, Window(start=at(50), end=at(51)))
    assert list(found.ids) == [f"row-{i}" for i in range(1200, 1224)]
    assert found.event_time[0] == np.datetime64("2012-02-20T00:00:00")
    assert list(found.features[:, 0]) == list(range(24))
    assert [bool(np.isnan(value)) for value in found.features[:, 1]] == [i % 7 == 0 for i in range(1200, 1224)]
    np.testing.assert_array_equal(found.label, rows["busy"].to_numpy()[1200:1224])


# ---- as of


def test_future_labels_are_never_read(store: Features) -> None:
    rows, as_of = hourly(90), at(60)
    future = _after(rows, "label_time", as_of)
    lies = np.where(future, 1 - rows["busy"].to_numpy(), rows["busy"].to_numpy())
    poison = np.where(_after(rows, "event_time", as_of - HOUR), 1e9, rows["temp"].to_numpy())
    store.append("bikes", rows)
    store.append("poisoned", changed(rows, busy=list(lies), temp=list(poison)))
    store.append("never", unlabelled(rows))
    store.append("never", rows.filter(pa.array(~future)))
    prints = {
        table: store.features.snapshot(take(f"snapshot/{table}", as_of=as_of, data=_policy(table=table))).fingerprint
        for table in ("bikes", "poisoned", "never")
    }
    assert len(set(prints.values())) == 1, prints


def test_features_appended_with_a_label_of_the_future_are_not_read_either(store: Features) -> None:
    rows = hourly(60)
    store.append("bikes", unlabelled(rows))
    store.append("bikes", changed(rows, temp=[1e9] * rows.num_rows, label_time=[at(70)] * rows.num_rows))
    store.append("plain", unlabelled(rows))
    store.append("plain", rows)
    later = store.features.snapshot(take("snapshot/later", as_of=at(71), horizons=("all",)))
    assert store.features.rows(later.dataset, DATA, later.window).features[:, 1].max() == 1e9
    now = store.features.snapshot(take("snapshot/now", as_of=at(60), horizons=("all",)))
    assert (now.dataset.rows, now.coverage.rows, now.coverage.labelled) == (0, 60 * 24, 0)


def test_a_late_label_is_there_once_it_has_arrived(store: Features) -> None:
    rows = hourly(60)
    late = rows.slice(1300, 1)
    store.append("bikes", unlabelled(rows))
    store.append("bikes", pa.concat_tables([rows.slice(0, 1300), rows.slice(1301)]))
    store.append("bikes", changed(late, busy=[1.0], label_time=[at(65)]))
    before = store.features.snapshot(take("snapshot/before", as_of=at(64.9)))
    after = store.features.snapshot(take("snapshot/after", as_of=at(65)))
    window = Window(start=late["event_time"][0].as_py(), end=late["event_time"][0].as_py() + HOUR)
    assert len(store.features.rows(before.dataset, DATA, window)) == 0
    assert list(store.features.rows(after.dataset, DATA, window).label) == [1.0]


def test_a_corrected_label_counts_from_its_correction_on(store: Features) -> None:
    rows = hourly(60)
    wrong = 1.0 - rows["busy"][100].as_py()
    store.append("bikes", rows)
    store.append("bikes", changed(rows.slice(100, 1), busy=[wrong], label_time=[at(50)]))
    hour = Window(start=at(0) + 100 * HOUR, end=at(0) + 101 * HOUR)
    for as_of, label in ((at(49), 1.0 - wrong), (at(51), wrong)):
        snapshot = store.features.snapshot(take(f"snapshot/{as_of}", as_of=as_of, horizons=("all",)))
        assert list(store.features.rows(snapshot.dataset, DATA, hour).label) == [label]


def test_the_watermark_is_the_newest_label_wherever_its_event_lies(store: Features) -> None:
    rows = hourly(10)
    store.append("bikes", unlabelled(rows))
    assert store.features.watermark(DATA) is None
    store.append("bikes", rows)
    assert store.features.watermark(DATA) == at(11) - HOUR
    store.append("bikes", changed(rows.slice(5, 1), label_time=[at(30)]))
    assert store.features.watermark(DATA) == at(30)


# ---- the fingerprint


def test_order_and_batches_of_arrival_leave_the_fingerprint_alone(store: Features) -> None:
    rows = hourly(60)
    shuffled = rows.take(np.random.default_rng(3).permutation(rows.num_rows))
    store.append("bikes", rows)
    for start in range(0, shuffled.num_rows, 500):
        store.append("shuffled", shuffled.slice(start, 500))
    store.append("shuffled", shuffled.slice(0, 700))
    first, second = (
        store.features.snapshot(take(f"snapshot/{table}", data=_policy(table=table))) for table in ("bikes", "shuffled")
    )
    assert first.fingerprint == second.fingerprint == first.dataset.sha256
    assert first.dataset.rows == second.dataset.rows


@pytest.mark.parametrize(("column", "value"), [("busy", None), ("temp", None), ("temp", 15.000000000000002), ("id", "row-x")])
def test_one_changed_value_changes_the_fingerprint(store: Features, column: str, value: object) -> None:
    rows = changed(hourly(60), temp=[15.0] * 60 * 24)
    values = rows[column].to_pylist()
    values[1200] = value
    store.append("bikes", rows)
    store.append("other", changed(rows, **{column: values}))
    first, second = (
        store.features.snapshot(take(f"snapshot/{table}", data=_policy(table=table))) for table in ("bikes", "other")
    )
    assert first.fingerprint != second.fingerprint


# ---- keys


def test_the_same_key_gives_the_same_snapshot_whatever_came_since(store: Features) -> None:
    rows = hourly(60)
    store.append("bikes", rows)
    first = store.features.snapshot(take())
    store.append("bikes", changed(rows, temp=[0.0] * rows.num_rows))
    assert store.features.snapshot(take()) == first
    assert store.features.snapshot(take("snapshot/2")).fingerprint != first.fingerprint


def test_one_key_asked_for_at_once_gives_one_snapshot(store: Features) -> None:
    store.append("bikes", hourly(60))
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(store.features.snapshot, [take()] * 4))
    assert all(snapshot == taken[0] for snapshot in taken)


# ---- coverage


def test_coverage_counts_what_the_shortest_window_holds(store: Features) -> None:
    rows = hourly(60)
    busy = rows["busy"].to_numpy()[30 * 24 : 59 * 24 + 1]
    store.append("bikes", rows)
    found = store.features.snapshot(take(horizons=(30 * DAY, 50 * DAY))).coverage
    assert (found.rows, found.labelled, found.days) == (30 * 24, 29 * 24 + 1, 30)
    assert (found.positives, found.negatives) == (busy.sum(), (1 - busy).sum())
    assert found.sufficient


def test_the_label_rate_counts_only_rows_whose_label_is_due(store: Features) -> None:
    rows = hourly(60)
    store.append("bikes", unlabelled(rows))
    due = 29 * 24 + 1
    arrived = 30 * 24 + np.arange(due)[::2]
    store.append("bikes", rows.take(arrived))
    early = rows.slice(59 * 24 + 1)
    store.append("bikes", changed(early, label_time=early["event_time"].to_pylist()))
    found = store.features.snapshot(take(data=_policy(coverage=lenient(min_label_rate=0.6)))).coverage
    assert found.label_rate == pytest.approx(len(arrived) / due)
    assert [short.what for short in found.short] == ["label_rate"]


def test_labels_are_counted_by_segment(store: Features) -> None:
    store.append("bikes", hourly(60))
    found = store.features.snapshot(take(data=_policy(segment="hour"))).coverage
    assert found.segments == {"0": 30} | {str(hour): 29 for hour in range(1, 24)}


def test_a_window_without_positives_says_so(store: Features) -> None:
    rows = hourly(60)
    store.append("bikes", changed(rows, busy=[0.0] * rows.num_rows))
    found = store.features.snapshot(take()).coverage
    assert [short.what for short in found.short] == ["positives"]


def test_a_window_without_rows_is_a_snapshot_of_nothing_and_says_so(store: Features) -> None:
    store.append("bikes", hourly(60))
    snapshot = store.features.snapshot(take(as_of=at(500)))
    assert snapshot.dataset.rows == 0
    assert [short.what for short in snapshot.coverage.short] == ["rows", "days", "label_rate", "positives", "negatives"]
    assert len(store.features.rows(snapshot.dataset, DATA, snapshot.window)) == 0


# ---- what can't be right


def test_an_unknown_table_is_refused_with_those_there_are(store: Features) -> None:
    store.append("bikes", hourly(2))
    with pytest.raises(NotFound, match=r"no table 'trains'.*bikes"):
        store.features.snapshot(take(data=_policy(table="trains")))


@pytest.mark.parametrize("policy", [{"features": ("hour", "rain")}, {"label": "rain"}])
def test_an_unknown_column_is_refused_with_those_there_are(store: Features, policy: dict[str, object]) -> None:
    store.append("bikes", hourly(60))
    with pytest.raises(NotFound, match=r"no column rain; there are: busy, hour, temp"):
        store.features.snapshot(take(data=_policy(**policy)))


def test_a_label_other_than_0_or_1_is_refused_with_its_row(store: Features) -> None:
    rows = hourly(60)
    store.append("bikes", changed(rows, busy=[2.0 if i == 1200 else 0.0 for i in range(rows.num_rows)]))
    with pytest.raises(Invalid, match=r"'busy' of row 'row-1200' .* is 2.0: labels are 0 or 1"):
        store.features.snapshot(take())


THREE = ("calm", "busy", "full")


def _labelled(store: Features, labels: list[float], **task: object) -> Snapshot:
    """A snapshot of rows that have these labels, over and over."""
    rows = hourly(60)
    store.append("bikes", changed(rows, busy=[labels[i % len(labels)] for i in range(rows.num_rows)]))
    return store.features.snapshot(take(data=DataPolicy.model_validate(DATA.model_dump() | task)))


def test_classes_are_counted_by_name_also_those_that_are_missing(store: Features) -> None:
    found = _labelled(store, [0.0, 1.0, 0.0], task="multiclass", classes=THREE).coverage
    assert found.classes == {"calm": 465, "busy": 232, "full": 0}
    assert sum(found.classes.values()) == found.labelled
    assert (found.positives, found.negatives, found.sufficient) == (0, 0, True)


@pytest.mark.parametrize("label", [-1.0, 3.0, 0.5])
def test_a_label_that_is_no_class_is_refused_with_its_row(store: Features, label: float) -> None:
    with pytest.raises(Invalid, match=rf"'busy' of row 'row-\d+' .* is {label}: labels are 0 to 2: 0 is 'calm', 2 is 'full'"):
        _labelled(store, [0.0, 1.0, label], task="multiclass", classes=THREE)


def test_a_regression_takes_any_number_and_tells_how_far_its_labels_spread(store: Features) -> None:
    snapshot = _labelled(store, [-2.5, 1e6], task="regression")
    assert snapshot.coverage.distinct == 2
    assert snapshot.coverage.spread == pytest.approx(500_001.25, rel=1e-4)
    assert set(store.features.rows(snapshot.dataset, DATA, snapshot.window).label) == {-2.5, 1e6}


@pytest.mark.parametrize("label", [float("inf"), -1e61])
def test_a_number_that_can_not_be_squared_is_no_label(store: Features, label: float) -> None:
    with pytest.raises(Invalid, match=r"labels are finite numbers of at most 1e\+60"):
        _labelled(store, [1.0, label], task="regression")


def test_a_regression_whose_labels_are_all_alike_is_short(store: Features) -> None:
    assert [short.what for short in _labelled(store, [3.0], task="regression").coverage.short] == ["distinct_labels"]


def test_no_rows_are_no_append(store: Features) -> None:
    store.append("bikes", hourly(1).slice(0, 0))
    with pytest.raises(NotFound):
        store.features.snapshot(take())


def test_a_short_label_delay_narrows_the_gap(store: Features) -> None:
    store.append("bikes", hourly(60, delay=HOUR))
    snapshot = store.features.snapshot(take(data=_policy(label_delay=timedelta(hours=1))))
    assert snapshot.holdout.start - snapshot.cut == HOUR
    assert snapshot.coverage.label_rate == 1


def test_labels_are_those_of_the_rows_with_the_moments_of_their_arrival(store: Features) -> None:
    store.append("bikes", hourly(30))
    snapshot = store.features.snapshot(take(as_of=at(20)))
    window = Window(start=at(5), end=at(25))
    rows = store.features.rows(snapshot.dataset, DATA, window)
    labels = store.features.labels(snapshot.dataset, DATA, window)
    assert labels.ids.tolist() == rows.ids.tolist()
    assert np.array_equal(labels.label, rows.label)
    assert np.array_equal(labels.known_at - labels.event_time, np.full(len(rows), np.timedelta64(DAY)))
    assert labels.known_at.max() <= np.datetime64(at(20).replace(tzinfo=None))
