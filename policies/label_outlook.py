"""What an endpoint's own label-delay curve says of one window: whether waiting mends it, and until when."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from contracts.coverage import CoverageVerdict, Finding, FindingKind, Remedy
from contracts.snapshot import Coverage, Shortfall
from policies.data_facts import WindowFacts
from policies.label_delay import Curve, curve, described, expected_within, mature_after, maturity

_STALLED: Final = 20
"""So many labels at least should have come since the newest one, or it is only quiet."""
_MOST: Final = 0.9
_DAY: Final = timedelta(days=1)


class LabelOutlook:
    """Built from a window's facts and counts; without facts about delays nothing is foretold."""

    def __init__(self, facts: WindowFacts, coverage: Coverage, short: Sequence[Shortfall], as_of: datetime) -> None:
        self._facts, self._coverage, self._short, self._as_of = facts, coverage, short, as_of
        self._curve: Curve | None = curve(facts.delays) if facts.delays is not None else None
        self.stalled = self._is_stalled()
        self.mature_at = self._mature_at()

    @property
    def maturity(self) -> float | None:
        if self._curve is None or self._facts.waiting is None:
            return None
        return maturity(curve=self._curve, window=self._facts.waiting)

    def finding(self, short: Shortfall) -> Finding:
        """Waiting mends what labels, or a window that still fills, will bring."""
        waits = self._waiting_mends(short)
        return Finding(
            what=FindingKind(short.what),
            weighs=CoverageVerdict.IMMATURE if waits else CoverageVerdict.SHORT,
            found=short.found,
            wanted=short.wanted,
            remedies=(Remedy.WAIT, Remedy.WIDEN) if waits else (Remedy.WIDEN,),
            sentence=f"{short.what}: found {short.found:g}, wanted {short.wanted:g}",
        )

    def news(self, declared: timedelta) -> Iterator[Finding]:
        """What people can do about labels that don't come as the policy says."""
        if self.stalled:
            yield self._stall()
        elif self._curve is not None and self._is_short("label_rate"):
            yield from self._late(declared)

    def _is_short(self, what: str) -> bool:
        return any(short.what == what for short in self._short)

    def _waiting_mends(self, short: Shortfall) -> bool:
        curve, rows = self._curve, self._facts.waiting
        if self.stalled or curve is None or rows is None:
            return True
        if short.what == "label_rate":
            return self.mature_at is not None or not curve.settled
        coming = rows.waiting.sum() * max(curve.ever, 0.0) if short.what != "days" else 0.0
        return self._facts.young or bool(short.found + coming >= short.wanted)

    def _mature_at(self) -> datetime | None:
        """When enough labels are expected for every shortfall that labels can mend."""
        wanted = max((self._wanted(short) for short in self._short), default=0.0)
        if self.stalled or self._curve is None or self._facts.waiting is None or wanted <= 0:
            return None
        ahead = mature_after(curve=self._curve, window=self._facts.waiting, labelled=wanted)
        return None if ahead is None else self._as_of + ahead

    def _wanted(self, short: Shortfall) -> float:
        """Labelled rows that would do; of a class in the share that it has now."""
        if short.what == "label_rate" and self._facts.waiting is not None:
            return short.wanted * self._facts.waiting.rows
        if short.what == "rows":
            return short.wanted
        if short.what == "days" or short.found <= 0:
            return 0.0
        return self._coverage.labelled * short.wanted / short.found

    def _is_stalled(self) -> bool:
        facts = self._facts
        if self._curve is None or facts.delays is None or facts.newest_label is None:
            return False
        missing = expected_within(curve=self._curve, rows=facts.delays, span=self._as_of - facts.newest_label)
        return facts.newest_label < self._as_of and missing >= _STALLED

    def _stall(self) -> Finding:
        newest = self._facts.newest_label
        assert newest is not None  # or nothing is stalled
        return Finding(
            what=FindingKind.LABELS_STALLED,
            weighs=CoverageVerdict.IMMATURE if self._is_short("label_rate") else CoverageVerdict.SUFFICIENT,
            found=(self._as_of - newest) / _DAY,
            wanted=0,
            start=newest,
            remedies=(Remedy.WAIT, Remedy.REPAIR),
            sentence=f"No label has come since {newest:%Y-%m-%d %H:%M}, though many were due: look at what delivers them.",
        )

    def _late(self, declared: timedelta) -> Iterator[Finding]:
        assert self._facts.delays is not None  # the caller has looked
        found = described(self._facts.delays, self._facts.newest_label).quantile(_MOST)
        if found is None or found <= declared:
            return
        yield Finding(
            what=FindingKind.LABEL_DELAY,
            weighs=CoverageVerdict.SUFFICIENT,
            found=found / _DAY,
            wanted=declared / _DAY,
            sentence=f"Nine labels in ten take up to {found / _DAY:.1f} days; data.label_delay should say so.",
        )
