"""Who stands behind a decision: by a person's own key, the local user's, the review page's, or a company's issuer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from pydantic import ValidationError

from contracts.people import Issuer
from contracts.review import NotVouched, Verified, VerifyDecision, Vouched, VouchedBy
from contracts.vouching import DecisionClaims
from platforms.identity.folder import IdentityFolder
from platforms.identity.issuers import IssuerKeys
from platforms.identity.keys import Key, public_key
from platforms.identity.tokens import DECISION, ISSUER, PublicKey, Unchecked, UntrustedTokenError, check, forged, look_into
from policies.reviewers import by_login, is_nobody
from policies.vouching import Untrusted, claims_of, digest, key_id, other_decision

_MOST_LOGIN: Final = 300


class IdentityVerifier:
    """`folder` is that of the local platform; without one, only people's own keys and issuers vouch."""

    def __init__(self, folder: IdentityFolder | None, issuers: IssuerKeys | None = None) -> None:
        self._folder = folder
        self._issuers = issuers or IssuerKeys()

    def verify(self, request: VerifyDecision, token: str) -> Verified:
        """Raises: Unavailable (an issuer's keys can't be had now: nothing is known), Invalid (nor will they be)."""
        try:
            found = look_into(token)
            vouched = self._ours(request, found) if found.text("iss") == ISSUER else self._issued(request, found)
        except UntrustedTokenError as error:
            return Verified(refusal=error.why.kind, reason=error.why.reason)
        return Verified(vouched=vouched)

    def _ours(self, request: VerifyDecision, found: Unchecked) -> Vouched:
        how, key = self._signer(request, found)
        claims = check(found, key, issuer=ISSUER, audience=DECISION, at=request.at)
        _about(request, claims)
        return _vouched(how, found, claims, by=found.key_id, person=request.decision.reviewer)

    def _signer(self, request: VerifyDecision, found: Unchecked) -> tuple[VouchedBy, PublicKey]:
        """Whose key `kid` names. It has to be the reviewer's own, or one that may speak for them."""
        reviewer = request.decision.reviewer
        for name, person in request.people.items():
            for text in person.keys:
                key = public_key(text)
                if key is not None and key_id(text) == found.key_id:
                    if name != reviewer:
                        raise _refused(NotVouched.OTHER_DECISION, f"it was signed with the key of {name!r}, not of {reviewer!r}")
                    return VouchedBy.OWN_KEY, key
        if self._folder is not None:
            page = self._folder.known_page()
            if page is not None and page.id == found.key_id:
                return VouchedBy.PAGE, page.private.public_key()
            local = self._folder.known_local(reviewer)
            if local is not None and local.id == found.key_id:
                return VouchedBy.LOCAL_KEY, _local(request, local)
        raise _refused(
            NotVouched.UNKNOWN_KEY,
            f"no key {found.key_id[:16]!r} is known of {reviewer!r}: add it to `people` in the fleet file, or sign with another",
        )

    def _issued(self, request: VerifyDecision, found: Unchecked) -> Vouched:
        named = found.text("iss")
        name, issuer = next(((n, one) for n, one in request.issuers.items() if one.issuer == named), (None, None))
        if name is None or issuer is None:
            raise _refused(
                NotVouched.UNKNOWN_KEY, f"no issuer {named[:200]!r} is declared: add it to `issuers` in the fleet file"
            )
        key = self._issuers.find(issuer.jwks, found.key_id)
        if key is None:
            raise _refused(NotVouched.UNKNOWN_KEY, f"issuer {name!r} has no key {found.key_id[:100]!r}: get a new token from it")
        claims = check(found, key, issuer=issuer.issuer, audience=issuer.audience, at=request.at)
        _for_us_alone(claims, issuer)
        wanted = digest(_offered(request))
        if claims.get("nonce") != wanted:
            raise _refused(
                NotVouched.OTHER_DECISION, f"its token's nonce is not this decision's: ask the issuer for one with {wanted}"
            )
        return _vouched(VouchedBy.ISSUER, found, claims, by=issuer.issuer, person=_person(request, claims, issuer))


def _local(request: VerifyDecision, local: Key) -> PublicKey:
    """Where the fleet file says how somebody is known, the local user's key doesn't stand in for it."""
    person = request.people.get(request.decision.reviewer)
    if person is not None and (person.keys or person.subjects):
        raise _refused(
            NotVouched.UNKNOWN_KEY,
            f"the fleet file says how {request.decision.reviewer!r} is known, so the local key doesn't count: sign with `--key`",
        )
    return local.private.public_key()


def _about(request: VerifyDecision, claims: Mapping[str, Any]) -> None:
    try:
        signed = DecisionClaims.model_validate(claims.get("homeostat"))
    except ValidationError:
        raise forged("its token names no decision") from None
    other = other_decision(signed=signed, offered=_offered(request))
    if other is not None:
        raise UntrustedTokenError(other)
    if claims.get("sub") != request.decision.reviewer or not isinstance(claims.get("jti"), str):
        raise forged("its token names no person or has no id")


def _offered(request: VerifyDecision) -> DecisionClaims:
    return claims_of(endpoint=request.endpoint, incident=request.incident, evidence=request.evidence, decision=request.decision)


def _for_us_alone(claims: Mapping[str, Any], issuer: Issuer) -> None:
    """A token that others may use, too, has to have been asked for by us."""
    audience = claims["aud"]
    if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != issuer.audience:
        raise forged("its token is meant for others, too")
    if issuer.claim == "email" and claims.get("email_verified", True) is not True:
        raise forged("the issuer has not verified the e-mail address")


def _person(request: VerifyDecision, claims: Mapping[str, Any], issuer: Issuer) -> str:
    """Whom the fleet file knows by this login; where it declares no people, the login's own name."""
    said = [text for text in (claims.get(issuer.claim), claims.get("sub")) if isinstance(text, str) and text]
    person = by_login(said if request.people else said[:1], request.people)
    if is_nobody(person) or not (request.people or isinstance(claims.get(issuer.claim), str)):
        raise _refused(NotVouched.UNKNOWN_KEY, f"nobody in `people` has the login {said[:2]} among their subjects: add it there")
    return person


def _vouched(how: VouchedBy, found: Unchecked, claims: Mapping[str, Any], *, by: str, person: str) -> Vouched:
    ticket = sha256(found.token.encode()).hexdigest()
    login = claims.get("login", "") if how is VouchedBy.PAGE else ""
    return Vouched(
        person=person,
        how=how,
        by=by,
        login=str(login)[:_MOST_LOGIN],
        ticket=ticket,
        token_id=str(claims.get("jti") or ticket)[:200],
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
    )


def _refused(kind: NotVouched, reason: str) -> UntrustedTokenError:
    return UntrustedTokenError(Untrusted(kind, reason))
