"""Reads a form that anybody may have written."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from review.guard import TooLarge

_FORM: Final = "application/x-www-form-urlencoded"
_FIELDS: Final = 30
_SECONDS: Final = 10.0
_LOCAL: Final = re.compile(r"/(?!/)[A-Za-z0-9._~/?&=%-]{0,500}")


class BadForm(Exception):
    """What is wrong with it, and the status that says so."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Form:
    """The last value of each field."""

    values: Mapping[str, str]

    def text(self, name: str) -> str:
        return self.values.get(name, "").strip()


async def read_form(request: Request) -> Form:
    """Raises: BadForm."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise BadForm("send the page's own form", 415)
    try:
        async with asyncio.timeout(_SECONDS):
            body = await request.body()
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except TooLarge:
        raise BadForm("the form is too long", 413) from None
    except (TimeoutError, ClientDisconnect):
        raise BadForm("the form did not arrive in time", 408) from None
    except ValueError:
        raise BadForm("the form can't be read") from None
    return Form({name: value.replace("\r\n", "\n").replace("\0", "") for name, value in pairs})


def local_path(path: str) -> str:
    """Where to go on after a login: a path of this page, or its front; never another site."""
    return path if _LOCAL.fullmatch(path) else "/"
