"""UpdateEndpoint's way from one fleet to the next: blue/green and rolling, baking, rollback.

Sources: SageMaker developer guide, "Deployment guardrails" (deployment-guardrails*.md), "Auto-Rollback Configuration and Monitoring";
APIReference BlueGreenUpdatePolicy, RollingUpdatePolicy, TrafficRoutingConfig, ProductionVariantStatus.
"""

from datetime import timedelta
from math import ceil
from typing import Any, Final

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
                    self._bake(new, self._wait)
            if self._rolling is None:
                self._bake(new, self._policy.get("TerminationWaitInSeconds", 0))
        except (Aborted, NotRunnable) as reason:
            self._roll_back(new, str(reason))
            return
        self._land(new)

    def _provision(self, new: Fleet) -> None:
        """Raises: Aborted, NotRunnable."""
        new.become("Creating", self._world.now(), "Launching instances")
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
        new.become("ActivatingTraffic", self._world.now(), f"{share:.0%} of the traffic")
        with self._endpoint.lock:
            new.share = share
            if self._rolling is not None:
                for variant, old in zip(new.variants, self._endpoint.live.variants, strict=False):
                    variant.count = self._batch(variant, share)
                    old.count = max(0, old.desired - variant.count)

    def _batch(self, variant: Variant, share: float) -> int:
        return min(variant.desired, max(1, round(variant.desired * share)))

    def _bake(self, new: Fleet, seconds: float) -> None:
        """Alarms are looked at while it bakes; one that is in ALARM from the start is one, too. Raises: Aborted."""
        now = self._world.now()
        new.become("Baking", now, "Monitoring alarms")
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
            new.become("Deleting", world.now())
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
    detail: dict[str, Any] = {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.live.config.name,
        "ProductionVariants": [{"VariantName": v.name} for v in endpoint.live.variants],
        "EndpointStatus": _STATES.get(status, status.upper()),
        "CreationTime": int(endpoint.created.timestamp() * 1000),
        "LastModifiedTime": int(endpoint.modified.timestamp() * 1000),
        "Tags": world.tags.get(endpoint.arn, {}),
        **({"FailureReason": endpoint.failure} if endpoint.failure else {}),
    }
    world.emit_event("aws.sagemaker", "SageMaker Endpoint State Change", detail, [endpoint.arn])


def _percent(size: Params, instances: int) -> float:
    if size["Type"] == "CAPACITY_PERCENT":
        return float(size["Value"])
    return 100.0 * float(size["Value"]) / max(1, instances)
