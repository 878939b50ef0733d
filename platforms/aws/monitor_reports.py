"""What a monitoring job of SageMaker has found. It is closed to new customers; its users stay, so its files are read."""

import json
import re
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from platforms.aws.calls import Aws
from platforms.errors import Invalid, NotFound, Unavailable
from platforms.letters import MonitorReport, Violation

_SPELLINGS: Final = ("constraint_violations.json", "constraints_violations.json")
"""The documentation has both."""
_MOST_BYTES: Final = 1_000_000
_MOST_VIOLATIONS: Final = 200
_NONE: Final = re.compile(r"\bno (?:constraint )?violation", re.IGNORECASE)
"""'Completed: Job completed successfully with no violations.', and then there may be no file."""


class SageMakerMonitorReports:
    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def report(self, job: str) -> MonitorReport:
        """An event of a processing job doesn't reliably carry its exit message, so the job itself is asked."""
        found = self._aws.call("sagemaker", "describe_processing_job", ProcessingJobName=job)
        environment = found.get("Environment", {})
        if not (found.get("MonitoringScheduleArn") or "sagemaker_monitoring_schedule_name" in environment):
            raise NotFound(f"{job}: is no monitoring job")
        message = str(found.get("ExitMessage", ""))
        return MonitorReport(
            endpoint=environment.get("sagemaker_endpoint_name", ""),
            schedule=environment.get("sagemaker_monitoring_schedule_name", "") or _last(found["MonitoringScheduleArn"]),
            kind=environment.get("sagemaker_monitoring_type", "") or environment.get("analysis_type", ""),
            exit_message=message,
            ended_at=found.get("ProcessingEndTime") or found.get("LastModifiedTime") or datetime.now(UTC),
            violations=self._violations(job, found) if _tells_of_violations(message) else (),
        )

    def _violations(self, job: str, found: dict[str, Any]) -> tuple[Violation, ...]:
        try:
            folder = str(found["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]).rstrip("/")
        except (KeyError, IndexError):
            raise Invalid(f"{job}: says nowhere where its files are") from None
        for name in _SPELLINGS:
            try:
                return _read(self._content(f"{folder}/{name}"), job)
            except NotFound:
                continue
        raise NotFound(f"{job}: tells of violations, but {folder} has none of {', '.join(_SPELLINGS)}")

    def _content(self, uri: str) -> bytes:
        place = urlsplit(uri)
        answer = self._aws.call("s3", "get_object", Bucket=place.netloc, Key=place.path.lstrip("/"))
        try:
            return bytes(answer["Body"].read(_MOST_BYTES + 1))
        except Exception as error:  # noqa: BLE001 - urllib3's, botocore's and the socket's own
            raise Unavailable(f"{uri}: the answer broke off: {type(error).__name__}") from None


def _tells_of_violations(message: str) -> bool:
    return "violation" in message.lower() and not _NONE.search(message)


def _read(content: bytes, job: str) -> tuple[Violation, ...]:
    """Whatever stands there beside what we know is left alone; numbers such as "NaN" are text here anyway."""
    if len(content) > _MOST_BYTES:
        raise Invalid(f"{job}: its violations are larger than {_MOST_BYTES} bytes")
    try:
        listed = json.loads(content)["violations"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Invalid(f"{job}: its violations are no JSON with a list `violations`") from None
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return tuple(_violation(entry) for entry in entries[:_MOST_VIOLATIONS])


def _violation(entry: dict[str, Any]) -> Violation:
    facet = entry.get("facet")
    about = entry.get("metric_name") or entry.get("feature_name") or "?"
    return Violation(
        check=str(entry.get("constraint_check_type", "?"))[:100],
        feature=(f"{about} of {facet}={entry.get('facet_value', '?')}" if facet else str(about))[:200],
        description=str(entry.get("description", ""))[:500],
    )


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]
