"""How far a feature's values have moved: evidence for a reader, never an alarm by itself (weather moves every week)."""

import numpy as np
from numpy.typing import NDArray

from policies.metrics import BINS, Floats

COMMON = 20
"""So many of a category's codes are counted one by one, the others together."""


def feature_shift(reference: Floats, other: Floats, *, categorical: bool) -> float:
    """Population stability index of `other` against `reference`, both of shape (n,), NaN where a value is missing.

    Bins are the deciles of the reference, or its most frequent codes; what is missing is a bin of its own. Each count gets
    half a row more, so that an empty bin stays finite. 0 where either has no rows. Above .25 a distribution is usually
    called changed.
    """
    if not len(reference) or not len(other):
        return 0.0
    marks = _codes(reference) if categorical else _edges(reference)
    place = _by_code if categorical else _by_edge
    bins = len(marks) + 2
    expected, found = (_shares(place(values, marks), bins) for values in (reference, other))
    return float(np.sum((found - expected) * np.log(found / expected)))


def unseen(reference: Floats, other: Floats) -> list[float]:
    """Codes of `other` that the reference never had, in order."""
    return [float(code) for code in np.setdiff1d(other[~np.isnan(other)], reference[~np.isnan(reference)])]


def _edges(reference: Floats) -> Floats:
    there = reference[~np.isnan(reference)]
    return np.unique(np.quantile(there, np.arange(1, BINS) / BINS)) if there.size else np.zeros(0)


def _codes(reference: Floats) -> Floats:
    codes, counts = np.unique(reference[~np.isnan(reference)], return_counts=True)
    return np.sort(codes[np.argsort(-counts, kind="stable")[:COMMON]])


def _by_edge(values: Floats, edges: Floats) -> NDArray[np.intp]:
    """Bin of each value; the last one is for what is missing."""
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))


def _by_code(values: Floats, codes: Floats) -> NDArray[np.intp]:
    """Bin of each value: one for each code, one for the others, the last one for what is missing."""
    if not codes.size:
        return np.where(np.isnan(values), 1, 0)
    at = np.minimum(np.searchsorted(codes, values), len(codes) - 1)
    known = np.where(codes[at] == values, at, len(codes))
    return np.where(np.isnan(values), len(codes) + 1, known)


def _shares(place: NDArray[np.intp], bins: int) -> Floats:
    count = np.bincount(place, minlength=bins) + 0.5
    return np.asarray(count / count.sum(), dtype=np.float64)
