"""Endpoints of the simulator behave as SageMaker's do; each behaviour with the source that it was taken from."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from platforms.aws.calls import Aws
from platforms.aws.objects import Objects
from platforms.errors import Conflict, Invalid, NotFound, Unavailable
from tests.aws.hosted import Hosted, alarm, becomes, blue_green, guarded, until
from tests.aws.simulator import Simulator

pytestmark = pytest.mark.processes
CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
}


@pytest.fixture
def host(aws: Aws, objects: Objects) -> Any:
    return lambda name: Hosted(aws, objects, name)


def test_a_configuration_needs_its_model_and_a_name_of_its_own(aws: Aws, host: Any) -> None:
    # awslabs/spot-tagging-bot-for-digital-assets#2: "Cannot create already existing endpoint configuration"
    here = host("twice")
    name = here.config("first")
    variant = {"VariantName": "AllTraffic", "ModelName": "absent", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    with pytest.raises(NotFound, match="Could not find model"):
        aws.call("sagemaker", "create_endpoint_config", EndpointConfigName=f"{name[:40]}-x", ProductionVariants=[variant])
    variant["ModelName"] = here.named("model", "first")
    with pytest.raises(Conflict, match="Cannot create already existing endpoint configuration"):
        aws.call("sagemaker", "create_endpoint_config", EndpointConfigName=name, ProductionVariants=[variant])
    with pytest.raises(Invalid, match="instanceType"):
        aws.call(
            "sagemaker",
            "create_endpoint_config",
            EndpointConfigName="other",
            ProductionVariants=[variant | {"InstanceType": "ml.x"}],
        )


def test_an_endpoint_is_created_in_its_time_and_only_once(aws: Aws, host: Any) -> None:
    # APIReference CreateEndpoint: "sets the endpoint status to Creating. After it creates the endpoint, ... InService";
    # modernisation-platform-environments#9383: "Cannot create already existing endpoint"
    here = host("created")
    config = here.config("hello")
    aws.call("sagemaker", "create_endpoint", EndpointName=here.name, EndpointConfigName=config)
    assert here.told()["EndpointStatus"] == "Creating"
    assert "not found" in here.refuses("{}")  # amazon-sagemaker-examples#293: "Endpoint ... of account ... not found."
    with pytest.raises(Unavailable, match="Cannot update in-progress endpoint"):  # aws-controllers-k8s sagemaker-controller
        aws.call("sagemaker", "delete_endpoint", EndpointName=here.name)
    with pytest.raises(Conflict, match="Cannot create already existing endpoint"):
        aws.call("sagemaker", "create_endpoint", EndpointName=here.name, EndpointConfigName=config)
    assert here.rests()["EndpointStatus"] == "InService"
    assert here.says() == "hello"
    aws.call("sagemaker", "delete_endpoint", EndpointName=here.name)
    with pytest.raises(NotFound, match="Could not find endpoint"):
        here.told()


def test_a_container_that_never_answers_its_health_check_makes_a_failed_endpoint(aws: Aws, host: Any) -> None:
    # developer guide, "Troubleshoot multi-container endpoints": "did not pass the ping health check"; EndpointSummary: "DeleteEndpoint
    # is the only operation that can be performed on a failed endpoint"
    here = host("broken")
    here.create("broken")
    told = here.told()
    assert told["EndpointStatus"] == "Failed"
    assert "variant AllTraffic did not pass the ping health check" in told["FailureReason"]
    with pytest.raises(Invalid):
        here.update("later")


def test_a_canary_gets_its_share_and_then_all(host: Any, simulator: Simulator) -> None:
    # developer guide, "Canary Traffic Shifting"; APIReference PendingDeploymentSummary, ProductionVariantStatus
    here = host("canary")
    here.create("old")
    new = here.update("new", deployment=blue_green("CANARY", wait=3000, end=60, size=25))
    with pytest.raises(Unavailable, match="Cannot update in-progress endpoint"):
        here.update("third")
    until(lambda: _stage(here.told()) == ["Baking"])
    assert here.told()["EndpointConfigName"] != new
    assert here.told()["PendingDeploymentSummary"]["EndpointConfigName"] == new
    assert sorted(here.says() for _ in range(8)) == ["new"] * 2 + ["old"] * 6
    simulator.advance(3000)
    told = here.rests()
    assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("InService", new)
    assert "PendingDeploymentSummary" not in told
    assert here.says() == "new"


def _stage(told: dict[str, Any]) -> list[str]:
    variants = told.get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
    return [status["Status"] for variant in variants for status in variant["VariantStatus"]]


@pytest.mark.parametrize("kind", ["LINEAR", "ROLLING", "ALL_AT_ONCE"])
def test_an_alarm_that_goes_off_while_it_bakes_brings_the_old_fleet_back(aws: Aws, host: Any, kind: str) -> None:
    # developer guide, "Auto-Rollback Configuration and Monitoring"; terraform-provider-aws#39099, #46663: InService on the old one
    here = host(kind.lower().replace("_", "-"))
    here.create("old")
    before, guard = here.told()["EndpointConfigName"], alarm(aws, f"{kind}-errors")
    rolling = {
        "RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50}, "WaitIntervalInSeconds": 3000}
    }
    how = rolling | guarded((guard,)) if kind == "ROLLING" else blue_green(kind, wait=1200, end=1200, alarms=(guard,))
    here.update("new", deployment=how)
    until(lambda: "Baking" in _stage(here.told()))
    becomes(aws, guard, "ALARM")
    told = here.rests()
    assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("InService", before)
    assert guard in told["FailureReason"]
    assert {here.says() for _ in range(4)} == {"old"}


def test_an_alarm_that_is_in_alarm_from_the_start_lets_nothing_land(aws: Aws, host: Any) -> None:
    # developer guide, as above: the alarms are active during the baking period, whatever they were before
    here = host("ringing")
    here.create("old")
    before = here.told()["EndpointConfigName"]
    here.update("new", deployment=blue_green(alarms=(alarm(aws, "ringing", "ALARM"),)))
    assert here.rests()["EndpointConfigName"] == before


def test_a_new_fleet_that_is_not_healthy_is_taken_back(host: Any) -> None:
    # developer guide, "Deployment guardrails": the old fleet goes only after the new one serves; terraform-provider-aws#46663
    here = host("sick")
    here.create("old")
    before = here.told()["EndpointConfigName"]
    here.update("broken")
    told = here.rests()
    assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("InService", before)
    assert "did not pass the ping health check" in told["FailureReason"]
    assert here.says() == "old"


def test_without_capacity_it_goes_back_and_says_nothing(simulator: Simulator, host: Any) -> None:
    # terraform-provider-aws pull request 49020: InService on the former configuration, and FailureReason may be empty
    here = host("crowded")
    here.create("old")
    before = here.told()["EndpointConfigName"]
    simulator.fault("sagemaker", "UpdateEndpoint", "capacity")
    here.update("new")
    told = here.rests()
    assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("InService", before)
    assert "FailureReason" not in told


def test_the_live_count_survives_an_update_only_if_it_is_asked_to(aws: Aws, host: Any) -> None:
    # APIReference UpdateEndpoint, RetainAllVariantProperties: "The default is false"; terraform-provider-aws#48990
    here = host("scaled")
    here.create("old")
    here.config("early")
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 5}]
    aws.call("sagemaker", "update_endpoint_weights_and_capacities", EndpointName=here.name, DesiredWeightsAndCapacities=wanted)
    with pytest.raises(Unavailable, match="Cannot update in-progress endpoint"):
        here.update("early", made=True)
    here.rests()
    here.update("kept", RetainAllVariantProperties=True)
    assert here.rests()["ProductionVariants"][0]["CurrentInstanceCount"] == 5
    left = [{"VariantPropertyType": "DesiredInstanceCount"}]
    here.update("left", RetainAllVariantProperties=True, ExcludeRetainedVariantProperties=left)
    assert here.rests()["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    aws.call("sagemaker", "update_endpoint_weights_and_capacities", EndpointName=here.name, DesiredWeightsAndCapacities=wanted)
    here.rests()
    here.update("reset")
    assert here.rests()["ProductionVariants"][0]["CurrentInstanceCount"] == 2


def test_what_a_step_may_be_is_checked(host: Any) -> None:
    # APIReference TrafficRoutingConfig: CanarySize at most 50 %, LinearStepSize 10-50 %; RollingUpdatePolicy: 5-50 %
    here = host("sizes")
    here.create("old")
    here.config("new")
    too_long = blue_green("CANARY", wait=3600, end=3600)
    too_long["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = 7200
    for how in (
        blue_green("CANARY", size=60),
        blue_green("LINEAR", size=5),
        {"RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 60}, "WaitIntervalInSeconds": 0}},
        too_long,
    ):
        with pytest.raises(Invalid):
            here.update("new", made=True, deployment=how)
    assert here.told()["EndpointStatus"] == "InService"


def test_an_update_needs_the_configuration_that_is_in_service(aws: Aws, host: Any) -> None:
    # terraform-provider-aws#40048, #48997: the old configuration was deleted, "Could not find endpoint configuration"
    here = host("gone")
    here.create("old")
    aws.call("sagemaker", "delete_endpoint_config", EndpointConfigName=here.told()["EndpointConfigName"])
    with pytest.raises(NotFound, match="Could not find endpoint configuration"):
        here.update("new")


def test_a_rolling_update_that_can_not_go_back_says_so(aws: Aws, host: Any) -> None:
    # APIReference DescribeEndpoint, EndpointStatus UpdateRollbackFailed: "Both the rolling deployment and auto-rollback failed"
    here = host("stuck")
    here.create("old")
    guard = alarm(aws, "stuck")
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    rolling = {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": 3000}}
    here.update("new", deployment=rolling | guarded((guard,)))
    until(lambda: "Baking" in _stage(here.told()))
    aws.call("sagemaker", "delete_endpoint_config", EndpointConfigName=here.told()["EndpointConfigName"])
    becomes(aws, guard, "ALARM")
    assert here.rests()["EndpointStatus"] == "UpdateRollbackFailed"


def test_calls_are_counted_and_captured_and_errors_told(aws: Aws, objects: Objects, host: Any) -> None:
    # runtime APIReference InvokeEndpoint: ModelError with OriginalStatusCode; developer guide "Amazon SageMaker metrics in Amazon
    # CloudWatch", "Capture data from real-time endpoint", and "Auto-Rollback Configuration" for the dimension EndpointConfigName
    here, since = host("counted"), datetime.now(UTC) - timedelta(minutes=5)
    json_lines = {"CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]}}
    here.create("old", DataCaptureConfig=CAPTURE | {"DestinationS3Uri": objects.uri("capture/counted"), **json_lines})
    config = here.told()["EndpointConfigName"]
    for _ in range(3):
        here.says('{"asked": 1}')
    assert 'Received server error (500) from primary with message "asked to fail"' in here.refuses("fail")
    dimensions = {"EndpointName": here.name, "VariantName": "AllTraffic", "EndpointConfigName": config}
    counts = [_sum(aws, name, dimensions, since) for name in ("Invocations", "Invocation5XXErrors", "Invocation4XXErrors")]
    assert counts == [4, 1, 0]
    del dimensions["EndpointConfigName"]
    assert _sum(aws, "InvocationsPerInstance", dimensions, since) == 2
    until(lambda: any(objects.keys("capture/counted/")))
    key = next(iter(objects.keys("capture/counted/")))
    assert key.startswith(f"capture/counted/{here.name}/AllTraffic/20")
    line = json.loads(objects.get(key).splitlines()[0])
    assert line["captureData"]["endpointInput"] == {
        "observedContentType": "application/json",
        "mode": "INPUT",
        "data": '{"asked": 1}',
        "encoding": "JSON",
    }
    assert line["captureData"]["endpointOutput"]["data"] == '{"word": "old"}'
    assert set(line["eventMetadata"]) == {"eventId", "inferenceTime"}


def _sum(aws: Aws, metric: str, dimensions: dict[str, str], since: datetime) -> float:
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    stat = {"Metric": {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": named}, "Period": 60, "Stat": "Sum"}
    asked = {"MetricDataQueries": [{"Id": "q", "MetricStat": stat}], "StartTime": since, "EndTime": since + timedelta(days=9)}
    return sum(sum(result["Values"]) for result in aws.call("cloudwatch", "get_metric_data", **asked)["MetricDataResults"])


def test_states_and_stages_come_as_events(aws: Aws, host: Any) -> None:
    # developer guide "Automating Amazon SageMaker with Amazon EventBridge": endpoint state change, endpoint deployment state change
    here, queue = host("events"), aws.call("sqs", "create_queue", QueueName=f"{aws.settings.prefix}-stages")["QueueUrl"]
    arn = f"arn:aws:sqs:{aws.region}:123456789012:{aws.settings.prefix}-stages"
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    aws.call("sqs", "set_queue_attributes", QueueUrl=queue, Attributes={"Policy": policy})
    pattern = json.dumps({"source": ["aws.sagemaker"], "detail": {"EndpointName": [here.name]}})
    aws.call("events", "put_rule", Name=f"{aws.settings.prefix}-stages", EventPattern=pattern)
    aws.call("events", "put_targets", Rule=f"{aws.settings.prefix}-stages", Targets=[{"Id": "1", "Arn": arn}])
    here.create("old")
    here.update("new", deployment=blue_green(end=60))
    here.rests()
    told: list[tuple[str, ...]] = []
    while len(told) < 6:
        answer = aws.call("sqs", "receive_message", QueueUrl=queue, WaitTimeSeconds=5, MaxNumberOfMessages=10)
        for event in (json.loads(message["Body"]) for message in answer["Messages"]):
            pending = event["detail"].get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
            stage = [status["Status"] for variant in pending for status in variant["VariantStatus"]]
            told.append((event["detail"]["EndpointStatus"], *stage))
    assert sorted(told) == [
        ("IN_SERVICE",),
        ("IN_SERVICE",),
        ("UPDATING",),
        ("UPDATING", "ACTIVATINGTRAFFIC"),
        ("UPDATING", "BAKING"),
        ("UPDATING", "CREATING"),
    ]
