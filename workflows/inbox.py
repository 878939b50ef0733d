"""Signals that can't be lost and can't poison: raw payloads in, one contract or a quarantined note out."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from contracts.alarm import QuarantinedSignal
from contracts.fleet import EndpointPolicy

M = TypeVar("M", bound=BaseModel)
HEAD = 500
MAX_BYTES = 64_000
"""Larger signals are quarantined: no history should grow by what nobody reads."""
POLICY_BYTES = 1_000_000
"""An endpoint's policy carries all the people whom the fleet file declares."""


class MalformedInputError(Exception):
    """What was sent can't be read as what was expected; the message says what to send."""


def parse(model: type[M], args: Sequence[RawValue], *, typed: bool = False, most: int = MAX_BYTES, **overrides: object) -> M:
    """Read the only argument as `model`; what a person `typed` may hold no unknown field. Raises: MalformedInputError."""
    content = raw(args, most)
    if not isinstance(content, dict):
        raise MalformedInputError(f"expected one JSON object ({model.__name__}), found {type(content).__name__}")
    try:
        return model.model_validate({**content, **overrides}, extra="forbid" if typed else None)
    except ValidationError as error:
        raise MalformedInputError(_in_words(model, error)) from None


def known(name: str, names: Sequence[str]) -> None:
    """Raises: MalformedInputError."""
    if name not in names:
        raise MalformedInputError(f"nothing here is called {name[:100]!r}; there is {', '.join(names)}")


def raw(args: Sequence[RawValue], most: int = MAX_BYTES) -> Any:  # noqa: ANN401 - whatever JSON came
    """The only argument as plain JSON. Raises: MalformedInputError."""
    if len(args) != 1:
        raise MalformedInputError(f"expected one JSON object, found {len(args)} arguments")
    if len(args[0].payload.data) > most:
        raise MalformedInputError(f"{len(args[0].payload.data)} bytes are more than the {most} that are read")
    try:
        return workflow.payload_converter().from_payload(args[0].payload)
    except Exception:  # noqa: BLE001 - a converter may raise anything on hostile bytes; the reason is what counts
        raise MalformedInputError("the payload is not JSON") from None


def _in_words(model: type[BaseModel], error: ValidationError) -> str:
    faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or model.__name__}: {e['msg']}" for e in error.errors()[:5])
    return f"not a valid {model.__name__}: {faults}"[:1000]


def policy(args: Sequence[RawValue], *, typed: bool = False) -> EndpointPolicy:
    """Raises: MalformedInputError."""
    return parse(EndpointPolicy, args, typed=typed, most=POLICY_BYTES)


def head(args: Sequence[RawValue]) -> str:
    return " ".join(a.payload.data[:HEAD].decode("utf-8", "replace") for a in args[:2])[:HEAD]


def quarantined(name: str, args: Sequence[RawValue], reason: str) -> QuarantinedSignal:
    return QuarantinedSignal(name=name[:100], reason=reason[:1000], head=head(args), received=workflow.now())


def refused(error: MalformedInputError) -> ApplicationError:
    """For an update's validator: the caller gets the type and the words."""
    return ApplicationError(str(error), type="Malformed", non_retryable=True)
