"""Who stands behind a decision: what is signed rightly counts, and nothing else does."""

import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings, strategies

from contracts.people import Person
from contracts.review import NotVouched, VerifyDecision, VouchedBy
from platforms.errors import Invalid
from platforms.identity.decisions import decision_token
from platforms.identity.folder import IdentityFolder
from platforms.identity.keys import Key
from platforms.identity.tokens import LINK, MOST_BYTES
from platforms.identity.verifier import IdentityVerifier
from policies.vouching import SKEW
from tests.platforms.signatures import AT, EVIDENCE, a_decision, a_key, a_request, claims_for, later, sealed, signed

NOBODYS = IdentityVerifier(None)


def refusal(request: VerifyDecision, token: str, verifier: IdentityVerifier = NOBODYS) -> NotVouched:
    """Why it is refused, with a reason in words."""
    answer = verifier.verify(request, token)
    assert answer.vouched is None, answer
    assert answer.refusal is not None
    assert answer.reason
    return answer.refusal


def token_of(key: Key, request: VerifyDecision) -> str:
    return decision_token(
        key,
        endpoint=request.endpoint,
        incident=request.incident,
        evidence=request.evidence,
        decision=request.decision,
        now=request.at,
    )


def test_a_persons_own_key_vouches_for_the_decision_that_it_signed() -> None:
    key = a_key()
    request = a_request(key, a_key("bo"))
    answer = NOBODYS.verify(request, token_of(key, request))
    assert answer.refusal is None
    assert answer.vouched is not None
    assert (answer.vouched.person, answer.vouched.how, answer.vouched.by) == ("ana", VouchedBy.OWN_KEY, key.id)
    assert answer.vouched.token_id
    assert answer.vouched.expires_at is not None
    assert answer.vouched.expires_at > AT


