"""Every way to be somebody else, offered to a review that waits, with the real vault and the real keys: none of them counts."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from contracts.incident import Outcome, Stage
from contracts.review import Decision, ReviewOutcome, VerifyDecision
from platforms.identity.folder import IdentityFolder
from platforms.identity.issuers import STALE_SECONDS, IssuerKeys
from platforms.identity.tokens import LINK
from platforms.identity.verifier import IdentityVerifier
from platforms.local.vault import LocalVault
from tests.fakes import World, fake_platform
from tests.platforms.signatures import Company, a_key, a_request, claims_for, issued_for, sealed, signed
from tests.stories import Loop, a_policy, running_loop

ANA, BO, MALLORY = a_key("ana"), a_key("bo"), a_key("ana")
COMPANY = Company().add("k1")
DOWN = "IssuerUnreachable"


class Aged:
    """The clock by which an issuer's keys grow old."""

    clock = 0.0

    def __call__(self) -> float:
        return self.clock


def a_policy_of(url: str) -> Any:
    people = {"ana": {"keys": [ANA.public], "subjects": ["ana@example.com"]}, "bo": {"keys": [BO.public]}}
    issuers = {"company": COMPANY.issuer(url).model_dump()}
    return a_policy(review={"people": people, "issuers": issuers, "reviewers": ["ana"], "unverified": "refuse"})


def hostile(request: VerifyDecision) -> dict[str, str]:
    """Tokens by the refusal that they are to get; each would be good but for one thing."""
    now = int(request.at.timestamp())
    good = claims_for(request)
    other = claims_for(request.model_copy(update={"incident": "20230101T000000Z-000000"}))
    return {
        "Forged: another key under ana's id": signed(MALLORY, good, kid=ANA.id),
        "Forged: not signed": sealed({"alg": "none", "kid": ANA.id}, good),
        "Forged: the public key as a secret": sealed({"alg": "HS256", "kid": ANA.id}, good, ANA.public.encode()),
        "Forged: made for a link": signed(ANA, {**good, "aud": LINK}),
        "Forged: good for a year": signed(ANA, {**good, "exp": now + 365 * 86400}),
        "Forged: no token at all": "approve this",
        "UnknownKey: a key of nobody": signed(MALLORY, good),
        "OtherDecision: signed by bo": signed(BO, good),
        "OtherDecision: replayed from another incident": signed(ANA, other),
        "OtherDecision: the company's, for something else": COMPANY.token("k1", issued_for(request, nonce="0" * 64)),
        "TicketExpired: an hour ago": signed(ANA, {**good, "iat": now - 7200, "exp": now - 3600}),
        "NotYetValid: in an hour": signed(ANA, {**good, "iat": now + 3600, "exp": now + 7200}),
        "IssuerUnreachable: its keys can't be had": COMPANY.token("k1", issued_for(request)),
    }


async def offered(handle: WorkflowHandle[Any, Any], decision: Decision, ticket: str) -> ReviewOutcome | str:
    """What it came to, or the type of its refusal."""
    try:
        outcome: ReviewOutcome = await handle.execute_update(
            "decide", decision.model_copy(update={"ticket": ticket}), result_type=ReviewOutcome
        )
    except WorkflowUpdateFailedError as error:
        return str(getattr(error.cause, "type", error.cause))
    return outcome


async def asked_for(loop: Loop, handle: WorkflowHandle[Any, Any]) -> VerifyDecision:
    evidence = (await loop.incident_status(handle)).evidence
    assert evidence is not None
    decision = Decision(approve=True, reviewer="ana", note="worth it", evidence=evidence)
    incident = handle.id.rsplit("/", 1)[1]
    return a_request(decision=decision, endpoint=loop.world.endpoint, incident=incident, evidence=evidence, at=datetime.now(UTC))


async def test_none_of_the_forged_expired_and_replayed_tokens_counts_and_the_record_names_them_all(
    temporal_env: WorkflowEnvironment, task_queue: str, tmp_path: Path
) -> None:
    world, vault = World(challenger_quality=0.9), LocalVault(tmp_path)
    world.champion(quality=0.9)
    issuers = Aged()
    platform = fake_platform(world, vault=vault, identity=IdentityVerifier(IdentityFolder(tmp_path), IssuerKeys(issuers)))
    with COMPANY.serving() as url:
        async with running_loop(temporal_env, world, task_queue, a_policy_of(url), platform) as loop:
            await loop.alarm()
            handle = await loop.in_stage(Stage.REVIEW)
            request = await asked_for(loop, handle)
            tokens = hostile(request)
            found = {}
            for name, token in tokens.items():
                if name.startswith(DOWN):
                    COMPANY.status = 503
                    issuers.clock += STALE_SECONDS
                found[name] = await offered(handle, request.decision, vault.keep(token))
            assert found == {name: name.partition(":")[0] for name in tokens}
            assert (await loop.incident_status(handle)).decisions == ()
            COMPANY.status = 200
            outcome = await offered(handle, request.decision, vault.keep(tokens[f"{DOWN}: its keys can't be had"]))
            history = (await loop.closed()).state.history
            told = (await handle.fetch_history()).to_json()
    assert isinstance(outcome, ReviewOutcome)
    assert (outcome.promote, outcome.identity) == (True, "issuer"), "once the issuer is back, the same ticket counts"
    assert history[0].outcome is Outcome.PROMOTED
    refused = [one["kind"] for one in world.records[-1].entry.facts["refused"]]
    assert refused == [name.partition(":")[0] for name in tokens]
    assert not [name for name, token in tokens.items() if token in told]
