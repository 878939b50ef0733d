"""How a model has answered, from CloudWatch.

Source: docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html; with the dimension EndpointConfigName a metric counts
one configuration alone, from when it gets traffic (deployment-guardrails-configuration.html).
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from contracts.rollout import BakeReport, CheckBake
from platforms.aws.calls import Aws
from policies.bake import bake

_NAMESPACE: Final = "AWS/SageMaker"
_PERIOD: Final = 60
_AHEAD: Final = timedelta(days=7)
"""The newest minute counts, whatever this machine's clock says of it."""
_METRICS: Final = {"requests": "Invocations", "errors": "Invocation5XXErrors"}
"""What callers got wrong (4xx) is not the model's."""


class EndpointHealth:
    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def since(self, request: CheckBake, endpoint: str, variant: str, config: str) -> BakeReport:
        """Raises: Unavailable."""
        dimensions = [
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": variant},
            {"Name": "EndpointConfigName", "Value": config},
        ]
        start = request.since.replace(second=0, microsecond=0)
        end = max(datetime.now(UTC), request.since) + _AHEAD
        totals = dict.fromkeys(_METRICS, 0.0)
        asked = {"MetricDataQueries": [_query(*each, dimensions) for each in _METRICS.items()], "StartTime": start}
        for page in self._aws.pages("cloudwatch", "get_metric_data", EndTime=end, **asked):
            for result in page["MetricDataResults"]:
                totals[result["Id"]] += sum(result["Values"])
        requests, errors = round(totals["requests"]), round(totals["errors"])
        return bake(requests=max(requests, errors), errors=errors, max_error_rate=request.max_error_rate)


def _query(identity: str, metric: str, dimensions: list[dict[str, str]]) -> dict[str, Any]:
    stat = {"Metric": {"Namespace": _NAMESPACE, "MetricName": metric, "Dimensions": dimensions}, "Period": _PERIOD, "Stat": "Sum"}
    return {"Id": identity, "MetricStat": stat}
