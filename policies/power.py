"""What a sample could have shown: the smallest true gain that the gate would have passed with the declared probability."""

from contracts.comparison import Power
from contracts.evaluation import GatePolicy
from policies.chance import student_quantile
from policies.sample import Sample
from policies.verdict_words import NAMES, number, percent


def power_shown(*, sample: Sample, gate: GatePolicy, least_t: float, least_relative: float) -> Power | None:
    """From the standard error of the primary's gain and what the gate wants: the larger of least effect and least t.

    None without figures. The other conditions (Brier score, guards, slices) are not reckoned with, so it is a bound: the
    gate as a whole finds a little less. `python -m bench.gate_power` holds the promise against what happens.
    """
    if not sample.found:
        return None
    error, champion = sample.mean.error, sample.primary.champion
    least = max(least_t * error, least_relative * champion)
    gain = least + student_quantile(1 - gate.power, sample.mean.effective - 1) * error
    relative = gain / champion if champion > 0 else 0.0
    return Power(
        probability=gate.power,
        gain=gain,
        relative=relative,
        standard_error=error,
        least_gain=least,
        sentence=(
            f"On these rows a true gain of {number(gain)} in {NAMES[sample.primary_name]} ({percent(relative)}) would have been "
            f"found {percent(gate.power)} of the time; a smaller one may go unseen."
        ),
    )