@pytest.mark.parametrize(
    "change",
    [
        {"approve": False},
        {"note": "worth it!"},
        {"only_if": ("champion_unchanged",)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_token_counts_for_no_other_answer_note_or_condition(change: dict[str, Any]) -> None:
    key = a_key()
    token = token_of(key, a_request(key))
    assert refusal(a_request(key, decision=a_decision(**change)), token) is NotVouched.OTHER_DECISION


@pytest.mark.parametrize(
    "change",
    [{"endpoint": "trams"}, {"incident": "20260305T000000Z-1f2e3d"}, {"evidence": "f" * 64}],
    ids=lambda change: next(iter(change)),
)
def test_a_token_replayed_for_another_endpoint_incident_or_evidence_is_refused(change: dict[str, Any]) -> None:
    key = a_key()
    token = token_of(key, a_request(key))
    assert refusal(a_request(key, **change), token) is NotVouched.OTHER_DECISION


def test_nobody_signs_in_anothers_name() -> None:
    ana, bo = a_key("ana"), a_key("bo")
    request = a_request(ana, bo)
    assert refusal(request, token_of(bo, request)) is NotVouched.OTHER_DECISION


def test_a_key_that_the_policy_does_not_list_vouches_for_nobody() -> None:
    request = a_request(a_key())
    assert refusal(request, token_of(a_key(), request)) is NotVouched.UNKNOWN_KEY


def test_another_key_under_a_known_keys_id_is_forged() -> None:
    key = a_key()
    request = a_request(key)
    assert refusal(request, signed(a_key(), claims_for(request), kid=key.id)) is NotVouched.FORGED


def test_claims_that_were_altered_after_signing_are_forged() -> None:
    key = a_key()
    request = a_request(key, decision=a_decision(approve=False))
    header, _, signature = token_of(key, request).split(".")
    wanted = a_request(key)
    body = urlsafe_b64encode(json.dumps(claims_for(wanted)).encode()).decode().rstrip("=")
    assert refusal(wanted, f"{header}.{body}.{signature}") is NotVouched.FORGED


def test_a_token_without_a_signature_is_forged() -> None:
    key = a_key()
    request = a_request(key)
    for header in ({"alg": "none"}, {"alg": "None"}, {"alg": "EdDSA"}, {}):
        token = sealed({**header, "kid": key.id}, claims_for(request))
        assert refusal(request, token) is NotVouched.FORGED
        assert refusal(request, token.rpartition(".")[0] + ".") is NotVouched.FORGED


@pytest.mark.parametrize("secret", ["text", "raw", "der"])
def test_a_public_key_is_no_secret_to_sign_with(secret: str) -> None:
    key = a_key()
    public = key.private.public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    bytes_ = {"text": key.public.encode(), "raw": public.public_bytes_raw(), "der": der}[secret]
    request = a_request(key)
    token = sealed({"alg": "HS256", "kid": key.id}, claims_for(request), bytes_)
    assert refusal(request, token) is NotVouched.FORGED


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ({"exp": int(AT.timestamp())}, NotVouched.EXPIRED),
        ({"iat": int(later(minutes=2).timestamp())}, NotVouched.NOT_YET_VALID),
        ({"nbf": int(later(minutes=2).timestamp())}, NotVouched.NOT_YET_VALID),
        ({"exp": int(later(days=2).timestamp())}, NotVouched.FORGED),
        ({"exp": 1e300}, NotVouched.FORGED),
        ({"exp": "tomorrow"}, NotVouched.FORGED),
        ({"exp": True}, NotVouched.FORGED),
        ({"iat": -1}, NotVouched.FORGED),
        ({"iat": None}, NotVouched.FORGED),
        ({"aud": LINK}, NotVouched.FORGED),
        ({"aud": []}, NotVouched.FORGED),
        ({"sub": "bo"}, NotVouched.FORGED),
        ({"jti": None}, NotVouched.FORGED),
        ({"homeostat": None}, NotVouched.FORGED),
        ({"homeostat": {"approve": True}}, NotVouched.FORGED),
        ({"iss": ""}, NotVouched.UNKNOWN_KEY),
    ],
    ids=str,
)
def test_a_rightly_signed_token_with_wrong_claims_is_refused_with_its_kind(claims: dict[str, Any], kind: NotVouched) -> None:
    key = a_key()
    request = a_request(key)
    assert refusal(request, signed(key, claims_for(request, **claims))) is kind


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "iat", "exp", "jti", "homeostat"])
def test_a_token_that_leaves_out_a_claim_vouches_for_nothing(missing: str) -> None:
    key = a_key()
    request = a_request(key)
    claims = {name: value for name, value in claims_for(request).items() if name != missing}
    refusal(request, signed(key, claims))


def test_a_clock_that_is_a_little_ahead_is_forgiven() -> None:
    key = a_key()
    request = a_request(key)
    claims = claims_for(request, iat=int((AT + SKEW).timestamp()))
    assert NOBODYS.verify(request, signed(key, claims)).vouched is not None


@pytest.mark.parametrize("headers", [{"crit": ["exp"]}, {"b64": False}, {"kid": None}, {"kid": 7}, {"alg": "ES256"}], ids=str)
def test_a_header_that_asks_for_anything_else_is_refused(headers: dict[str, Any]) -> None:
    key = a_key()
    request = a_request(key)
    header = {"alg": "EdDSA", "typ": "JWT", "kid": key.id, **headers}
    said = sealed(header, claims_for(request)).rpartition(".")[0]
    signature = urlsafe_b64encode(key.private.sign(said.encode())).decode().rstrip("=")
    refusal(request, f"{said}.{signature}")


_DEEP = urlsafe_b64encode(b"[" * 9000).decode().rstrip("=")
_DIGITS = urlsafe_b64encode(b'{"exp":' + b"9" * 9000 + b"}").decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        "...",
        "a.b.c.d",
        "é.é.é",
        "\0" * 50,
        "a" * (MOST_BYTES + 1),
        f"e30.{_DEEP}.AAAA",
        f"e30.{_DIGITS}.AAAA",
        "W10.W10.W10",
    ],
    ids=range(10),
)
def test_what_is_no_token_is_refused_and_nothing_breaks(token: str) -> None:
    assert refusal(a_request(a_key()), token) is NotVouched.FORGED


