"""Monitoring schedules: their executions are processing jobs over what an endpoint captured.

Sources: SageMaker APIReference CreateMonitoringSchedule, ScheduleConfig ("NOW", hourly cron), MonitoringExecutionSummary; Developer Guide
"Schedule model monitoring jobs". A schedule of a job definition by name is refused: only a definition in the call is simulated.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.aws import monitor_analysis
from tests.aws.calls import Call, Refusal
from tests.aws.overlay.job_table import arn, checked, page, tag
from tests.aws.overlay.processing_jobs import ProcessingJob, begin
from tests.aws.world import World

HOURLY = "cron(0 * ? * * *)"
_LOOK_SECONDS = 60.0
_PATH = "/opt/ml/processing/"


class Schedule:
    """One schedule and the jobs it has begun."""

    def __init__(self, world: World, name: str, asked: dict[str, Any]) -> None:
        self.world = world
        self.name = name
        self.arn = arn("monitoring-schedule", name)
        self.config = asked["MonitoringScheduleConfig"]
        self.status = "Scheduled"
        self.created = self.changed = world.now()
        self.done: datetime | None = None
        self.executions: list[tuple[datetime, ProcessingJob]] = []
        tag(world, self.arn, asked)

    @property
    def expression(self) -> str:
        return str(self.config["ScheduleConfig"]["ScheduleExpression"])

    @property
    def endpoint(self) -> str:
        inputs = self.config["MonitoringJobDefinition"]["MonitoringInputs"]
        return str(inputs[0]["EndpointInput"]["EndpointName"])

    def look(self) -> None:
        """One execution an hour, over the hour that has ended; NOW is one alone, over the hour before."""
        now = self.world.now()
        hour = now.replace(minute=0, second=0, microsecond=0)
        end = now if self.expression == "NOW" else hour
        due = self.done is None if self.expression == "NOW" else (self.done or self.created) < hour
        if self.status == "Scheduled" and due:
            self.done = end
            self.executions.append((now, self._begin(end - timedelta(hours=1), end)))

    def _begin(self, start: datetime, end: datetime) -> ProcessingJob:
        definition = self.config["MonitoringJobDefinition"]
        output = definition["MonitoringOutputConfig"]["MonitoringOutputs"][0]["S3Output"]
        uri = f"{output['S3Uri'].rstrip('/')}/{self.endpoint}/{self.name}/{end:%Y/%m/%d/%H}"
        environment = {
            **(definition.get("Environment") or {}),
            "dataset_source": f"{_PATH}input/endpoint",
            "sagemaker_endpoint_name": self.endpoint,
            "sagemaker_monitoring_schedule_name": self.name,
            "start_time": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "end_time": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        baseline = definition.get("BaselineConfig") or {}
        uris = {
            "constraints": baseline["ConstraintsResource"]["S3Uri"],
            "baseline": baseline["StatisticsResource"]["S3Uri"],
            "endpoint_input_1": self._captured(),
        }
        asked = {
            "ProcessingInputs": [{"InputName": n, "S3Input": {"S3Uri": u, "LocalPath": f"{_PATH}{n}"}} for n, u in uris.items()],
            "ProcessingOutputConfig": {"Outputs": [{"OutputName": "monitoring_output", "S3Output": {**output, "S3Uri": uri}}]},
            "AppSpecification": {"ImageUri": definition["MonitoringAppSpecification"]["ImageUri"]},
            "Environment": environment,
            "MonitoringScheduleArn": self.arn,
            "RoleArn": definition["RoleArn"],
        }
        return begin(self.world, f"model-monitoring-{end:%Y%m%d%H%M}-{uuid4().hex[:24]}", asked)

    def _captured(self) -> str:
        told = self.world.client("sagemaker").describe_endpoint(EndpointName=self.endpoint)
        return f"{told['DataCaptureConfig']['DestinationS3Uri'].rstrip('/')}/{self.endpoint}/"

    def described(self) -> dict[str, Any]:
        last = {"LastMonitoringExecutionSummary": self.summary(*self.executions[-1])} if self.executions else {}
        return {
            "MonitoringScheduleArn": self.arn,
            "MonitoringScheduleName": self.name,
            "MonitoringScheduleStatus": self.status,
            "MonitoringType": "DataQuality",
            "EndpointName": self.endpoint,
            "CreationTime": self.created,
            "LastModifiedTime": self.changed,
            "MonitoringScheduleConfig": self.config,
            **last,
        }

    def summary(self, at: datetime, job: ProcessingJob) -> dict[str, Any]:
        states = {"InProgress": "InProgress", "Stopping": "Stopping", "Stopped": "Stopped", "Failed": "Failed"}
        done = "CompletedWithViolations" if (job.exit_message or "").startswith("CompletedWithViolations") else "Completed"
        return {
            "MonitoringScheduleName": self.name,
            "ScheduledTime": at,
            "CreationTime": job.created,
            "LastModifiedTime": job.changed,
            "MonitoringExecutionStatus": states.get(job.status, done),
            "ProcessingJobArn": job.arn,
            "EndpointName": self.endpoint,
            **({"FailureReason": job.failure} if job.failure else {}),
        }


class Schedules:
    """All schedules of the account, and the calls about them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._all: dict[str, Schedule] = {}

    def found(self, call: Call) -> Schedule:
        name = checked(call, "MonitoringScheduleName")
        if name not in self._all:
            raise Refusal("ResourceNotFound", f"Monitoring schedule {arn('monitoring-schedule', name)} not found", 400)
        return self._all[name]

    def look(self) -> None:
        for schedule in list(self._all.values()):
            schedule.look()

    def create(self, call: Call) -> dict[str, Any]:
        name = checked(call, "MonitoringScheduleName")
        config = call.params["MonitoringScheduleConfig"]
        if "MonitoringJobDefinition" not in config:
            raise Refusal("NotSimulated", "a schedule of a named job definition is not simulated", 501)
        if config.get("ScheduleConfig", {}).get("ScheduleExpression") not in (HOURLY, "NOW"):
            raise Refusal("NotSimulated", f"only the schedules {HOURLY} and NOW are simulated", 501)
        if name in self._all:
            raise Refusal("ResourceInUse", f"Monitoring schedule {arn('monitoring-schedule', name)} already exists")
        self._all[name] = made = Schedule(self._world, name, call.params)
        return {"MonitoringScheduleArn": made.arn}

    def become(self, call: Call, status: str) -> None:
        self.found(call).status = status

    def delete(self, call: Call) -> None:
        self._all.pop(self.found(call).name)

    def executions(self, call: Call) -> dict[str, Any]:
        wanted = call.params.get("MonitoringScheduleName")
        some = [each for each in self._all.values() if wanted in (None, each.name)]
        rows = [each.summary(*execution) for each in some for execution in reversed(each.executions)]
        return page(call, rows, "MonitoringExecutionSummaries")


def install(world: World) -> None:
    assert monitor_analysis.IMAGE, "the analysis is known to the processing jobs"
    schedules = Schedules(world)
    world.operation("sagemaker", "CreateMonitoringSchedule")(schedules.create)
    world.operation("sagemaker", "DescribeMonitoringSchedule")(lambda call: schedules.found(call).described())
    world.operation("sagemaker", "StopMonitoringSchedule")(lambda call: schedules.become(call, "Stopped"))
    world.operation("sagemaker", "StartMonitoringSchedule")(lambda call: schedules.become(call, "Scheduled"))
    world.operation("sagemaker", "DeleteMonitoringSchedule")(schedules.delete)
    world.operation("sagemaker", "ListMonitoringExecutions")(schedules.executions)
    world.every(_LOOK_SECONDS, schedules.look)
