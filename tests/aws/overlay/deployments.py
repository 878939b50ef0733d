"""UpdateEndpoint's way from one fleet to the next: blue/green and rolling, baking, rollback.

Sources: SageMaker developer guide, "Deployment guardrails" (deployment-guardrails*.md), "Auto-Rollback Configuration and Monitoring";
APIReference BlueGreenUpdatePolicy, RollingUpdatePolicy, TrafficRoutingConfig, ProductionVariantStatus.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import Final

from tests.aws.containers import NotRunnable
from tests.aws.overlay.fleets import Endpoint, Fleet, Params, Servers, Variant
from tests.aws.world import World

PROVISION_SECONDS: Final = 45.0
_LOOK_SECONDS: Final = 5.0
_DEFAULT_TIMEOUT: Final = 28_800
_STATES: Final = {
    "InService": "IN_SERVICE",
    "OutOfService": "OUT_OF_SERVICE",
    "RollingBack": "ROLLING_BACK",
    "UpdateRollbackFailed": "UPDATE_ROLLBACK_FAILED",
}


class Aborted(Exception):
    """The deployment goes back. The reason is what DescribeEndpoint says afterwards, which may be nothing."""


class Deployment:
    """One update, on a thread of its own."""

    def __init__(self, world: World, servers: Servers, endpoint: Endpoint, asked: Params) -> None:
        self._world = world
        self._servers = servers
        self._endpoint = endpoint
        self._rolling: Params | None = asked.get("RollingUpdatePolicy")
        self._policy: Params = self._rolling or asked.get("BlueGreenUpdatePolicy") or {}
        found = (asked.get("AutoRollbackConfiguration") or {}).get("Alarms") or []
        self._alarms = [alarm["AlarmName"] for alarm in found]
        limit = self._policy.get("MaximumExecutionTimeoutInSeconds", _DEFAULT_TIMEOUT)
        self._end = world.now() + timedelta(seconds=limit)

    def run(self) -> None:
        new = self._endpoint.pending
        assert new is not None
        try:
            self._provision(new)
            for share in self._shares():
                self._turn_on(new, share)
                if self._rolling is not None or share < 1:
                    self._bake(self._wait)
            if self._rolling is None:
                self._bake(self._policy.get("TerminationWaitInSeconds", 0))
        except (Aborted, NotRunnable) as reason:
            self._roll_back(new, str(reason))
            return
        self._land(new)

    def _provision(self, new: Fleet) -> None:
        """Raises: Aborted, NotRunnable."""
        staged(self._world, self._endpoint, "Creating", "Launching instances")
        if self._world.faults.struck("sagemaker", "UpdateEndpoint", ("capacity",)):
            self._world.sleep(PROVISION_SECONDS)
            raise Aborted  # terraform-provider-aws pull request 49020: FailureReason may be empty after a capacity rollback
        self._world.sleep(PROVISION_SECONDS)
        new.start(self._servers)
        for variant in new.variants:
            variant.count = self._batch(variant, self._shares()[0]) if self._rolling else variant.desired

    def _shares(self) -> list[float]:
        """How much of the traffic the new fleet has after each step."""
        if self._rolling is not None:
            size = _percent(self._rolling["MaximumBatchSize"], self._instances)
            return [min(100, size * n) / 100 for n in range(1, ceil(100 / size) + 1)]
        routing = self._policy.get("TrafficRoutingConfiguration") or {}
        if routing.get("Type") == "CANARY":
            return [_percent(routing["CanarySize"], self._instances) / 100, 1.0]
        if routing.get("Type") == "LINEAR":
            size = _percent(routing["LinearStepSize"], self._instances)
            return [min(100, size * n) / 100 for n in range(1, ceil(100 / size) + 1)]
        return [1.0]

    @property
    def _instances(self) -> int:
        new = self._endpoint.pending
        assert new is not None
        return sum(variant.desired for variant in new.variants)

    @property
    def _wait(self) -> float:
        routing = self._rolling or self._policy.get("TrafficRoutingConfiguration") or {}
        return float(routing.get("WaitIntervalInSeconds", 0))

    def _turn_on(self, new: Fleet, share: float) -> None:
        staged(self._world, self._endpoint, "ActivatingTraffic", f"{share:.0%} of the traffic")
        with self._endpoint.lock:
            new.share = share
            if self._rolling is not None:
                for variant, old in zip(new.variants, self._endpoint.live.variants, strict=False):
                    variant.count = self._batch(variant, share)
                    old.count = max(0, old.desired - variant.count)

    def _batch(self, variant: Variant, share: float) -> int:
        return min(variant.desired, max(1, round(variant.desired * share)))

    def _bake(self, seconds: float) -> None:
        """Alarms are looked at while it bakes; one that is in ALARM from the start is one, too. Raises: Aborted."""
        now = self._world.now()
        staged(self._world, self._endpoint, "Baking", "Monitoring alarms")
        end = now + timedelta(seconds=seconds)
        while True:
            self._look_at_alarms()
            left = (end - self._world.now()).total_seconds()
            if left <= 0 or self._world.ended:
                return
            if self._world.now() > self._end:
                raise Aborted("The deployment did not finish within MaximumExecutionTimeoutInSeconds.")
            self._world.sleep(min(left, _LOOK_SECONDS))

    def _look_at_alarms(self) -> None:
        if not self._alarms:
            return
        answer = self._world.client("cloudwatch").describe_alarms(
            AlarmNames=self._alarms, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        found = [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]
        tripped = sorted(alarm["AlarmName"] for alarm in found if alarm["StateValue"] == "ALARM")
        if tripped:
            raise Aborted(f"Endpoint update was rolled back: CloudWatch alarms in ALARM state: {', '.join(tripped)}")

    def _land(self, new: Fleet) -> None:
        endpoint, world = self._endpoint, self._world
        with endpoint.lock:
            old, endpoint.live, endpoint.pending = endpoint.live, new, None
            new.share = 1.0
            new.become(None, world.now())
            for variant in new.variants:
                variant.count = variant.desired
            endpoint.failure = None
        old.stop(self._servers)
        settle(world, endpoint, "InService")

    def _roll_back(self, new: Fleet, reason: str) -> None:
        endpoint, world = self._endpoint, self._world
        with endpoint.lock:
            new.share = 0.0
        staged(world, endpoint, "Deleting")
        world.sleep(_LOOK_SECONDS)
        stuck = self._rolling is not None and endpoint.live.config.name not in self._configs()
        new.stop(self._servers)
        with endpoint.lock:
            endpoint.pending = None
            for variant in endpoint.live.variants:
                variant.count = variant.count if stuck else variant.desired
            endpoint.failure = reason or None
        settle(world, endpoint, "UpdateRollbackFailed" if stuck else "InService")

    def _configs(self) -> list[str]:
        pages = self._world.client("sagemaker").get_paginator("list_endpoint_configs").paginate()
        return [config["EndpointConfigName"] for page in pages for config in page["EndpointConfigs"]]


def settle(world: World, endpoint: Endpoint, status: str) -> None:
    """The endpoint's state has changed: say so on the event bus."""
    with endpoint.lock:
        endpoint.status, endpoint.modified = status, world.now()
        failed = {"FailureReason": endpoint.failure} if endpoint.failure else {}
        detail = _detail(world, endpoint) | failed
    world.emit_event("aws.sagemaker", "SageMaker Endpoint State Change", detail, [endpoint.arn])


