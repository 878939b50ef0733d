"""Signed tokens (JWT), made and read. Whatever is read is hostile until its signature has been checked.

The key alone says which algorithm counts; what the token's header says has to agree with it. So neither `none` nor an HMAC with
a public key as its secret can ever pass.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from contracts.review import NotVouched
from platforms.identity.keys import Key
from policies.vouching import LONGEST, Untrusted, untimely

ISSUER: Final = "homeostat"
"""The `iss` of every token that one of our own keys signs."""
DECISION, LINK, LOGIN = "homeostat/decision", "homeostat/link", "homeostat/login"
"""The `aud` says what a token is for: one made for a link decides nothing."""
MOST_BYTES: Final = 16_384
LEAST_RSA_BITS: Final = 2048
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{2,2048}\.[A-Za-z0-9_-]{2,14000}\.[A-Za-z0-9_-]{2,2048}")

PublicKey = Ed25519PublicKey | RSAPublicKey | EllipticCurvePublicKey


class UntrustedTokenError(Exception):
    """A token that vouches for nothing."""

    def __init__(self, why: Untrusted) -> None:
        super().__init__(why.reason)
        self.why = why


@dataclass(frozen=True)
class Unchecked:
    """What a token says of itself before anything is known about it: good for finding the key, and for nothing else."""

    token: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A claim, if it is a text."""
        value = self.claims.get(name)
        return value if isinstance(value, str) else ""

    @property
    def key_id(self) -> str:
        value = self.header.get("kid")
        return value if isinstance(value, str) else ""


def sign(key: Key, purpose: str, claims: Mapping[str, Any], *, now: datetime, valid: timedelta) -> str:
    """`claims` besides issuer, audience, times and the token's own id."""
    issued = int(now.timestamp())
    said = {"iss": ISSUER, "aud": purpose, "iat": issued, "exp": issued + int(valid.total_seconds()), "jti": uuid4().hex}
    return jwt.encode({**claims, **said}, key.private, algorithm="EdDSA", headers={"kid": key.id})


def look_into(token: str) -> Unchecked:
    """Raises: UntrustedTokenError (it has not the form of a signed token)."""
    if len(token) > MOST_BYTES or not _FORM.fullmatch(token):
        raise forged("it is no signed token")
    header, claims, signature = token.split(".")
    _checked(signature)
    found = Unchecked(token, _json(header), _json(claims))
    if "crit" in found.header or "b64" in found.header:
        raise forged("its token's header asks for more than is understood here")
    return found


def check(
    found: Unchecked, key: PublicKey, *, issuer: str, audience: str, at: datetime, longest: timedelta = LONGEST
) -> Mapping[str, Any]:
    """The claims, once signature, issuer, audience and times have been checked. Raises: UntrustedTokenError."""
    algorithm = algorithm_of(key)
    if algorithm is None or found.header.get("alg") != algorithm:
        raise forged(f"its token says alg {str(found.header.get('alg'))[:20]!r}, which its key doesn't sign with")
    try:
        claims = jwt.decode(
            found.token,
            key,
            algorithms=[algorithm],
            issuer=issuer,
            audience=audience,
            options={"require": ["iss", "aud", "iat", "exp"], "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise forged(f"its token doesn't hold ({type(error).__name__})") from None
    late = untimely(issued=claims["iat"], expires=claims["exp"], not_before=claims.get("nbf"), at=at, longest=longest)
    if late is not None:
        raise UntrustedTokenError(late)
    return dict(claims)


def algorithm_of(key: PublicKey) -> str | None:
    """The only one that counts with this key; None where the key is too weak or of another kind."""
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA"
    if isinstance(key, RSAPublicKey):
        return "RS256" if key.key_size >= LEAST_RSA_BITS else None
    return "ES256" if isinstance(key.curve, SECP256R1) else None


def forged(reason: str) -> UntrustedTokenError:
    return UntrustedTokenError(Untrusted(NotVouched.FORGED, f"{reason}: sign the decision again"))


def _checked(signature: str) -> None:
    try:
        _bytes(signature)
    except ValueError:
        raise forged("it is no signed token") from None


def _bytes(segment: str) -> bytes:
    """Only as whoever signs writes it: the same token has no second spelling, and so no second ticket."""
    content = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if urlsafe_b64encode(content).decode().rstrip("=") != segment:
        raise ValueError("not as it is written")
    return content


def _json(segment: str) -> dict[str, Any]:
    try:
        content = json.loads(_bytes(segment))
    except (ValueError, RecursionError):
        raise forged("it is no signed token") from None
    if not isinstance(content, dict):
        raise forged("it is no signed token")
    return content
