"""The step that asks who vouches: a refusal is an answer, and only what may be known later is tried again."""

from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.review import ReviewActivities
from contracts.people import Person
from contracts.review import NotVouched, Verified, VerifyDecision, VouchedBy
from platforms.identity.folder import IdentityFolder
from platforms.identity.verifier import IdentityVerifier
from platforms.local.vault import LocalVault
from tests.fakes import World, fake_platform
from tests.platforms.signatures import Company, a_decision, a_key, a_request, claims_for, issued_for, signed


@pytest.fixture
def vault(tmp_path: Path) -> LocalVault:
    return LocalVault(tmp_path)


def verified(tmp_path: Path, request: VerifyDecision) -> Verified:
    platform = fake_platform(World(), vault=LocalVault(tmp_path), identity=IdentityVerifier(IdentityFolder(tmp_path)))
    answer = ActivityEnvironment().run(ReviewActivities(platform).verify_decision, request)
    assert isinstance(answer, Verified)
    return answer


def with_ticket(request: VerifyDecision, ticket: str) -> VerifyDecision:
    return request.model_copy(update={"decision": request.decision.model_copy(update={"ticket": ticket})})


def test_a_ticket_stands_for_its_token_as_often_as_it_is_looked_at(tmp_path: Path, vault: LocalVault) -> None:
    key = a_key()
    request = a_request(key)
    request = with_ticket(request, vault.keep(signed(key, claims_for(request))))
    first, again = verified(tmp_path, request), verified(tmp_path, request)
    assert first == again, "killed and run twice is the same"
    assert first.vouched is not None
    assert (first.vouched.how, first.vouched.ticket) == (VouchedBy.OWN_KEY, request.decision.ticket)


def test_an_unknown_ticket_and_none_at_all_vouch_for_nothing(tmp_path: Path) -> None:
    for request in (a_request(), a_request(decision=a_decision(ticket="a" * 64))):
        answer = verified(tmp_path, request)
        assert (answer.refusal, answer.vouched) == (NotVouched.UNKNOWN_TICKET, None)
        assert "sign" in answer.reason


def test_a_file_of_the_vault_that_was_altered_is_forged(tmp_path: Path, vault: LocalVault) -> None:
    key = a_key()
    request = a_request(key)
    ticket = vault.keep(signed(a_key(), claims_for(request)))
    (tmp_path / "vault" / f"{ticket}.jwt").write_text(signed(key, claims_for(request)))
    assert verified(tmp_path, with_ticket(request, ticket)).refusal is NotVouched.FORGED


def test_an_issuer_that_is_down_is_asked_again_and_one_without_keys_is_not(tmp_path: Path, vault: LocalVault) -> None:
    company = Company().add("k1")
    with company.serving() as url:
        request = a_request(issuers={"company": company.issuer(url)}, people={"ana": Person(subjects=("ana@example.com",))})
        request = with_ticket(request, vault.keep(company.token("k1", issued_for(request))))
        company.status = 500
        with pytest.raises(ApplicationError) as down:
            verified(tmp_path, request)
        company.status = 200
        assert verified(tmp_path, request).vouched is not None
    assert (down.value.type, down.value.non_retryable) == ("Unavailable", False)
    file = tmp_path / "keys.json"
    file.write_text("not keys")
    with pytest.raises(ApplicationError) as wrong:
        verified(tmp_path, request.model_copy(update={"issuers": {"company": company.issuer(file)}}))
    assert (wrong.value.type, wrong.value.non_retryable) == ("Invalid", True)


def test_keys_that_others_can_read_end_the_step_with_the_command_that_mends_them(tmp_path: Path, vault: LocalVault) -> None:
    folder = IdentityFolder(tmp_path)
    key = folder.local("ana")
    request = a_request()
    request = with_ticket(request, vault.keep(signed(key, claims_for(request))))
    assert verified(tmp_path, request).vouched is not None
    (path,) = folder.key_files()
    path.chmod(0o604)
    with pytest.raises(ApplicationError, match=f"chmod 600 {path}") as refused:
        verified(tmp_path, request)
    assert refused.value.non_retryable
