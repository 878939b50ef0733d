"""`approve` and `reject`: a person decides on the evidence that they saw."""

from typing import Final, NoReturn

from rich.console import Console

from console.call import Call
from console.exits import Missing, Refused
from console.inputs import contract, incident_name
from console.screen import Answer, safe, utc
from console.signers import signer, vouched_in_words
from console.temporal import lifecycle_status, remediation_status, update
from contracts.ids import remediation_id
from contracts.incident import RemediationStatus, Stage
from contracts.review import Decision, Resolution, ReviewOutcome

_FLAGS: Final = {"reviewer": "--reviewer", "note": "--note", "evidence": "--evidence", "only_if": "--only-if"}
_SIGN_AGAIN: Final = "Decide again: each decision is signed anew."
_ANOTHER_KEY: Final = "Sign with the key that the fleet file lists for you: --key FILE, or HOMEOSTAT_KEY_FILE."
_REMEDY: Final = {
    "AlreadyDecided": "`python starter.py status {endpoint}` shows what was decided.",
    "EvidenceChanged": "Read the newest report (`python starter.py status {endpoint}`), then decide on its digest.",
    "NotAnApprover": "Ask one of the reviewers that the fleet file lists for {endpoint}, or sign as yourself: --key FILE.",
    "NotWaiting": "`python starter.py status {endpoint}` shows where the incident stands.",
    "Malformed": "Check --reviewer, --note, --evidence and --only-if.",
    "Unverified": f"{_ANOTHER_KEY} `python starter.py keygen` makes one.",
    "UnknownKey": _ANOTHER_KEY,
    "OtherPerson": _ANOTHER_KEY,
    "OtherDecision": _SIGN_AGAIN,
    "Forged": _SIGN_AGAIN,
    "TicketExpired": _SIGN_AGAIN,
    "TicketUsed": _SIGN_AGAIN,
    "UnknownTicket": "Decide where the worker's HOMEOSTAT_HOME is: the vault lies there.",
    "IssuerUnreachable": "Try again once the issuer's keys can be had; nothing was decided.",
}


async def approve(call: Call) -> Answer:
    return await _decide(call, approve=True)


async def reject(call: Call) -> Answer:
    return await _decide(call, approve=False)


async def _decide(call: Call, *, approve: bool) -> Answer:
    endpoint, incident = incident_name(call.given.incident)
    status = await waiting(call, endpoint, incident)
    who = signer(call, token=call.given.token, unsigned=call.given.unsigned)
    decision = decided(call, approve=approve, reviewer=who.reviewer, evidence=call.given.evidence or status.evidence)
    assert decision.evidence is not None
    decision = who.signed(call, endpoint=endpoint, incident=incident, evidence=decision.evidence, decision=decision)
    try:
        outcome = await update(call, remediation_id(endpoint, incident), "decide", decision, ReviewOutcome)
    except Refused as refused:
        remedy = _REMEDY.get(refused.kind, "").format(endpoint=endpoint)
        raise Refused(refused.message, remedy, kind=refused.kind) from refused
    except Missing:
        _ended(endpoint, incident)
    return _answer(endpoint, incident, status, decision, outcome)


def decided(call: Call, *, approve: bool, reviewer: str, evidence: str | None) -> Decision:
    """What was typed, as a decision. Raises: Usage."""
    return contract(
        Decision,
        _FLAGS,
        approve=approve,
        reviewer=reviewer,
        note=call.given.note,
        evidence=evidence,
        only_if=tuple(getattr(call.given, "only_if", ())),
    )


async def waiting(call: Call, endpoint: str, incident: str) -> RemediationStatus:
    """The incident as it stands, if there is evidence to decide on. Raises: Missing, Refused (NotWaiting)."""
    try:
        status = await remediation_status(call, endpoint, incident)
    except Missing:
        raise await _no_such_incident(call, endpoint, incident) from None
    if status.stage == Stage.CLOSED:
        decided = status.review is not None and status.review.decision is not None
        _ended(endpoint, incident, status.sentence, kind="AlreadyDecided" if decided else "NotWaiting")
    if status.evidence is None:
        raise Refused(
            f"{endpoint}/{incident} has no evidence to decide on yet: it is at stage {status.stage.value}.",
            _REMEDY["NotWaiting"].format(endpoint=endpoint),
            kind="NotWaiting",
        )
    return status


def _ended(endpoint: str, incident: str, sentence: str = "", kind: str = "NotWaiting") -> NoReturn:
    raise Refused(
        f"{endpoint}/{incident} has ended{': ' + sentence if sentence else '.'}",
        _REMEDY["AlreadyDecided"].format(endpoint=endpoint),
        kind=kind,
    )


async def _no_such_incident(call: Call, endpoint: str, incident: str) -> Missing:
    try:
        opened = (await lifecycle_status(call, endpoint)).state.open
    except Missing:
        return Missing(f"NAME/ID: no endpoint {endpoint!r} runs.", "`python starter.py status` lists them.")
    there = f"The open one is {endpoint}/{opened.incident}." if opened else "None is open."
    return Missing(f"NAME/ID: {endpoint} has no incident {incident!r}. {there}")


def _after(outcome: ReviewOutcome) -> str:
    if outcome.resolution is Resolution.PENDING:
        return f"it counts; still to approve: {outcome.reason}"
    return "the challenger is to be promoted" if outcome.promote else "the champion stays"


def _answer(endpoint: str, incident: str, status: RemediationStatus, decision: Decision, outcome: ReviewOutcome) -> Answer:
    judged = status.judgement
    data = {
        "endpoint": endpoint,
        "incident": incident,
        "evidence": decision.evidence,
        "verdict": judged.verdict.value if judged else None,
        "sentence": judged.sentence if judged else status.sentence,
        "vouched": vouched_in_words(outcome, decision),
        "outcome": outcome.model_dump(mode="json"),
    }

    def show(console: Console) -> None:
        if judged:
            console.print(safe(f"verdict   {judged.verdict.value}: {judged.sentence}"), soft_wrap=True)
        console.print(safe(f"evidence  {decision.evidence}"), soft_wrap=True)
        console.print(safe(f"vouched   {data['vouched']}"), soft_wrap=True)
        after = _after(outcome)
        console.print(
            safe(f"{outcome.resolution.value} by {decision.reviewer} at {utc(outcome.decided_at)}: {after}", "bold"),
            soft_wrap=True,
        )

    return Answer(data, show)
