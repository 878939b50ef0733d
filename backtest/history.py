"""What a simulation may know: the rows of all periods so far, and only the labels that have arrived."""

from datetime import datetime

import numpy as np

from backtest.periods import Period
from learning.rows import LabelledRows, microseconds


class History:
    """Rows as they came; a label is handed out only when its time has come."""

    def __init__(self) -> None:
        self._periods: list[Period] = []

    def add(self, period: Period) -> None:
        self._periods.append(period)

    def known(self, now: datetime) -> LabelledRows:
        """Rows whose label has arrived by `now`, in the order of their event time."""
        moment = microseconds(now)
        parts = [(period, (period.known_at <= moment) & ~np.isnan(period.label)) for period in self._periods]
        event_time = np.concatenate([period.event_time[known] for period, known in parts])
        order = np.argsort(event_time, kind="stable")
        return LabelledRows(
            event_time[order],
            np.concatenate([period.features[known] for period, known in parts])[order],
            np.concatenate([period.label[known] for period, known in parts])[order],
        )
