"""CloudWatch alarms: their state, when it changes, and whom that is told.

Sources: AmazonCloudWatch User Guide, "Using Amazon CloudWatch alarms" (evaluation, missing data), "Alarm events and EventBridge"
(the event), "Create a composite alarm" (rules); API Reference PutMetricAlarm, PutCompositeAlarm.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.aws.alarm_math import BAND, Band, Rule, Series, band, dimensions_of, expression_series, metric_series, parsed
from tests.aws.calls import Refusal
from tests.aws.world import ACCOUNT, REGION, World

_OUTSIDE = "LessThanLowerOrGreaterThanUpperThreshold"
_BANDS = {_OUTSIDE, "LessThanLowerThreshold", "GreaterThanUpperThreshold"}
_COMPARED = {
    "GreaterThanThreshold": lambda value, limit: value > limit,
    "GreaterThanOrEqualToThreshold": lambda value, limit: value >= limit,
    "LessThanThreshold": lambda value, limit: value < limit,
    "LessThanOrEqualToThreshold": lambda value, limit: value <= limit,
}
_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}


def stamp(moment: datetime) -> str:
    """As CloudWatch writes it: milliseconds, and a zone without a colon."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


@dataclass
class State:
    value: str
    reason: str
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        data = {"reasonData": json.dumps(self.data)} if self.data else {}
        return {"value": self.value, "reason": self.reason, "timestamp": stamp(self.at), **data}


@dataclass
class Alarm:
    name: str
    asked: dict[str, Any]
    state: State
    rule: Rule | None = None
    looked: datetime | None = None

    def due(self, now: datetime) -> bool:
        """Once a minute, more often only where its period is shorter."""
        shortest = min([60, *(q["MetricStat"]["Period"] for q in queries(self.asked) if "MetricStat" in q)])
        return self.looked is None or now - self.looked >= timedelta(seconds=shortest)

    @property
    def arn(self) -> str:
        return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{self.name}"

    def configuration(self) -> dict[str, Any]:
        described = {"description": self.asked["AlarmDescription"]} if self.asked.get("AlarmDescription") else {}
        if self.rule:
            return {**described, "alarmRule": self.asked["AlarmRule"]}
        return {**described, "metrics": [_told(query) for query in queries(self.asked)]}


