"""What vouches on this home: keys, tickets and links, for the command line, the review page and the notices.

    signed_decision / with_token               a decision with its ticket: signed by a key, or by somebody else
    page_decision                              the same, signed by the review page for whoever is logged in
    link_token / read_link                     a link in a notice: one person, one review; opening it changes nothing
    login_token / redeem_login                 a link that logs somebody in, once, within minutes

Nothing here reads the clock; `now` is the caller's. All of them raise only `platforms.errors`.
"""

import getpass
from datetime import datetime
from pathlib import Path

from contracts.base import Sha256
from contracts.review import Decision
from contracts.vouching import Link, Login, RefusedLink
from platforms.identity import decisions
from platforms.identity.folder import IdentityFolder
from platforms.identity.keys import Key, read_key
from platforms.identity.links import Links
from runtime.settings import Settings
from runtime.wiring import vault_from


def link_token(
    settings: Settings, *, person: str, endpoint: str, incident: str, evidence: str, expires: datetime, now: datetime
) -> str:
    """For the address of the review page in a notice to this person."""
    return _links(settings).link_token(
        person=person, endpoint=endpoint, incident=incident, evidence=evidence, expires=expires, now=now
    )


def read_link(settings: Settings, token: str, *, now: datetime) -> Link | RefusedLink:
    return _links(settings).read_link(token, now=now)


def login_token(settings: Settings, *, person: str, now: datetime) -> str:
    return _links(settings).login_token(person=person, now=now)


def redeem_login(settings: Settings, token: str, *, now: datetime) -> Login | RefusedLink:
    """The first time a Login, ever after refused."""
    return _links(settings).redeem_login(token, now=now)


def page_decision_token(
    settings: Settings, *, endpoint: str, incident: str, evidence: str, decision: Decision, login: str, now: datetime
) -> str:
    """`login` is for the record: 'logged in as SUBJECT by ISSUER', 'one-time link' or 'signed link'."""
    key = IdentityFolder(settings.home).page()
    return decisions.decision_token(
        key, endpoint=endpoint, incident=incident, evidence=evidence, decision=decision, login=login, now=now
    )


def page_decision(
    settings: Settings, *, endpoint: str, incident: str, evidence: str, decision: Decision, login: str, now: datetime
) -> Decision:
    """The decision with its ticket, ready to be sent."""
    token = page_decision_token(
        settings, endpoint=endpoint, incident=incident, evidence=evidence, decision=decision, login=login, now=now
    )
    return _with_ticket(decision, vault_from(settings).keep(token))


def signed_decision(
    settings: Settings, key: Key, *, endpoint: str, incident: str, evidence: str, decision: Decision, now: datetime
) -> Decision:
    """The decision with the ticket of the token that `key` signed for it."""
    token = decisions.decision_token(key, endpoint=endpoint, incident=incident, evidence=evidence, decision=decision, now=now)
    return _with_ticket(decision, vault_from(settings).keep(token))


def with_token(settings: Settings, decision: Decision, token: str) -> Decision:
    """The decision with the ticket of a token that somebody else signed: a company's issuer."""
    return _with_ticket(decision, vault_from(settings).keep(token))


def own_key(path: Path) -> Key:
    """Raises: NotFound, Invalid (others may read it, or it is no key)."""
    return read_key(path)


def local_key(settings: Settings) -> Key | None:
    """The key of the operating system's user, made when it is first needed; None where only other platforms' keys count."""
    user = os_user()
    return IdentityFolder(settings.home).local(user) if user and settings.platform == "local" else None


def key_files(settings: Settings) -> list[Path]:
    """Those that this home keeps."""
    return IdentityFolder(settings.home).key_files()


def os_user() -> str:
    """Empty where it has no name."""
    try:
        return getpass.getuser()[:200]
    except (KeyError, OSError):
        return ""


def _with_ticket(decision: Decision, ticket: Sha256) -> Decision:
    return decision.model_copy(update={"ticket": ticket})


def _links(settings: Settings) -> Links:
    return Links(IdentityFolder(settings.home))
