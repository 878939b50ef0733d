"""Who signs what is decided at this command line: a key in a file, a token from elsewhere, the local key, or nobody."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from console.call import Call
from console.exits import Usage
from console.inputs import whoami
from contracts.review import Decision, ReviewOutcome
from platforms.identity.keys import Key
from platforms.identity.tokens import MOST_BYTES
from runtime import identity

STDIN: Final = "-"
UNVERIFIED: Final = "nobody: the name is recorded as unverified"


@dataclass(frozen=True)
class Signer:
    """In whose name, and with what."""

    reviewer: str
    how: str
    """For people: what vouches."""
    key: Key | None = None
    token: str = ""

    def signed(self, call: Call, *, endpoint: str, incident: str, evidence: str, decision: Decision) -> Decision:
        """The decision with its ticket, or as it is where nobody vouches. Raises: PlatformError."""
        if self.token:
            return identity.with_token(call.settings, decision, self.token)
        if self.key is None:
            return decision
        return identity.signed_decision(
            call.settings,
            self.key,
            endpoint=endpoint,
            incident=incident,
            evidence=evidence,
            decision=decision,
            now=datetime.now(UTC),
        )


def signer(call: Call, *, token: str | None = None, unsigned: bool = False) -> Signer:
    """Raises: Usage (a name that isn't the key's), PlatformError (the key can't be read, or others may read it)."""
    named = call.given.reviewer
    if unsigned:
        return Signer(whoami() if named is None else named, UNVERIFIED)
    if token is not None:
        return _by_token(named, token)
    file = call.given.key or call.settings.key_file
    if file is not None:
        return _by_file(named, Path(file).expanduser())
    return _by_user(call, named)


def _by_token(named: str | None, file: str) -> Signer:
    if named is None:
        raise Usage("--reviewer: say in whose name the token was signed.", "It is the person's name in the fleet file.")
    return Signer(named, "a token from your issuer", token=_token_in(file))


def _by_file(named: str | None, file: Path) -> Signer:
    key = identity.own_key(file)
    if not (key.person or named):
        raise Usage(f"--key: {file} doesn't say whose it is.", "Name yourself with --reviewer.")
    if named is not None and key.person and named != key.person:
        raise Usage(f"--reviewer: the key in {file} is that of {key.person!r}, not of {named[:80]!r}.")
    return Signer(named or key.person, f"the key {key.id} in {file}", key)


def _by_user(call: Call, named: str | None) -> Signer:
    """The local key speaks for its own user only; any other name is a bare one."""
    user = identity.os_user()
    key = identity.local_key(call.settings) if named in (None, user) else None
    if key is None:
        return Signer(whoami() if named is None else named, UNVERIFIED)
    return Signer(user, f"the local key {key.id} of {user} on this machine", key)


def _token_in(file: str) -> str:
    """Never an argument: a list of processes shows those to everybody."""
    if file == STDIN:
        return sys.stdin.read(MOST_BYTES + 1).strip()
    try:
        with Path(file).expanduser().open(encoding="ascii") as opened:
            return opened.read(MOST_BYTES + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds other signs than a token does"
        raise Usage(f"--token: {file}: {reason}.", "Name a file that holds the token, or - for stdin.") from None


def vouched_in_words(outcome: ReviewOutcome, decision: Decision) -> str:
    """How this decision is vouched for, as the loop found it."""
    mine = next((one for one in reversed(outcome.decisions) if one.decision.ticket == decision.ticket), None)
    if mine is None or mine.vouched is None:
        return outcome.identity if decision.ticket is None else "not told"
    return f"{mine.vouched.how.value} {mine.vouched.by}".strip()
