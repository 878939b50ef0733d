"""One run of one verb: what was typed, the settings, and the ways to Temporal and to the platform."""

import argparse
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from pydantic import ValidationError
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from console.exits import Broken, Halt, Missing, Refused, Unreachable, Usage
from console.screen import Answer
from platforms.errors import Corrupt, Invalid, NotFound, PlatformError, Unavailable
from platforms.ports import Platform
from runtime.client import connect
from runtime.declared_file import DeclaredFileError
from runtime.errors import Misconfigured, StartError, TemporalUnreachable
from runtime.settings import Settings

_PLATFORM: dict[type[PlatformError], type[Halt]] = {
    NotFound: Missing,
    Invalid: Usage,
    Unavailable: Unreachable,
    Corrupt: Broken,
}
_START: dict[type[StartError], type[Halt]] = {
    TemporalUnreachable: Unreachable,
    Misconfigured: Usage,
    DeclaredFileError: Usage,
}
_NO_ANSWER = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
}


@dataclass
class Call:
    """Handed to every verb. Nothing is connected before it is needed."""

    given: argparse.Namespace
    settings: Settings
    _client: Client | None = field(default=None, init=False)

    @property
    def timeout(self) -> timedelta:
        return timedelta(seconds=self.given.timeout)

    async def client(self) -> Client:
        """Raises: Unreachable, Usage (by `translated`)."""
        if self._client is None:
            self._client = await connect(self.settings)
        return self._client

    @cached_property
    def platform(self) -> Platform:
        """The platform's ports. The adapters are loaded only by the verbs that use them, since that takes a while."""
        from runtime.wiring import platform_from

        return platform_from(self.settings)


async def perform(do: Callable[[Call], Awaitable[Answer]], given: argparse.Namespace) -> Answer:
    """Run a verb; whatever it can name comes out as a Halt."""
    with translated():
        return await do(Call(given, _settings()))


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the platform, Temporal and the runtime raise into a Halt with its exit code."""
    try:
        yield
    except PlatformError as error:
        raise _halt_for(error, _PLATFORM) from error
    except StartError as error:
        raise _halt_for(error, _START) from error
    except RPCError as error:
        raise from_rpc(error) from error


def _halt_for(error: Exception, table: "dict[type[PlatformError], type[Halt]] | dict[type[StartError], type[Halt]]") -> Halt:
    kind = next((halt for known, halt in table.items() if isinstance(error, known)), Refused)
    return kind(str(error), kind=type(error).__name__)


def from_rpc(error: RPCError) -> Halt:
    """What a refusal by the Temporal server means to an operator."""
    if error.status == RPCStatusCode.NOT_FOUND:
        return Missing(f"Temporal knows nothing of it: {error.message}.")
    if error.status == RPCStatusCode.FAILED_PRECONDITION:
        return Unreachable(f"no worker answers: {error.message}.", "Start one with `python worker.py` and try again.")
    if error.status in _NO_ANSWER:
        reason = error.message or error.status.name
        return Unreachable(
            f"Temporal gave no answer ({error.status.name}: {reason}).",
            "Check with `python starter.py doctor` that the server and a worker run, then try again.",
        )
    return Refused(f"Temporal refused the request ({error.status.name}: {error.message}).")


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "HOMEOSTAT_" + "_".join(str(part) for part in first["loc"]).upper()
        raise Usage(f"{name}: {first['msg']}.", "Correct the environment variable, or unset it.") from None
