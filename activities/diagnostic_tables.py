"""The report's tables about the comparison: metrics, what the gate wanted, slices."""

from collections.abc import Iterator
from dataclasses import dataclass

from activities.diagnostic_text import name, number, percent, signed
from contracts.comparison import SliceComparison
from contracts.evaluation import Comparison, Judgement
from contracts.training import Task
from policies.demands import demands as wanted_of
from policies.families import FAMILIES
from policies.verdict_words import NAMES

MEANINGS = {
    "log_loss": "How surprised the model was by what happened. Lower is better.",
    "brier": "Mean squared error of the probability. Lower is better.",
    "accuracy": "Share of right answers at the endpoint's threshold.",
    "recall": "Share of the rows with label 1 that were found.",
    "auc": "Chance that a row with label 1 scores above one with label 0.",
    "calibration_error": "How far scores lie from what really happened. Lower is better.",
    "worst_day_log_loss": "Log loss of the model's worst day. Lower is better.",
    "macro_recall": "Share of each class that was found, the mean of all classes.",
    "macro_auc": "Chance that a row of a class scores higher for it than another row, the mean of all classes.",
    "squared_error": "Mean square of the error. Lower is better.",
    "rmse": "Root of the squared error, in the label's own unit. Lower is better.",
    "absolute_error": "Mean size of the error, in the label's own unit. Lower is better.",
    "bias": "Size of the mean error: predictions that are too high or too low on the whole. Lower is better.",
    "explained": "Share of the labels' variance that the predictions explain.",
    "worst_day_squared_error": "Squared error of the model's worst day. Lower is better.",
}
_OF_CLASSES = {
    "brier": "Squared distance between the probabilities of all classes and what happened. Lower is better.",
    "accuracy": "Share of rows whose likeliest class is the true one.",
}
SHOWN_SLICES = 20


@dataclass(frozen=True)
class Line:
    """One line of a table of metrics, ready to be read."""

    name: str
    meaning: str
    challenger: str
    champion: str
    gain: str
    interval: str
    weekly: str
    margin: str
    result: str
    failed: bool = False


@dataclass(frozen=True)
class Demand:
    """Something the gate wanted, and what it found."""

    name: str
    wanted: str
    found: str
    held: bool


@dataclass(frozen=True)
class SliceLine:
    """One slice."""

    name: str
    rows: str
    challenger: str
    champion: str
    gain: str
    interval: str
    result: str
    failed: bool = False


def lines(compared: tuple[Comparison, ...], judgement: Judgement) -> list[Line]:
    weekly = {found.metric: found for found in judgement.weekly} if compared is judgement.comparisons else {}
    return [_line(each, weekly.get(each.metric), judgement) for each in compared]


def _line(compared: Comparison, weekly: Comparison | None, judgement: Judgement) -> Line:
    return Line(
        name=NAMES.get(compared.metric, name(compared.metric)),
        meaning=_meaning(compared.metric, judgement.task),
        challenger=number(compared.challenger),
        champion=number(compared.champion),
        gain=signed(compared.gain),
        interval=_interval(compared),
        weekly=_interval(weekly) if weekly else "",
        margin="" if compared.margin is None else number(compared.margin),
        result=_result(compared, judgement),
        failed=not compared.held,
    )


def _meaning(metric: str, task: Task) -> str:
    return _OF_CLASSES.get(metric, MEANINGS.get(metric, "")) if task is Task.MULTICLASS else MEANINGS.get(metric, "")


def _interval(found: Comparison | SliceComparison) -> str:
    return f"{signed(found.low)} to {signed(found.high)}"


def _result(compared: Comparison, judgement: Judgement) -> str:
    if compared.dry:
        return "runs dry: reported only"
    if compared.metric == judgement.primary:
        return "primary: decides"
    if compared.metric in FAMILIES[judgement.task].sizes(judgement.policy):
        return "has to gain, too"
    if compared.margin is None:
        return "for information"
    if judgement.policy.guards == "proven":
        return (
            "guard is proven to hold" if compared.held else "guard is not proven to hold: the interval reaches beyond its margin"
        )
    return "guard holds" if compared.held else "guard fails: worse by more than its margin"


