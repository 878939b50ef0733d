"""Model Monitor in the simulated account, up to the alarm that the bridge makes of what it found.

Sources: SageMaker Developer Guide "Monitor data quality", "Schema for Violations", APIReference CreateMonitoringSchedule.
"""

import json
from typing import Any

import pytest

from bridge.formats import JSON, items_from
from bridge.items import Monitored, Understood
from bridge.monitored import read_report
from bridge.routing import Routes
from platforms.aws.calls import Aws
from platforms.aws.monitor_reports import SageMakerMonitorReports
from platforms.aws.objects import Objects
from platforms.errors import Conflict, NotFound, Unavailable
from tests.aws.fixtures import ROLE
from tests.aws.hosted import Hosted, until
from tests.aws.simulator import Simulator

pytestmark = pytest.mark.processes
IMAGE = "468650794304.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-model-monitor-analyzer"
CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
}


@pytest.fixture(scope="module")
def simulator(todays_simulator: Simulator) -> Simulator:
    return todays_simulator


def baseline(objects: Objects) -> dict[str, Any]:
    """Hours from 0 to 23, each as often as the others."""
    buckets = [{"lower_bound": h, "upper_bound": h, "count": 10.0} for h in range(24)]
    statistics = {"features": [{"name": "hour", "numerical_statistics": {"distribution": {"kll": {"buckets": buckets}}}}]}
    constraints = {
        "features": [{"name": "hour", "inferred_type": "Integral", "completeness": 1.0}],
        "monitoring_config": {"distribution_constraints": {"comparison_threshold": 0.3, "comparison_method": "Simple"}},
    }
    uris = {
        name: objects.put(f"monitor/{name}.json", json.dumps(content).encode())
        for name, content in (("s", statistics), ("c", constraints))
    }
    return {"StatisticsResource": {"S3Uri": uris["s"]}, "ConstraintsResource": {"S3Uri": uris["c"]}}


def schedule(aws: Aws, objects: Objects, endpoint: str, expression: str = "NOW") -> str:
    name = f"{aws.settings.prefix}-monitor"
    output = {"S3Uri": objects.uri("monitor/found"), "LocalPath": "/opt/ml/processing/output", "S3UploadMode": "Continuous"}
    definition = {
        "BaselineConfig": baseline(objects),
        "MonitoringInputs": [{"EndpointInput": {"EndpointName": endpoint, "LocalPath": "/opt/ml/processing/input/endpoint"}}],
        "MonitoringOutputConfig": {"MonitoringOutputs": [{"S3Output": output}]},
        "MonitoringResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 20}},
        "MonitoringAppSpecification": {"ImageUri": IMAGE},
        "Environment": {"publish_cloudwatch_metrics": "Enabled"},
        "RoleArn": ROLE,
    }
    config = {"ScheduleConfig": {"ScheduleExpression": expression}, "MonitoringJobDefinition": definition}
    aws.call("sagemaker", "create_monitoring_schedule", MonitoringScheduleName=name, MonitoringScheduleConfig=config)
    return name


def executions(aws: Aws, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.call("sagemaker", "list_monitoring_executions", MonitoringScheduleName=name)[
        "MonitoringExecutionSummaries"
    ]
    return found


def job_event(aws: Aws, job: str) -> bytes:
    """What EventBridge brings of the job; a rule to a queue is tested elsewhere."""
    detail = {"ProcessingJobName": job, "ProcessingJobStatus": "Completed"}
    event = {
        "detail-type": "SageMaker Processing Job State Change",
        "source": "aws.sagemaker",
        "resources": [job],
        "detail": detail,
    }
    return json.dumps(event).encode()


def test_drift_in_captured_calls_is_found_written_down_and_becomes_an_alarm(
    aws: Aws, objects: Objects, simulator: Simulator
) -> None:
    here = Hosted(aws, objects, "monitored")
    here.create("old", 1, DataCaptureConfig=CAPTURE | {"DestinationS3Uri": objects.uri("capture/monitored")})
    for hour in (20, 21, 22, 23, 23):
        here.says(json.dumps({"hour": hour}))
    here.says(json.dumps({"hour": None}))
    until(lambda: any(objects.keys("capture/monitored/")))
    name = schedule(aws, objects, here.name)
    until(lambda: bool(executions(aws, name)) and executions(aws, name)[0]["MonitoringExecutionStatus"] != "InProgress")
    (execution,) = executions(aws, name)
    assert execution["MonitoringExecutionStatus"] == "CompletedWithViolations", execution
    job = execution["ProcessingJobArn"].rpartition("/")[2]
    (item,) = items_from({"content-type": JSON}, job_event(aws, job))
    assert isinstance(item, Monitored)
    found = read_report(SageMakerMonitorReports(aws), item, Routes(prefix=aws.settings.endpoint_prefix))
    assert isinstance(found, Understood), found
    assert (found.alarm.endpoint, found.alarm.kind.value) == ("monitored", "data_drift")
    checks = {reading.name: (reading.value, reading.threshold) for reading in found.alarm.metrics}
    assert checks["hour"][1] in (0.3, None)
    assert "completeness_check" in found.alarm.message
    assert "baseline_drift_check" in found.alarm.message
    metric = aws.call("cloudwatch", "list_metrics", MetricName="feature_baseline_drift_hour")["Metrics"]
    assert {d["Name"] for each in metric for d in each["Dimensions"]} == {"Endpoint", "MonitoringSchedule"}
    assert len(executions(aws, name)) == 1, "NOW is once"
    with pytest.raises(Conflict):
        schedule(aws, objects, here.name)
    aws.call("sagemaker", "delete_monitoring_schedule", MonitoringScheduleName=name)
    with pytest.raises(NotFound):
        aws.call("sagemaker", "describe_monitoring_schedule", MonitoringScheduleName=name)


def test_what_is_not_simulated_of_schedules_says_so(aws: Aws, objects: Objects) -> None:
    with pytest.raises(Unavailable, match="NotSimulated"):
        schedule(aws, objects, "bikes", "cron(0 0 ? * * *)")
