"""Decisions that somebody vouches for, from keygen to the record; and no token or key is ever where others can look."""

import asyncio
import io
import json
import os
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from contracts.fleet import EndpointPolicy
from contracts.incident import Outcome, Stage
from contracts.vouching import Login
from platforms.identity.folder import IdentityFolder
from platforms.identity.verifier import IdentityVerifier
from platforms.local.vault import LocalVault
from runtime import identity
from runtime.settings import Settings
from runtime.temporal_server import binary
from tests.console.conftest import Run, address
from tests.console.test_review_verbs import in_review
from tests.fakes import AS_OF, World, fake_platform
from tests.platforms.signatures import Company, a_request, issued_for
from tests.stories import Loop, a_policy, an_alarm, running_loop

USER = identity.os_user()


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "ana.key"


@pytest.fixture
def world() -> World:
    """People are asked: the challenger is no better."""
    world = World(challenger_quality=0.9)
    world.champion(quality=0.9)
    return world


def secret_in(file: Path) -> str:
    return str(json.loads(file.read_text())["d"])


def open_up(file: Path) -> None:
    file.chmod(0o644)


def strict(**review: Any) -> EndpointPolicy:
    return a_policy(review={"unverified": "refuse", **review})


@pytest_asyncio.fixture(loop_scope="session")
async def start(temporal_env: WorkflowEnvironment, task_queue: str, home: Path, world: World) -> AsyncIterator[Any]:
    """Run the loop on the real vault and the real keys of this home."""
    async with AsyncExitStack() as stack:

        async def begin(policy: EndpointPolicy) -> Loop:
            platform = fake_platform(world, vault=LocalVault(home), identity=IdentityVerifier(IdentityFolder(home)))
            return await stack.enter_async_context(running_loop(temporal_env, world, task_queue, policy, platform))

        yield begin


