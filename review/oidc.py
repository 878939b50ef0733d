"""Login by a company's OpenID Connect issuer: code flow with state, nonce and PKCE; the id token is checked by its own keys."""

from dataclasses import dataclass, field
from secrets import token_urlsafe
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import jwt
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from review.identity import NotAccepted
from review.sessions import Login, same
from runtime.errors import Misconfigured
from runtime.http_server import is_loopback
from runtime.settings import Settings

_ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
_PENDING_SECONDS: Final = 600.0
_MOST_PENDING: Final = 1000
_METADATA_SECONDS: Final = 3600.0
_KEYS_SECONDS: Final = 15.0
"""Keys are fetched again for an unknown key id, at most so often."""
_HTTP_SECONDS: Final = 10.0
_SCOPE: Final = "openid email profile"
_LARGEST: Final = 256 * 1024
_LEEWAY_SECONDS: Final = 30
_LONGEST_SUBJECT: Final = 200
_UNREACHABLE: Final = "the login service can't be reached; try again in a minute"


@dataclass(frozen=True)
class Pending:
    """A login that was begun, in the browser with this mark."""

    browser: str
    nonce: str
    verifier: str
    onward: str
    began: float


@dataclass
class Oidc:
    """One issuer, what it said of itself, and the logins that are under way."""

    issuer: str
    client_id: str
    client_secret: str
    callback: str
    claim: str
    _pending: dict[str, Pending] = field(default_factory=dict)
    _metadata: tuple[float, dict[str, Any]] = (0.0, {})
    _keys: tuple[float, list[jwt.PyJWK]] = (0.0, [])

    async def origin(self) -> str:
        """Where a browser is sent to log in; pages that lead there have to allow it. Raises: NotAccepted."""
        url = urlsplit((await self._known())["authorization_endpoint"])
        return f"{url.scheme}://{url.netloc}"

    async def begin(self, browser: str, onward: str) -> str:
        """The address to send the browser to. Raises: NotAccepted (the issuer can't be reached)."""
        metadata = await self._known()
        now, state = monotonic(), token_urlsafe(32)
        pending = Pending(browser, token_urlsafe(32), token_urlsafe(64), onward, now)
        self._pending = {key: one for key, one in self._pending.items() if now - one.began < _PENDING_SECONDS}
        if len(self._pending) >= _MOST_PENDING:
            raise NotAccepted("too many logins are under way; try again in a few minutes")
        self._pending[state] = pending
        address: str = prepare_grant_uri(
            metadata["authorization_endpoint"],
            self.client_id,
            "code",
            redirect_uri=self.callback,
            scope=_SCOPE,
            state=state,
            nonce=pending.nonce,
            code_challenge=create_s256_code_challenge(pending.verifier),
            code_challenge_method="S256",
        )
        return address

    async def end(self, browser: str, given: dict[str, str]) -> tuple[Login, str]:
        """Who came back, and where to go on. Raises: NotAccepted."""
        pending = self._pending.pop(given.get("state", ""), None)
        if pending is None or monotonic() - pending.began > _PENDING_SECONDS or not same(browser, pending.browser):
            raise NotAccepted("this login was not begun here, or too long ago; begin it again")
        if not given.get("code"):
            raise NotAccepted("the login service refused the login")
        claims = await self._verified(await self._token(given["code"], pending), pending.nonce)
        subject = claims.get(self.claim)
        if self.claim == "email" and claims.get("email_verified") is False:
            raise NotAccepted("the login service has not verified this e-mail address")
        if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
            raise NotAccepted(f"the login service says no {self.claim!r}; HOMEOSTAT_OIDC_CLAIM names another claim")
        return Login(subject, f"logged in as {subject} by {self.issuer}", self.issuer), pending.onward

    async def _token(self, code: str, pending: Pending) -> str:
        """The id token for a code. Raises: NotAccepted."""
        body = prepare_token_request("authorization_code", redirect_uri=self.callback, code=code, code_verifier=pending.verifier)
        method = "client_secret_basic" if self.client_secret else "none"
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        uri = (await self._known())["token_endpoint"]
        uri, headers, body = ClientAuth(self.client_id, self.client_secret, method).prepare("POST", uri, headers, body)
        token = (await self._fetch(uri, content=body, headers=headers)).get("id_token")
        if not isinstance(token, str):
            raise NotAccepted("the login service gave no id token; it has to speak OpenID Connect")
        return token

    async def _verified(self, token: str, nonce: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(str(header.get("kid", "")), str(header.get("alg", "")))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[name for name in _ALGORITHMS if name == key.algorithm_name],
                audience=self.client_id,
                issuer=self.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise NotAccepted(f"the login service's token does not hold: {str(error)[:200]}") from error
        if not same(str(claims.get("nonce", "")), nonce):
            raise NotAccepted("the login service's token answers another login; begin it again")
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != self.client_id:
            raise NotAccepted("the login service's token was made for somebody else")
        return claims

    async def _key(self, kid: str, algorithm: str) -> jwt.PyJWK:
        """Only keys for signatures by a known algorithm, so that no token can choose how it is checked."""
        if algorithm not in _ALGORITHMS:
            raise NotAccepted(f"the login service signs by {algorithm[:20]!r}, which doesn't count")
        for fresh in (False, True):
            fetched, keys = self._keys
            if fresh or not keys:
                if keys and monotonic() - fetched < _KEYS_SECONDS:
                    break
                found = jwt.PyJWKSet.from_dict(await self._fetch((await self._known())["jwks_uri"])).keys
                keys = [one for one in found if one.key_type in ("RSA", "EC", "OKP")]
                self._keys = (monotonic(), keys)
            for key in keys:
                if key.key_id == kid or (not kid and len(keys) == 1):
                    return _for_algorithm(key, algorithm)
        raise NotAccepted("the login service signed by a key that it doesn't publish")

    async def _known(self) -> dict[str, Any]:
        at, metadata = self._metadata
        if metadata and monotonic() - at < _METADATA_SECONDS:
            return metadata
        found = await self._fetch(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.issuer:
            raise NotAccepted("the login service calls itself otherwise than HOMEOSTAT_OIDC_ISSUER does")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(found.get(name), str) or not trustworthy(found[name]):
                raise NotAccepted(f"the login service names no {name} by https")
        self._metadata = (monotonic(), found)
        return found

    @staticmethod
    async def _fetch(url: str, content: str | None = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """A JSON object, by GET, or by POST where there is something to send. Raises: NotAccepted."""
        try:
            async with httpx.AsyncClient(timeout=_HTTP_SECONDS, trust_env=False) as client:
                answer = await client.request("GET" if content is None else "POST", url, content=content, headers=headers)
            found = answer.json() if answer.is_success and len(answer.content) <= _LARGEST else None
        except (httpx.HTTPError, ValueError) as error:
            raise NotAccepted(_UNREACHABLE) from error
        if not isinstance(found, dict):
            raise NotAccepted("the login service did not confirm the login; begin it again")
        return found


def _for_algorithm(key: jwt.PyJWK, algorithm: str) -> jwt.PyJWK:
    """A key says its algorithm, or its type does; a token that wants another one is refused by the check that follows."""
    if key.algorithm_name == "RS256" and algorithm == "PS256" and "alg" not in key._jwk_data:  # noqa: SLF001 - an RSA key that names no algorithm does both
        return jwt.PyJWK(key._jwk_data, algorithm="PS256")  # noqa: SLF001
    return key


def trustworthy(url: str) -> bool:
    """https, or this very machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def oidc_from(settings: Settings) -> Oidc | None:
    """Raises: Misconfigured."""
    if not settings.oidc_issuer:
        return None
    if not trustworthy(settings.oidc_issuer):
        raise Misconfigured(f"HOMEOSTAT_OIDC_ISSUER is {settings.oidc_issuer!r}; it has to be an https address")
    if not settings.oidc_client_id:
        raise Misconfigured("HOMEOSTAT_OIDC_ISSUER is set and HOMEOSTAT_OIDC_CLIENT_ID is not; set both or neither")
    return Oidc(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=_secret(settings),
        callback=f"{settings.review_url.rstrip('/')}/login/callback",
        claim=settings.oidc_claim,
    )


def _secret(settings: Settings) -> str:
    """From its file or its variable; without one the client is a public one, held by PKCE alone."""
    file = settings.oidc_client_secret_file
    if file is None:
        return settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else ""
    try:
        return file.read_text().strip()
    except (OSError, ValueError) as error:
        raise Misconfigured(f"HOMEOSTAT_OIDC_CLIENT_SECRET_FILE: {file} can't be read") from error
