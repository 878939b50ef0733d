"""CloudWatch's calls about metrics: PutMetricData, GetMetricData, GetMetricStatistics, ListMetrics."""

from datetime import UTC, datetime
from typing import Any

from tests.aws.calls import Call, Refusal
from tests.aws.metrics import METRICS
from tests.aws.world import World


def install(world: World) -> None:
    @world.operation("cloudwatch", "PutMetricData")
    def put_metric_data(call: Call) -> None:
        for datum in call.params.get("MetricData", ()):
            _put(call.params["Namespace"], datum, world.now())

    @world.operation("cloudwatch", "GetMetricData")
    def get_metric_data(call: Call) -> dict[str, Any]:
        start, end = _span(call)
        newest_first = call.params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        return {"MetricDataResults": [_result(query, start, end, newest_first=newest_first) for query in _asked(call)]}

    @world.operation("cloudwatch", "GetMetricStatistics")
    def get_metric_statistics(call: Call) -> dict[str, Any]:
        return {"Label": call.params["MetricName"], "Datapoints": _datapoints(call, *_span(call))}

    @world.operation("cloudwatch", "ListMetrics")
    def list_metrics(call: Call) -> dict[str, Any]:
        wanted = {d["Name"]: d.get("Value") for d in call.params.get("Dimensions", ())}
        found = [
            {"Namespace": space, "MetricName": name, "Dimensions": [{"Name": k, "Value": v} for k, v in sorted(dimensions)]}
            for space, name, dimensions in METRICS.names()
            if space == call.params.get("Namespace", space)
            and name == call.params.get("MetricName", name)
            and all(dict(dimensions).get(key) == (value or dict(dimensions).get(key)) for key, value in wanted.items())
        ]
        return {"Metrics": found}


def _put(namespace: str, datum: dict[str, Any], now: datetime) -> None:
    at = (datum.get("Timestamp") or now).astimezone(UTC)
    dimensions = {d["Name"]: d["Value"] for d in datum.get("Dimensions") or ()}
    values = datum.get("Values") or [datum.get("Value", 0.0)]
    counts = datum.get("Counts") or [1.0] * len(values)
    if statistics := datum.get("StatisticValues"):
        values, counts = [statistics["Sum"] / statistics["SampleCount"]], [statistics["SampleCount"]]
    for value, count in zip(values, counts, strict=True):
        METRICS.put(namespace, datum["MetricName"], dimensions, float(value), at, count=float(count))


def _span(call: Call) -> tuple[datetime, datetime]:
    start, end = call.params["StartTime"].astimezone(UTC), call.params["EndTime"].astimezone(UTC)
    if start >= end:
        raise Refusal("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
    return start, end


def _asked(call: Call) -> list[dict[str, Any]]:
    queries: list[dict[str, Any]] = call.params["MetricDataQueries"]
    if any("MetricStat" not in query for query in queries):
        raise Refusal("NotSimulated", "GetMetricData of expressions is not simulated", 501)
    return [query for query in queries if query.get("ReturnData", True)]


def _result(query: dict[str, Any], start: datetime, end: datetime, *, newest_first: bool) -> dict[str, Any]:
    asked = query["MetricStat"]
    found = _series(asked["Metric"], start, end, asked["Period"], asked["Stat"])
    if newest_first:
        found.reverse()
    return {
        "Id": query["Id"],
        "Label": query.get("Label", asked["Metric"]["MetricName"]),
        "Timestamps": [at for at, _ in found],
        "Values": [value for _, value in found],
        "StatusCode": "Complete",
    }


def _datapoints(call: Call, start: datetime, end: datetime) -> list[dict[str, Any]]:
    found: dict[datetime, dict[str, Any]] = {}
    for stat in call.params.get("Statistics", ()):
        for at, value in _series(call.params, start, end, call.params["Period"], stat):
            found.setdefault(at, {"Timestamp": at, "Unit": call.params.get("Unit", "None")})[stat] = value
    return list(found.values())


def _series(metric: dict[str, Any], start: datetime, end: datetime, period: int, stat: str) -> list[tuple[datetime, float]]:
    dimensions = {d["Name"]: d["Value"] for d in metric.get("Dimensions") or ()}
    try:
        return METRICS.series(metric["Namespace"], metric["MetricName"], dimensions, start, end, period=period, stat=stat)
    except ValueError as error:
        raise Refusal("ValidationError", str(error)) from None
