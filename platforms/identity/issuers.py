"""The public keys of a company's login (JWKS): fetched when they are needed, kept for a while, never taken on trust.

A key is looked up by its `kid`. One that isn't known makes the set be fetched again, at most once in a while, so that rotated
keys are found and unknown ones cost nobody anything.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import jwt

from platforms.errors import Invalid, Unavailable
from platforms.identity.tokens import PublicKey, algorithm_of

KEPT_SECONDS: Final = 600.0
AGAIN_SECONDS: Final = 30.0
"""An issuer whose keys we have is asked again after so long at the earliest: for an unknown `kid`, or for newer keys."""
STALE_SECONDS: Final = 86_400.0
"""While an issuer can't be reached, keys that it gave this long ago still count."""
_MOST_SETS, _MOST_KEYS, _MOST_BYTES = 32, 100, 262_144
_MOST_SECONDS: Final = 8.0
_TIMEOUT: Final = httpx.Timeout(5.0, connect=3.0)
_KINDS: Final = {"RSA", "EC", "OKP"}


@dataclass(frozen=True)
class _Set:
    keys: Mapping[str, PublicKey]
    fetched: float
    tried: float


class IssuerKeys:
    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._sets: OrderedDict[str, _Set] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, jwks: str, kid: str) -> PublicKey | None:
        """The key that `kid` names; None where the issuer has none of this name.

        Raises: Unavailable (the keys can't be had now), Invalid (what lies there are no keys).
        """
        with self._lock:
            known, now = self._sets.get(jwks), self._clock()
            if known is None or self._wanted(known, kid, now):
                known = self._again(jwks, known, now)
            self._sets[jwks] = known
            self._sets.move_to_end(jwks)
            while len(self._sets) > _MOST_SETS:
                self._sets.popitem(last=False)
        return known.keys.get(kid)

    @staticmethod
    def _wanted(known: _Set, kid: str, now: float) -> bool:
        waited = now - known.tried >= AGAIN_SECONDS
        return waited and (kid not in known.keys or now - known.fetched >= KEPT_SECONDS)

    @staticmethod
    def _again(jwks: str, known: _Set | None, now: float) -> _Set:
        try:
            return _Set(_keys(jwks), fetched=now, tried=now)
        except Unavailable:
            if known is None or now - known.fetched >= STALE_SECONDS:
                raise
            return _Set(known.keys, fetched=known.fetched, tried=now)


def _keys(jwks: str) -> Mapping[str, PublicKey]:
    content = _fetched(jwks) if "://" in jwks else _file(Path(jwks))
    try:
        listed = json.loads(content)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        listed = None
    if not isinstance(listed, list):
        raise Invalid(f"{jwks} holds no JSON Web Key Set. Correct `jwks` of the issuer in the fleet file")
    found = [(jwk.get("kid"), _key(jwk)) for jwk in listed[:_MOST_KEYS] if isinstance(jwk, dict)]
    return {kid: key for kid, key in found if isinstance(kid, str) and key is not None}


def _key(jwk: dict[str, Any]) -> PublicKey | None:
    """None for whatever can't verify a signature: secrets, keys for encryption, weak or unknown kinds."""
    if jwk.get("kty") not in _KINDS or jwk.get("use", "sig") != "sig" or "d" in jwk:
        return None
    try:
        key: PublicKey = jwt.PyJWK.from_dict(jwk).key
        algorithm = algorithm_of(key)
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError):
        return None
    return key if algorithm is not None and jwk.get("alg", algorithm) == algorithm else None


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}. Put the issuer's key set there") from error


def _fetched(url: str) -> bytes:
    """At most so many bytes, no redirects: what the fleet file names is asked, and nobody else."""
    if not _allowed(url):
        raise Invalid(f"{url[:200]}: an issuer's keys come by https. Correct `jwks` of the issuer in the fleet file")
    try:
        with httpx.stream("GET", url, timeout=_TIMEOUT, follow_redirects=False, headers={"Accept": "application/json"}) as answer:
            if answer.status_code != httpx.codes.OK:
                raise Unavailable(f"{url} answers HTTP {answer.status_code}. Check the issuer's key address, then decide again")
            return _bounded(answer, url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = type(error).__name__
        raise Unavailable(f"{url} can't be reached ({reason}). Decide again when the issuer's keys can be had") from error


def _bounded(answer: httpx.Response, url: str) -> bytes:
    content, begun = b"", monotonic()
    for chunk in answer.iter_bytes():
        content += chunk
        if monotonic() - begun > _MOST_SECONDS:
            raise Unavailable(f"{url} sends its keys too slowly. Decide again later")
        if len(content) > _MOST_BYTES:
            raise Invalid(f"{url} sends more than {_MOST_BYTES} bytes, which is no key set")
    return content


def _allowed(url: str) -> bool:
    """https, or plain http to this machine itself."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return True
    try:
        return parts.scheme == "http" and ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
