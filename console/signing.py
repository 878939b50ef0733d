"""`sign`, `keygen` and `login`: what vouches for people, made on this machine and shown to nobody else."""

import json
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from console.call import Call
from console.exits import Usage
from console.inputs import incident_name
from console.review import decided, waiting
from console.screen import Answer, safe
from console.signers import signer
from contracts.ids import lifecycle_id, remediation_id
from contracts.people import Name
from contracts.review import Decision
from platforms.identity.keys import Key, make_key
from policies.vouching import claims_of, digest
from runtime import identity

_NAME: TypeAdapter[str] = TypeAdapter(Name)


async def sign(call: Call) -> Answer:
    """Reads the evidence from the incident as it stands, unless it is given."""
    if call.given.approve == call.given.reject:
        raise Usage("say what you decide: --approve or --reject, one of them.")
    endpoint, incident = incident_name(call.given.incident)
    evidence = call.given.evidence or (await waiting(call, endpoint, incident)).evidence
    who = signer(call)
    decision = decided(call, approve=call.given.approve, reviewer=who.reviewer, evidence=evidence)
    assert decision.evidence is not None
    if call.given.nonce:
        return _nonce(endpoint, incident, decision)
    if who.key is None:
        raise Usage(
            f"--reviewer: no key here vouches for {who.reviewer[:80]!r}.",
            "Name your key with --key FILE; `python starter.py keygen` makes one.",
        )
    ready = who.signed(call, endpoint=endpoint, incident=incident, evidence=decision.evidence, decision=decision)
    return _signed(endpoint, incident, ready, who.how)


def _nonce(endpoint: str, incident: str, decision: Decision) -> Answer:
    assert decision.evidence is not None
    wanted = digest(claims_of(endpoint=endpoint, incident=incident, evidence=decision.evidence, decision=decision))

    def show(console: Console) -> None:
        console.print(safe(f"nonce     {wanted}"), soft_wrap=True)

    return Answer({"endpoint": endpoint, "incident": incident, "evidence": decision.evidence, "nonce": wanted}, show)


def _signed(endpoint: str, incident: str, decision: Decision, how: str) -> Answer:
    commands = _commands(endpoint, incident, decision)
    data: dict[str, Any] = {
        "endpoint": endpoint,
        "incident": incident,
        "evidence": decision.evidence,
        "reviewer": decision.reviewer,
        "ticket": decision.ticket,
        "commands": commands,
    }

    def show(console: Console) -> None:
        console.print(safe(f"signed by {decision.reviewer} with {how}"), soft_wrap=True)
        console.print(safe(f"ticket    {decision.ticket}", "bold"), soft_wrap=True)
        for command in commands.values():
            console.print(safe(command), soft_wrap=True)

    return Answer(data, show)


def _commands(endpoint: str, incident: str, decision: Decision) -> dict[str, str]:
    """To be typed as they are. A ticket is no secret: it says nothing to whoever can't read the vault."""
    said = decision.model_dump(mode="json", exclude_defaults=True, exclude={"approve"})
    verb = "approve" if decision.approve else "reject"
    update = ["temporal", "workflow", "update", "execute", "-w", remediation_id(endpoint, incident), "--name", "decide"]
    signal = ["temporal", "workflow", "signal", "-w", lifecycle_id(endpoint), "--name", verb]
    return {
        "update": shlex.join([*update, "--input", json.dumps({"approve": decision.approve, **said})]),
        "signal": shlex.join([*signal, "--input", json.dumps(said)]),
    }


async def keygen(call: Call) -> Answer:
    person = _person(call)
    out = _file(call.given.out, person)
    return _made(make_key(out, person), out)


def _file(given: str | None, person: str) -> Path:
    if given:
        return Path(given).expanduser()
    return Path.home() / ".config" / "homeostat" / f"{person.replace('/', '_')}.key"


def _made(key: Key, out: Path) -> Answer:
    lines = ["people:", f"  {json.dumps(key.person)}: {{keys: [{key.public}]}}"]

    def show(console: Console) -> None:
        console.print(safe(f"the private key is in {out}; only you may read it. For the fleet file:"), soft_wrap=True)
        for line in lines:
            console.print(safe(line), soft_wrap=True)

    return Answer({"person": key.person, "file": str(out), "key_id": key.id, "public": key.public}, show)


async def login(call: Call) -> Answer:
    person = _person(call)
    token = identity.login_token(call.settings, person=person, now=datetime.now(UTC))
    link = f"{call.settings.review_url.rstrip('/')}/login?token={token}"

    def show(console: Console) -> None:
        console.print(safe(f"logs in {person}, once, within ten minutes:"), soft_wrap=True)
        console.print(safe(link), soft_wrap=True)

    return Answer({"person": person, "link": link}, show)


def _person(call: Call) -> str:
    name = call.given.person or identity.os_user()
    try:
        return _NAME.validate_python(name)
    except ValidationError:
        raise Usage(
            f"--person: {name[:80]!r} is no person's name.",
            "Up to 100 signs without spaces, colons and commas, as in the fleet file.",
        ) from None
