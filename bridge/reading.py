"""Reads JSON from outside: bounded in size and depth, no duplicate keys, no NaN, no surprises."""

import json
from collections.abc import Mapping
from typing import Any, Final, Never

from bridge.items import HEAD, BodyError

MAX_BYTES: Final = 262_144
MAX_DEPTH: Final = 20
MAX_ALARMS: Final = 500

Json = Any
"""What `json.loads` makes: dict, list, str, int, float, bool, None."""


def read_json(body: bytes) -> Json:
    """The body as plain values.

    Raises:
        BodyError: it is empty, too large, not UTF-8, not JSON, too deep, or names a key twice.
    """
    if len(body) > MAX_BYTES:
        raise too_large()
    if not body.strip():
        raise BodyError(400, "the body is empty; send an alarm as JSON")
    try:
        value = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise BodyError(400, "the body isn't UTF-8", body) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise BodyError(400, f"the body isn't JSON: {error}", body) from None
    _check_depth(value)
    return value


def too_large(received: bytes = b"") -> BodyError:
    return BodyError(413, f"the body is larger than {MAX_BYTES} bytes; send fewer alarms at a time", received)


def kind_of_content(headers: Mapping[str, str]) -> str:
    """The media type without its parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def head(value: Json) -> str:
    """The beginning of an item as ASCII JSON, for logs."""
    return json.dumps(value)[:HEAD]


def _too_deep() -> BodyError:
    return BodyError(400, f"the body is nested deeper than {MAX_DEPTH} levels")


def _check_depth(value: Json) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [below for above in level for below in _inside(above)]
        if not level:
            return
    raise _too_deep()


def _inside(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    names = [name for name, _ in pairs]
    twice = next(name for name in names if names.count(name) > 1)
    raise ValueError(f"the key {twice[:80]!r} stands in one object twice")


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")
