"""What a simulation may know: only the labels that have arrived, and of rows beyond number a sample that no fit would miss."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from backtest.periods import Period
from learning.rows import Floats, LabelledRows, Times, microseconds
from learning.sampling import Lots, lots


@dataclass(frozen=True)
class _Piece:
    """Some rows in the order of their time; every piece is newer than the one before."""

    event_time: Times
    known_at: Times
    features: Floats
    label: Floats
    lots: Lots

    def chosen(self, which: NDArray[np.bool_]) -> "_Piece":
        return _Piece(self.event_time[which], self.known_at[which], self.features[which], self.label[which], self.lots[which])


class History:
    """Rows as they came; a label is handed out only when its time has come.

    A fit takes at most `most` rows of a window that ends now, those with the lowest lots (`learning/sampling.py`). A row is
    forgotten when so many newer ones with lower lots are known: no fit from now on would take it. So memory grows with the
    logarithm of the rows once there are more than `most`.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._pieces: list[_Piece] = []

    def add(self, period: Period) -> None:
        """The rows of the next period."""
        there = np.flatnonzero(~np.isnan(period.label))
        order = there[np.argsort(period.event_time[there], kind="stable")]
        for places in np.array_split(order, max(1, -(-len(order) // self._most))):
            time, features = period.event_time[places], period.features[places]
            drawn = lots(time, features)
            self._pieces.append(_Piece(time, period.known_at[places], features, period.label[places], drawn))

    def known(self, now: datetime) -> LabelledRows:
        """Rows whose label has arrived by `now`, in the order of their event time."""
        moment = microseconds(now)
        parts = [(piece, piece.known_at <= moment) for piece in self._pieces]
        return LabelledRows(
            np.concatenate([piece.event_time[known] for piece, known in parts]),
            np.concatenate([piece.features[known] for piece, known in parts]),
            np.concatenate([piece.label[known] for piece, known in parts]),
        )

    def news(self, since: datetime, now: datetime) -> bool:
        """Whether a label has arrived in between."""
        first, last = microseconds(since), microseconds(now)
        return any(((piece.known_at > first) & (piece.known_at <= last)).any() for piece in self._pieces)

    def forget(self, now: datetime) -> None:
        """Let go of what no fit at `now` or later would take."""
        if sum(len(piece.label) for piece in self._pieces) <= self._most:
            return
        moment, kept, lowest = microseconds(now), list[_Piece](), np.zeros(0, dtype=np.uint64)
        for piece in reversed(self._pieces):
            if len(lowest) == self._most:
                piece = piece.chosen(piece.lots <= lowest.max())  # noqa: PLW2901 - what is left of it
            kept.append(piece)
            lowest = _lowest(np.concatenate([lowest, piece.lots[piece.known_at <= moment]]), self._most)
        self._pieces = [piece for piece in reversed(kept) if len(piece.label)] or kept[:1]


def _lowest(drawn: Lots, most: int) -> Lots:
    return drawn if len(drawn) <= most else np.partition(drawn, most - 1)[:most]
