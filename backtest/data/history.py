"""A user's history in periods: what is left of the file once stray rows, repeats and the future are out."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from backtest.data.card import Duplicates
from backtest.data.findings import MOST_NAMED
from backtest.data.reading import Material
from backtest.data.spill import WEEK, Census, Records
from backtest.periods import Period
from contracts.training import Task
from learning.rows import Floats, microseconds, moment_of
from platforms.errors import Invalid

_DAY: Final = WEEK // 7
_FEW: Final = 0.05
"""Without an id, repeats are dropped while they are fewer than this share of the rows."""
_STRAY: Final = 0.001
"""Rows beyond a gap of a year count as strays when they are fewer than this share of all."""
_A_YEAR: Final = 53
_ABSURDLY_FAR: Final = 1e6
"""Times the usual spread of a regression's labels."""
_ENOUGH: Final = 1000
_MOST_PERIODS: Final = 20_000
_HOLE: Final = 14 * _DAY


@dataclass
class PlayedHistory:
    """A source of periods over a material."""

    material: Material
    first_window: timedelta
    period: timedelta
    begin: datetime
    end: datetime
    census: Census
    labels_seen: dict[str, int] = field(default_factory=dict)

    def periods(self) -> Iterator[Period]:
        """The first window, then one period after the other up to the newest row."""
        start, end = self.begin, self.begin + self.first_window
        while start <= self.end:
            yield self._period(start, end)
            start, end = end, end + self.period

    @property
    def count(self) -> int:
        """Periods after the first window."""
        return max(0, (self.end - self.begin - self.first_window) // self.period + 1)

    def _period(self, start: datetime, end: datetime) -> Period:
        return _as_period(self.material.spill.between(microseconds(start), microseconds(end)), start, end)


def _as_period(records: Records, start: datetime, end: datetime) -> Period:
    return Period(
        start=start,
        end=end,
        event_time=np.ascontiguousarray(records["time"]),
        known_at=np.ascontiguousarray(records["known"]),
        features=np.ascontiguousarray(records["features"]),
        label=np.ascontiguousarray(records["label"]),
        slices=np.ascontiguousarray(records["slices"]),
    )


def history_of(material: Material, now: datetime) -> PlayedHistory:
    """Decide what is played. Raises: Invalid, CardError where the first window leaves nothing."""
    _leave_out_the_future(material, now)
    _leave_out_strays(material)
    census = _settle_repeats(material)
    if material.card.task is Task.REGRESSION:
        _leave_out_absurd_labels(material)
    first, last = _ends(material)
    card = material.card
    window = card.first_window or max(2 * card.period, min(timedelta(days=365), (last - first) / 4 // card.period * card.period))
    if card.first_window is None:
        material.findings.note(f"The first window is {window.days} days: a quarter of the file's time, a year at most.")
    if first + window > last:
        raise Invalid(
            f"first_window of {window.days} days leaves nothing to play: the rows reach from {first:%Y-%m-%d} "
            f"to {last:%Y-%m-%d}. Write a shorter one into the card."
        )
    if (last - first) / card.period > _MOST_PERIODS:
        raise Invalid(f"period is too short: {(last - first) / card.period:,.0f} of them, at most {_MOST_PERIODS:,} are played.")
    _note_holes(material, census)
    return PlayedHistory(material, window, card.period, first, last, census)


def _leave_out_the_future(material: Material, now: datetime) -> None:
    """Rows later than tomorrow are mistakes, unless the whole file lies there."""
    counts, spill = material.findings.counts, material.spill
    if 0 < counts["rows_in_the_future"] < sum(spill.weeks.values()) / 2:
        spill.until = microseconds(now) + _DAY
        for week in [number for number in spill.weeks if number * WEEK > spill.until]:
            spill.drop(week)


def _leave_out_strays(material: Material) -> None:
    """A few rows more than a year away from all others are typing mistakes: 1970, 2107."""
    weeks, counts = material.spill.weeks, material.findings.counts
    for ordered in (sorted(weeks), sorted(weeks, reverse=True)):
        gap = next((at for at in range(1, len(ordered)) if abs(ordered[at] - ordered[at - 1]) > _A_YEAR), 0)
        stray = sum(weeks[number] for number in ordered[:gap])
        if gap and stray < max(1, _STRAY * sum(weeks.values())) + 1:
            counts["stray_rows"] += stray
            for number in ordered[:gap]:
                material.spill.drop(number)


def _settle_repeats(material: Material) -> Census:
    spill, card, counts = material.spill, material.card, material.findings.counts
    spill.by_id = card.id is not None
    census = Census().take(spill)
    repeats = census.repeated_ids if spill.by_id else census.repeated_rows
    few = spill.by_id or repeats < _FEW * census.rows
    spill.dropping = card.duplicates is Duplicates.DROP or (card.duplicates is Duplicates.AUTO and few)
    counts["repeated_rows"], counts["repeated_ids"] = census.repeated_rows, census.repeated_ids
    counts["repeats_dropped"] = repeats if spill.dropping else 0
    counts["rows_at_equal_times"] = census.equal_times
    if repeats and not spill.dropping and card.duplicates is Duplicates.AUTO:
        material.findings.note(
            f"{repeats:,} rows stand there twice; so many are likely to be how the data is, and were kept. "
            f"`duplicates: drop` in the card drops them."
        )
    return census


def _leave_out_absurd_labels(material: Material) -> None:
    """A single label of 1e20 among hundreds would be all that a squared error sees."""
    spill, first = material.spill, list[Floats]()
    for records in spill.each_week():
        first.append(records["label"][~np.isnan(records["label"])])
        if sum(map(len, first)) >= _ENOUGH:
            break
    if not (label := np.concatenate(first)).size:
        return
    low, middle, high = np.quantile(label, (0.05, 0.5, 0.95))
    reach = _ABSURDLY_FAR * max(high - low, abs(middle) / 1000)
    if reach > 0:
        spill.label_range = (float(middle - reach), float(middle + reach))
        material.findings.label.absurd += sum(int(spill.strange(records).sum()) for records in spill.each_week())


def _ends(material: Material) -> tuple[datetime, datetime]:
    weeks = sorted(material.spill.weeks)
    first, last = material.spill.week(weeks[0]), material.spill.week(weeks[-1])
    while not len(last) and len(weeks) > 1:
        weeks.pop()
        last = material.spill.week(weeks[-1])
    if not len(first) or not len(last):
        raise Invalid("--data: no row is left to play.")
    return moment_of(int(first["time"][0])), moment_of(int(last["time"][-1]))


def _note_holes(material: Material, census: Census) -> None:
    """Stretches of two weeks or more without a row."""
    days = np.array(sorted(census.days), dtype=np.int64)
    gaps = np.flatnonzero(np.diff(days) * _DAY > _HOLE)
    for at in gaps[:MOST_NAMED]:
        start, end = moment_of(int(days[at] + 1) * _DAY), moment_of(int(days[at + 1]) * _DAY)
        material.findings.holes.append({"from": f"{start:%Y-%m-%d}", "to": f"{end:%Y-%m-%d}", "days": (end - start).days})
    material.findings.counts["holes"] = len(gaps)
