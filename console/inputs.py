"""Reads what was typed into contracts; every refusal names the argument and what is allowed."""

import getpass
import re
import socket
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from console.exits import Usage
from contracts.base import EndpointName
from contracts.ids import split_incident

M = TypeVar("M", bound=BaseModel)

_ENDPOINT: Final[TypeAdapter[str]] = TypeAdapter(EndpointName)
_INCIDENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SHOWN: Final = 80


def endpoint_name(text: str) -> str:
    try:
        return _ENDPOINT.validate_python(text)
    except ValidationError:
        raise Usage(
            f"ENDPOINT: {text[:_SHOWN]!r} is no endpoint name.",
            "Use 1 to 63 letters, digits and hyphens, as the fleet file does.",
        ) from None


def incident_name(text: str) -> tuple[str, str]:
    """'bikes/20120304T000000Z-1f2e3d' as endpoint and incident."""
    try:
        endpoint, incident = split_incident(text)
    except ValueError as error:
        raise Usage(f"NAME/ID: {str(error)[:300]}.") from None
    if not _INCIDENT.fullmatch(incident):
        raise Usage(f"NAME/ID: {incident[:_SHOWN]!r} is no incident id.", "Copy it from `python starter.py status`.")
    return endpoint_name(endpoint), incident


def contract(model: type[M], flags: Mapping[str, str], **fields: Any) -> M:  # noqa: ANN401 - raw input, checked by the model
    """Build the contract; `flags` says which argument each field came from."""
    try:
        return model(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else model.__name__
        raise Usage(f"{flags.get(name, name)}: {first['msg']}, found {str(first['input'])[:_SHOWN]!r}.") from None


def whoami() -> str:
    """Who sits at this command line, as far as it can tell: recorded as unverified."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"[:200]
