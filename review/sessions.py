"""Who is logged in: kept here, in memory; the browser holds an id that is new at each login."""

import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_urlsafe
from time import monotonic
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_MOST: Final = 10_000
_IDLE_SECONDS: Final = 2 * 3600.0
_LONGEST_SECONDS: Final = 12 * 3600.0
_BEFORE_SECONDS: Final = 3600


@dataclass(frozen=True)
class Login:
    """Somebody, and how the page knows."""

    subject: str
    """Their name in the fleet file, or who they are at the issuer."""
    how: str
    """In words: 'logged in by https://issuer', 'one-time link'."""
    issuer: str = ""


@dataclass
class Session:
    """`csrf` stands in every form of this session."""

    login: Login
    began: float
    used: float
    csrf: str = field(default_factory=token_urlsafe)


class Sessions:
    def __init__(self, *, secure: bool, clock: Callable[[], float] = monotonic) -> None:
        self._secure = secure
        self._clock = clock
        self._secret = token_urlsafe(32).encode()
        self._kept: OrderedDict[str, Session] = OrderedDict()
        prefix = "__Host-" if secure else ""
        self.cookie = f"{prefix}homeostat"
        self.before = f"{prefix}homeostat-login"

    def of(self, request: Request) -> Session | None:
        key = _key(request.cookies.get(self.cookie, ""))
        session = self._kept.get(key)
        now = self._clock()
        if session is None:
            return None
        if now - session.used > _IDLE_SECONDS or now - session.began > _LONGEST_SECONDS:
            del self._kept[key]
            return None
        session.used = now
        return session

    def begin(self, request: Request, response: Response, login: Login) -> None:
        """A new id, always: one that somebody planted before the login is worth nothing."""
        self._kept.pop(_key(request.cookies.get(self.cookie, "")), None)
        value, now = token_urlsafe(32), self._clock()
        self._kept[_key(value)] = Session(login, now, now)
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        self._set(response, self.cookie, value, int(_LONGEST_SECONDS))
        response.delete_cookie(self.before, path="/", secure=self._secure, httponly=True, samesite="lax")

    def end(self, request: Request, response: Response) -> None:
        self._kept.pop(_key(request.cookies.get(self.cookie, "")), None)
        response.delete_cookie(self.cookie, path="/", secure=self._secure, httponly=True, samesite="lax")

    def browser(self, request: Request) -> str:
        """What a browser is known by before anybody has logged in; '' for a new one."""
        return request.cookies.get(self.before, "")[:100]

    def mark(self, request: Request, response: Response) -> str:
        """Give the browser its mark, so that a login can't be begun in one and ended in another."""
        known = self.browser(request) or token_urlsafe(32)
        self._set(response, self.before, known, _BEFORE_SECONDS)
        return known

    def form_token(self, browser: str) -> str:
        """For forms before the login."""
        return hmac.new(self._secret, browser.encode(), sha256).hexdigest() if browser else ""

    def _set(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(name, value, max_age=seconds, path="/", secure=self._secure, httponly=True, samesite="lax")


def same(one: str, other: str) -> bool:
    """In constant time; the empty text equals nothing."""
    return bool(one) and hmac.compare_digest(one.encode(), other.encode())


def _key(value: str) -> str:
    """The ids themselves are not kept."""
    return sha256(value.encode("utf-8", "replace")).hexdigest()