@settings(max_examples=50)
@given(data=strategies.data())
def test_a_good_token_with_any_sign_changed_dropped_or_added_vouches_for_nothing(data: strategies.DataObject) -> None:
    key = a_key()
    request = a_request(key)
    good = signed(key, claims_for(request))
    at = data.draw(strategies.integers(0, len(good) - 1))
    sign = data.draw(strategies.sampled_from("ABCxyz019-_.=\0é"))
    changed = data.draw(
        strategies.sampled_from([good[:at] + sign + good[at + 1 :], good[:at] + good[at + 1 :], good[:at] + sign + good[at:]])
    )
    assert changed == good or refusal(request, changed)


@settings(max_examples=50)
@given(
    junk=strategies.recursive(
        strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(), strategies.lists, max_leaves=5
    ),
    name=strategies.sampled_from(["iss", "aud", "sub", "iat", "exp", "nbf", "jti", "homeostat", "login"]),
)
def test_whatever_a_claim_holds_the_answer_is_a_refusal_or_the_same_person(junk: Any, name: str) -> None:
    key = a_key()
    request = a_request(key)
    header = {"alg": "EdDSA", "kid": key.id}
    said = sealed(header, {**claims_for(request), name: junk}).rpartition(".")[0]
    signature = urlsafe_b64encode(key.private.sign(said.encode())).decode().rstrip("=")
    answer = NOBODYS.verify(request, f"{said}.{signature}")
    assert answer.refusal or (answer.vouched and answer.vouched.person == "ana")


def test_the_local_key_vouches_for_its_user_and_for_nobody_else(tmp_path: Path) -> None:
    folder = IdentityFolder(tmp_path)
    key = folder.local("ana")
    request = a_request()
    verifier = IdentityVerifier(folder)
    answer = verifier.verify(request, token_of(key, request))
    assert answer.vouched is not None
    assert (answer.vouched.person, answer.vouched.how) == ("ana", VouchedBy.LOCAL_KEY)
    others = a_request(decision=a_decision(reviewer="bo"))
    assert refusal(others, token_of(key, others), verifier) is NotVouched.UNKNOWN_KEY
    assert refusal(request, token_of(key, request)) is NotVouched.UNKNOWN_KEY, "without a local platform"


def test_the_local_key_does_not_stand_in_for_a_key_that_the_policy_lists(tmp_path: Path) -> None:
    folder = IdentityFolder(tmp_path)
    request = a_request(a_key("ana"))
    assert refusal(request, token_of(folder.local("ana"), request), IdentityVerifier(folder)) is NotVouched.UNKNOWN_KEY


def test_the_review_page_vouches_for_whom_it_has_logged_in_and_says_how(tmp_path: Path) -> None:
    folder = IdentityFolder(tmp_path)
    request = a_request(people={"ana": Person(subjects=("ana@example.com",))})
    token = decision_token(
        folder.page(),
        endpoint="bikes",
        incident=request.incident,
        evidence=EVIDENCE,
        decision=request.decision,
        now=AT,
        login="one-time link",
    )
    vouched = IdentityVerifier(folder).verify(request, token).vouched
    assert vouched is not None
    assert (vouched.how, vouched.login, vouched.person) == (VouchedBy.PAGE, "one-time link", "ana")
    assert refusal(request, token) is NotVouched.UNKNOWN_KEY


def test_a_key_of_the_loop_that_others_may_read_vouches_for_nothing(tmp_path: Path) -> None:
    folder = IdentityFolder(tmp_path)
    key = folder.page()
    path = folder.key_files()[0]
    path.chmod(0o640)
    request = a_request()
    with pytest.raises(Invalid, match=f"chmod 600 {path}"):
        IdentityVerifier(folder).verify(request, token_of(key, request))
