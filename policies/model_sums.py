"""One model's metrics as sums per block; a line of weights (how often each block counts) gives the metrics.

All sums stand in one table of shape (blocks, columns), so that a chunk of draws is one product with a matrix.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from contracts.training import Task
from policies import metrics
from policies.metrics import Floats
from policies.paired import Days

Flags = NDArray[np.bool_]

_AUC_BINS = 128
"""Draws of the AUC see scores in bins of equal count; the point is exact, and the interval is centred on it."""
_AUC_COLUMNS = 2048
"""A multiclass task shares so many columns among its classes."""
_FEWEST_BINS = 8


class ModelSums(ABC):
    """The table, its metrics over all rows, and its metrics under any weights."""

    def __init__(self, table: Floats, exact: Mapping[str, float]) -> None:
        self._sums = table
        self.blocks, self.columns = table.shape
        rows = table[:, 0]
        self._full = rows >= np.median(rows) / 2
        self._block_loss = table[:, 1] / rows
        self._binned = {name: float(value[0]) for name, value in self.drawn(np.ones((1, self.blocks))).items()}
        self.point: Mapping[str, float] = {**self._binned, **exact}

    def binned(self, name: str) -> float:
        """The metric of the whole sample as the draws see it."""
        return self._binned[name]

    def drawn(self, weights: Floats) -> dict[str, Floats]:
        """Metrics under `weights` of shape (b, blocks); each of shape (b,)."""
        sums = np.einsum("bd,dk->bk", weights, self._sums)  # not BLAS, whose threads spin on small products and reorder sums
        return self._metrics(sums, self._worst_block(weights, sums[:, 1] / sums[:, 0]))

    @abstractmethod
    def _metrics(self, sums: Floats, worst: Floats) -> dict[str, Floats]:
        """From sums of shape (b, columns), of which column 0 counts rows and column 1 is the loss of `worst` (b,)."""

    def _worst_block(self, weights: Floats, otherwise: Floats) -> Floats:
        """Largest mean loss of a block among those with at least half the rows of the median one: the rest is noise."""
        found = np.where((weights > 0) & self._full, self._block_loss, -1.0).max(axis=1)
        return np.where(found >= 0, found, otherwise)


def model_sums(task: Task, label: Floats, score: Floats, block: Days, threshold: float) -> ModelSums:
    """Sums of one model's scores; `block` (n,) runs from 0 without holes, n >= 1."""
    if task is Task.REGRESSION:
        return _Regression(label, score, block)
    if task is Task.MULTICLASS:
        return _Multiclass(label, score, block)
    return _Binary(label, score, block, threshold)


class _Binary(ModelSums):
    _SINGLE = 6

    def __init__(self, label: Floats, score: Floats, block: Days, threshold: float) -> None:
        positive, decided = label == 1, score >= threshold
        ranked = _quantile_bins(score, _AUC_BINS)
        single = np.stack(
            [
                np.ones(len(label)),
                metrics.row_log_loss(label, score),
                metrics.row_brier(label, score),
                positive * 1.0,
                (positive & decided) * 1.0,
                (decided == positive) * 1.0,
            ]
        )
        table = np.hstack(
            [
                _sums(block, single),
                _binned_sums(block, metrics.calibration_bins(score), metrics.BINS, score - label),
                _binned_sums(block, ranked, _AUC_BINS, positive * 1.0),
                _binned_sums(block, ranked, _AUC_BINS, ~positive * 1.0),
            ]
        )
        super().__init__(table, {"auc": metrics.auc(label, score)})

    def _metrics(self, sums: Floats, worst: Floats) -> dict[str, Floats]:
        total, log_loss, brier, positives, found, right = sums[:, : self._SINGLE].T
        gaps, ranked = np.split(sums[:, self._SINGLE :], [metrics.BINS], axis=1)
        return {
            "log_loss": log_loss / total,
            "brier": brier / total,
            "accuracy": right / total,
            "recall": found / np.maximum(positives, 1),
            "auc": _binned_auc(ranked[:, :_AUC_BINS], ranked[:, _AUC_BINS:]),
            "calibration_error": np.abs(gaps).sum(axis=1) / total,
            "worst_day_log_loss": worst,
        }


