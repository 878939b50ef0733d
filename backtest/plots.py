"""The plots of a backtest: the loss over time, the lead over each habit, and what the decisions came to."""

import io
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from backtest.arms import ARMS, HABITS, HOMEOSTAT
from backtest.hindsight import Judged, Proved
from backtest.scoring import SHOWN
from backtest.trial import PeriodLine, Played
from learning.rows import Floats
from policies.verdict_words import NAMES

_INK: Final = "#010203"
_SMOOTH: Final = 4
_WIDTH: Final = 4.8
_HEIGHT: Final = 4.2
_MOST_DOTS: Final = 1500
_LOCK: Final = threading.Lock()
_TICKS: Final = 5
_MONTHS: Final = 150.0
"""From so many days on, ticks name months and not days."""
mpl.rcParams.update({"svg.hashsalt": "homeostat", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 11})


@dataclass(frozen=True)
class Look:
    """How an arm is drawn: told apart by dash and weight, too."""

    name: str
    colour: str
    dark: str
    dash: str | tuple[int, tuple[int, ...]]
    width: float


LOOKS: Final = {
    "never": Look("never retrained", "#6b7178", "#a4a9b1", ":", 1.5),
    "weekly30": Look("each period, 30 days", "#b35900", "#f2a65a", "--", 1.3),
    "weekly90": Look("each period, 90 days", "#a3487d", "#e59ac4", "-.", 1.3),
    "weekly_all": Look("each period, everything", "#00735a", "#4fd1ae", (0, (6, 1, 1, 1, 1, 1)), 1.3),
    HOMEOSTAT: Look("the policy", "#0059b3", "#6cb6ff", "-", 2.4),
}
_MARKS: Final = {Proved.RIGHT: ("^", "proved right"), Proved.WRONG: ("v", "proved wrong"), Proved.UNCLEAR: ("o", "unclear")}


@dataclass(frozen=True)
class Drawing:
    """A plot with words for those who don't see it."""

    name: str
    draw: Callable[[Axes], None]
    alt: str
    caption: str


def drawings(played: Played) -> list[Drawing]:
    """None without a labelled period."""
    lines = [line for line in played.lines if line.metrics]
    if not lines:
        return []
    primary = SHOWN[played.card.task][0]
    return [_loss(lines, primary), _lead(lines, primary, played.decisions)]


def _loss(lines: Sequence[PeriodLine], primary: str) -> Drawing:
    def draw(axes: Axes) -> None:
        for arm in ARMS:
            _line(axes, arm, [line.end for line in lines], _smooth([line.metrics[arm][primary] for line in lines]))
        axes.set_ylabel(NAMES[primary])
        _legend(axes)

    last = lines[-1].metrics
    alt = f"Line chart of {NAMES[primary]} by period for five ways; in the last period " + ", ".join(
        f"{LOOKS[arm].name} {last[arm][primary]:.4g}" for arm in ARMS
    )
    return Drawing("loss", draw, alt, f"{NAMES[primary].capitalize()}, mean of {_SMOOTH} periods; lower is better.")


def _lead(lines: Sequence[PeriodLine], primary: str, decisions: Sequence[Judged]) -> Drawing:
    rows = np.array([line.labelled for line in lines], dtype=np.float64)
    ends = [line.end for line in lines]
    ours = np.array([line.metrics[HOMEOSTAT][primary] for line in lines])

    def draw(axes: Axes) -> None:
        for arm in HABITS:
            theirs = np.array([line.metrics[arm][primary] for line in lines])
            _line(axes, arm, ends, np.cumsum((theirs - ours) * rows) / rows.sum())
        axes.axhline(0, color=_INK, linewidth=0.8)
        _promotions(axes, decisions)
        axes.set_ylabel("lead of the policy")
        _legend(axes)

    told = ", ".join(f"{len(_proved(decisions, which))} {name}" for which, (_, name) in _MARKS.items())
    caption = (
        f"How far the policy has got ahead in {NAMES[primary]}, summed over the rows so far: a line that rises is a stretch in "
        f"which the policy served better than that habit. Above: its promotions, by what followed."
    )
    return Drawing("lead", draw, f"Line chart of the policy's lead over each habit. Promotions: {told}.", caption)


def _proved(decisions: Sequence[Judged], which: Proved) -> list[datetime]:
    promoted = [one for one in decisions if one.decision.promoted]
    return [one.decision.at for one in promoted if (one.verdict.proved if one.verdict else Proved.UNCLEAR) is which]


