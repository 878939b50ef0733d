"""What can't be right about a window: its newest rows held against the rows before them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.coverage import CoverageVerdict, Finding, FindingKind, QualityLimits, Remedy
from policies.data_facts import ColumnDays, Counts, Days, Tally, WindowFacts

_ROWS: Final = 50
"""Fewer rows than this prove nothing."""
_WEEK: Final = 7
_WEEKS: Final = 4
"""So many weeks have to come before, or nobody knows what a week is like."""
_RUNS: Final = 5
_LONGER: Final = 3
_CHANCE: Final = 1e-6
_WHOLE: Final = 0.99
_FEW: Final = 0.01
_MEND: Final = "mend what delivers it, and append the rows anew."
_BROKEN, _TOLD, _SHORT = CoverageVerdict.BROKEN, CoverageVerdict.SUFFICIENT, CoverageVerdict.SHORT

Mask = NDArray[np.bool_]


def findings(facts: WindowFacts, limits: QualityLimits) -> Iterator[Finding]:
    """Everything about columns, codes, repeated rows and segments."""
    recent = facts.recent(limits.recent)
    for name, kind in facts.types.items():
        yield _type(name, kind)
    for column in facts.columns:
        yield from _column(column, facts, recent, limits)
    for codes in facts.codes:
        yield from _unseen(codes, facts, recent, limits)
    yield from _repeated(facts, recent, limits)
    if facts.segment is not None:
        yield from _segments(facts.segment, facts, recent, limits)


def _type(name: str, kind: str) -> Finding:
    said = f"{name} is {kind} in some files, not a number: append its rows again as numbers."
    return Finding(what=FindingKind.COLUMN_TYPE, weighs=_BROKEN, found=1, wanted=0, column=name, sentence=said)


def _column(column: ColumnDays, facts: WindowFacts, recent: Mask, limits: QualityLimits) -> Iterator[Finding]:
    yield from _missing(column, facts, recent, limits)
    yield from _impossible(column, facts, limits)
    values = np.concatenate([column.low, column.high])
    known = values[~np.isnan(values)]
    if known.size and known.min() == known.max() and facts.rows.sum() >= _ROWS:
        said = f"{column.name} is {known[0]:g} in every row: it tells a model nothing."
        yield Finding(what=FindingKind.CONSTANT, weighs=_TOLD, found=1, wanted=2, column=column.name, sentence=said)
    elif (found := longest_freeze(column, facts.days)) is not None:
        yield _frozen(column, facts, found)


def _missing(column: ColumnDays, facts: WindowFacts, recent: Mask, limits: QualityLimits) -> Iterator[Finding]:
    """The newest rows, or those since the column is empty, held against the worst week before them."""
    empty = _trailing(column.missing >= _WHOLE * facts.rows)
    now_days = empty if empty.any() else recent
    now, worst = _share(column.missing, facts.rows, now_days), _worst_week(column.missing, facts, ~now_days)
    if now is None or worst is None or now - worst <= limits.missing_rise:
        return
    since = _moment(facts.days[now_days][0])
    kind = FindingKind.EMPTY if now >= _WHOLE else FindingKind.MISSING_VALUES
    word = "is empty" if kind is FindingKind.EMPTY else f"has no value in {now:.0%} of the rows"
    said = f"{column.name} {word} since {since:%Y-%m-%d}, in the worst week before in {worst:.0%}: {_MEND}"
    yield Finding(what=kind, weighs=_BROKEN, found=now, wanted=worst, column=column.name, start=since, sentence=said)


def _trailing(days: Mask) -> Mask:
    """The days at the end of which all are true."""
    found: Mask = np.cumprod(days[::-1])[::-1].astype(bool)
    return found


def _worst_week(part: Counts, facts: WindowFacts, days: Mask) -> float | None:
    """The largest share in a week of these days; None where too few rows tell."""
    weeks = _weeks(facts)
    shares = [_share(part, facts.rows, days & (weeks == week)) for week in np.unique(weeks[days])]
    return max((share for share in shares if share is not None), default=None)


def _impossible(column: ColumnDays, facts: WindowFacts, limits: QualityLimits) -> Iterator[Finding]:
    """Over the rows of the window that coverage counts, and never by a handful of rows alone."""
    inside = facts.days >= np.datetime64(facts.window.start.replace(tzinfo=None), "D")
    rows, bad = int(facts.rows[inside].sum()), int(column.impossible[inside].sum())
    if bad == 0:
        return
    share = bad / max(rows, 1)
    first = _moment(facts.days[inside][np.flatnonzero(column.impossible[inside])[0]])
    said = (
        f"{column.name} is infinite or beyond its declared bounds in {bad:,} of {rows:,} rows, from {first:%Y-%m-%d} on: "
        "correct them, or the bounds."
    )
    weighs = _BROKEN if share > limits.impossible else _TOLD
    yield Finding(
        what=FindingKind.IMPOSSIBLE,
        weighs=weighs,
        found=share,
        wanted=limits.impossible,
        column=column.name,
        start=first,
        sentence=said,
    )


@dataclass(frozen=True)
class Freeze:
    """Days on which a column had one value, from place `first` to `last` in the days."""

    first: int
    last: int
    value: float
    longest_before: int

    @property
    def days(self) -> int:
        return self.last - self.first + 1


def longest_freeze(column: ColumnDays, days: Days) -> Freeze | None:
    """The longest run of days with one value, if it can't be chance.

    The run's beginning has to be seen, at least five others have to tell how long runs are, it has to be three times as long as
    any of them, and days of that value must be so rare elsewhere that so many in a row have a chance below one in a million. So
    neither a dry spell nor a month's number counts.
    """
    runs = _runs(column)
    later = [run for run in runs if run[0] > 0 and run[2] is not None]
    if not later or len(runs) <= _RUNS:
        return None
    first, last, value = max(later, key=lambda run: run[1] - run[0])
    length = last - first + 1
    others = max(end - start + 1 for start, end, _ in runs if start != first)
    elsewhere = len(days) - length
    same = sum(end - start + 1 for start, end, other in runs if other == value and start != first)
    chance = float(((same + 1) / (elsewhere + 2)) ** length)
    if value is None or length < _LONGER * others or chance >= _CHANCE:
        return None
    return Freeze(first, last, value, others)


def _runs(column: ColumnDays) -> list[tuple[int, int, float | None]]:
    """(first, last, value) of successive days; a day on which the column varies, or has no value, is a run of its own."""
    found: list[tuple[int, int, float | None]] = []
    for day, (low, high) in enumerate(zip(column.low.tolist(), column.high.tolist(), strict=True)):
        value = low if low == high else None
        if found and value is not None and found[-1][2] == value:
            found[-1] = (found[-1][0], day, value)
        else:
            found.append((day, day, value))
    return found


def _frozen(column: ColumnDays, facts: WindowFacts, found: Freeze) -> Finding:
    start, end = _moment(facts.days[found.first]), _moment(facts.days[found.last]) + timedelta(days=1)
    counted = end > facts.window.start
    said = (
        f"{column.name} stands at {found.value:g} for {found.days} days from {start:%Y-%m-%d} on, elsewhere for "
        f"{found.longest_before} at most: {_MEND}"
    )
    return Finding(
        what=FindingKind.FROZEN,
        weighs=_BROKEN if counted else _TOLD,
        found=found.days,
        wanted=found.longest_before,
        column=column.name,
        start=start,
        end=end,
        sentence=said,
    )


def _unseen(codes: Tally, facts: WindowFacts, recent: Mask, limits: QualityLimits) -> Iterator[Finding]:
    """A feature to which every week brings new codes, such as the week's number, is no news."""
    weeks = _weeks(facts)
    if not recent.any() or recent.all():
        return
    before = codes.rows[:, ~recent].sum(axis=1) > 0
    total = int(codes.rows[:, recent].sum())
    new = int(codes.rows[~before][:, recent].sum())
    if total < _ROWS or new <= _FEW * total:
        return
    share, usual = new / total, _usual_news(codes, weeks, ~recent)
    names = [name for name, seen in zip(codes.values, before.tolist(), strict=True) if not seen]
    grave = share > limits.unseen and usual is not None and share > 2 * usual
    said = (
        f"{codes.name} has codes in {share:.0%} of the newest rows that were not there before ({', '.join(names[:5])}): "
        "check whether its codes were renumbered."
    )
    yield Finding(
        what=FindingKind.UNSEEN,
        weighs=_BROKEN if grave else _TOLD,
        found=share,
        wanted=limits.unseen,
        column=codes.name,
        value=names[0][:50] if names else None,
        sentence=said,
    )


