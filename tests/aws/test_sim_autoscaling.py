"""Scaling of the simulator behaves as Application Auto Scaling does; each behaviour with the source that it was taken from."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from platforms.aws.calls import Aws
from platforms.aws.objects import Objects
from platforms.errors import Invalid, NotFound
from tests.aws.hosted import Hosted, alarm, blue_green, until
from tests.aws.metrics import Metrics
from tests.aws.overlay.schedules import next_firing
from tests.aws.simulator import Simulator

pytestmark = pytest.mark.processes
SCALED: Final = "sagemaker:variant:DesiredInstanceCount"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Scaled(Hosted):
    """An endpoint of two instances, and its scalable target."""

    @property
    def resource(self) -> str:
        return f"endpoint/{self.name}/variant/AllTraffic"

    def scaling(self, operation: str, **asked: Any) -> dict[str, Any]:
        where = {"ServiceNamespace": "sagemaker", "ResourceId": self.resource, "ScalableDimension": SCALED}
        return self.aws.call("application-autoscaling", operation, **where, **asked)  # type: ignore[no-any-return]

    def reaches(self, count: int) -> None:
        until(lambda: self.told()["ProductionVariants"][0]["CurrentInstanceCount"] == count)
        self.rests()

    def activities(self, **asked: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.scaling("describe_scaling_activities", **asked)["ScalingActivities"]
        return found


@pytest.fixture
def here(aws: Aws, objects: Objects, request: pytest.FixtureRequest) -> Scaled:
    made = Scaled(aws, objects, request.node.name[5:30].strip("_").replace("_", "-"))
    made.create("old")
    return made


def test_bounds_are_checked_held_and_bring_the_count_within(aws: Aws, here: Scaled) -> None:
    # APIReference RegisterScalableTarget: both bounds for a new target; a count outside of them is scaled to them
    with pytest.raises(Invalid, match="Maximum capacity cannot be less than minimum capacity"):
        here.scaling("register_scalable_target", MinCapacity=3, MaxCapacity=2)
    where = {"ServiceNamespace": "sagemaker", "ScalableDimension": SCALED, "MinCapacity": 1, "MaxCapacity": 2}
    with pytest.raises(NotFound, match="Could not find variant"):
        aws.call("application-autoscaling", "register_scalable_target", ResourceId="endpoint/none/variant/AllTraffic", **where)
    with pytest.raises(NotFound):
        here.scaling("put_scaling_policy", PolicyName="p", PolicyType="TargetTrackingScaling")
    here.scaling("register_scalable_target", MinCapacity=3, MaxCapacity=6)
    here.reaches(3)
    here.scaling("register_scalable_target", MaxCapacity=8)
    answer = aws.call("application-autoscaling", "describe_scalable_targets", ServiceNamespace="sagemaker")
    bounds = [(t["MinCapacity"], t["MaxCapacity"]) for t in answer["ScalableTargets"] if t["ResourceId"] == here.resource]
    assert bounds == [(3, 8)]
    assert here.activities()[0]["StatusCode"] == "Successful"


def test_scaling_is_refused_while_the_endpoint_updates(here: Scaled) -> None:
    # terraform-provider-aws#48990; user guide "Scaling activities": a failed activity says why
    here.update("new", deployment=blue_green(end=240))
    here.scaling("register_scalable_target", MinCapacity=4, MaxCapacity=6)
    failed = here.activities()[0]
    assert failed["StatusCode"] == "Failed"
    assert "Cannot update in-progress endpoint" in failed["StatusMessage"]


def test_a_scheduled_action_raises_the_floor_and_the_count(simulator: Simulator, here: Scaled) -> None:
    # user guide "Scheduled scaling": min and max capacity are set at the time, and the count follows
    here.scaling("register_scalable_target", MinCapacity=1, MaxCapacity=6)
    action = {"MinCapacity": 5, "MaxCapacity": 6}
    here.scaling("put_scheduled_action", ScheduledActionName="peak", Schedule="rate(1 minute)", ScalableTargetAction=action)
    here.reaches(5)
    assert "scheduled action name peak was triggered" in here.activities()[0]["Cause"]
    here.scaling("delete_scheduled_action", ScheduledActionName="peak")
    assert here.scaling("describe_scheduled_actions")["ScheduledActions"] == []


def test_target_tracking_follows_real_calls_out_and_stops_at_the_bound(here: Scaled) -> None:
    # user guide "Target tracking scaling policies"; NotScaledReason AlreadyAtMaxCapacity
    here.scaling("register_scalable_target", MinCapacity=1, MaxCapacity=3)
    spec = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    how = {"TargetValue": 0.4, "PredefinedMetricSpecification": spec, "ScaleOutCooldown": 30}
    here.scaling(
        "put_scaling_policy", PolicyName="p", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=how
    )

    def called() -> bool:
        here.says()
        return any(each.get("NotScaledReasons") for each in here.activities(IncludeNotScaledActivities=True))

    until(called)
    assert here.rests()["ProductionVariants"][0]["CurrentInstanceCount"] == 3
    reason = next(each for each in here.activities(IncludeNotScaledActivities=True) if each.get("NotScaledReasons"))
    assert reason["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "CurrentCapacity": 3, "MaxCapacity": 3}]
    assert not any(each.get("NotScaledReasons") for each in here.activities())


def test_a_step_policy_acts_for_its_alarm(aws: Aws, here: Scaled) -> None:
    # APIReference StepScalingPolicyConfiguration: the alarm's action is the policy's ARN
    here.scaling("register_scalable_target", MinCapacity=1, MaxCapacity=6)
    step = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 2}]}
    made = here.scaling("put_scaling_policy", PolicyName="s", PolicyType="StepScaling", StepScalingPolicyConfiguration=step)
    alarm(aws, "busy", "ALARM", AlarmActions=[made["PolicyARN"]])
    here.reaches(4)


def test_a_target_that_goes_takes_its_policies_and_actions_with_it(here: Scaled) -> None:
    # APIReference DeregisterScalableTarget: "deletes the scaling policies and scheduled actions that are associated with it"
    here.scaling("register_scalable_target", MinCapacity=1, MaxCapacity=3)
    action = {"MinCapacity": 2, "MaxCapacity": 3}
    here.scaling("put_scheduled_action", ScheduledActionName="a", Schedule="cron(0 8 ? * MON-FRI *)", ScalableTargetAction=action)
    here.scaling("deregister_scalable_target")
    assert here.scaling("describe_scheduled_actions")["ScheduledActions"] == []
    with pytest.raises(NotFound):
        here.scaling("deregister_scalable_target")


@pytest.mark.parametrize(
    ("schedule", "zone", "due"),
    [
        ("at(2026-03-02T10:00:00)", "UTC", at("2026-03-02T10:00:00")),
        ("at(2026-02-01T10:00:00)", "UTC", None),
        ("rate(2 hours)", "UTC", at("2026-03-01T12:00:00")),
        ("cron(30 8 ? * MON-FRI *)", "UTC", at("2026-03-02T08:30:00")),
        ("cron(30 8 ? * MON-FRI *)", "Europe/Berlin", at("2026-03-02T07:30:00")),
        ("cron(0 12 15 * ? *)", "UTC", at("2026-03-15T12:00:00")),
    ],
)
def test_schedules_fire_when_aws_fires_them(schedule: str, zone: str, due: Any) -> None:
    # user guide "Schedule recurring scaling actions using cron expressions"; 2026-03-01 is a Sunday
    assert next_firing(schedule, at("2026-03-01T10:00:00"), zone) == due


@pytest.mark.parametrize("schedule", ["every day", "cron(0 8 * *)", "cron(0 8 * * MON *)"])
def test_what_is_no_schedule_is_refused(schedule: str) -> None:
    with pytest.raises(ValueError, match=r"schedule|cron expression"):
        next_firing(schedule, at("2026-03-01T10:00:00"), "UTC")


def test_metrics_are_counted_by_whole_periods() -> None:
    # AmazonCloudWatch APIReference GetMetricData: values by period, at the period's start
    store, start = Metrics(), at("2026-03-01T10:00:30")
    for second, value in ((0, 1.0), (20, 2.0), (40, 4.0)):
        store.put("N", "m", {"a": "b"}, value, start + timedelta(seconds=second))
    found = {
        stat: store.series("N", "m", {"a": "b"}, start, start + timedelta(minutes=5), period=60, stat=stat)
        for stat in ("Sum", "SampleCount", "Maximum", "p50")
    }
    first, second = at("2026-03-01T10:00:00"), at("2026-03-01T10:01:00")
    assert found["Sum"] == [(first, 3.0), (second, 4.0)]
    assert found["SampleCount"] == [(first, 2.0), (second, 1.0)]
    assert found["Maximum"] == [(first, 2.0), (second, 4.0)]
    assert found["p50"] == [(first, 1.5), (second, 4.0)]
    assert store.series("N", "m", {}, start, start + timedelta(minutes=5), period=60, stat="Sum") == []