async def test_a_new_key_decides_once_its_public_half_is_in_the_policy(
    run: Run, start: Any, mine: Path, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = await run("keygen", "--person", "ana", "--out", str(mine), "--json")
    loop = await start(strict(people={"ana": {"keys": [made.data["public"]]}}))
    incident, handle = await in_review(loop)
    approved = await run("approve", incident, "--note", "worth it", "--key", str(mine), "--json")
    status = await loop.closed()
    assert approved.exit == 0, approved.err
    assert approved.data["vouched"] == f"own key {made.data['key_id']}"
    assert approved.data["outcome"]["identity"] == "own key"
    assert status.state.history[-1].outcome is Outcome.PROMOTED
    review = loop.world.records[0].entry.facts["review"]
    assert review["decisions"][0]["vouched"]["person"] == "ana"
    histories = [await each.fetch_history() for each in (handle, loop.lifecycle)]
    (token,) = (path.read_text() for path in (home / "vault").iterdir())
    secrets = [token, token.split(".")[2], secret_in(mine)]
    seen = "".join(
        [*(history.to_json() for history in histories), caplog.text, approved.out, approved.err, made.out, str(review)]
    )
    assert not [secret for secret in secrets if secret in seen]


async def test_without_a_key_of_ones_own_the_local_key_vouches_and_the_record_says_so(
    run: Run, start: Any, world: World, home: Path
) -> None:
    loop = await start(strict())
    incident, _ = await in_review(loop)
    unknown = await run("approve", incident, "--only-if", "moon_is_full", "--json")
    assert unknown.exit == 2
    assert "--only-if" in unknown.data["error"]["message"]
    assert not (home / "vault").exists(), "a condition that nobody knows is refused before anything is signed"
    ran = await run("approve", incident, "--only-if", "champion_unchanged", "--note", "worth a change")
    await loop.closed()
    assert ran.exit == 0, ran.err
    assert f"approved by {USER}" in ran.out
    assert "vouched   local key" in ran.out
    review = world.records[-1].entry.facts["review"]
    assert (review["identity"], review["decision"]["only_if"]) == ("local key", ["champion_unchanged"])


async def test_whoever_is_not_vouched_for_is_refused_with_what_to_do(run: Run, start: Any, mine: Path, tmp_path: Path) -> None:
    await run("keygen", "--person", "ana", "--out", str(mine))
    bo = await run("keygen", "--person", "bo", "--out", str(tmp_path / "bo.key"), "--json")
    loop = await start(strict(people={"ana": {}, "bo": {"keys": [bo.data["public"]]}, USER: {"keys": [bo.data["public"]]}}))
    incident, handle = await in_review(loop)
    ends = {
        "Unverified": await run("approve", incident, "--reviewer", "ana", "--json"),
        "UnknownKey": await run("approve", incident, "--key", str(mine), "--json"),
        "Usage": await run("approve", incident, "--key", str(mine), "--reviewer", "bo", "--json"),
    }
    assert {name: ran.data["error"]["type"] for name, ran in ends.items()} == {name: name for name in ends}
    assert all(ran.data["error"]["message"] for ran in ends.values())
    assert "--key" in ends["Unverified"].data["error"]["remedy"]
    open_up(mine)
    readable = await run("approve", incident, "--key", str(mine), "--json")
    assert readable.exit == 2
    assert f"chmod 600 {mine}" in readable.data["error"]["message"]
    local = await run("approve", incident, "--json")
    assert local.data["error"]["type"] == "UnknownKey", "the policy says how this user is known"
    refused = (await loop.incident_status(handle)).refused
    assert "UnknownKey" in {one.kind for one in refused}
    await run("reject", incident, "--note", "no", "--key", str(tmp_path / "bo.key"))
    await loop.closed()


async def typed(command: str, run_at: str) -> str:
    """Type a printed `temporal` command as it is, with the official binary; returns what it answered."""
    program, *words = shlex.split(command)
    assert program == "temporal"
    process = await asyncio.create_subprocess_exec(
        str(binary()),
        *words,
        env={**os.environ, "TEMPORAL_ADDRESS": run_at},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return said.decode()


async def test_the_temporal_command_decides_by_a_ticket_as_it_was_printed(
    run: Run, start: Any, mine: Path, temporal_env: WorkflowEnvironment
) -> None:
    made = await run("keygen", "--person", "ana", "--out", str(mine), "--json")
    loop = await start(strict(people={"ana": {"keys": [made.data["public"]]}}))
    incident, _ = await in_review(loop)
    words = ("sign", incident, "--key", str(mine), "--note", 'it\'s "worth" $5', "--json")
    signed = await run(*words, "--approve", "--only-if", "champion_unchanged")
    bare = shlex.split(signed.data["commands"]["update"])
    without = json.dumps({**json.loads(bare[-1]), "ticket": None})
    refused = await typed(shlex.join([*bare[:-1], without]), address(temporal_env))
    assert "nobody vouches" in refused
    assert "approved" in await typed(signed.data["commands"]["update"], address(temporal_env))
    history = (await loop.closed()).state.history
    assert history[-1].outcome is Outcome.PROMOTED
    loop.world.quality[loop.world.manifests[-1].champion.digest] = 0.9
    await loop.alarm(an_alarm(2, AS_OF + timedelta(days=60)))
    handle = await loop.in_stage(Stage.REVIEW)
    again = f"{loop.world.endpoint}/{handle.id.rsplit('/', 1)[1]}"
    stale = json.loads(bare[-1])
    await handle.signal("approve", {**stale, "evidence": (await loop.incident_status(handle)).evidence})
    signed = await run("sign", again, "--key", str(mine), "--note", "no", "--reject", "--json")
    await typed(signed.data["commands"]["signal"], address(temporal_env))
    history = (await loop.closed(2)).state.history
    assert history[-1].outcome is Outcome.HELD
    assert [one.kind for one in (await loop.incident_status(handle)).refused] == ["OtherDecision"], "replayed elsewhere"


async def test_a_companys_token_decides_from_a_file_or_stdin(
    run: Run, start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = Company().add("k1")
    issuer = company.issuer(company.write(tmp_path / "keys.json")).model_dump()
    loop = await start(strict(people={"ana": {"subjects": ["ana@example.com"]}}, issuers={"company": issuer}))
    incident, handle = await in_review(loop)
    asked = await run("sign", incident, "--approve", "--note", "seen", "--reviewer", "ana", "--nonce", "--json")
    claims = issued_for(a_request(at=datetime.now(UTC)), nonce=asked.data["nonce"])
    token = company.token("k1", claims)
    file = tmp_path / "token"
    file.write_text(token + "\n")
    other = await run("approve", incident, "--note", "another note", "--reviewer", "ana", "--token", str(file), "--json")
    assert other.data["error"]["type"] == "OtherDecision"
    nameless = await run("approve", incident, "--note", "seen", "--token", str(file), "--json")
    assert nameless.data["error"]["type"] == "Usage"
    monkeypatch.setattr(sys, "stdin", io.StringIO(token))
    ran = await run("approve", incident, "--note", "seen", "--reviewer", "ana", "--token", "-", "--json")
    await loop.closed()
    assert ran.exit == 0, ran.err
    assert ran.data["outcome"]["identity"] == "issuer"
    assert token not in (await handle.fetch_history()).to_json()


async def test_both_answers_or_none_is_no_decision(run: Run) -> None:
    for words in (["--approve", "--reject"], []):
        ran = await run("sign", "bikes/20240601T000000Z-ffffff", "--note", "x", *words, "--json")
        assert ran.exit == 2
        assert "--approve or --reject" in ran.data["error"]["message"]


async def test_a_login_link_logs_its_person_in_once(run: Run, home: Path) -> None:
    ran = await run("login", "--person", "ana", "--json")
    assert ran.exit == 0, ran.err
    address, _, token = ran.data["link"].partition("?token=")
    assert address == "http://127.0.0.1:8089/login"
    login = identity.redeem_login(Settings(home=home), token, now=datetime.now(UTC))
    assert isinstance(login, Login)
    assert login.person == "ana"


@pytest.mark.parametrize("name", ["a b", "a:b", "x" * 101])
async def test_what_is_no_name_gets_no_key(run: Run, tmp_path: Path, name: str) -> None:
    ran = await run("keygen", "--person", name, "--out", str(tmp_path / "k"), "--json")
    assert ran.exit == 2
    assert not (tmp_path / "k").exists()


async def test_a_key_is_never_overwritten_and_its_secret_never_shown(run: Run, mine: Path) -> None:
    first = await run("keygen", "--person", "ana", "--out", str(mine))
    secret = secret_in(mine)
    again = await run("keygen", "--person", "ana", "--out", str(mine))
    assert (first.exit, again.exit) == (0, 2)
    assert secret_in(mine) == secret
    assert secret not in first.out + first.err + again.out + again.err
    assert '"ana": {keys: [' in first.out
