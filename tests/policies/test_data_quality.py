"""What can't be right about a window: columns, codes, repeated rows, segments and gaps, each against what was usual."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from contracts.coverage import CoverageVerdict, FindingKind, QualityLimits
from contracts.snapshot import Window
from policies.data_facts import ColumnDays, Tally, WindowFacts
from policies.data_quality import findings
from policies.gaps import gaps

END = datetime(2024, 6, 1, tzinfo=UTC)
DAYS = 44
BROKEN, TOLD, SHORT = CoverageVerdict.BROKEN, CoverageVerdict.SUFFICIENT, CoverageVerdict.SHORT


def column(name: str = "temp", **changes: Any) -> ColumnDays:
    """A column that varies within every day."""
    zeros = np.zeros(DAYS, dtype=np.int64)
    low = np.arange(DAYS) * 0.1
    return ColumnDays(**{"name": name, "low": low, "high": low + 5, "missing": zeros, "impossible": zeros} | changes)


def daily(values: np.ndarray) -> ColumnDays:
    """A column with one value a day."""
    return column(low=values.astype(float), high=values.astype(float))


def facts(*columns: ColumnDays, **changes: Any) -> WindowFacts:
    end = np.datetime64(END.replace(tzinfo=None), "D")
    plain: dict[str, Any] = {
        "window": Window(start=END - timedelta(days=30), end=END),
        "days": np.arange(end - DAYS, end),
        "rows": np.full(DAYS, 100),
        "repeated": np.zeros(DAYS, dtype=np.int64),
        "columns": columns or (column(),),
    }
    return WindowFacts(**plain | changes)


def found(given: WindowFacts, **limits: Any) -> list[tuple[str, CoverageVerdict]]:
    return [(one.what.value, one.weighs) for one in findings(given, QualityLimits(**limits))]


def newest(days: int, value: float, other: float = 0) -> np.ndarray:
    return np.where(np.arange(DAYS) >= DAYS - days, value, other)


def test_a_usual_window_has_no_findings() -> None:
    assert found(facts()) == []


@pytest.mark.parametrize("days", [4, 10, 25])
def test_a_feed_that_stands_still_is_broken_and_named_with_its_day(days: int) -> None:
    frozen = column(low=np.where(newest(days, 1) > 0, 7.0, np.arange(DAYS)), high=np.where(newest(days, 1) > 0, 7.0, 99.0))
    (one,) = findings(facts(frozen), QualityLimits())
    assert (one.what, one.weighs, one.column, one.found) == (FindingKind.FROZEN, BROKEN, "temp", days)
    assert one.start == END - timedelta(days=days)
    assert f"temp stands at 7 for {days} days from {one.start:%Y-%m-%d} on" in one.sentence


def test_a_daily_reading_that_stands_still_is_broken() -> None:
    reading = np.random.default_rng(1).integers(-10, 30, DAYS).astype(float)
    reading[-6:] = 12
    assert found(facts(daily(reading))) == [("frozen", BROKEN)]


@pytest.mark.parametrize(
    "values",
    [
        np.arange(DAYS) % 7,
        np.where(np.arange(DAYS) < 5, 4, np.where(np.arange(DAYS) < 35, 5, 6)),
        np.where(np.arange(DAYS) < 30, 2023, 2024),
        np.where(np.arange(DAYS) < 18, np.arange(DAYS) % 4 // 3, 0),
        np.where(np.arange(DAYS) == 20, 1, 0),
    ],
    ids=["the day of the week", "the month", "the year", "a dry spell", "a holiday"],
)
def test_what_naturally_stays_the_same_for_long_is_not_broken(values: np.ndarray) -> None:
    assert all(weighs is TOLD for _, weighs in found(facts(daily(values))))


def test_a_column_with_one_value_everywhere_is_only_told() -> None:
    assert found(facts(daily(np.ones(DAYS)))) == [("constant", TOLD)]


@pytest.mark.parametrize("days", [1, 7, 20])
def test_a_column_that_went_empty_is_broken_from_its_first_day_on(days: int) -> None:
    (one,) = findings(facts(column(missing=newest(days, 100).astype(int))), QualityLimits())
    assert (one.what, one.weighs, one.start) == (FindingKind.EMPTY, BROKEN, END - timedelta(days=days))


def test_missing_values_count_by_their_rise_over_the_worst_week() -> None:
    assert found(facts(column(missing=newest(7, 45, 5).astype(int)))) == [("missing_values", BROKEN)]
    assert found(facts(column(missing=newest(7, 20, 5).astype(int)))) == []
    often = np.where(np.arange(DAYS) // 7 % 2 == 0, 90, 60)
    assert found(facts(column(missing=np.where(newest(7, 1) > 0, 91, often)))) == []


def test_impossible_values_are_told_by_a_few_and_broken_by_many() -> None:
    few, many = np.zeros(DAYS, dtype=np.int64), np.zeros(DAYS, dtype=np.int64)
    few[-3], many[-3] = 5, 50
    assert found(facts(column(impossible=few))) == [("impossible", TOLD)]
    assert found(facts(column(impossible=many))) == [("impossible", BROKEN)]


def codes(rows: np.ndarray) -> Tally:
    return Tally("carrier", tuple(str(i) for i in range(len(rows))), rows.astype(np.int64))


def test_renumbered_codes_are_broken_and_a_few_new_ones_are_told() -> None:
    renumbered = codes(np.stack([newest(7, 0, 50), newest(7, 0, 50), newest(7, 60), newest(7, 40)]))
    assert found(facts(codes=(renumbered,))) == [("unseen", BROKEN)]
    one_more = codes(np.stack([np.full(DAYS, 95), newest(7, 5)]))
    assert found(facts(codes=(one_more,))) == [("unseen", TOLD)]


def test_a_code_that_counts_the_weeks_is_new_every_week() -> None:
    weeks = np.stack([np.where((np.arange(DAYS) + 5) // 7 == week, 100, 0) for week in range(8)])
    assert all(weighs is TOLD for _, weighs in found(facts(codes=(codes(weeks),))))


def test_rows_that_come_twice_are_broken_where_they_did_not_before() -> None:
    assert found(facts(repeated=newest(3, 50).astype(int)), recent=timedelta(days=3)) == [("duplicates", BROKEN)]
    assert found(facts(repeated=np.full(DAYS, 50))) == []


def test_a_segment_that_vanished_is_told_or_makes_the_window_short() -> None:
    segment = Tally("carrier", ("UA", "HA"), np.stack([np.full(DAYS, 80), newest(7, 0, 20)]).astype(np.int64))
    assert found(facts(segment=segment)) == [("segment", TOLD)]
    assert found(facts(segment=segment), segment_fall=0.8) == [("segment", SHORT)]


def hours(*, busy: Mapping[int, int] | None = None, hole: range = range(0)) -> dict[int, int]:
    """Rows by hour of six weeks; `busy` says how many by the hour of the day."""
    end = int(END.timestamp()) // 3600
    rows = {end - 1 - i: (busy or dict.fromkeys(range(24), 10)).get((end - 1 - i) % 24, 0) for i in range(DAYS * 24)}
    return {hour: n for hour, n in rows.items() if n and end - hour not in hole}


WINDOW = Window(start=END - timedelta(days=30), end=END)


def test_a_night_without_traffic_is_no_gap() -> None:
    assert list(gaps(hours=hours(busy=dict.fromkeys(range(6, 22), 50)), window=WINDOW, longest=None)) == []


def test_hours_without_rows_are_a_gap_where_rows_are_usual() -> None:
    (gap,) = gaps(hours=hours(hole=range(100, 130)), window=WINDOW, longest=None)
    assert (gap.what, gap.weighs, gap.found) == (FindingKind.GAP, TOLD, 30)
    assert gap.end == END - timedelta(hours=99)
    (grave,) = gaps(hours=hours(hole=range(100, 130)), window=WINDOW, longest=timedelta(hours=24))
    assert grave.weighs is SHORT


def test_a_hole_of_weeks_and_one_that_lasts_until_now_are_gaps() -> None:
    assert [gap.found for gap in gaps(hours=hours(hole=range(24, 24 * 22)), window=WINDOW, longest=None)] == [24 * 21]
    assert [gap.end for gap in gaps(hours=hours(hole=range(24 * 4)), window=WINDOW, longest=None)] == [END]


def test_one_missing_row_of_a_sparse_endpoint_is_no_gap() -> None:
    assert list(gaps(hours=hours(busy={9: 1, 17: 1}, hole=range(10, 30)), window=WINDOW, longest=None)) == []
