"""A company's own login: its tokens count by its key set, which is fetched, kept, rotated, and sometimes down."""

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.people import Person
from contracts.review import NotVouched, VerifyDecision, VouchedBy
from platforms.errors import Invalid, Unavailable
from platforms.identity.issuers import AGAIN_SECONDS, KEPT_SECONDS, STALE_SECONDS, IssuerKeys
from platforms.identity.verifier import IdentityVerifier
from tests.platforms.signatures import COMPANY, Company, a_request, issued_for, sealed
from tests.platforms.test_identity import refusal


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def asked(company: Company, jwks: str | Path, **changes: Any) -> VerifyDecision:
    people = {"ana": Person(subjects=("ana@example.com",))}
    return a_request(issuers={"company": company.issuer(jwks)}, **{"people": people, **changes})


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_an_issuers_token_vouches_for_whom_the_fleet_file_knows_by_that_login(tmp_path: Path, algorithm: str) -> None:
    company = Company().add("k1", algorithm)
    request = asked(company, company.write(tmp_path / "keys.json"))
    answer = IdentityVerifier(None).verify(request, company.token("k1", issued_for(request)))
    assert answer.vouched is not None, answer.reason
    assert (answer.vouched.person, answer.vouched.how, answer.vouched.by) == ("ana", VouchedBy.ISSUER, COMPANY)
    assert answer.vouched.token_id == answer.vouched.ticket, "it gave no id of its own"


def test_where_no_people_are_declared_the_login_is_the_name(tmp_path: Path) -> None:
    company = Company().add("k1")
    request = asked(company, company.write(tmp_path / "keys.json"), people={})
    answer = IdentityVerifier(None).verify(request, company.token("k1", issued_for(request)))
    assert answer.vouched is not None
    assert answer.vouched.person == "ana@example.com"


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ({"nonce": "0" * 64}, NotVouched.OTHER_DECISION),
        ({"nonce": None}, NotVouched.OTHER_DECISION),
        ({"aud": "another-app"}, NotVouched.FORGED),
        ({"aud": ["homeostat-reviews", "another-app"]}, NotVouched.FORGED),
        ({"email": "mallory@example.com"}, NotVouched.UNKNOWN_KEY),
        ({"email": {"a": 1}, "sub": "x"}, NotVouched.UNKNOWN_KEY),
        ({"email": "ana", "sub": "ana"}, NotVouched.UNKNOWN_KEY),
        ({"email_verified": False}, NotVouched.FORGED),
        ({"exp": 1}, NotVouched.EXPIRED),
        ({"iss": "https://login.example.com.evil.example"}, NotVouched.UNKNOWN_KEY),
    ],
    ids=str,
)
def test_an_issuers_token_for_anything_else_is_refused_with_its_kind(
    tmp_path: Path, claims: dict[str, Any], kind: NotVouched
) -> None:
    company = Company().add("k1")
    request = asked(company, company.write(tmp_path / "keys.json"))
    assert refusal(request, company.token("k1", issued_for(request, **claims))) is kind


def test_neither_an_unsigned_token_nor_one_signed_with_the_public_key_counts(tmp_path: Path) -> None:
    company = Company().add("k1", "RS256")
    request = asked(company, company.write(tmp_path / "keys.json"))
    claims, modulus = issued_for(request), company.jwks()["keys"][0]["n"]
    unsigned = sealed({"alg": "none", "kid": "k1"}, claims)
    hmac = sealed({"alg": "HS256", "kid": "k1"}, claims, modulus.encode())
    assert [refusal(request, unsigned), refusal(request, hmac)] == [NotVouched.FORGED] * 2


