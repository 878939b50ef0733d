"""Tables of numbers as they pass through the ports: rows to be scored, their labels, and what a model says of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rows:
    """Rows to be scored, in event-time order; every array has shape (n,), `features` (n, k)."""

    ids: NDArray[np.str_]
    event_time: NDArray[np.datetime64]
    """UTC, microseconds, no zone."""
    features: NDArray[np.float64]
    label: NDArray[np.float64]
    """0 or 1, the number of a class, or any number, as the task has it; NaN where no label had arrived."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Served(Rows):
    """Captured live requests: what was served, by which model, beside the rows."""

    score: NDArray[np.float64]
    """As a scorer gives it: (n,), or (n, K) for a multiclass task, NaN where a model with other classes answered."""
    digest: NDArray[np.str_]


@dataclass(frozen=True)
class Labels:
    """The labels of a frozen dataset's rows, in event-time order; every array has shape (n,)."""

    ids: NDArray[np.str_]
    event_time: NDArray[np.datetime64]
    """UTC, microseconds, no zone."""
    known_at: NDArray[np.datetime64]
    """When the label arrived, same form."""
    label: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Margins:
    """What a model's members say before blend and shift."""

    members: tuple[str, ...]
    """As the recipe spells them: '30d', 'all', 'all/90d', 'all+30d'."""
    of_members: NDArray[np.float64]
    """Log-odds, log-probabilities or numbers, in the order of `members`; shape (n, M), or (n, M, K) for a multiclass task."""
    shift: tuple[float, ...]
    """What the model adds to their mean: one number, or one for each class."""
