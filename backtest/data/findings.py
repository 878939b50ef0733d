"""What was found in a user's data: counted while it is read, told at the end. Nothing of it ends a backtest."""

from collections import Counter
from dataclasses import dataclass, field

MOST_NAMED = 20


@dataclass
class ColumnFindings:
    """One feature, or the label."""

    missing: int = 0
    unreadable: int = 0
    """Text where a number was wanted: taken as missing."""
    absurd: int = 0
    """Infinite, or beyond 1e30: taken as missing."""
    example: str = ""
    """The first one that could not be read."""
    kind: str = "number"


@dataclass
class Findings:
    """Counts by name; features apart."""

    counts: Counter[str] = field(default_factory=Counter)
    features: dict[str, ColumnFindings] = field(default_factory=dict)
    label: ColumnFindings = field(default_factory=ColumnFindings)
    notes: list[str] = field(default_factory=list)
    """What was assumed, in words."""
    holes: list[dict[str, object]] = field(default_factory=list)

    def note(self, text: str) -> None:
        if text not in self.notes and len(self.notes) < 5 * MOST_NAMED:
            self.notes.append(text)

    def of(self, feature: str) -> ColumnFindings:
        return self.features.setdefault(feature, ColumnFindings())
