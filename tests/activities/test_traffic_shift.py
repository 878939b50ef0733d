"""What a fleet file may ask for when traffic moves, and what AWS would refuse."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.rollout import ServingPolicy
from contracts.traffic_shift import ShiftKind, TrafficShift
from platforms.aws.settings import AwsSettings
from platforms.pace import Pace
from workflows import options


def test_unless_declared_traffic_moves_at_once_and_nothing_waits() -> None:
    shift = ServingPolicy().shift
    assert (shift.kind, shift.steps, shift.alarms) == (ShiftKind.ALL_AT_ONCE, 0, ())


@pytest.mark.parametrize(
    ("declared", "steps"),
    [
        ({"alarms": ["errors"]}, 1),
        ({"kind": "canary"}, 2),
        ({"kind": "linear", "size": 30, "wait": "1m"}, 4),
        ({"kind": "rolling", "size": 50}, 2),
    ],
)
def test_waits_are_counted_as_the_platform_makes_them(declared: dict[str, Any], steps: int) -> None:
    assert TrafficShift.model_validate(declared).steps == steps


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"kind": "linear", "size": 5}, "size of a linear shift is 10 to 50 percent"),
        ({"kind": "rolling", "size": 4}, "size of a rolling shift is 5 to 50 percent"),
        ({"kind": "canary", "wait": "15m", "timeout": "30m"}, "longer than all waits together: 2 times 0:15:00"),
        ({"alarms": [f"a{n}" for n in range(11)]}, "at most 10"),
        ({"timeout": "9h"}, "less than or equal to 8 hours"),
        ({"wait": "2h"}, "less than or equal to 1 hour"),
    ],
)
def test_what_aws_would_refuse_is_refused_with_the_remedy(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TrafficShift.model_validate(declared)


def test_one_instance_cannot_be_shifted_in_steps() -> None:
    with pytest.raises(ValidationError, match="a canary shift needs at least 2 instances"):
        ServingPolicy.model_validate({"shift": {"kind": "canary"}})
    assert ServingPolicy.model_validate({"shift": {"kind": "canary"}, "instances": 2}).shift.size == 10


def test_a_pause_is_spread_within_its_jitter_and_never_shorter() -> None:
    pauses = [Pace(jitter=0.5).pause(10.0) for _ in range(200)]
    assert 10.0 <= min(pauses) < max(pauses) <= 15.0
    assert Pace().pause(timedelta(seconds=1).total_seconds()) == 1.0


@pytest.mark.parametrize("made", [options.rollout, options.urgent])
def test_the_longest_deployment_fits_into_its_step_and_a_dead_worker_is_noticed_within_half_a_minute(made: Any) -> None:
    longest = TrafficShift.model_validate({"timeout": "8h"}).timeout
    how = made(longest)
    assert how["start_to_close_timeout"] > longest
    assert how["schedule_to_close_timeout"] > how["start_to_close_timeout"]
    assert how["heartbeat_timeout"] <= timedelta(seconds=30)
    assert made(ServingPolicy().shift.timeout)["schedule_to_close_timeout"] == timedelta(hours=1)


def test_sagemaker_is_asked_every_half_minute_to_a_minute() -> None:
    pace = AwsSettings().pace
    pauses = [pace.pause(each) for each in (pace.land_poll, pace.training_poll, pace.bake_poll) for _ in range(50)]
    assert 30 <= min(pauses) <= max(pauses) <= 60
    assert pace.land_seconds > timedelta(hours=8).total_seconds()
