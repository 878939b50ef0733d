"""What Model Monitor's container does with captured calls: holds them against the baseline, and writes down what is broken.

Sources: SageMaker Developer Guide "Schema for Statistics", "Schema for Constraints", "Schema for Violations", "CloudWatch metrics for
Model Monitor", "Container contract inputs and outputs". Drift is the largest distance of the distributions ("Simple": L-infinity).
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tests.aws import bucket
from tests.aws.metrics import METRICS
from tests.aws.overlay.job_table import Failed
from tests.aws.overlay.processing_jobs import PROCESSORS, ProcessingJob
from tests.aws.world import World

IMAGE = "sagemaker-model-monitor-analyzer"
NAMESPACE = "/aws/sagemaker/Endpoints/data-metrics"
Values = dict[str, list[Any]]


def analyse(world: World, job: ProcessingJob) -> str:
    """The exit message. Raises: Failed."""
    inputs, outputs = job.inputs(), job.outputs()
    constraints = _only(inputs, "constraints")
    values = _captured(inputs["endpoint_input_1"])
    if not any(values.values()):
        raise Failed("AlgorithmError: Error: Encountered an error: No captured data in the window to analyze")
    violations = [*_columns(constraints, values), *_complete(constraints, values)]
    distances = _distances(_only(inputs, "baseline"), values)
    limit = float(constraints.get("monitoring_config", {}).get("distribution_constraints", {}).get("comparison_threshold", 0.1))
    for name, distance in distances.items():
        if distance > limit:
            said = f"Baseline drift distance: {distance} exceeds threshold: {limit}"
            violations.append({"feature_name": name, "constraint_check_type": "baseline_drift_check", "description": said})
    if job.environment.get("publish_cloudwatch_metrics") == "Enabled":
        _publish(job.environment, distances, world.now())
    if not violations:
        return "Completed: Job completed successfully with no violations."
    bucket.write(
        f"{outputs['monitoring_output'].rstrip('/')}/constraint_violations.json", json.dumps({"violations": violations}).encode()
    )
    return f"CompletedWithViolations: Job completed successfully with {len(violations)} violations."


PROCESSORS[IMAGE] = analyse


def _only(inputs: Mapping[str, dict[str, bytes]], name: str) -> dict[str, Any]:
    if not inputs.get(name):
        raise Failed(f"AlgorithmError: Error: there is no {name}")
    found: dict[str, Any] = json.loads(next(iter(inputs[name].values())))
    return found


def _captured(files: Mapping[str, bytes]) -> Values:
    """Features of every captured call, by name: the input's JSON, or its `features` where it has some."""
    found: Values = defaultdict(list)
    for content in files.values():
        for line in content.splitlines():
            given = json.loads(json.loads(line)["captureData"]["endpointInput"]["data"])
            for name, value in given.get("features", given).items():
                found[name].append(value)
    return found


def _columns(constraints: Mapping[str, Any], values: Values) -> list[dict[str, str]]:
    known = {each["name"] for each in constraints["features"]}
    checks = [("missing_column_check", known - set(values)), ("extra_column_check", set(values) - known)]
    return [
        {
            "feature_name": name,
            "constraint_check_type": check,
            "description": f"{name}: the columns are not those of the baseline",
        }
        for check, names in checks
        for name in sorted(names)
    ]


def _complete(constraints: Mapping[str, Any], values: Values) -> list[dict[str, str]]:
    found = []
    for each in constraints["features"]:
        seen = values.get(each["name"], [])
        share = sum(value is not None for value in seen) / len(seen) if seen else 1.0
        if share < each.get("completeness", 0.0):
            said = f"Data completeness requirement: {each['completeness']}, actual: {share}"
            found.append({"feature_name": each["name"], "constraint_check_type": "completeness_check", "description": said})
    return found


def _distances(statistics: Mapping[str, Any], values: Values) -> dict[str, float]:
    """The largest distance between both cumulated distributions, at the edges of the baseline's buckets."""
    found = {}
    for each in statistics["features"]:
        seen = sorted(value for value in values.get(each["name"], []) if isinstance(value, int | float))
        buckets = each.get("numerical_statistics", {}).get("distribution", {}).get("kll", {}).get("buckets", [])
        if not seen or not buckets:
            continue
        total, below, largest = sum(b["count"] for b in buckets), 0.0, 0.0
        for one in buckets:
            below += one["count"]
            share = sum(value <= one["upper_bound"] for value in seen) / len(seen)
            largest = max(largest, abs(below / total - share))
        found[each["name"]] = round(largest, 6)
    return found


def _publish(environment: Mapping[str, str], distances: Mapping[str, float], now: datetime) -> None:
    schedule = environment["sagemaker_monitoring_schedule_name"]
    dimensions = {"Endpoint": environment["sagemaker_endpoint_name"], "MonitoringSchedule": schedule}
    for name, distance in distances.items():
        METRICS.put(NAMESPACE, f"feature_baseline_drift_{name}", dimensions, distance, now)
