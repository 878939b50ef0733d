"""One cell of the fault matrix: a step that changes something on AWS, a fault in its call, and the step again as Temporal would."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import botocore.session
from botocore import xform_name

from activities.failures import FINAL
from platforms.aws.calls import Aws
from platforms.aws.objects import Objects
from platforms.errors import PlatformError
from tests.aws.faults import OF_JOBS
from tests.aws.simulator import Simulator

EVERYWHERE: Final = ("throttle", "server_error", "timeout_before", "timeout_after", "expired_credentials", "access_denied")
"""Faults that any call can meet."""
MOST_TRIES: Final = 6
_ORDINALS: Final = ("", "at once", "2nd try", "3rd try", "4th try", "5th try", "6th try")


@dataclass
class Stage:
    """An account with nothing in it but what the story puts there."""

    aws: Aws
    simulator: Simulator
    place: Path
    """An empty folder."""
    kind: str = ""
    """The fault that strikes."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What the parts of a story tell each other."""

    @property
    def objects(self) -> Objects:
        return Objects(self.aws)

    def seen(self, service: str, operation: str, **asked: Any) -> Any:
        """What is true there, without the adapter."""
        return getattr(self.aws.client(service), operation)(**asked)

    def keys(self, under: str = "") -> list[str]:
        """Objects in the bucket."""
        prefix = f"{self.aws.settings.prefix}/{under}"
        found = self.seen("s3", "list_objects_v2", Bucket=self.aws.settings.bucket, Prefix=prefix)
        return [str(each["Key"]).removeprefix(f"{self.aws.settings.prefix}/") for each in found.get("Contents", ())]

    def done(self, service: str, operation: str) -> list[dict[str, Any]]:
        """Parameters of the calls that had an effect, by the API's name, whether or not their answer arrived."""
        return [call["params"] for call in self.simulator.calls(service, operation) if call["outcome"].startswith("ok")]


Step = Callable[[], object]


@dataclass(frozen=True)
class Story:
    """A step, the call in it that the fault strikes, and what must hold when the step has come to its end."""

    service: str
    operation: str
    """boto3's name, as in the table of calls."""
    step: str
    """What is done, in words."""
    promise: str
    """What holds afterwards, in words."""
    begin: Callable[[Stage], Step]
    """Sets the stage, and gives the step that is repeated until it ends."""
    holds: Callable[[Stage], str | None]
    """Fails where the promise is broken; may say how the step ended, where that isn't the usual."""
    skip: int = 0
    """How many calls of the operation pass before the fault strikes."""
    more: tuple[str, ...] = ()
    """Faults that only such calls meet."""
    processes: bool = False
    """Real processes run in it."""
    seldom: bool = False
    """Only in the whole matrix: another step shows the same call on every run."""
    patient: bool = False
    """The step tries again by itself, as the bridge's consumers do."""

    @property
    def kinds(self) -> tuple[str, ...]:
        return (*EVERYWHERE, *self.more)

    @property
    def api(self) -> str:
        """The API's name of the operation."""
        return _api_names(self.service)[self.operation]


@cache
def _api_names(service: str) -> dict[str, str]:
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): name for name in model.operation_names}


def play(story: Story, kind: str, stage: Stage) -> str:
    """The cell's outcome, in words. Raises: AssertionError (the promise is broken)."""
    stage.kind = kind
    step = story.begin(stage)
    stage.simulator.reset()
    stage.simulator.fault(story.service, story.api, kind, after=story.skip)
    outcome = _driven(step)
    assert kind in OF_JOBS or _struck(stage, story, kind), f"{kind} never struck {story.api}"
    said = story.holds(stage)
    if said:
        return f"{outcome}, {said}"
    return "by itself" if story.patient and outcome == "at once" else outcome


def _driven(step: Step) -> str:
    """Again and again as Temporal would, until it is done or the error is one that ends a step."""
    for tries in range(1, MOST_TRIES + 1):
        try:
            step()
        except FINAL as error:
            return f"refused: {type(error).__name__}"
        except PlatformError:
            continue
        return _ORDINALS[tries]
    raise AssertionError(f"not done after {MOST_TRIES} tries")


def _struck(stage: Stage, story: Story, kind: str) -> bool:
    return any(call["outcome"].split(" ")[-1] == kind for call in stage.simulator.calls(story.service, story.api))
