"""`rule: all_better`: accuracy, recall and stability each have to improve, whatever the primary says.

| task | accuracy | recall | stability |
| --- | --- | --- | --- |
| binary | accuracy | recall | fewer harmful than beneficial flips; calibration error and worst block not worse |
| multiclass | accuracy | macro recall | the same |
| regression | absolute error | explained share | fewer rows clearly worse than clearly better; bias and worst block not worse |

Improvement is held on the point estimates: the primary carries the burden of proof. Metrics that run dry are left out.
"""

from collections.abc import Iterator, Mapping

from contracts.evaluation import GatePolicy
from contracts.training import Task
from policies.sample import Sample
from policies.verdict_words import NAMES, against, percent

_IMPROVED: Mapping[Task, tuple[str, str]] = {
    Task.BINARY: ("accuracy", "recall"),
    Task.MULTICLASS: ("accuracy", "macro_recall"),
    Task.REGRESSION: ("absolute_error", "explained"),
}


def objections(*, sample: Sample, stability: Mapping[str, float], gate: GatePolicy) -> Iterator[str]:
    """What did not improve, in sentences; nothing where all did."""
    family = sample.family
    for metric in (m for m in _IMPROVED[family.task] if m not in gate.dry):
        gain = sample.found[metric]
        if gain.gain <= gain.rounding:
            yield f"The rule all_better wants a better {NAMES[metric]}; it is {against(metric, gain)}."
    for metric in (m for m in (family.calibration, family.worst) if m not in gate.dry):
        gain = sample.found[metric]
        if gain.gain < -gain.rounding:
            yield f"The rule all_better wants no worse {NAMES[metric]}; it is {against(metric, gain)}."
    harmful, beneficial = stability["harmful_flips"], stability["beneficial_flips"]
    if harmful >= beneficial:
        yield (
            f"The rule all_better wants more rows put right than wrong; the challenger puts {percent(beneficial)} right "
            f"and {percent(harmful)} wrong."
        )
