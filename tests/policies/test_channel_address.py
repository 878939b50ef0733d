"""Addresses of channels: no literal secret is taken, and none is ever shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.channel_address import Unset, expanded, mistakes, names, shown

TAKEN = [
    "json://localhost/page",
    "jsons://hooks.example.com:8443/alerts/ml",
    "mailto://mail.example.com?from=loop@example.com&to=team@example.com",
    "mailtos://loop:${MAIL_PASSWORD}@mail.example.com?to=team@example.com",
    "slack://${SLACK_A}/${SLACK_B}/${SLACK_C}/#ml-alerts",
    "slack://${SLACK}/%23alerts",
    "workflows://prod-01.westeurope.logic.azure.com:443/${WORKFLOW}/${SIGNATURE}",
    "gotify://push.example.com/${GOTIFY}",
    "ntfys://${TOPIC}",
    "${PAGER}",
    "sns:arn:aws:sns:eu-west-1:123456789012:alerts",
    "sns:arn:aws:sns:eu-west-1:123456789012:alerts.fifo",
]
REFUSED = [
    "slack://T0AAAAAAA/B0BBBBBBB/CCCCCCCCCCCCCCCCCCCCCCCC/#alerts",
    "slack://${A}/B0BBBBBBB/${C}",
    "discord://123456789012345678/aBcDeFgHiJkLmNoPqRsT",
    "discord://${ID}/abcDEF123456",
    "json://user:hunter@localhost/",
    "mailto://loop:hunter@mail.example.com",
    "mailtos://loop:hunter${X}@mail.example.com",
    "json://localhost/?+Authorization=Bearer%20abc",
    "json://localhost/hooks/0123456789abcdef0123",
    "tgram://123456789:abcdefg_hijklmnop/12315544/",
    "pover://${USER}@azGDORePK8gMaC0QOYAMyEEuzJnyUi",
    "ntfys://ntfy.sh/secret-topic",
    "workflows://host:443/abcdef0123456789/sig",
    "alerts@example.com",
    "sns:arn:aws:sns:eu-west-1:12:alerts",
    "json://localhost/${unfinished",
]


@pytest.mark.parametrize("address", TAKEN)
def test_an_address_whose_secrets_are_variables_is_taken(address: str) -> None:
    assert list(mistakes(address)) == []


@pytest.mark.parametrize("address", REFUSED)
def test_a_literal_secret_or_what_could_be_one_is_refused_and_not_repeated(address: str) -> None:
    found = list(mistakes(address))
    assert found
    for secret in ("hunter", "CCCCCC", "aBcDeF", "hijklmnop", "azGDORe", "0123456789", "Bearer"):
        assert secret not in " ".join(found)


def test_variables_are_put_in_and_quoted_where_they_could_become_a_host() -> None:
    environ = {"P": "a@evil.example/x", "T": "T0/B0/C0", "Q": "a&b=c"}
    assert expanded("mailtos://loop:${P}@mail.example.com", environ) == "mailtos://loop:a%40evil.example%2Fx@mail.example.com"
    assert expanded("slack://${T}/#alerts", environ) == "slack://T0/B0/C0/#alerts"
    assert expanded("json://localhost/?+X-Key=${Q}", environ) == "json://localhost/?+X-Key=a%26b%3Dc"
    assert expanded("${T}", {"T": " json://localhost/ \n"}) == "json://localhost/"


@pytest.mark.parametrize("environ", [{}, {"B": ""}])
def test_a_variable_that_is_not_set_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(Unset, match=r"environment variable B is not set where the worker runs"):
        expanded("slack://${A}/${B}", {"A": "1", **environ})


def test_what_is_put_in_is_not_read_again_for_variables() -> None:
    assert expanded("json://localhost/${A}", {"A": "${B}", "B": "secret"}) == "json://localhost/${B}"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("json://user:${P}@hooks.example.com:80/x?y=${Q}", "json://hooks.example.com"),
        ("slack://${A}/${B}/#alerts", "slack://..."),
        ("discord://123456789012345678/x", "discord://..."),
        ("${PAGER}", "${PAGER}"),
        ("sns:arn:aws:sns:eu-west-1:123456789012:alerts", "sns:arn:aws:sns:eu-west-1:123456789012:alerts"),
        ("hunter2", "an address"),
    ],
)
def test_logs_and_records_see_scheme_and_host(address: str, said: str) -> None:
    assert shown(address) == said


@given(st.text(max_size=80), st.text(st.characters(categories=["Lu", "Nd"]), min_size=12, max_size=40))
def test_no_address_makes_the_rules_stumble(text: str, token: str) -> None:
    list(mistakes(text))
    names(text)
    shown(text)
    assert list(mistakes(f"slack://{token}/#alerts"))
    assert token not in shown(f"slack://{token}/#alerts")
