"""Who vouches for a decision made on the page, and what a link is worth: as the page wants it, whoever does it."""

from typing import Protocol

from contracts.review import Decision, ReviewPolicy
from contracts.vouching import Link
from policies.reviewers import by_login, deciders, members
from review.sessions import Login


class NotAccepted(Exception):
    """A link or a login that doesn't count; the message says why and what to do."""


class Vouching(Protocol):
    """Methods block: they read and write files."""

    def redeem(self, token: str) -> Login:
        """Use a one-time link up. Raises: NotAccepted."""
        ...

    def read_link(self, token: str) -> Link:
        """Look at a notice's link; nothing is used up. Raises: NotAccepted."""
        ...

    def vouch(self, endpoint: str, incident: str, decision: Decision, login: Login) -> Decision:
        """The decision with a ticket under which the page says who had logged in. Raises: NotAccepted, PlatformError."""
        ...


def person_of(login: Login, review: ReviewPolicy | None) -> str:
    """Their name in this endpoint's fleet file: that for which a link was made, or whose login the issuer's word is."""
    if not login.issuer or review is None:
        return login.subject
    return by_login((login.subject,), review.people)


def may_decide(person: str, review: ReviewPolicy | None) -> bool:
    """As far as a page can tell, for its order and its hints: the loop decides about each decision itself."""
    if review is None:
        return True
    allowed = deciders(review)
    stand_ins = {one.to for one in review.delegations if allowed is None or one.of in allowed}
    later = members([who for step in review.escalate if step.may_decide for who in step.tell], review)
    return allowed is None or person in allowed or person in stand_ins or person in later
