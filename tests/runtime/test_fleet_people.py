"""People, groups, issuers and channels stand once at the top of the fleet file, and every endpoint's review knows them."""

from pathlib import Path
from textwrap import dedent

import pytest

from contracts.fleet import Fleet
from platforms.local.monitor import read_fleet
from runtime.fleet_file import FleetFileError, load

TOP = """\
version: 1
people:
  ada: {roles: [ml], subjects: [ada@example.com]}
  grace: {name: Grace Hopper, roles: [business], channels: [pager]}
groups:
  owners: [ada, grace]
issuers:
  company: {issuer: https://login.example.com, audience: homeostat, jwks: https://login.example.com/keys}
channels:
  pager: {url: json://localhost/page, kinds: [page, escalation]}
defaults:
  team: growth
  cost_center: cc-1
endpoints:
  bikes:
    data: {table: bikes, features: [hour], label: busy}
    review: {reviewers: ["group:owners"]}
  taxis:
    data: {table: taxis, features: [hour], label: late}
    review: {people: {linus: {roles: [ml]}}, reviewers: [linus]}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "fleet.yaml"
    path.write_text(dedent(text))
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(FleetFileError) as caught:
        load(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_every_endpoint_knows_who_is_declared_for_all_and_may_add_its_own(tmp_path: Path) -> None:
    path = written(tmp_path, TOP)
    fleet = load(path)
    bikes, taxis = fleet.endpoints["bikes"].review, fleet.endpoints["taxis"].review
    assert list(bikes.people) == ["ada", "grace"]
    assert list(taxis.people) == ["ada", "grace", "linus"]
    assert bikes.groups == {"owners": ("ada", "grace")}
    assert bikes.issuers["company"].claim == "email"
    assert bikes.reach["pager"].url == "json://localhost/page"
    assert read_fleet(path) == fleet
    assert Fleet.model_validate_json(fleet.model_dump_json()) == fleet


def test_a_mistake_is_named_where_it_was_written(tmp_path: Path) -> None:
    text = TOP.replace("[ada, grace]", "[ada, bob]").replace('["group:owners"]', '["group:owner"]')
    assert problems(written(tmp_path, text)) == [
        "6: groups.owners.1: 'bob' is not among `people`; known: ada, grace",
        "17: endpoints.bikes.review.reviewers.0: there is no group 'owner'; known: owners",
    ]


def test_what_people_and_channels_are_called_has_no_spaces_colons_or_commas(tmp_path: Path) -> None:
    said = problems(written(tmp_path, TOP.replace("  grace: {name", "  'role:x': {name")))
    assert said[0].startswith("4: people.role:x: ")


@pytest.mark.parametrize("url", ["slack://T0AAAAAAA/B0BBBBBBB/CCCCCCCCCCCCCCCCCCCCCCCC", "json://user:hunter2@localhost/page"])
def test_a_literal_secret_in_a_channel_is_refused_with_its_line_and_the_remedy(tmp_path: Path, url: str) -> None:
    (said,) = problems(written(tmp_path, TOP.replace("json://localhost/page", url)))
    assert said.startswith("10: channels.pager.url: holds ")
    assert "write ${NAME} in its place and set NAME where the worker runs" in said
    assert "CCCC" not in said
    assert "hunter2" not in said
