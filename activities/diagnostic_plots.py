"""The plots of the diagnostics page as inline SVG, the same bytes for the same scores.

Imported when a page is rendered, not before: matplotlib costs a worker half a second and 40 MB.
"""

import io
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from policies import metrics
from policies.metrics import Floats
from policies.paired import Days, PairedScores

mpl.rcParams.update({"svg.hashsalt": "homeostat", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10})

_INK = "#010203"
"""Replaced by the page's own text colour, so that one plot suits light and dark."""
_CHAMPION = "#8a8f98"
_CHALLENGER = "#2f81f7"
_ONE_AT_A_TIME = threading.Lock()
_TICKS = 6


def plots(holdout: PairedScores) -> dict[str, str]:
    """SVG elements by name; none without labelled rows."""
    rows = holdout.labelled()
    if not len(rows):
        return {}
    drawn: dict[str, Callable[[Axes, PairedScores], None]] = {
        "daily": _daily,
        "calibration": _calibration,
        "scores": _scores,
    }
    with _ONE_AT_A_TIME:
        return {name: _svg(name, draw, rows) for name, draw in drawn.items()}


@dataclass(frozen=True)
class _Model:
    """One model's scores with a look that tells it apart without colour, too."""

    name: str
    score: Floats
    color: str
    line: str
    marker: str

    def draw(self, axes: Axes, x: Floats | Days, y: Floats) -> None:
        axes.plot(x, y, color=self.color, linestyle=self.line, marker=self.marker, markersize=4, label=self.name)


def _models(rows: PairedScores) -> tuple[_Model, _Model]:
    return (
        _Model("champion", rows.champion, _CHAMPION, "--", "s"),
        _Model("challenger", rows.challenger, _CHALLENGER, "-", "o"),
    )


def _daily(axes: Axes, rows: PairedScores) -> None:
    days, index = np.unique(rows.day, return_inverse=True)
    for model in _models(rows):
        total = np.bincount(index, weights=metrics.row_log_loss(rows.label, model.score))
        model.draw(axes, days, total / np.bincount(index))
    shown = days[np.unique(np.linspace(0, len(days) - 1, _TICKS).round().astype(int))]
    axes.set_xticks(shown, [str(np.datetime64(int(day), "D"))[5:] for day in shown])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("day (month-day, UTC)")
    axes.set_ylabel("log loss")


def _calibration(axes: Axes, rows: PairedScores) -> None:
    axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, linestyle=":")
    for model in _models(rows):
        bin_of = metrics.calibration_bins(model.score)
        count = np.bincount(bin_of)
        filled = count > 0
        said = np.bincount(bin_of, weights=model.score)[filled] / count[filled]
        model.draw(axes, said, np.bincount(bin_of, weights=rows.label)[filled] / count[filled])
    _unit(axes, "score")
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("share of label 1")


def _scores(axes: Axes, rows: PairedScores) -> None:
    edges = np.linspace(0, 1, 21)
    for model in _models(rows):
        share = np.histogram(model.score, edges)[0] / len(rows)
        axes.stairs(share, edges, color=model.color, label=model.name, linewidth=1.6, linestyle=model.line)
    _unit(axes, "score")
    axes.set_ylabel("share of rows")


def _unit(axes: Axes, name: str) -> None:
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel(name)


def _svg(name: str, draw: Callable[[Axes, PairedScores], None], rows: PairedScores) -> str:
    figure = Figure(figsize=(4.8, 3.0))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0.13, 0.16, 0.85, 0.81))
    draw(axes, rows)
    _dress(axes)
    sink = io.StringIO()
    figure.savefig(sink, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(name, sink.getvalue())


def _dress(axes: Axes) -> None:
    axes.legend(frameon=False, labelcolor=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(_INK)
    axes.tick_params(colors=_INK)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    axes.grid(alpha=0.15, color=_INK)


def _inline(name: str, svg: str) -> str:
    """Without prologue, ids made unique on the page, width left to the page."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", element)
    element = re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', element, count=1)
    return element.replace("xlink:href", "href").replace(_INK, "currentColor")
