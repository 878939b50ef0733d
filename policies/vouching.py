"""What a signed token has to say for its decision to be vouched for."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from contracts.review import Decision, NotVouched, ReviewPolicy, Vouched, VouchedBy
from contracts.vouching import DecisionClaims

LONGEST = timedelta(hours=24)
"""A token that claims to be good for longer is refused: what is stolen should be worth little."""
SKEW = timedelta(seconds=60)
"""So far may the signer's clock be ahead of ours."""
_LATEST = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())


@dataclass(frozen=True)
class Untrusted:
    """Why a token vouches for nothing."""

    kind: NotVouched
    reason: str


def key_id(public: str) -> str:
    """16 hex digits that name a public key: a token's `kid`. It only says which key to try."""
    return sha256(public.encode()).hexdigest()[:16]


def withdrawn(vouched: Vouched, review: ReviewPolicy) -> bool:
    """Whether the key or the issuer that vouched has been taken out of the policy since."""
    person = review.people.get(vouched.person)
    if vouched.how is VouchedBy.OWN_KEY and vouched.by and person is not None:
        return vouched.by not in map(key_id, person.keys)
    return vouched.how is VouchedBy.ISSUER and bool(vouched.by) and vouched.by not in {i.issuer for i in review.issuers.values()}


def claims_of(*, endpoint: str, incident: str, evidence: str, decision: Decision) -> DecisionClaims:
    """What a token for this decision has to say."""
    return DecisionClaims(
        endpoint=endpoint,
        incident=incident,
        evidence=evidence,
        approve=decision.approve,
        reviewer=decision.reviewer,
        note_sha256=sha256(decision.note.encode(errors="surrogatepass")).hexdigest(),
        only_if=decision.only_if,
    )


def digest(claims: DecisionClaims) -> str:
    """The decision in 64 hex digits: the `nonce` that a company's issuer is asked to put into its token."""
    text = json.dumps(claims.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def other_decision(*, signed: DecisionClaims, offered: DecisionClaims) -> Untrusted | None:
    """None where the token is about this decision and no other."""
    said, wanted = signed.model_dump(), offered.model_dump()
    differing = [name.replace("note_sha256", "note") for name, value in wanted.items() if said[name] != value]
    if not differing:
        return None
    return Untrusted(
        NotVouched.OTHER_DECISION, f"its token was signed for another {' and '.join(differing)}: sign this decision itself"
    )


def untimely(
    *, issued: object, expires: object, not_before: object, at: datetime, longest: timedelta = LONGEST
) -> Untrusted | None:
    """None where the token is good at `at`. The three are what the token says, which may be anything."""
    if not (_is_time(issued) and _is_time(expires) and (not_before is None or _is_time(not_before))):
        return Untrusted(NotVouched.FORGED, "its token's times are no seconds since 1970: sign the decision again")
    assert isinstance(issued, int | float)
    assert isinstance(expires, int | float)
    now, skew = at.timestamp(), SKEW.total_seconds()
    if now >= expires:
        return Untrusted(NotVouched.EXPIRED, f"its token expired at {_shown(expires)}: sign the decision again")
    begins = max(issued, not_before if isinstance(not_before, int | float) else issued)
    if begins > now + skew:
        return Untrusted(NotVouched.NOT_YET_VALID, f"its token is good from {_shown(begins)} on: check the signer's clock")
    if expires - issued > longest.total_seconds():
        hours = longest.total_seconds() / 3600
        return Untrusted(NotVouched.FORGED, f"its token claims to be good for more than {hours:g} hours: sign with less")
    return None


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST


def _shown(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
