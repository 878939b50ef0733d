"""What signed tokens say: which decision, which link, which login."""

from enum import StrEnum

from pydantic import Field

from contracts.base import Contract, EndpointName, Sha256, Utc


class DecisionClaims(Contract):
    """The one decision that a token is bound to."""

    endpoint: EndpointName
    incident: str = Field(max_length=200)
    evidence: Sha256
    approve: bool
    reviewer: str = Field(max_length=200)
    note_sha256: Sha256
    """Of the note's UTF-8 bytes: the words themselves stay out of the token."""
    only_if: tuple[str, ...] = ()


class Link(Contract):
    """What a signed link in a notice opens: one review, for one person."""

    person: str
    endpoint: EndpointName
    incident: str
    evidence: Sha256
    expires_at: Utc
    token_id: str


class Login(Contract):
    """Whom a one-time link logs in."""

    person: str
    token_id: str


class LinkFault(StrEnum):
    """Why a link opens nothing."""

    FORGED = "Forged"
    EXPIRED = "LinkExpired"
    NOT_YET_VALID = "NotYetValid"
    USED = "LinkUsed"


class RefusedLink(Contract):
    """A link that opens nothing, and why, in words that can be shown."""

    kind: LinkFault
    reason: str
