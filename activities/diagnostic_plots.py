"""The plots of the diagnostics page: what is drawn, and what is said of it to those who don't see it.

Imported when a page is rendered, not before: matplotlib costs a worker half a second and 40 MB.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from activities.diagnostic_figure import CHALLENGER, CHAMPION, INK, Drawn, Plot, drawn, legend
from activities.diagnostic_text import day, number
from contracts.evaluation import Judgement
from contracts.training import Task
from policies import metrics
from policies.families import FAMILIES
from policies.metrics import Floats
from policies.paired import Days, PairedScores
from policies.verdict_words import NAMES

_TICKS = 5
_ALONE = 2
"""Up to so many days a line would suggest a course that nobody knows."""


@dataclass(frozen=True)
class Model:
    """One model's scores with a look that tells it apart without colour, too."""

    name: str
    score: Floats
    color: str
    line: str
    marker: str

    def draw(self, axes: Axes, x: Floats, y: Floats) -> None:
        size = 4 if len(x) < 60 else 0  # noqa: PLR2004 - more markers would be a smear
        axes.plot(x, y, color=self.color, linestyle=self.line, marker=self.marker, markersize=size, label=self.name)


def score_plots(holdout: PairedScores, judgement: Judgement, rival: str) -> dict[str, Drawn]:
    """Of the rows with a label; none without them."""
    rows = holdout.labelled()
    if not len(rows):
        return {}
    made = (_daily(rows, judgement, rival), _calibration(rows, rival), _scores(rows, rival))
    return {plot.name: drawn(plot) for plot in made}


def models(rows: PairedScores, rival: str) -> tuple[Model, Model]:
    return (
        Model(rival, rows.champion, CHAMPION, "--", "s"),
        Model("challenger", rows.challenger, CHALLENGER, "-", "o"),
    )


def _daily(rows: PairedScores, judgement: Judgement, rival: str) -> Plot:
    row_loss = FAMILIES[rows.task].row_loss
    name = judgement.primary if judgement.primary in row_loss else next(iter(row_loss))
    days, index = np.unique(rows.day, return_inverse=True)
    daily = [
        (model, np.bincount(index, weights=row_loss[name](rows.label, model.score)) / np.bincount(index))
        for model in models(rows, rival)
    ]

    def draw(axes: Axes) -> None:
        for model, loss in daily:
            model.draw(axes, days.astype(np.float64), loss)
        day_ticks(axes, days)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(NAMES[name])
        legend(axes)

    better = int((daily[1][1] < daily[0][1]).sum())
    alt = f"Line chart of {NAMES[name]} by day: the challenger is better on {better} of {len(days)} days."
    return Plot(
        "daily", draw, alt, f"{_capital(NAMES[name])} by day; lower is better. A gain that comes from one day is no gain."
    )


def day_ticks(axes: Axes, days: Floats | Days) -> None:
    """A few dates; with the year where there is more than one."""
    shown = days[np.unique(np.linspace(0, len(days) - 1, _TICKS).round().astype(int))]
    names = [day(int(each)) for each in shown]
    years = {each[:4] for each in names}
    axes.set_xticks(shown, [each[:7] for each in names] if len(years) > 1 else [each[5:] for each in names])
    axes.set_xlabel("month (UTC)" if len(years) > 1 else "day (month-day, UTC)")


def _calibration(rows: PairedScores, rival: str) -> Plot:
    if rows.task is Task.REGRESSION:
        return _regression_calibration(rows, rival)
    many = rows.task is Task.MULTICLASS

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        for model in models(rows, rival):
            said = model.score.max(axis=1) if many else model.score
            happened = (model.score.argmax(axis=1) == rows.label).astype(np.float64) if many else rows.label
            model.draw(axes, *_binned(said, happened))
        _unit(axes, "score of the answer" if many else "score")
        axes.set_ylim(-0.03, 1.03)
        axes.set_ylabel("share of right answers" if many else "share of label 1")
        legend(axes)

    what = "the share of right answers against the score of the answer" if many else "the share of label 1 against the score"
    caption = "What happened against what was said, in ten bins of equal count. On the dotted line a score means what it says."
    return Plot("calibration", draw, f"Calibration curves of both models: {what}, with the diagonal of perfect scores.", caption)


def _regression_calibration(rows: PairedScores, rival: str) -> Plot:
    low, high = float(min(rows.label.min(), rows.challenger.min())), float(max(rows.label.max(), rows.challenger.max()))

    def draw(axes: Axes) -> None:
        for model in models(rows, rival):
            model.draw(axes, *_binned(model.score, rows.label))
        axes.axline((low, low), slope=1, color=INK, linewidth=0.8, linestyle=":")
        axes.set_xlabel("predicted, in the label's unit")
        axes.set_ylabel("mean label")
        legend(axes)

    alt = f"Mean label against prediction for both models, labels between {number(low)} and {number(high)}."
    caption = "What happened against what was predicted, in ten bins of equal count. On the dotted line predictions are right."
    return Plot("calibration", draw, alt, caption)


def _binned(said: Floats, happened: Floats) -> tuple[Floats, Floats]:
    bin_of = metrics.calibration_bins(said)
    count = np.bincount(bin_of)
    filled = count > 0
    return tuple(np.bincount(bin_of, weights=each)[filled] / count[filled] for each in (said, happened))  # type: ignore[return-value]


def _scores(rows: PairedScores, rival: str) -> Plot:
    many, number_ = rows.task is Task.MULTICLASS, rows.task is Task.REGRESSION
    of_both = [(model, model.score.max(axis=1) if many else model.score) for model in models(rows, rival)]
    together = np.concatenate([score for _, score in of_both])
    edges = np.linspace(*_ends(together), 21) if number_ else np.linspace(0, 1, 21)

    def draw(axes: Axes) -> None:
        for model, score in of_both:
            share = np.histogram(np.clip(score, edges[0], edges[-1]), edges)[0] / len(rows)
            axes.stairs(share, edges, color=model.color, label=model.name, linewidth=1.6, linestyle=model.line)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("share of rows")
        if number_:
            axes.set_xlabel("predicted, in the label's unit")
        else:
            _unit(axes, "score of the answer" if many else "score")
        legend(axes)

    means = " and ".join(f"{number(float(score.mean()))} for the {model.name}" for model, score in of_both)
    caption = "How the scores are distributed. Another shape matters to whoever uses the score itself."
    return Plot("scores", draw, f"Histogram of both models' scores; the mean is {means}.", caption)


def _ends(score: Floats) -> tuple[float, float]:
    """All but the outermost hundredths, which would squeeze the rest; never empty."""
    low, high = (float(end) for end in np.quantile(score, (0.01, 0.99)))
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _unit(axes: Axes, name: str) -> None:
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel(name)


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
