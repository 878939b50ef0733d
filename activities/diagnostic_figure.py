"""From a drawing to an inline SVG that suits a light and a dark page: the same bytes for the same drawing."""

import io
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from types import MappingProxyType

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, ScalarFormatter

mpl.rcParams.update({"svg.hashsalt": "homeostat", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 11})

INK = "#010203"
CHAMPION = "#010204"
CHALLENGER = "#010205"
SOFT = "#010206"
BAD = "#010207"
_FROM_THE_PAGE: Mapping[str, str] = MappingProxyType(
    {
        INK: "currentColor",
        CHAMPION: "var(--champion)",
        CHALLENGER: "var(--challenger)",
        SOFT: "var(--soft)",
        BAD: "var(--bad)",
    }
)
"""Colours that stand for the page's own, so that one plot suits both; a blue and an orange that everybody tells apart."""
_ONE_AT_A_TIME = threading.Lock()
WIDTH = 4.8
_LINE = 0.24
_LARGE = 1e4
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Plot:
    """One drawing with the words for those who don't see it."""

    name: str
    draw: Callable[[Axes], None]
    alt: str
    caption: str
    lines: int = 0
    """Rows of a chart that grows with their number; 0 for the usual height."""
    left: float = 0.15
    """Share of the width that the labels on the left take."""


@dataclass(frozen=True)
class Drawn:
    """Ready for the page."""

    svg: str
    caption: str


def drawn(plot: Plot) -> Drawn:
    """One plot at a time: what draws keeps state that all threads of a process share."""
    with _ONE_AT_A_TIME:
        return Drawn(_svg(plot), plot.caption)


def _svg(plot: Plot) -> str:
    height = 3.1 if not plot.lines else 0.95 + _LINE * plot.lines
    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasSVG(figure)
    below, above = 0.52 / height, (0.1 if not plot.lines else 0.36) / height
    axes = figure.add_axes((plot.left, below, 0.97 - plot.left, 1 - below - above))
    plot.draw(axes)
    _dress(axes)
    sink = io.StringIO()
    figure.savefig(sink, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(plot, sink.getvalue())


def _dress(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        largest = max(map(abs, axis.get_view_interval()))
        if isinstance(axis.get_major_formatter(), ScalarFormatter) and largest >= _LARGE:
            axis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(INK)
    axes.tick_params(colors=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.grid(alpha=0.15, color=INK)
    axes.set_axisbelow(True)


def compact(value: float) -> str:
    """12,000 as '12k' and 3.5e7 as '35M': long labels would leave the drawing, and a power of ten apart is overlooked."""
    for size, unit in _UNITS:
        if abs(value) >= size:
            return f"{value / size:.6g}{unit}"
    return f"{value:.6g}"


def legend(axes: Axes, *, above: bool = False) -> None:
    """Inside where there is room, above the chart where there is none."""
    where = (
        {
            "loc": "lower right",
            "bbox_to_anchor": (1.02, 1.0),
            "ncols": 3,
            "borderaxespad": 0.1,
            "columnspacing": 1.0,
            "handletextpad": 0.5,
        }
        if above
        else {"loc": "best"}
    )
    axes.legend(frameon=False, labelcolor=INK, fontsize=10, **where)


def _inline(plot: Plot, svg: str) -> str:
    """Without prologue, ids made unique on the page, width left to the page, with the words of the alternative text."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{plot.name}-", element)
    said = escape(plot.alt, quote=True).replace("\\", r"\\")
    element = re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{said}">', element, count=1
    )
    element = element.replace("xlink:href", "href")
    for stand_in, colour in _FROM_THE_PAGE.items():
        element = element.replace(stand_in, colour)
    return element
