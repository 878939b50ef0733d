"""What scales variants: target tracking and step policies by their metrics, scheduled actions by the clock.

Sources: Application Auto Scaling user guide, "Target tracking scaling policies" (scale out at once when the metric stays above the
target for three minutes, in slowly, after fifteen below it; cool-downs), "Scheduled scaling" (sets the bounds, and brings the count
within them), "Scaling activities" (the words of an activity); SageMaker developer guide, "Automatically Scale Amazon SageMaker
Models"; terraform-provider-aws#48990 for scaling that is refused while an endpoint updates.
"""

import itertools
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

from tests.aws.calls import Refusal
from tests.aws.metrics import METRICS
from tests.aws.overlay.endpoints import set_capacity
from tests.aws.overlay.hosting import hosting
from tests.aws.overlay.invocations import NAMESPACE
from tests.aws.overlay.schedules import next_firing
from tests.aws.world import World

Params = dict[str, Any]
_LOOK_SECONDS: Final = 20.0
_PERIOD: Final = 60
_OUT, _IN = 3, 15
_SLACK: Final = 0.9


@dataclass
class Target:
    resource: str
    endpoint: str
    variant: str
    least: int
    most: int
    suspended: Params
    created: datetime


@dataclass
class Policy:
    name: str
    resource: str
    kind: str
    how: Params
    created: datetime
    arn: str = ""
    acted: datetime | None = None
    """When it last scaled; its cool-downs count from here."""


@dataclass
class Scheduled:
    name: str
    resource: str
    schedule: str
    zone: str
    action: Params
    due: datetime | None
    created: datetime


@dataclass
class Activity:
    identity: str
    resource: str
    description: str
    cause: str
    start: datetime
    status: str
    message: str = ""
    end: datetime | None = None
    not_scaled: list[Params] = field(default_factory=list)


class Engine:
    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = itertools.count(1)
        self.lock = threading.RLock()
        self.targets: dict[str, Target] = {}
        self.policies: list[Policy] = []
        self.scheduled: list[Scheduled] = []
        self.activities: list[Activity] = []
        world.every(_LOOK_SECONDS, self.look)

    def now(self) -> datetime:
        return self._world.now()

    def look(self) -> None:
        with self.lock:
            for each in [s for s in self.scheduled if s.due is not None and s.due <= self.now()]:
                self._fire(each)
            for policy in list(self.policies):
                target = self.targets.get(policy.resource)
                if target is not None and target.endpoint in hosting().endpoints:
                    self._judge(policy, target)

    def keep_within(self, target: Target, cause: str) -> None:
        count = self._count(target)
        wanted = min(max(count, target.least), target.most)
        if wanted != count:
            self._scale(target, wanted, cause)

    def _fire(self, each: Scheduled) -> None:
        each.due = next_firing(each.schedule, self.now(), each.zone)
        target = self.targets[each.resource]
        if target.suspended.get("ScheduledScalingSuspended"):
            return
        target.least = each.action.get("MinCapacity", target.least)
        target.most = each.action.get("MaxCapacity", target.most)
        self.keep_within(target, f"scheduled action name {each.name} was triggered")

    def _judge(self, policy: Policy, target: Target) -> None:
        if policy.kind == "StepScaling":
            self._step(policy, target)
            return
        wanted = policy.how["TargetValue"]
        values = self._values(target)
        count = self._count(target)
        cause = f"monitor alarm TargetTracking-{target.resource} in state ALARM triggered policy {policy.name}"
        if min(values[-_OUT:]) > wanted and self._may(policy, "ScaleOutCooldown", target, "Out"):
            self._towards(policy, target, ceil(count * values[-1] / wanted), cause)
            return
        low = max(values) < wanted * _SLACK and count > target.least and not policy.how.get("DisableScaleIn")
        if low and self._may(policy, "ScaleInCooldown", target, "In"):
            self._towards(policy, target, max(1, ceil(count * max(values) / wanted)), cause)

    def _step(self, policy: Policy, target: Target) -> None:
        """A step policy acts while a CloudWatch alarm that names it as its action is in ALARM."""
        alarms = self._world.client("cloudwatch").describe_alarms(StateValue="ALARM")["MetricAlarms"]
        ringing = next((alarm for alarm in alarms if policy.arn in alarm.get("AlarmActions", ())), None)
        steps = policy.how.get("StepAdjustments") or []
        if ringing is None or not steps or not self._may(policy, "Cooldown", target, "Out"):
            return
        change, count = steps[-1]["ScalingAdjustment"], self._count(target)
        kind = policy.how["AdjustmentType"]
        ways = {
            "ChangeInCapacity": count + change,
            "ExactCapacity": change,
            "PercentChangeInCapacity": count + count * change // 100,
        }
        cause = f"monitor alarm {ringing['AlarmName']} in state ALARM triggered policy {policy.name}"
        self._towards(policy, target, ways[kind], cause)

    def _values(self, target: Target) -> list[float]:
        """Invocations per instance in each of the last whole minutes; a minute without calls is a zero."""
        end = self.now().replace(second=0, microsecond=0)
        start = end - timedelta(seconds=_PERIOD * _IN)
        dimensions = {"EndpointName": target.endpoint, "VariantName": target.variant}
        found = dict(METRICS.series(NAMESPACE, "InvocationsPerInstance", dimensions, start, end, period=_PERIOD, stat="Sum"))
        return [found.get(start + timedelta(seconds=_PERIOD * n), 0.0) for n in range(_IN)]

    def _may(self, policy: Policy, cooldown: str, target: Target, way: str) -> bool:
        if target.suspended.get(f"DynamicScaling{way}Suspended"):
            return False
        pause = timedelta(seconds=policy.how.get(cooldown, 300))
        return policy.acted is None or self.now() >= policy.acted + pause

    def _towards(self, policy: Policy, target: Target, wanted: int, cause: str) -> None:
        policy.acted = self.now()
        count, held = self._count(target), min(max(wanted, target.least), target.most)
        if held == count:
            code = "AlreadyAtMaxCapacity" if count >= target.most else "AlreadyAtMinCapacity"
            bound = {"MaxCapacity": target.most} if count >= target.most else {"MinCapacity": target.least}
            reasons = [{"Code": code, "CurrentCapacity": count, **bound}]
            self._note(target, f"Attempting to scale due to alarm triggered: {wanted}", cause, "Failed", not_scaled=reasons)
            return
        self._scale(target, held, cause)

    def _scale(self, target: Target, wanted: int, cause: str) -> None:
        description = f"Setting desired instance count to {wanted}."
        try:
            set_capacity(target.endpoint, [{"VariantName": target.variant, "DesiredInstanceCount": wanted}])
        except Refusal as refused:
            message = f"Failed to set desired instance count to {wanted}. Reason: {refused.message}"
            self._note(target, description, cause, "Failed", message=message)
            return
        message = f"Successfully set desired instance count to {wanted}. Change successfully fulfilled by sagemaker."
        self._note(target, description, cause, "Successful", message=message)

    def _note(
        self, target: Target, description: str, cause: str, status: str, *, message: str = "", not_scaled: Any = ()
    ) -> None:
        now, number = self.now(), f"{next(self._numbers):032d}"
        self.activities.append(Activity(number, target.resource, description, cause, now, status, message, now, list(not_scaled)))

    def _count(self, target: Target) -> int:
        variants = hosting().endpoint(target.endpoint).live.variants
        return next(each.desired for each in variants if each.name == target.variant)
