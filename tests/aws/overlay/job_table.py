"""What all SageMaker jobs have in common: names, duplicates, states that take time, stopping, events."""

import re
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.aws import bucket
from tests.aws.calls import Call, Refusal
from tests.aws.world import ACCOUNT, REGION, World

NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
ROLE = re.compile(r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
TAG = re.compile(r"[\w .:/=+@-]*")


class Stopped(Exception):
    """The job ends now; `secondary` says why."""

    def __init__(self, secondary: str) -> None:
        super().__init__(secondary)
        self.secondary = secondary


class Failed(Exception):
    """The job fails with this FailureReason."""


class Job:
    """One job: what was asked, and how it stands. Its work runs on a thread of its own."""

    def __init__(self, world: World, kind: str, name: str, asked: dict[str, Any]) -> None:
        self.world = world
        self.kind = kind
        self.name = name
        self.asked = asked
        self.arn = arn(f"{kind}-job", name)
        self.status = "InProgress"
        self.secondary = "Starting"
        self.failure: str | None = None
        self.created: datetime = world.now()
        self.began: datetime | None = None
        self.ended: datetime | None = None
        self.changed: datetime = self.created
        self.transitions: list[dict[str, Any]] = []
        self.stop_asked = threading.Event()
        self.root = world.home / f"{kind}-jobs" / name
        self._watch: tuple[float, datetime] | None = None
        self.note("Starting", "Preparing the instances")
        tag(world, self.arn, asked)

    def begin(self, work: Callable[[], None]) -> None:
        self._event()
        self.world.thread(lambda: self._run(work))

    def note(self, secondary: str, message: str = "") -> None:
        """Another secondary state, with its time."""
        now = self.world.now()
        if self.transitions:
            self.transitions[-1].setdefault("EndTime", now)
        self.transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": message})
        self.secondary, self.changed = secondary, now

    def pause(self, seconds: float) -> None:
        """Simulated seconds, cut short by a stop. Raises: Stopped."""
        until = self.world.now().timestamp() + seconds
        while self.world.now().timestamp() < until and not self.world.ended:
            self.check()
            self.world.sleep(min(1.0, seconds))
        self.check()

    def check(self) -> None:
        """Raises: Stopped."""
        if self.stop_asked.is_set():
            raise Stopped("Stopped")

    def start_watch(self) -> None:
        self.began = self.began or self.world.now()
        self._watch = time.monotonic(), self.world.now()

    @property
    def elapsed(self) -> float:
        """Seconds since the work began: a real process takes its real time, and a clock that was moved counts as well."""
        if self._watch is None:
            return 0.0
        real = time.monotonic() - self._watch[0]
        moved = (self.world.now() - self._watch[1]).total_seconds() - real * self.world.speed
        return real + max(0.0, moved - 1.0)

    def stop(self) -> None:
        """Source: github.com/awslabs/benchmark-ai/issues/928."""
        with self.world.lock:
            if self.status != "InProgress":
                message = f"The request was rejected because the {self.kind} job is in status {self.status}."
                raise Refusal("ValidationException", message)
            self.status = "Stopping"
            self.note("Stopping", "Stopping the job")
        self.stop_asked.set()
        self._event()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Stopped as stop:
            self._end("Stopped", stop.secondary)
        except Failed as failed:
            self.failure = str(failed)[:1024]
            self._end("Failed", "Failed")
        except Exception as error:
            self.failure = f"InternalServerError: the simulator broke: {type(error).__name__}: {error}"[:1024]
            self._end("Failed", "Failed")
            raise
        else:
            self._end("Completed", "Completed")

    def _end(self, status: str, secondary: str) -> None:
        with self.world.lock:
            self.note(secondary, self.failure or "")
            self.transitions[-1]["EndTime"] = self.ended = self.world.now()
            self.status = status
        self._event()

    def _event(self) -> None:
        """Times are milliseconds since 1970: docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html."""
        title = self.kind.capitalize()
        detail: dict[str, Any] = {
            f"{title}JobName": self.name,
            f"{title}JobArn": self.arn,
            f"{title}JobStatus": self.status,
            "CreationTime": int(self.created.timestamp() * 1000),
            "LastModifiedTime": int(self.changed.timestamp() * 1000),
            "Tags": self.world.tags.get(self.arn, {}),
        }
        if self.kind == "training":
            detail["SecondaryStatus"] = self.secondary
        if self.failure:
            detail["FailureReason"] = self.failure
        self.world.emit_event("aws.sagemaker", f"SageMaker {title} Job State Change", detail, [self.arn])


def arn(what: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{what}/{name}"


def tag(world: World, resource: str, asked: dict[str, Any]) -> None:
    """Source: the patterns in docs.aws.amazon.com/sagemaker/latest/APIReference/API_Tag.html."""
    for each in asked.get("Tags") or ():
        if not TAG.fullmatch(each["Key"]) or not TAG.fullmatch(each["Value"]) or len(each["Value"]) > 256:
            message = f"1 validation error detected: Value '{each['Value']}' at 'tags' failed to satisfy constraint"
            raise Refusal("ValidationException", message)
    world.tags[resource] = {each["Key"]: each["Value"] for each in asked.get("Tags") or ()}


def checked(call: Call, field: str) -> str:
    """The name. Source: the pattern in SageMaker's API model, which boto3 does not check; github.com/Kenza-AI/sagify/issues/57."""
    name = str(call.params[field])
    if not NAME.fullmatch(name) or len(name) > 63:
        raise Refusal(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at '{field[0].lower()}{field[1:]}' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
        )
    return name


def checked_role(given: str | None) -> str:
    if not ROLE.fullmatch(given or ""):
        message = f"1 validation error detected: Value '{given}' at 'roleArn' failed to satisfy constraint: a role's ARN"
        raise Refusal("ValidationException", message)
    return str(given)


def there_is_input(uri: str, role: str) -> None:
    """Source: github.com/aws/amazon-sagemaker-examples/issues/2489 (training), /issues/2270 (transform)."""
    if not bucket.under(uri):
        name = bucket.split(uri)[0]
        raise Refusal(
            "ValidationException",
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists in the '
            f'selected region ({REGION}), that objects exist under that S3 prefix, and that the role "{role}" has '
            f'"s3:ListBucket" permissions on bucket "{name}".',
        )


def page(call: Call, found: list[dict[str, Any]], field: str) -> dict[str, Any]:
    """A page of a listing, newest first, with a token that is a place."""
    start, size = int(call.params.get("NextToken") or 0), int(call.params.get("MaxResults") or 100)
    answer: dict[str, Any] = {field: found[start : start + size]}
    if start + size < len(found):
        answer["NextToken"] = str(start + size)
    return answer


def listed(call: Call, jobs: "list[Any]") -> "list[Any]":
    """Jobs that a listing asks for: by part of the name and by status, newest first."""
    part, status = call.params.get("NameContains") or "", call.params.get("StatusEquals")
    chosen = [job for job in jobs if part in job.name and status in (None, job.status)]
    return sorted(chosen, key=lambda job: job.created, reverse=call.params.get("SortOrder") != "Ascending")