def _promotions(axes: Axes, decisions: Sequence[Judged]) -> None:
    for which, (sign, name) in _MARKS.items():
        if at := _proved(decisions, which):
            colour = LOOKS["weekly30"].colour if which is Proved.WRONG else LOOKS[HOMEOSTAT].colour
            fill = "none" if which is Proved.UNCLEAR else colour
            where = axes.get_xaxis_transform()
            days = _days(at)
            axes.scatter(days, [1.03] * len(at), marker=sign, s=26, edgecolors=colour, facecolors=fill, transform=where,
                         clip_on=False, label=f"promotion {name}")  # fmt: skip


def _line(axes: Axes, arm: str, ends: Sequence[datetime], values: Floats) -> None:
    look = LOOKS[arm]
    step = max(1, len(ends) // _MOST_DOTS)
    days = _days(ends)
    axes.plot(days[::step], values[::step], color=look.colour, linestyle=look.dash, linewidth=look.width, label=look.name)


def _days(moments: Sequence[datetime]) -> Floats:
    return np.array([moment.timestamp() / 86400 for moment in moments])


def _smooth(values: Sequence[float]) -> Floats:
    """Mean of the newest periods so far, shape (n,)."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(1, len(values) + 1)
    begin = np.maximum(at - _SMOOTH, 0)
    return np.asarray((total[at] - total[begin]) / (at - begin), dtype=np.float64)


def _legend(axes: Axes) -> None:
    axes.legend(frameon=False, labelcolor=_INK, fontsize=9, loc="upper center", bbox_to_anchor=(0.45, -0.13), ncols=2)


def _dress(axes: Axes) -> None:
    low, high = axes.dataLim.intervalx
    shown = np.linspace(low, high, _TICKS)
    form = "%Y-%m" if high - low > _MONTHS else "%m-%d"
    axes.set_xticks(shown, [f"{datetime.fromtimestamp(86400 * at, UTC):{form}}" for at in shown])
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(_INK)
    axes.tick_params(colors=_INK)
    axes.yaxis.label.set_color(_INK)
    axes.grid(alpha=0.15, color=_INK)
    axes.set_axisbelow(True)


def inline(drawing: Drawing) -> str:
    """An SVG for the page, in the page's colours."""
    return _labelled(_svg([drawing], _WIDTH), drawing.name, drawing.alt)


def standalone(plots: Sequence[Drawing]) -> bytes:
    """All of them in one file that suits light and dark."""
    if not plots:
        return (
            b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 40"><text x="10" y="25">no label, no plot</text></svg>\n'
        )
    svg = _labelled(_svg(plots, 7.2), "plot", " ".join(plot.alt for plot in plots))
    light = "".join(f"--{arm}: {look.colour}; " for arm, look in LOOKS.items())
    dark = "".join(f"--{arm}: {look.dark}; " for arm, look in LOOKS.items())
    style = (
        f"<style>svg {{ color: #1b1f24; background: #ffffff; {light}}} "
        f"@media (prefers-color-scheme: dark) {{ svg {{ color: #e6edf3; background: #0f1318; {dark}}} }}</style>"
    )
    return re.sub(r"(<svg [^>]*>)", lambda found: f"{found[1]}{style}", svg, count=1).encode()


def _svg(plots: Sequence[Drawing], width: float) -> str:
    with _LOCK:
        figure = Figure(figsize=(width, _HEIGHT * len(plots)))
        FigureCanvasSVG(figure)
        for at, plot in enumerate(plots, start=1):
            axes = figure.add_subplot(len(plots), 1, at)
            plot.draw(axes)
            _dress(axes)
        figure.subplots_adjust(
            left=0.16, right=0.97, top=1 - 0.3 / (_HEIGHT * len(plots)), bottom=1.3 / (_HEIGHT * len(plots)), hspace=0.6
        )
        sink = io.StringIO()
        figure.savefig(sink, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return sink.getvalue()


def _labelled(svg: str, name: str, alt: str) -> str:
    element = svg[svg.index("<svg") :]
    element = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", element).replace("xlink:href", "href")
    said = escape(alt, quote=True).replace("\\", r"\\")
    opened = rf'<svg xmlns="http://www.w3.org/2000/svg" viewBox="\1" role="img" aria-label="{said}">'
    element = re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', opened, element, count=1)
    for arm, look in LOOKS.items():
        element = element.replace(look.colour, f"var(--{arm})")
    return element.replace(_INK, "currentColor")
