"""Signed links: one that opens one review for one person, and one that logs somebody in once."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from contracts.review import NotVouched
from contracts.vouching import Link, LinkFault, Login, RefusedLink
from platforms.identity.folder import IdentityFolder
from platforms.identity.tokens import ISSUER, LINK, LOGIN, UntrustedTokenError, check, look_into, sign

LOGIN_VALID: Final = timedelta(minutes=10)
LINK_VALID: Final = timedelta(days=31)
"""At most, however late the deadline."""
_FAULT: Final = {NotVouched.EXPIRED: LinkFault.EXPIRED, NotVouched.NOT_YET_VALID: LinkFault.NOT_YET_VALID}
_AGAIN: Final = {
    LINK: "log in to the review page instead",
    LOGIN: "`python starter.py login` makes a new one",
}
_WORDS: Final = {
    LinkFault.FORGED: "This link was not made here, or it was cut off",
    LinkFault.EXPIRED: "This link has expired",
    LinkFault.NOT_YET_VALID: "This link is not good yet: the clocks of its maker and of this page disagree",
    LinkFault.USED: "This link has been used, and it works once",
}


class Links:
    def __init__(self, folder: IdentityFolder) -> None:
        self._folder = folder

    def link_token(self, *, person: str, endpoint: str, incident: str, evidence: str, expires: datetime, now: datetime) -> str:
        review = {"endpoint": endpoint, "incident": incident, "evidence": evidence}
        valid = max(min(expires - now, LINK_VALID), timedelta(0))
        return sign(self._folder.links(), LINK, {"sub": person, "review": review}, now=now, valid=valid)

    def read_link(self, token: str, *, now: datetime) -> Link | RefusedLink:
        """Opening it changes nothing, so it may be opened as often as one likes."""
        claims = self._claims(token, LINK, now)
        if isinstance(claims, RefusedLink):
            return claims
        review = claims.get("review")
        try:
            return Link(
                person=claims["sub"],
                expires_at=datetime.fromtimestamp(claims["exp"], UTC),
                token_id=claims["jti"],
                **(review if isinstance(review, dict) else {}),
            )
        except (ValidationError, TypeError, KeyError):
            return refused(LinkFault.FORGED, LINK)

    def login_token(self, *, person: str, now: datetime) -> str:
        return sign(self._folder.links(), LOGIN, {"sub": person}, now=now, valid=LOGIN_VALID)

    def redeem_login(self, token: str, *, now: datetime) -> Login | RefusedLink:
        """Once: who comes second is refused, even after a restart. Raises: Exhausted, Invalid, Unavailable."""
        claims = self._claims(token, LOGIN, now)
        if isinstance(claims, RefusedLink):
            return claims
        try:
            login = Login(person=claims["sub"], token_id=claims["jti"])
        except (ValidationError, KeyError):
            return refused(LinkFault.FORGED, LOGIN)
        return login if self._folder.use_once(login.token_id, now) else refused(LinkFault.USED, LOGIN)

    def _claims(self, token: str, purpose: str, now: datetime) -> Mapping[str, Any] | RefusedLink:
        key = self._folder.known_links()
        try:
            found = look_into(token)
            if key is None or found.key_id != key.id:
                return refused(LinkFault.FORGED, purpose)
            return check(found, key.private.public_key(), issuer=ISSUER, audience=purpose, at=now, longest=LINK_VALID)
        except UntrustedTokenError as error:
            return refused(_FAULT.get(error.why.kind, LinkFault.FORGED), purpose)


def refused(kind: LinkFault, purpose: str) -> RefusedLink:
    return RefusedLink(kind=kind, reason=f"{_WORDS[kind]}; {_AGAIN[purpose]}.")
