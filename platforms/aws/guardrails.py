"""SageMaker's deployment guardrails, from what the fleet file declares.

Source: docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html and its pages on canary, linear and rolling.
"""

from collections.abc import Sequence
from typing import Any, Final

from contracts.traffic_shift import ShiftKind, TrafficShift
from platforms.aws.calls import Aws
from platforms.errors import Invalid

_SIZED: Final = {ShiftKind.CANARY: "CanarySize", ShiftKind.LINEAR: "LinearStepSize"}


def deployment_config(shift: TrafficShift, alarms: Sequence[str], *, urgent: bool) -> dict[str, Any]:
    """What UpdateEndpoint takes. An urgent one moves all traffic at once and waits for nothing, and no alarm stops it: the model
    that it takes out of service may be what set them off.
    """
    limit = {"MaximumExecutionTimeoutInSeconds": int(shift.timeout.total_seconds())}
    if urgent:
        return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": _routing("ALL_AT_ONCE", 0), **limit}}
    wait = int(shift.wait.total_seconds())
    guarded = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}} if alarms else {}
    size = {"Type": "CAPACITY_PERCENT", "Value": shift.size}
    if shift.kind is ShiftKind.ROLLING:
        return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait, **limit}, **guarded}
    if shift.kind is ShiftKind.ALL_AT_ONCE:
        routing, last = _routing("ALL_AT_ONCE", 0), wait if alarms else 0
    else:
        routing, last = _routing(shift.kind.value.upper(), wait) | {_SIZED[shift.kind]: size}, wait
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": last, **limit}
    return {"BlueGreenUpdatePolicy": policy, **guarded}


def _routing(kind: str, wait: int) -> dict[str, Any]:
    return {"Type": kind, "WaitIntervalInSeconds": wait}


class Alarms:
    """CloudWatch alarms that guard a deployment."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def states(self, names: Sequence[str]) -> dict[str, str]:
        """State by name, of those that exist."""
        if not names:
            return {}
        kinds = ["MetricAlarm", "CompositeAlarm"]
        answer = self._aws.call("cloudwatch", "describe_alarms", AlarmNames=list(names), AlarmTypes=kinds)
        found = [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}

    def armed(self, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Those that can guard, and a note for each that can't: one in ALARM would take the deployment back at once.

        Raises: Invalid (one doesn't exist).
        """
        states = self.states(names)
        if missing := [name for name in names if name not in states]:
            raise Invalid(
                f"serving.shift.alarms names {', '.join(missing)}, which doesn't exist in this account and region: create it, "
                "or take it out of the fleet file"
            )
        ringing = [name for name in names if states[name] == "ALARM"]
        notes = tuple(f"alarm {name} did not guard this deployment: it was in ALARM before it began" for name in ringing)
        return tuple(name for name in names if name not in ringing), notes

    def ringing(self, names: Sequence[str]) -> list[str]:
        return sorted(name for name, state in self.states(names).items() if state == "ALARM")
