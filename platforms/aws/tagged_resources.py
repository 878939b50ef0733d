"""What is temporary in SageMaker, found by its tag: jobs, models, endpoint configurations, endpoints.

A job can't be taken back: one that is over keeps its record, which costs nothing, and loses its tag, so that it isn't found
again.
"""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from contracts.inventory import Resource
from contracts.training import Tags
from platforms.aws.calls import Answer, Aws
from platforms.aws.names import TEMPORARY
from platforms.errors import Invalid, NotFound, Unavailable
from platforms.patience import tick

UNKNOWN: Final = "unknown"
_ARN: Final = re.compile(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:([a-z-]+)/([A-Za-z0-9-]{1,63})")
_TYPES: Final = ("training-job", "transform-job", "model", "endpoint-config", "endpoint")
ORDER: Final = ("endpoint", "endpoint-config", "transform-job", "model", "training-job")
"""What uses others goes before them."""
_LET_BE: Final = timedelta(days=1)
"""What belongs to no incident may be in use by whoever made it."""
_STOPPING: Final = 240.0
"""Seconds that a job which is being stopped is waited for; SageMaker gives it two minutes to save what it has."""
_PAUSE: Final = 10.0
_OVER: Final = frozenset({"Completed", "Failed", "Stopped"})


class TaggedResources:
    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def list(self, tags: Tags | None = None) -> Iterator[Resource]:
        """Of one endpoint's incident, or all of this homeostat: their names begin with its prefix."""
        filters: list[dict[str, Any]] = [{"Key": TEMPORARY}]
        if tags is not None:
            filters += [
                {"Key": "homeostat:endpoint", "Values": [tags.endpoint]},
                {"Key": "homeostat:incident", "Values": [tags.incident]},
            ]
        types = [f"sagemaker:{kind}" for kind in _TYPES]
        for page in self._aws.pages("resourcegroupstaggingapi", "get_resources", TagFilters=filters, ResourceTypeFilters=types):
            for each in page["ResourceTagMappingList"]:
                found = self._resource(str(each["ResourceARN"]), {tag["Key"]: tag["Value"] for tag in each["Tags"]})
                if found is not None:
                    yield found

    def remove(self, arn: str) -> None:
        """Raises: Unavailable (it runs), Invalid (it is none of ours)."""
        kind, name = self._named(arn)
        if kind == "endpoint":
            return self._gone(lambda: self._aws.call("sagemaker", "delete_endpoint", EndpointName=name))
        if kind == "endpoint-config":
            return self._gone(lambda: self._aws.call("sagemaker", "delete_endpoint_config", EndpointConfigName=name))
        if kind == "model":
            return self._gone(lambda: self._aws.call("sagemaker", "delete_model", ModelName=name))
        self.wait_until_over(kind, name)
        return self._gone(lambda: self._aws.call("sagemaker", "delete_tags", ResourceArn=arn, TagKeys=[TEMPORARY]))

    def wait_until_over(self, kind: str, name: str) -> bool:
        """A job that is being stopped takes some minutes; False where there is none. Raises: Unavailable (it runs on)."""
        until = time.monotonic() + _STOPPING
        while (found := self._described(kind, name)) is not None:
            status = found["TrainingJobStatus" if kind == "training-job" else "TransformJobStatus"]
            if status in _OVER:
                return True
            if status != "Stopping" or time.monotonic() > until:
                raise Unavailable("still running. Stop the job, then remove it")
            tick()
            time.sleep(min(_PAUSE, self._aws.settings.poll_seconds))
        return False

    def _resource(self, arn: str, tags: dict[str, str]) -> Resource | None:
        """None for what isn't ours, is gone by now, or may be in use."""
        match = _ARN.fullmatch(arn)
        if match is None or not match[2].startswith(f"{self._aws.settings.prefix}-"):
            return None
        found = self._described(match[1], match[2])
        if found is None:
            return None
        owner, created = _tags(tags), found["CreationTime"].astimezone(UTC)
        if not owner.incident and datetime.now(UTC) - created < _LET_BE:
            return None
        return Resource(id=arn, kind=match[1].replace("-", "_"), tags=owner, created=created)

    def _named(self, arn: str) -> tuple[str, str]:
        match = _ARN.fullmatch(arn)
        if match is None or match[1] not in _TYPES or not match[2].startswith(f"{self._aws.settings.prefix}-"):
            raise Invalid("it names nothing temporary of this homeostat; nothing was removed")
        return match[1], match[2]

    def _described(self, kind: str, name: str) -> Answer | None:
        try:
            if kind == "training-job":
                return self._aws.call("sagemaker", "describe_training_job", TrainingJobName=name)
            if kind == "transform-job":
                return self._aws.call("sagemaker", "describe_transform_job", TransformJobName=name)
            if kind == "model":
                return self._aws.call("sagemaker", "describe_model", ModelName=name)
            if kind == "endpoint-config":
                return self._aws.call("sagemaker", "describe_endpoint_config", EndpointConfigName=name)
            return self._aws.call("sagemaker", "describe_endpoint", EndpointName=name)
        except NotFound:
            return None

    @staticmethod
    def _gone(remove: Callable[[], object]) -> None:
        """What is gone already counts as removed."""
        try:
            remove()
        except NotFound:
            return


def _tags(given: dict[str, str]) -> Tags:
    incident = given.get("homeostat:incident", "")
    team, cost = given.get("homeostat:team", UNKNOWN), given.get("homeostat:cost-center", UNKNOWN)
    try:
        return Tags(endpoint=given.get("homeostat:endpoint", UNKNOWN), incident=incident, team=team, cost_center=cost)
    except ValidationError:
        return Tags(endpoint=UNKNOWN, incident=incident, team=team, cost_center=cost)
