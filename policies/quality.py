"""When an endpoint's live quality is bad enough to raise an alarm, and how bad that is."""

from collections.abc import Mapping

from contracts.alarm import Reading, Severity
from contracts.monitor import MonitorPolicy

_HIGH = 1.5
_CRITICAL = 2.5
"""From how many times the allowed loss on an alarm is high or critical."""


def allowed_losses(policy: MonitorPolicy) -> dict[str, float]:
    """By how much each metric may be worse than its reference, signed: negative where lower is worse."""
    return {
        "accuracy": -policy.accuracy_drop,
        "recall": -policy.recall_drop,
        "auc": -policy.auc_drop,
        "brier": policy.brier_rise,
    }


def crossed(*, metrics: Mapping[str, float], reference: Mapping[str, float], policy: MonitorPolicy) -> tuple[str, ...]:
    """Names of the metrics that are worse than their reference by more than the policy allows.

    A metric without a value or without a reference crosses nothing.
    """
    return tuple(name for name, loss in losses(metrics=metrics, reference=reference, policy=policy).items() if loss > 1.0)


def losses(*, metrics: Mapping[str, float], reference: Mapping[str, float], policy: MonitorPolicy) -> dict[str, float]:
    """How much worse each metric is, as a multiple of what the policy allows; negative where it is better."""
    return {
        name: round((metrics[name] - reference[name]) / allowed, 9)
        for name, allowed in allowed_losses(policy).items()
        if name in metrics and name in reference
    }


def severity(*, metrics: Mapping[str, float], reference: Mapping[str, float], policy: MonitorPolicy) -> Severity:
    """How bad it is: by the metric that lies furthest beyond what is allowed."""
    worst = max(losses(metrics=metrics, reference=reference, policy=policy).values(), default=0.0)
    if worst <= 1.0:
        return Severity.LOW
    if worst < _HIGH:
        return Severity.MEDIUM
    return Severity.HIGH if worst < _CRITICAL else Severity.CRITICAL


def readings(*, metrics: Mapping[str, float], reference: Mapping[str, float], policy: MonitorPolicy) -> tuple[Reading, ...]:
    """Every metric with its reference and the threshold that it may not cross, for an alarm."""
    allowed = allowed_losses(policy)
    return tuple(
        Reading(name=name, value=metrics[name], reference=reference[name], threshold=reference[name] + allowed[name])
        for name in allowed
        if name in metrics and name in reference
    )