def gate_demands(judgement: Judgement, replayed: int) -> Iterator[Demand]:
    """The declared minimum of the gate, line by line."""
    policy = judgement.policy
    yield Demand("rows with a label", f"at least {policy.min_rows:,}", f"{judgement.rows:,}", judgement.rows >= policy.min_rows)
    yield Demand("days", f"at least {policy.min_days:,}", f"{judgement.days:,}", judgement.days >= policy.min_days)
    yield from _effects(judgement)
    yield from _slices_held(judgement)
    shift = judgement.stability.get("replay_score_shift")
    if shift is not None and replayed >= policy.min_rows:
        what = "score shift on replayed requests"
        yield Demand(what, f"at most {number(policy.max_score_shift)}", number(shift), shift <= policy.max_score_shift)


def _effects(judgement: Judgement) -> Iterator[Demand]:
    """Least gains and least t."""
    blocks = judgement.days if judgement.policy.block == "day" else judgement.weeks
    wanted = wanted_of(
        gate=judgement.policy, kind=judgement.kind, task=judgement.task, blocks=blocks, family=max(judgement.family, 1)
    )
    for metric in FAMILIES[judgement.task].sizes(judgement.policy):
        if compared := judgement.metric(metric):
            least, relative = wanted.gains[metric], compared.gain / max(abs(compared.champion), 1e-9)
            yield Demand(f"gain in {NAMES[metric]}", f"at least {percent(least)}", percent(relative), relative >= least)
    if blocks > 1:
        least = judgement.least_t if judgement.least_t is not None else wanted.t
        unit = f"steadiness of the gain over {judgement.policy.block}s (t)"
        yield Demand(unit, f"at least {least:.2f}", f"{judgement.t:.2f}", judgement.t >= least)


def _slices_held(judgement: Judgement) -> Iterator[Demand]:
    evaluable = [found for found in judgement.slices if found.evaluable]
    if evaluable and judgement.slice_margin is not None:
        worse = sum(not found.held for found in evaluable)
        bound = f"slices worse by more than {number(judgement.slice_margin)}"
        yield Demand(bound, "none", f"{worse} of {len(evaluable) + judgement.slices_unlisted}", worse == 0)


def slice_lines(judgement: Judgement) -> list[SliceLine]:
    """Evaluable slices, the worst gain first."""
    return [
        SliceLine(
            name=f"{name(found.feature)} = {name(found.value)}",
            rows=f"{found.rows:,} on {found.days} days",
            challenger=number(found.challenger),
            champion=number(found.champion),
            gain=signed(found.gain),
            interval=_interval(found),
            result="holds" if found.held else "worse beyond chance",
            failed=not found.held,
        )
        for found in judgement.slices
        if found.evaluable
    ]


def small_slices(judgement: Judgement) -> list[str]:
    return [f"{name(s.feature)} = {name(s.value)}: {name(s.why_not, 120)}" for s in judgement.slices if not s.evaluable]


def churn(judgement: Judgement, replayed: int) -> Iterator[str]:
    """Stability in sentences."""
    found = judgement.stability
    if "harmful_flips" in found:
        harmful, beneficial = percent(found["harmful_flips"]), percent(found["beneficial_flips"])
        yield _flips(judgement.task, harmful, beneficial)
    if "holdout_disagreement" in found:
        yield f"On the compared rows it answers {percent(found['holdout_disagreement'])} differently. {_shift(found, 'holdout')}"
    if "replay_disagreement" in found:
        yield (
            f"On {replayed:,} replayed live requests it would have answered {percent(found['replay_disagreement'])} differently. "
            f"{_shift(found, 'replay')}"
        )
    if judgement.refit:
        yield f"What would ship is the challenger's recipe fitted again on all labels: {judgement.refit.sentence}"


def _flips(task: Task, harmful: str, beneficial: str) -> str:
    if task is Task.REGRESSION:
        return f"The challenger is clearly farther off on {harmful} of the compared rows, and clearly nearer on {beneficial}."
    return (
        f"On the compared rows the challenger gets {harmful} wrong that the champion got right, "
        f"and {beneficial} right that the champion got wrong."
    )


def _shift(found: dict[str, float], part: str) -> str:
    shift = found.get(f"{part}_score_shift")
    return "" if shift is None else f"Its scores shift by {number(shift)} (stability index; above 0.25 is a clear change)."


def estimates(judgement: Judgement) -> Iterator[str]:
    """What unlabelled rows promise."""
    for found in judgement.estimates:
        part = "compared rows" if found.part == "holdout" else "replayed requests"
        yield (
            f"{found.rows:,} of the {part} have no label yet. If both models are calibrated, {NAMES[found.metric]} there is "
            f"{number(found.challenger)} for the challenger and {number(found.champion)} for the champion: an estimate, "
            "which decides nothing."
        )
