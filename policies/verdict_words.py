"""The gate's findings in words that a person understands at night."""

from contracts.evaluation import Comparison, GatePolicy, Verdict
from contracts.training import Task
from policies.bootstrap import Gain
from policies.sample import Sample

NAMES = {
    "log_loss": "log loss",
    "brier": "Brier score",
    "accuracy": "accuracy",
    "recall": "recall",
    "auc": "AUC",
    "calibration_error": "calibration error",
    "worst_day_log_loss": "log loss of the worst day",
    "macro_recall": "mean recall of the classes",
    "macro_auc": "mean AUC of the classes",
    "squared_error": "squared error",
    "rmse": "root of the squared error",
    "absolute_error": "absolute error",
    "bias": "bias",
    "explained": "explained share",
    "worst_day_squared_error": "squared error of the worst day",
}
BASELINES = {Task.BINARY: "base rate", Task.MULTICLASS: "shares of the classes", Task.REGRESSION: "mean of the labels"}
"""What stands in for the first champion: the answer of a model that knows its training labels alone."""

_SMALL = 0.001
_LARGE = 1e4
_HUGE = 1e12
_TENTH = 0.1


def number(value: float) -> str:
    """Three decimals, more where they would all be zero, fewer where nobody reads them."""
    if abs(value) >= _LARGE:
        return f"{value:,.0f}" if abs(value) < _HUGE else f"{value:.3g}"
    return f"{value:.3f}" if value == 0 or abs(value) >= _SMALL else f"{value:.2g}"


def percent(share: float) -> str:
    """A share as a percentage: 0.0123 is '1.2 %'."""
    return f"{100 * share:.0f} %" if abs(share) >= _TENTH else f"{100 * share:.1f} %"


def interval(gain: Gain | Comparison, alpha: float) -> str:
    return f"{percent(1 - alpha)} interval {number(gain.low)} to {number(gain.high)}"


def against(name: str, gain: Gain | Comparison) -> str:
    """'log loss 0.221 against 0.354': the challenger first."""
    return f"{NAMES[name]} {number(gain.challenger)} against {number(gain.champion)}"


def change(gain: Gain) -> str:
    """'38 % lower', as a share of the champion's figure."""
    difference = gain.challenger - gain.champion
    if difference == 0:
        return "the same"
    size = percent(abs(difference) / gain.champion) if gain.champion > abs(difference) * _SMALL else number(abs(difference))
    return f"{size} {'higher' if difference > 0 else 'lower'}"


def sentence(*, verdict: Verdict, sample: Sample, gate: GatePolicy, failed: tuple[str, ...]) -> str:
    """The verdict in one sentence: what it is, the figures, how many rows it rests on, and the first obstacle."""
    if not sample.found:
        return f"No verdict: {failed[0]}"
    primary, shown = sample.primary, sample.family.shown
    second = "" if shown == sample.primary_name else f"{against(shown, sample.found[shown])}, "
    figures = (
        f"{against(sample.primary_name, primary)} ({change(primary)}, gain's {interval(primary, gate.alpha)}), {second}"
        f"on {len(sample.rows):,} rows of {sample.days} days"
    )
    return f"{_opening(verdict, primary)}: {figures}.{_obstacle(verdict, failed)}"


def _opening(verdict: Verdict, primary: Gain) -> str:
    if verdict is Verdict.PROMOTE:
        return "The challenger is better" if primary.low > 0 else "The challenger is probably better"
    if verdict is Verdict.REGRESS:
        return "The challenger is worse" if primary.gain <= primary.rounding else "The challenger gains and breaks a guard"
    return "The comparison is not clear"


def _obstacle(verdict: Verdict, failed: tuple[str, ...]) -> str:
    if verdict is Verdict.PROMOTE:
        return ""
    others = len(failed) - 1
    more = f" ({others} more {'reason' if others == 1 else 'reasons'} in the report.)" if others else ""
    return f" {failed[0]}{more}"