def _usual_news(codes: Tally, weeks: Counts, before: Mask) -> float | None:
    """The largest share of new codes in a week before, the first one left out; None with too few weeks to tell."""
    found, seen = [], np.zeros(len(codes.values), dtype=bool)
    for week in np.unique(weeks[before]):
        rows = codes.rows[:, before & (weeks == week)].sum(axis=1)
        found.append(float(rows[~seen].sum() / max(int(rows.sum()), 1)))
        seen |= rows > 0
    return max(found[1:]) if len(found) > _WEEKS else None


def _repeated(facts: WindowFacts, recent: Mask, limits: QualityLimits) -> Iterator[Finding]:
    now, before = _share(facts.repeated, facts.rows, recent), _share(facts.repeated, facts.rows, ~recent)
    if now is None or before is None or now - before <= limits.duplicate_rise:
        return
    said = f"{now:.0%} of the newest rows repeat another one word for word, before it was {before:.0%}: remove what came twice."
    yield Finding(what=FindingKind.DUPLICATES, weighs=_BROKEN, found=now, wanted=before, sentence=said)


def _segments(tally: Tally, facts: WindowFacts, recent: Mask, limits: QualityLimits) -> Iterator[Finding]:
    """Only segments that every week before had: others come and go."""
    weeks = _weeks(facts)
    before = np.unique(weeks[~recent])
    if len(before) < _WEEKS or not recent.any():
        return
    for value, rows in zip(tally.values, tally.rows, strict=True):
        by_week = [int(rows[(weeks == week) & ~recent].sum()) for week in before[1:]]
        usual = float(np.mean(by_week)) * recent.sum() / _WEEK
        now = int(rows[recent].sum())
        if min(by_week) == 0 or usual < _ROWS or now >= 0.5 * usual:
            continue
        fall = 1 - now / usual
        said = f"Segment {value} of {tally.name} has {now:,} rows where {usual:,.0f} were usual."
        yield Finding(
            what=FindingKind.SEGMENT,
            weighs=_SHORT if fall > limits.segment_fall else _TOLD,
            found=now,
            wanted=usual,
            column=tally.name,
            value=value[:50],
            remedies=(Remedy.WAIT, Remedy.WIDEN),
            sentence=said,
        )


def _weeks(facts: WindowFacts) -> Counts:
    """By day: how many weeks before the window's end."""
    end = np.datetime64(facts.window.end.replace(tzinfo=None), "D")
    found: Counts = -(np.maximum((end - facts.days).astype(np.int64) - 1, 0) // _WEEK)
    return found


def _share(part: Counts, rows: Counts, days: Mask) -> float | None:
    """None where too few rows tell."""
    total = int(rows[days].sum())
    return int(part[days].sum()) / total if total >= _ROWS else None


def _moment(day: np.datetime64) -> datetime:
    found: datetime = day.astype("datetime64[s]").item()
    return found.replace(tzinfo=UTC)
