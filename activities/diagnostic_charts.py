"""Charts of figures that stand in tables, too: gains with their intervals, slices, shifted features, the bench's record."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from activities.diagnostic_changes import Shift
from activities.diagnostic_figure import BAD, CHALLENGER, CHAMPION, INK, SOFT, Drawn, Plot, drawn, legend
from activities.diagnostic_plots import day_ticks
from activities.diagnostic_rows import BenchPeriod
from activities.diagnostic_text import name
from contracts.evaluation import Comparison, Judgement
from policies.metrics import Floats
from policies.verdict_words import NAMES

_SLICES = 15
_FEATURES = 12
_MEMBERS = 4
_LABEL = 20
_STYLES = ("-.", ":", (0, (5, 1, 1, 1)), (0, (1, 1)))
_CLEAR = 0.25
_MOST = 100.0


def gains(judgement: Judgement) -> Drawn | None:
    """Every metric's gain with day-block and week-block interval, as a share of the champion's figure."""
    shown = [found for found in judgement.comparisons if found.champion]
    if not shown:
        return None
    weekly = {found.metric: found for found in judgement.weekly}

    def draw(axes: Axes) -> None:
        places = np.arange(len(shown))[::-1].astype(np.float64)
        axes.axvline(0, color=INK, linewidth=1)
        _intervals(axes, places, [_share(found, found.champion) for found in shown], _DAYS)
        paired = [
            (place, weekly[found.metric], found) for place, found in zip(places, shown, strict=True) if found.metric in weekly
        ]
        if paired:
            ends = [_share(week, found.champion) for _, week, found in paired]
            _intervals(axes, np.array([place - 0.28 for place, _, _ in paired]), ends, _WEEKS)
        axes.set_yticks(places, [NAMES.get(found.metric, found.metric) for found in shown])
        axes.set_xlabel("gain, % of the champion's figure")
        _bounded(axes, [_share(found, found.champion) for found in shown])
        axes.tick_params(axis="y", labelsize=9.5)
        legend(axes, above=True)

    sure = sum(found.low > 0 for found in shown)
    alt = f"Gains of {len(shown)} metrics with intervals: {sure} lie wholly above zero, {sum(f.high < 0 for f in shown)} below."
    caption = "Right of zero the challenger is better, whatever the metric. An interval that crosses zero leaves it open."
    return drawn(Plot("gains", draw, alt, caption, lines=len(shown), left=0.44))


def _share(found: Comparison, champion: float) -> tuple[float, float, float]:
    """Gain with its ends, in per cent."""
    share = 100 / abs(champion)
    return found.gain * share, found.low * share, found.high * share


@dataclass(frozen=True)
class _Look:
    color: str
    marker: str
    label: str


_DAYS, _WEEKS = _Look(CHALLENGER, "o", "day blocks"), _Look(CHAMPION, "s", "week blocks")


def _intervals(axes: Axes, places: Floats, ends: Sequence[tuple[float, float, float]], look: _Look) -> None:
    at, low, high = (np.array(each) for each in zip(*ends, strict=True))
    axes.hlines(places, low, high, color=look.color, linewidth=2)
    axes.plot(at, places, look.marker, color=look.color, markersize=5, label=look.label)


def _bounded(axes: Axes, ends: Sequence[tuple[float, float, float]]) -> None:
    """As wide as the intervals, zero inside; one metric near zero must not squeeze all others, so it ends at 100 %."""
    low = max(min(0.0, *(each[1] for each in ends)), -_MOST)
    high = min(max(0.0, *(each[2] for each in ends)), _MOST)
    room = 0.06 * (high - low) or 1.0
    axes.set_xlim(low - room, high + room)


def slices(judgement: Judgement) -> Drawn | None:
    """The slices with the worst gains."""
    shown = [found for found in judgement.slices if found.evaluable][:_SLICES]
    if not shown:
        return None

    def draw(axes: Axes) -> None:
        places = np.arange(len(shown))[::-1]
        axes.axvline(0, color=INK, linewidth=1)
        if judgement.slice_margin is not None:
            axes.axvline(-judgement.slice_margin, color=BAD, linewidth=1, linestyle="--", label="margin")
        _intervals(axes, places.astype(np.float64), [(s.gain, s.low, s.high) for s in shown], _Look(CHALLENGER, "o", "gain"))
        axes.set_yticks(places, [_escaped(name(f"{s.feature} = {s.value}", _LABEL)) for s in shown])
        axes.set_xlabel(f"gain in {NAMES.get(judgement.primary, judgement.primary)}")
        legend(axes, above=True)

    alt = f"The {len(shown)} slices with the worst gains, with intervals; the worst is {shown[0].feature} = {shown[0].value}."
    caption = "Left of the dashed line a slice is worse by more than its margin; beyond chance only with its whole interval."
    return drawn(Plot("slices", draw, name(alt, 300), caption, lines=len(shown), left=0.42))


def features(found: Sequence[Shift]) -> Drawn | None:
    """The most shifted features."""
    shown = list(found[:_FEATURES])
    if not shown:
        return None

    def draw(axes: Axes) -> None:
        places = np.arange(len(shown))[::-1].astype(np.float64)
        axes.barh(places + 0.2, [s.holdout or 0 for s in shown], 0.36, color=CHALLENGER, label="compared rows")
        axes.barh(places - 0.2, [s.replay or 0 for s in shown], 0.36, color=CHAMPION, label="replayed")
        axes.axvline(_CLEAR, color=SOFT, linewidth=1, linestyle="--")
        axes.set_yticks(places, [_escaped(name(s.name, _LABEL)) for s in shown])
        axes.set_xlabel("stability index against training rows")
        legend(axes, above=True)

    alt = f"Bars of the {len(shown)} most shifted features; the largest index is {shown[0].largest:.2f}, of {shown[0].name}."
    caption = "Above 0.25 (dashed) a distribution has clearly changed. Seasons move features, too: no reason to act by itself."
    return drawn(Plot("features", draw, name(alt, 300), caption, lines=len(shown), left=0.42))


def bench(periods: Sequence[BenchPeriod], metric: str) -> Drawn | None:
    """Prequential loss by period: each fit is scored on the period after it."""
    if not periods:
        return None
    series = dict.fromkeys(each for period in periods for each in period.loss)
    members = [each for each in series if each not in ("champion", "blend", "challenger")][:_MEMBERS]
    days = np.array([np.datetime64(period.start.replace(tzinfo=None), "D").astype(np.int64) for period in periods])

    def draw(axes: Axes) -> None:
        for member, style in zip(members, _STYLES, strict=False):
            axes.plot(days, _course(periods, member), color=SOFT, linestyle=style, linewidth=1, label=_escaped(name(member, 12)))
        for each, color, line in (("champion", CHAMPION, "--"), ("blend", CHALLENGER, "-"), ("challenger", CHALLENGER, "-")):
            if each in series:
                axes.plot(days, _course(periods, each), color=color, linestyle=line, linewidth=1.8, label=each)
        day_ticks(axes, days)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(NAMES.get(metric, metric))
        legend(axes)

    alt = (
        f"Line chart of the loss of {len(series)} models over {len(periods)} periods; each is scored on later rows than its own."
    )
    caption = "Each fit is scored on the period that came after it; lower is better. Members of the blend are drawn thin."
    return drawn(Plot("bench", draw, alt, caption))


def _course(periods: Sequence[BenchPeriod], series: str) -> Floats:
    return np.array([period.loss.get(series, np.nan) for period in periods], dtype=np.float64)


def _escaped(text: str) -> str:
    """A drawing reads a pair of dollars as mathematics."""
    return text.replace("$", r"\$")