def staged(world: World, endpoint: Endpoint, status: str, message: str = "") -> None:
    """The new fleet has come to another stage. Source: "Endpoint deployment state change" of the page that `_detail` names."""
    with endpoint.lock:
        assert endpoint.pending is not None
        endpoint.pending.become(status, world.now(), message)
        summary = {
            "EndpointConfigName": endpoint.pending.config.name,
            "StartTime": _millis(endpoint.pending_since or world.now()),
            "ProductionVariants": [
                {
                    "VariantName": variant.name,
                    "CurrentWeight": variant.weight,
                    "DesiredWeight": variant.weight,
                    "CurrentInstanceCount": variant.count,
                    "DesiredInstanceCount": variant.desired,
                    "VariantStatus": [{"Status": status.upper(), "StatusMessage": message, "StartTime": _millis(world.now())}],
                }
                for variant in endpoint.pending.variants
            ],
        }
        detail = _detail(world, endpoint) | {"PendingDeploymentSummary": summary}
    world.emit_event("aws.sagemaker", "SageMaker Endpoint Deployment State Change", detail, [endpoint.arn])


def _detail(world: World, endpoint: Endpoint) -> Params:
    """SageMaker developer guide, "Automating Amazon SageMaker with Amazon EventBridge"."""
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.live.config.name,
        "ProductionVariants": [
            {
                "VariantName": variant.name,
                "CurrentWeight": variant.weight,
                "DesiredWeight": variant.weight,
                "CurrentInstanceCount": variant.count,
                "DesiredInstanceCount": variant.desired,
            }
            for variant in endpoint.live.variants
        ],
        "EndpointStatus": _STATES.get(endpoint.status, endpoint.status.upper()),
        "CreationTime": _millis(endpoint.created),
        "LastModifiedTime": _millis(endpoint.modified),
        "Tags": dict(world.tags.get(endpoint.arn, {})),
    }


def _millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _percent(size: Params, instances: int) -> float:
    if size["Type"] == "CAPACITY_PERCENT":
        return float(size["Value"])
    return 100.0 * float(size["Value"]) / max(1, instances)