def queries(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The metrics of an alarm; a single-metric alarm has one."""
    if asked.get("Metrics"):
        return list(asked["Metrics"])
    metric = {name: asked.get(name) for name in ("Namespace", "MetricName", "Dimensions")}
    stat = asked.get("Statistic") or asked.get("ExtendedStatistic")
    return [{"Id": "m1", "MetricStat": {"Metric": metric, "Period": asked["Period"], "Stat": stat}, "ReturnData": True}]


def _told(query: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    if "MetricStat" not in query:
        return {**shown, "expression": query["Expression"]}
    stat = query["MetricStat"]
    dimensions = dimensions_of(stat["Metric"].get("Dimensions"))
    metric = {"namespace": stat["Metric"]["Namespace"], "name": stat["Metric"]["MetricName"], "dimensions": dimensions}
    return {**shown, "metricStat": {"metric": metric, "period": stat["Period"], "stat": stat["Stat"]}}


class Evaluation:
    """One look at a metric alarm: is it in ALARM, and on which numbers?"""

    def __init__(self, asked: Mapping[str, Any], now: datetime) -> None:
        self._asked = asked
        self._queries = {query["Id"]: query for query in queries(asked)}
        self._period = next(q["MetricStat"]["Period"] for q in self._queries.values() if "MetricStat" in q)
        self._periods = int(asked["EvaluationPeriods"])
        self._now = now
        floor = now.timestamp() // self._period * self._period
        self._end = datetime.fromtimestamp(floor, now.tzinfo) + timedelta(seconds=self._period)
        self._start = self._end - timedelta(seconds=self._period * (self._periods + 1))

    def state(self) -> State | None:
        """The state that follows from the data; None keeps the one it has."""
        watched = self._watched()
        moments = self._moments(watched)
        values = [watched[at] for at in moments if at in watched]
        limits = self._limits()
        crossed = [self._crossed(watched[at], limits.get(at) if limits else None) for at in moments if at in watched]
        missing = len(moments) - len(values)
        treat = self._asked.get("TreatMissingData") or "missing"
        if limits == {} or (not values and treat == "missing"):
            reason = f"Insufficient Data: {self._periods} datapoints were unknown."
            return State("INSUFFICIENT_DATA", reason, self._now, self._data(values, limits, moments))
        if not values and treat == "ignore":
            return None
        count = sum(crossed) + (missing if treat == "breaching" else 0)
        needed = int(self._asked.get("DatapointsToAlarm") or self._periods)
        fired = count >= min(needed, max(len(crossed), 1)) if treat == "missing" else count >= needed
        word = "ALARM" if fired else "OK"
        reason = f"Threshold Crossed: {sum(crossed)} out of the last {len(moments)} datapoints {values} crossed the threshold."
        return State(word, reason, self._now, self._data(values, limits, moments))

    def _moments(self, watched: Series) -> list[datetime]:
        """The newest periods; the present one counts once it has data."""
        step = timedelta(seconds=self._period)
        newest = self._end - step if self._end - step in watched else self._end - 2 * step
        return [newest - n * step for n in reversed(range(self._periods))]

    def _watched(self) -> Series:
        known: dict[str, Series] = {}
        for name, query in self._queries.items():
            if "MetricStat" in query:
                known[name] = self._metric(query, self._start, self._end)
        for name, query in self._queries.items():
            if "MetricStat" not in query and not BAND.fullmatch(query["Expression"]):
                known[name] = expression_series(query["Expression"], known)
        limit = self._asked.get("ThresholdMetricId")
        shown = [n for n, q in self._queries.items() if q.get("ReturnData", True) and n != limit]
        return known[shown[0]]

    def _metric(self, query: Mapping[str, Any], start: datetime, end: datetime) -> Series:
        stat = query["MetricStat"]
        return metric_series(stat["Metric"], stat["Stat"], stat["Period"], start, end)

    def _limits(self) -> Band | None:
        """The band of an anomaly alarm; None where there is a plain threshold."""
        name = self._asked.get("ThresholdMetricId")
        if not name:
            return None
        found = BAND.fullmatch(self._queries[name]["Expression"])
        assert found
        query = self._queries[found[1]]
        return band(lambda start, end: self._metric(query, start, end), float(found[2] or 2), self._start, self._end)

    def _crossed(self, value: float, limits: tuple[float, float] | None) -> bool:
        kind = self._asked["ComparisonOperator"]
        if kind not in _BANDS:
            return bool(_COMPARED[kind](value, float(self._asked["Threshold"])))
        assert limits
        low, high = kind != "GreaterThanUpperThreshold", kind != "LessThanLowerThreshold"
        return (low and value < limits[0]) or (high and value > limits[1])

    def _data(self, values: list[float], limits: Band | None, moments: list[datetime]) -> dict[str, Any]:
        stat = next(q["MetricStat"] for q in self._queries.values() if "MetricStat" in q)
        shown: dict[str, Any] = {
            "version": "1.0",
            "queryDate": stamp(self._now),
            "startDate": stamp(moments[0]),
            "statistic": stat["Stat"],
            "period": self._period,
            "recentDatapoints": values,
        }
        if limits is None:
            return {**shown, "threshold": float(self._asked["Threshold"])}
        edges = [limits[at] for at in moments if at in limits]
        return {**shown, "recentLowerThresholds": [e[0] for e in edges], "recentUpperThresholds": [e[1] for e in edges]}


class Alarms:
    """All alarms of the account."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.all: dict[str, Alarm] = {}

    def put(self, asked: dict[str, Any], rule: Rule | None = None) -> Alarm:
        """A new alarm has too little data until it is looked at; one that is put again keeps its state."""
        with self._world.lock:
            name, now = asked["AlarmName"], self._world.now()
            before = self.all.get(name)
            state = before.state if before else State("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation", now)
            alarm = self.all[name] = Alarm(name, asked, state, rule)
            if asked.get("Tags"):
                self._world.tags[alarm.arn] = {tag["Key"]: tag["Value"] for tag in asked["Tags"]}
        detail = {"alarmName": name, "operation": "update" if before else "create", "configuration": alarm.configuration()}
        self._world.emit_event("aws.cloudwatch", "CloudWatch Alarm Configuration Change", detail, [alarm.arn])
        return alarm

    def look(self) -> None:
        """At every metric alarm, then at the composite ones, whose children may be composite too."""
        with self._world.lock:
            alarms = list(self.all.values())
        now = self._world.now()
        for alarm in [a for a in alarms if a.rule is None and a.due(now)]:
            alarm.looked = now
            found = Evaluation(alarm.asked, now).state()
            if found is not None:
                self.become(alarm, found)
        for alarm in [a for a in alarms if a.rule is not None]:
            self._look_at_composite(alarm)

    def _look_at_composite(self, alarm: Alarm) -> None:
        assert alarm.rule
        states = {name: a.state.value for name, a in self.all.items()}
        value = "ALARM" if alarm.rule.holds(states) else "OK"
        if value == alarm.state.value:
            return
        firing = [self.all[name] for name in alarm.rule.children if name in self.all]
        triggering = [{"arn": a.arn, "state": {"value": a.state.value, "timestamp": stamp(a.state.at)}} for a in firing]
        named = ", ".join(a.arn for a in firing)
        reason = f"{named} transitioned and made {alarm.arn} {value}"
        self.become(alarm, State(value, reason, self._world.now(), {"triggeringAlarms": triggering}))

    def become(self, alarm: Alarm, state: State) -> None:
        """Only another value is a change; SetAlarmState's next look may take it back."""
        with self._world.lock:
            before = alarm.state
            if before.value == state.value:
                return
            alarm.state = state
        detail = {
            "alarmName": alarm.name,
            "configuration": alarm.configuration(),
            "previousState": before.told(),
            "state": state.told(),
        }
        tags = self._world.tags.get(alarm.arn)
        if tags:
            detail["alarmTags"] = tags
        self._world.emit_event("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [alarm.arn])
        if alarm.asked.get("ActionsEnabled", True):
            for arn in alarm.asked.get(_ACTIONS[state.value]) or ():
                self._act(arn, alarm, before, state)

    def _act(self, arn: str, alarm: Alarm, before: State, state: State) -> None:
        if ":scalingPolicy:" in arn:
            return  # the scaling engine sees the alarm at its next look
        if ":sns:" not in arn:
            raise Refusal("NotSimulated", f"an alarm's action {arn} is not simulated", 501)
        subject = f'{state.value}: "{alarm.name}" in EU (Ireland)'
        message = json.dumps(_text(alarm, before, state))
        self._world.client("sns").publish(TopicArn=arn, Subject=subject[:99], Message=message)


def _text(alarm: Alarm, before: State, state: State) -> dict[str, Any]:
    """What SNS gets; its `Trigger` spells dimensions with small letters."""
    shown: dict[str, Any] = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.asked.get("AlarmDescription"),
        "AWSAccountId": ACCOUNT,
        "NewStateValue": state.value,
        "NewStateReason": state.reason,
        "StateChangeTime": stamp(state.at),
        "Region": "EU (Ireland)",
        "AlarmArn": alarm.arn,
        "OldStateValue": before.value,
    }
    if alarm.rule:
        triggering = [{"Arn": a["arn"], "State": {"Value": a["state"]["value"]}} for a in state.data.get("triggeringAlarms", ())]
        return {**shown, "AlarmRule": alarm.asked["AlarmRule"], "TriggeringChildren": triggering}
    asked = alarm.asked
    trigger = {
        name: asked.get(name) for name in ("MetricName", "Namespace", "Period", "Threshold", "ComparisonOperator", "Metrics")
    }
    dimensions = [{"value": d["Value"], "name": d["Name"]} for d in asked.get("Dimensions") or ()]
    return {**shown, "Trigger": {**{k: v for k, v in trigger.items() if v is not None}, "Dimensions": dimensions}}


def check(asked: dict[str, Any]) -> None:
    """What PutMetricAlarm refuses. Raises: Refusal."""
    periods = [q["MetricStat"]["Period"] for q in queries(asked) if "MetricStat" in q]
    for period in periods:
        if period not in (10, 20, 30) and period % 60:
            raise Refusal("ValidationError", "Period must be 10, 20, 30 or a multiple of 60")
    if not periods or max(periods) * int(asked["EvaluationPeriods"]) > 7 * 86_400:
        raise Refusal(
            "ValidationError", "Metrics cannot be checked across more than a week (EvaluationPeriods * Period <= 604800)"
        )
    if asked["ComparisonOperator"] not in _COMPARED.keys() | _BANDS:
        raise Refusal("ValidationError", f"ComparisonOperator {asked['ComparisonOperator']!r} is unknown")
    if (asked["ComparisonOperator"] in _BANDS) != bool(asked.get("ThresholdMetricId")):
        raise Refusal("ValidationError", "ThresholdMetricId goes with an anomaly detection comparison, and only with it")
    for query in queries(asked):
        if "MetricStat" not in query and not BAND.fullmatch(query["Expression"]):
            parsed(query["Expression"])