class _Multiclass(ModelSums):
    _SINGLE = 4

    def __init__(self, label: Floats, score: Floats, block: Days) -> None:
        self._classes = score.shape[1]
        self._bins = int(np.clip(_AUC_COLUMNS // (2 * self._classes), _FEWEST_BINS, _AUC_BINS))
        decided, top = np.argmax(score, axis=1), score.max(axis=1)
        right = (decided == label) * 1.0
        true = label.astype(np.int64)
        single = np.stack(
            [np.ones(len(label)), metrics.row_class_log_loss(label, score), metrics.row_class_brier(label, score), right]
        )
        table = np.hstack(
            [
                _sums(block, single),
                _binned_sums(block, metrics.calibration_bins(top), metrics.BINS, top - right),
                _binned_sums(block, true, self._classes, np.ones(len(label))),
                _binned_sums(block, true, self._classes, right),
                *self._ranked(true, score, block),
            ]
        )
        exact = [metrics.auc((true == k) * 1.0, score[:, k]) for k in np.unique(true) if (true != k).any()]
        super().__init__(table, {"macro_auc": float(np.mean(exact)) if exact else 0.5})

    def _ranked(self, true: Days, score: Floats, block: Days) -> list[Floats]:
        """Counts by class and score bin of the rows of the class, then of the others."""
        bins = [_quantile_bins(score[:, k], self._bins) for k in range(self._classes)]
        own = [_binned_sums(block, bins[k], self._bins, (true == k) * 1.0) for k in range(self._classes)]
        others = [_binned_sums(block, bins[k], self._bins, (true != k) * 1.0) for k in range(self._classes)]
        return own + others

    def _metrics(self, sums: Floats, worst: Floats) -> dict[str, Floats]:
        total, log_loss, brier, right = sums[:, : self._SINGLE].T
        ends = np.cumsum([metrics.BINS, self._classes, self._classes])
        gaps, count, found, ranked = np.split(sums[:, self._SINGLE :], ends, axis=1)
        return {
            "log_loss": log_loss / total,
            "brier": brier / total,
            "accuracy": right / total,
            "macro_recall": _mean_where(count > 0, found / np.maximum(count, 1), otherwise=0.0),
            "macro_auc": self._macro_auc(ranked, (count > 0) & (count < total[:, None])),
            "calibration_error": np.abs(gaps).sum(axis=1) / total,
            "worst_day_log_loss": worst,
        }

    def _macro_auc(self, ranked: Floats, both: Flags) -> Floats:
        """Mean over the classes that have rows within and without, shape (b,)."""
        own, others = ranked.reshape(len(ranked), 2, self._classes, self._bins).transpose(1, 0, 2, 3)
        return _mean_where(both, _binned_auc(own, others), otherwise=0.5)


class _Regression(ModelSums):
    def __init__(self, label: Floats, score: Floats, block: Days) -> None:
        centred = label - label.mean()
        columns = (np.ones(len(label)), (score - label) ** 2, np.abs(score - label), score - label, centred, centred**2)
        self._vary = bool(np.ptp(label) > 0)
        super().__init__(_sums(block, np.stack(columns)), {})

    def _metrics(self, sums: Floats, worst: Floats) -> dict[str, Floats]:
        total, squared, absolute, residual, label, label_squared = sums.T
        spread = label_squared - label**2 / total
        there = (spread > 1e-12 * label_squared) & self._vary
        return {
            "squared_error": squared / total,
            "rmse": np.sqrt(squared / total),
            "absolute_error": absolute / total,
            "bias": np.abs(residual) / total,
            "explained": np.where(there, 1 - squared / np.where(there, spread, 1), 0.0),
            "worst_day_squared_error": worst,
        }


def _mean_where(there: Flags, value: Floats, *, otherwise: float) -> Floats:
    """Mean along the last axis of the places that are there."""
    count = there.sum(axis=-1)
    return np.where(count > 0, np.where(there, value, 0.0).sum(axis=-1) / np.maximum(count, 1), otherwise)


def _sums(block: Days, columns: Floats) -> Floats:
    """Sums by block of `columns` (c, n), shape (blocks, c)."""
    return np.stack([np.bincount(block, weights=column) for column in columns], axis=1)


def _binned_sums(block: Days, bin_of: Days, bins: int, value: Floats) -> Floats:
    """Sums of `value` by block and bin, shape (blocks, bins)."""
    blocks = int(block.max()) + 1
    flat: Floats = np.bincount(block * bins + bin_of, weights=value, minlength=blocks * bins).astype(np.float64)
    return flat.reshape(blocks, bins)


def _binned_auc(positives: Floats, negatives: Floats) -> Floats:
    """AUC from counts by score bin, both of shape (..., bins); pairs within a bin count half."""
    below = np.cumsum(negatives, axis=-1) - negatives / 2
    pairs = positives.sum(axis=-1) * negatives.sum(axis=-1)
    return np.where(pairs > 0, (positives * below).sum(axis=-1) / np.maximum(pairs, 1), 0.5)


def _quantile_bins(score: Floats, bins: int) -> Days:
    """Bin of each row by rank, equal scores together; exact as long as there are at most `bins` different scores."""
    different, index = np.unique(score, return_inverse=True)
    if len(different) <= bins:
        return index.astype(np.int64)
    edges = np.quantile(score, np.arange(1, bins) / bins)
    return np.searchsorted(edges, score, side="right").astype(np.int64)
