"""Vouching by the keys of this home: the page's own, kept beside the others and readable by its owner only."""

from dataclasses import dataclass
from datetime import UTC, datetime

from contracts.review import Decision
from contracts.vouching import Link, RefusedLink
from review.identity import NotAccepted
from review.sessions import Login
from runtime import identity
from runtime.settings import Settings


@dataclass(frozen=True)
class PageIdentity:
    settings: Settings

    def redeem(self, token: str) -> Login:
        found = identity.redeem_login(self.settings, token, now=datetime.now(UTC))
        if isinstance(found, RefusedLink):
            raise NotAccepted(found.reason)
        return Login(found.person, "one-time link")

    def read_link(self, token: str) -> Link:
        found = identity.read_link(self.settings, token, now=datetime.now(UTC))
        if isinstance(found, RefusedLink):
            raise NotAccepted(found.reason)
        return found

    def vouch(self, endpoint: str, incident: str, decision: Decision, login: Login) -> Decision:
        return identity.page_decision(
            self.settings,
            endpoint=endpoint,
            incident=incident,
            evidence=decision.evidence or "",
            decision=decision,
            login=login.how,
            now=datetime.now(UTC),
        )
