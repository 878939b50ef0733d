"""CloudWatch's calls about alarms; their states are looked at every ten simulated seconds."""

import traceback
from typing import Any

from tests.aws.alarm_math import Rule
from tests.aws.alarms import Alarm, Alarms, State, check
from tests.aws.calls import Call, Refusal
from tests.aws.world import World

_EVERY_SECONDS = 10.0
_STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")


def install(world: World) -> None:
    alarms = alarms_of(world)
    _putting(world, alarms)
    _asking(world, alarms)

    def look() -> None:
        try:
            alarms.look()
        except Exception:  # noqa: BLE001 - a mistake of the simulator's must be seen, and the next look come
            traceback.print_exc()

    world.every(_EVERY_SECONDS, look)


_ALARMS: list[Alarms] = []


def alarms_of(world: World) -> Alarms:
    """The alarms of the one world of this process, for other overlays, too."""
    if not _ALARMS:
        _ALARMS.append(Alarms(world))
    return _ALARMS[0]


def _putting(world: World, alarms: Alarms) -> None:
    @world.operation("cloudwatch", "PutMetricAlarm")
    def put_metric_alarm(call: Call) -> None:
        check(call.params)
        alarms.put(call.params)

    @world.operation("cloudwatch", "PutCompositeAlarm")
    def put_composite_alarm(call: Call) -> None:
        alarms.put(call.params, Rule(call.params["AlarmRule"]))

    @world.operation("cloudwatch", "DeleteAlarms")
    def delete_alarms(call: Call) -> None:
        """One name that isn't there, and none is deleted."""
        names = call.params["AlarmNames"]
        for name in names:
            _found(alarms, name)
        for name in names:
            alarms.all.pop(name)

    @world.operation("cloudwatch", "SetAlarmState")
    def set_alarm_state(call: Call) -> None:
        value = call.params["StateValue"]
        if value not in _STATES:
            raise Refusal("ValidationError", f"StateValue {value!r} is unknown")
        alarm = _found(alarms, call.params["AlarmName"])
        alarm.looked = world.now()
        alarms.become(alarm, State(value, call.params["StateReason"], world.now()))

    @world.operation("cloudwatch", "TagResource")
    def tag_resource(call: Call) -> None:
        added = {tag["Key"]: tag["Value"] for tag in call.params["Tags"]}
        world.tags.setdefault(call.params["ResourceARN"], {}).update(added)


def _asking(world: World, alarms: Alarms) -> None:
    @world.operation("cloudwatch", "DescribeAlarms")
    def describe_alarms(call: Call) -> dict[str, Any]:
        """Composite alarms only where they are asked for: API Reference DescribeAlarms, "AlarmTypes"."""
        types = call.params.get("AlarmTypes") or ["MetricAlarm"]
        names, prefix, state = (call.params.get(name) for name in ("AlarmNames", "AlarmNamePrefix", "StateValue"))
        found = [
            alarm
            for name, alarm in sorted(alarms.all.items())
            if (not names or name in names) and name.startswith(prefix or "") and state in (None, alarm.state.value)
        ]
        return {
            "MetricAlarms": [_described(a) for a in found if a.rule is None and "MetricAlarm" in types],
            "CompositeAlarms": [_described(a) for a in found if a.rule is not None and "CompositeAlarm" in types],
        }

    @world.operation("cloudwatch", "ListTagsForResource")
    def list_tags(call: Call) -> dict[str, Any]:
        return {"Tags": [{"Key": k, "Value": v} for k, v in world.tags.get(call.params["ResourceARN"], {}).items()]}


def _found(alarms: Alarms, name: str) -> Alarm:
    if name not in alarms.all:
        raise Refusal("ResourceNotFound", f"Alarm {name} does not exist", 404)
    return alarms.all[name]


def _described(alarm: Alarm) -> dict[str, Any]:
    asked = {name: value for name, value in alarm.asked.items() if name != "Tags" and value is not None}
    return {
        "ActionsEnabled": True,
        **asked,
        "AlarmArn": alarm.arn,
        "StateValue": alarm.state.value,
        "StateReason": alarm.state.reason,
        "StateUpdatedTimestamp": alarm.state.at,
        "StateTransitionedTimestamp": alarm.state.at,
    }
