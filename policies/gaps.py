"""Spans without rows where the endpoint's own rhythm has some: a night without traffic is none."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.coverage import CoverageVerdict, Finding, FindingKind, Remedy
from contracts.snapshot import Window

_EXPECTED: Final = 20
"""So many rows have to be missing: where they come by chance, one in half a billion such spans is empty."""
_HOURS: Final = 168
_MOST: Final = 20


def gaps(*, hours: Mapping[int, int], window: Window, longest: timedelta | None) -> Iterator[Finding]:
    """The longest ones inside `window`; longer than `longest`, one makes the window short."""
    if not hours:
        return
    first, end = min(hours), _hour(window.end)
    counts = np.zeros(max(end - first, 1), dtype=np.int64)
    for hour, rows in hours.items():
        if hour < end:
            counts[hour - first] = rows
    expected = rhythm(counts, first)
    spans = [span for span in _empty(counts) if expected[span[0] : span[1]].sum() >= _EXPECTED]
    inside = [(max(a, _hour(window.start) - first), b) for a, b in spans if b > _hour(window.start) - first]
    for begin, stop in sorted(inside, key=lambda span: span[0] - span[1])[:_MOST]:
        yield _finding(first + begin, first + stop, float(expected[begin:stop].sum()), longest)


def rhythm(counts: NDArray[np.int64], first: int) -> NDArray[np.float64]:
    """Rows that each hour usually has: the mean of the same hour of the week, over weeks that have any rows at all."""
    hours = np.arange(first, first + len(counts))
    weeks, place = hours // _HOURS, hours % _HOURS
    alive = np.isin(weeks, np.unique(weeks[counts > 0]))
    rows = np.bincount(place, weights=counts * alive, minlength=_HOURS)
    seen = np.bincount(place, weights=alive.astype(np.float64), minlength=_HOURS)
    usual = np.divide(rows, seen, out=np.zeros(_HOURS), where=seen > 0)
    found: NDArray[np.float64] = usual[place]
    return found


def _empty(counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Half-open spans of hours without rows."""
    edges = np.diff(np.concatenate([[0], (counts == 0).astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def _finding(first: int, end: int, expected: float, longest: timedelta | None) -> Finding:
    span = timedelta(hours=end - first)
    start = datetime.fromtimestamp(first * 3600, UTC)
    return Finding(
        what=FindingKind.GAP,
        weighs=CoverageVerdict.SHORT if longest is not None and span > longest else CoverageVerdict.SUFFICIENT,
        found=span / timedelta(hours=1),
        wanted=longest / timedelta(hours=1) if longest is not None else 0,
        start=start,
        end=start + span,
        remedies=(Remedy.WIDEN,),
        sentence=f"No rows for {end - first} hours from {start:%Y-%m-%d %H:%M} on, where {expected:,.0f} are usual.",
    )


def _hour(moment: datetime) -> int:
    return int(moment.timestamp()) // 3600