def test_secrets_weak_keys_and_keys_for_encryption_in_a_set_verify_nothing(tmp_path: Path) -> None:
    company = Company().add("good", "RS256")
    good = company.jwks()["keys"][0]
    company.extra = [
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "secret"},
        {**good, "kid": "enc", "use": "enc"},
        {**good, "kid": "other-alg", "alg": "HS256"},
        {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA", "kid": "broken"},
        {**good, "n": "AQAB", "kid": "weak"},
        "no key at all",  # type: ignore[list-item]
    ]
    keys, jwks = IssuerKeys(), str(company.write(tmp_path / "keys.json"))
    found = [kid for kid in ("good", "secret", "enc", "other-alg", "broken", "weak") if keys.find(jwks, kid) is not None]
    assert found == ["good"]


def test_keys_are_kept_and_a_rotated_one_is_found_without_waiting_for_them_to_age() -> None:
    company, clock = Company().add("old"), Clock()
    keys = IssuerKeys(clock)
    with company.serving() as url:
        assert keys.find(url, "old") is not None
        assert keys.find(url, "old") is not None
        assert company.asked == 1, "kept"
        company.keys.clear()
        company.add("new")
        clock.now += AGAIN_SECONDS
        assert keys.find(url, "new") is not None
        assert keys.find(url, "old") is None, "rotated away"
    assert company.asked == 2


def test_unknown_keys_can_not_make_us_ask_an_issuer_over_and_over() -> None:
    company, clock = Company().add("k1"), Clock()
    keys = IssuerKeys(clock)
    with company.serving() as url:
        for n in range(50):
            assert keys.find(url, f"made-up-{n}") is None
        assert company.asked == 1
        clock.now += AGAIN_SECONDS
        keys.find(url, "made-up")
    assert company.asked == 2


def test_an_issuer_that_is_down_means_later_and_never_yes() -> None:
    company = Company().add("k1")
    with company.serving() as url:
        company.status = 503
        request = asked(company, url)
        token = company.token("k1", issued_for(request))
        verifier = IdentityVerifier(None)
        with pytest.raises(Unavailable, match="HTTP 503"):
            verifier.verify(request, token)
        company.status = 200
        assert verifier.verify(request, token).vouched is not None, "tried again"
    with pytest.raises(Unavailable, match="can't be reached"):
        IdentityVerifier(None).verify(request, token)


def test_keys_that_were_had_before_count_for_a_day_while_their_issuer_is_down() -> None:
    company, clock = Company().add("k1"), Clock()
    keys = IssuerKeys(clock)
    with company.serving() as url:
        assert keys.find(url, "k1") is not None
    clock.now += KEPT_SECONDS
    assert keys.find(url, "k1") is not None
    clock.now += STALE_SECONDS
    with pytest.raises(Unavailable):
        keys.find(url, "k1")


@pytest.mark.parametrize("address", ["http://login.example.com/keys", "ftp://127.0.0.1/keys", "file:///etc/passwd", "http://"])
def test_keys_come_by_https_or_from_a_file(address: str) -> None:
    with pytest.raises(Invalid, match="https"):
        IssuerKeys().find(address, "k1")


@pytest.mark.parametrize("content", ["", "[]", '{"keys": 3}', "[" * 100_000, "\0"], ids=range(5))
def test_what_is_no_key_set_is_refused_by_its_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(Invalid, match="no JSON Web Key Set"):
        IssuerKeys().find(str(path), "k1")


def test_a_key_set_that_is_not_there_is_asked_for_again(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="key set"):
        IssuerKeys().find(str(tmp_path / "keys.json"), "k1")


def test_an_issuer_that_drips_its_keys_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    company = Company().add("k1", "RS256")
    company.pause = 0.2
    monkeypatch.setattr("platforms.identity.issuers._MOST_SECONDS", 0.5)
    with company.serving() as url, pytest.raises(Unavailable, match="too slowly"):
        IssuerKeys().find(url, "k1")


def test_an_endless_key_set_is_cut_off(tmp_path: Path) -> None:
    company = Company().add("k1")
    company.extra = [{"kty": "RSA", "n": "A" * 300_000}]
    with company.serving() as url, pytest.raises(Invalid, match="no key set"):
        IssuerKeys().find(url, "k1")
    assert json.loads(company.write(tmp_path / "x").read_text())
