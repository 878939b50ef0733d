"""A review policy that could never work is refused before anybody waits for it."""

from typing import Any

import pytest

from contracts.review import ReviewPolicy
from policies.review_mistakes import mistakes

KEY, OTHER = "A" * 43, "B" * 42 + "A"
PEOPLE: dict[str, Any] = {
    "ada": {"roles": ["ml"], "keys": [KEY], "subjects": ["ada@example.com"]},
    "grace": {"roles": ["business"]},
    "linus": {"roles": ["ml", "business"]},
}


def said(**policy: Any) -> dict[str, str]:
    review = ReviewPolicy.model_validate({"people": PEOPLE, "groups": {"owners": ["ada", "grace"]}, **policy})
    return {".".join(map(str, place)): text for place, text in mistakes(review)}


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"reviewers": ["ada", "group:owners", "role:ml"]},
        {"unverified": "accept", "reviewers": ["ada"]},
        {"reviewers": ["group:owners"], "quorum": {"count": 2, "roles": {"ml": 1, "business": 1}}},
        {"people": {}, "groups": {}, "reviewers": ["anybody", "by name"], "quorum": {"count": 2}},
        {"delegations": [{"of": "ada", "to": "linus", "until": "2030-01-01T00:00:00Z"}]},
        {"escalate": [{"after": "12h", "tell": ["role:business", "pager"]}], "reach": {"pager": {"url": "json://localhost"}}},
        {"reviewers": ["ada"], "quorum": {"count": 2}, "escalate": [{"after": "1h", "tell": ["grace"], "may_decide": True}]},
        {"quiet_hours": {"start": "22:00", "end": "07:00", "zone": "Europe/Berlin"}, "reminders": ["2h", "20h"]},
        {"issuers": {"us": {"issuer": "https://login", "audience": "homeostat", "jwks": "/etc/homeostat/keys.json"}}},
    ],
)
def test_a_policy_that_can_work_has_no_mistakes(policy: dict[str, Any]) -> None:
    assert said(**policy) == {}


@pytest.mark.parametrize(
    ("policy", "place", "text"),
    [
        ({"reviewers": ["ada", "mallory"]}, "reviewers.1", "'mallory' is not among `people`; known: ada, grace, linus"),
        ({"reviewers": ["group:owner"]}, "reviewers.0", "there is no group 'owner'; known: owners"),
        ({"reviewers": ["role:law"]}, "reviewers.0", "nobody in `people` has the role 'law'"),
        ({"groups": {"owners": ["bob"]}}, "groups.owners.0", "'bob' is not among `people`"),
        (
            {"delegations": [{"of": "ada", "to": "bob", "until": "2030-01-01T00:00:00Z"}]},
            "delegations.0.to",
            "'bob' is not among `people`",
        ),
        (
            {"delegations": [{"of": "ada", "to": "ada", "until": "2030-01-01T00:00:00Z"}]},
            "delegations.0.to",
            "'ada' can't stand in for themselves",
        ),
        ({"escalate": [{"after": "1h", "tell": ["cto"]}]}, "escalate.0.tell.0", "'cto' is not among `people`"),
        ({"escalate": [{"after": "24h", "tell": ["ada"]}]}, "escalate.0.after", "never comes: the review ends first"),
        ({"reminders": ["1h", "30h"]}, "reminders.1", "never comes: the review ends first"),
        ({"reviewers": ["ada"], "quorum": {"count": 2}}, "quorum.count", "can't be met: only 1 may decide"),
        (
            {"reviewers": ["grace", "linus"], "quorum": {"roles": {"ml": 2}}},
            "quorum.roles.ml",
            "can't be met: 1 of those who may decide have this role",
        ),
        (
            {"quiet_hours": {"start": "22:00", "end": "07:00", "zone": "Mars/Base"}},
            "quiet_hours.zone",
            "'Mars/Base' is no time zone",
        ),
        ({"quiet_hours": {"start": "22:00", "end": "22:00"}}, "quiet_hours.end", "is the start"),
        ({"unverified": "accept", "four_eyes": True}, "unverified", "accepts bare names, and one person can write several"),
        ({"unverified": "accept", "quorum": {"count": 2}}, "unverified", "accepts bare names, and one person can write several"),
        ({"channels": ["mail"]}, "channels.0", "there is no channel 'mail'; none is declared"),
        ({"people": {"ada": {"channels": ["mail"]}}, "groups": {}}, "people.ada.channels.0", "there is no channel 'mail'"),
        ({"people": {"ada": {"keys": ["not a key"]}}, "groups": {}}, "people.ada.keys.0", "is no Ed25519 public key"),
        (
            {"people": {"a": {"keys": [KEY]}, "b": {"keys": [OTHER, KEY]}}, "groups": {}},
            "people.b.keys.1",
            "belongs to two people: each needs a key",
        ),
        (
            {"people": {"a": {"subjects": ["x"]}, "b": {"subjects": ["x"]}}, "groups": {}},
            "people.b.subjects.0",
            "'x' belongs to two people",
        ),
        (
            {"issuers": {"us": {"issuer": "https://login", "audience": "h", "jwks": "http://login/keys"}}},
            "issuers.us.jwks",
            "an issuer's keys come by https, or from a file",
        ),
    ],
)
def test_what_can_not_be_is_named_with_its_place_and_its_remedy(policy: dict[str, Any], place: str, text: str) -> None:
    assert said(**policy)[place].startswith(text)
