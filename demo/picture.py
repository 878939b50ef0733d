"""The plot: accuracy, recall and Brier week by week for the three ways, with what happened marked above."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from contracts.incident import Outcome
from contracts.review import Resolution
from demo.baselines import Baselines
from demo.data import WEEK
from demo.drive import Replay
from demo.incidents import Incident
from demo.quality import THRESHOLD
from policies import metrics

Floats = NDArray[np.float64]

INK, FAINT, PAPER = "#1b1e23", "#d5d9de", "#ffffff"
DARK = {INK: "#e8eaed", FAINT: "#3c4148", PAPER: "#16181c", "#0072b2": "#56b4e9", "#7a7f87": "#a4a9b1"}
"""Light colours and what replaces them where the reader prefers dark."""
SMOOTH = 4
"""Weeks in the running mean."""
FEWEST_POSITIVES = 5
"""A week with fewer busy hours has no recall worth drawing."""


@dataclass(frozen=True)
class Way:
    """One of the three, and how it is drawn; told apart by colour-blind readers by dash and weight as well."""

    name: str
    colour: str
    dash: str
    width: float


NEVER = Way("never retrained", "#7a7f87", ":", 1.6)
WEEKLY = Way("retrained weekly, not judged", "#d55e00", "--", 1.3)
OURS = Way("homeostat", "#0072b2", "-", 2.2)


@dataclass(frozen=True)
class Mark:
    """A kind of event above the panels."""

    name: str
    sign: str
    colour: str
    row: int
    holds: Callable[[Incident], bool]


MARKS = (
    Mark("promoted by itself", "^", "#009e73", 2, lambda i: i.automatic),
    Mark("promoted after review", "D", "#0072b2", 1, lambda i: i.promoted and not i.automatic),
    Mark("review: champion kept", "X", "#d55e00", 0, lambda i: i.reviewed in (Resolution.REJECTED, Resolution.EXPIRED)),
    Mark("rolled back", "v", "#cc79a7", 0, lambda i: i.facts.outcome is Outcome.ROLLED_BACK),
)


def _recall(label: Floats, score: Floats) -> float:
    return metrics.recall(label, score, THRESHOLD) if label.sum() >= FEWEST_POSITIVES else float("nan")


Measure = Callable[[Floats, Floats], float]
PANELS: tuple[tuple[str, Measure], ...] = (
    ("accuracy", lambda label, score: metrics.accuracy(label, score, THRESHOLD)),
    ("recall", _recall),
    ("Brier score (lower is better)", metrics.brier),
)


def draw(replay: Replay, others: Baselines, incidents: Sequence[Incident]) -> bytes:
    """The SVG; the same replay gives the same bytes."""
    scores = {NEVER: others.never, WEEKLY: others.weekly, OURS: replay.served.score}
    with mpl.rc_context({"svg.hashsalt": "homeostat", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}):
        figure = Figure(figsize=(11, 8.2), layout="constrained", facecolor=PAPER)
        events, *panels = figure.subplots(1 + len(PANELS), 1, sharex=True, height_ratios=[0.55, 1, 1, 1])
        _events(events, replay, [each for each in incidents if not each.onboarding])
        for axes, (name, measure) in zip(panels, PANELS, strict=True):
            _panel(axes, name, {way: _weekly(replay, score, measure) for way, score in scores.items()})
            _promotions(axes, replay, incidents)
        panels[-1].set_xlabel(
            f"week of traffic, from {replay.start:%Y-%m-%d}; thin: single weeks, thick: mean of {SMOOTH} weeks", color=INK
        )
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False, labelcolor=INK)
        return _svg(figure)


def _weekly(replay: Replay, score: Floats, measure: Measure) -> Floats:
    """The measure of each week, shape (weeks,); NaN where it is not defined."""
    week = np.array([(when - replay.start) // WEEK for when in replay.hours.event_time])
    known = ~np.isnan(score)
    parts = [(week == number) & known for number in range(replay.weeks)]
    return np.array([measure(replay.hours.busy[part], score[part]) if part.any() else np.nan for part in parts])


def _mean(values: Floats) -> Floats:
    """Mean of the last SMOOTH weeks that have a value, shape as `values`."""
    windows = [values[max(0, end - SMOOTH) : end] for end in range(1, len(values) + 1)]
    return np.array([np.nan if np.isnan(window).all() else np.nanmean(window) for window in windows])


def _panel(axes: Axes, name: str, lines: dict[Way, Floats]) -> None:
    for way, values in lines.items():
        weeks = np.arange(1, len(values) + 1)
        axes.plot(weeks, values, color=way.colour, linewidth=0.6, alpha=0.35)
        axes.plot(weeks, _mean(values), color=way.colour, linestyle=way.dash, linewidth=way.width, label=way.name)
    axes.set_ylabel(name, color=INK)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    _plain(axes)


def _promotions(axes: Axes, replay: Replay, incidents: Sequence[Incident]) -> None:
    for each in incidents:
        if each.promoted and not each.onboarding:
            axes.axvline(_week(replay, each), color=FAINT, linewidth=0.8, zorder=0)


def _events(axes: Axes, replay: Replay, incidents: Sequence[Incident]) -> None:
    for mark in MARKS:
        weeks = [_week(replay, each) for each in incidents if mark.holds(each)]
        if weeks:
            axes.scatter(weeks, [mark.row] * len(weeks), marker=mark.sign, color=mark.colour, s=34, linewidths=0)
    rows = {mark.row: mark.name for mark in reversed(MARKS)}
    axes.set_yticks(list(rows), list(rows.values()))
    axes.set_ylim(-0.7, 2.7)
    _plain(axes)


def _week(replay: Replay, incident: Incident) -> float:
    return (incident.as_of - replay.start) / WEEK + 0.5


def _plain(axes: Axes) -> None:
    axes.set_facecolor(PAPER)
    axes.tick_params(colors=INK, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(FAINT)


def _svg(figure: Figure) -> bytes:
    target = BytesIO()
    figure.savefig(target, format="svg", facecolor=PAPER, metadata={"Date": None, "Creator": None, "Title": "homeostat demo"})
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark} !important}}' for light, dark in DARK.items() for kind in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
    return target.getvalue().replace(b"<defs>", style.encode() + b"<defs>", 1)
