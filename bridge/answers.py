"""The bridge's answers: JSON in ASCII, so that no text that came in can break what goes out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from starlette.responses import Response


class Result(StrEnum):
    """What became of one alarm of a body."""

    ACCEPTED = "accepted"
    CLEARED = "cleared"
    IGNORED = "ignored"
    REFUSED = "refused"
    UNKNOWN_ENDPOINT = "unknown_endpoint"


@dataclass(frozen=True)
class Told:
    """What the sender is told about one alarm."""

    index: int
    result: Result
    id: str = ""
    endpoint: str = ""
    reason: str = ""


def reply(status: int, content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(content) + "\n", status, dict(headers or {}), "application/json")


def failure(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Response:
    """The whole request can't be served; the reason says what to do."""
    return reply(status, {"error": reason}, headers)


def results(told: Sequence[Told]) -> Response:
    """202 where anything was taken; else 404 where only endpoints were unknown; else 400."""
    found = {one.result for one in told}
    taken = found & {Result.ACCEPTED, Result.CLEARED, Result.IGNORED}
    status = 202 if taken else 404 if found == {Result.UNKNOWN_ENDPOINT} else 400
    content: dict[str, Any] = {"results": [asdict(one) for one in told]}
    if not taken:
        content["error"] = told[0].reason
    return reply(status, content)
