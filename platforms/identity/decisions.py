"""Tokens that vouch for one decision, signed by a person's own key, the local user's, or the review page's."""

from datetime import datetime, timedelta
from typing import Final

from contracts.review import Decision
from platforms.identity.keys import Key
from platforms.identity.tokens import DECISION, sign
from policies.vouching import claims_of

VALID: Final = timedelta(hours=1)
"""From signing to deciding."""


def decision_token(
    key: Key, *, endpoint: str, incident: str, evidence: str, decision: Decision, now: datetime, login: str = ""
) -> str:
    """`login` says how the review page knew the person; nobody else has anything to say there."""
    claims = claims_of(endpoint=endpoint, incident=incident, evidence=evidence, decision=decision)
    said = {"sub": decision.reviewer, "homeostat": claims.model_dump(mode="json")}
    return sign(key, DECISION, said | ({"login": login} if login else {}), now=now, valid=VALID)
