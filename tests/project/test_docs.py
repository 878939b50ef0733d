"""What README.md and docs/ name exists: links, targets, verbs, modules, variables, examples, words."""

import importlib.util
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest

from bridge.formats import items_from
from bridge.items import Understood
from console.parser import build_parser
from contracts import conditions as condition
from contracts.incident import Stage
from runtime.fleet_file import load
from workflows.endpoint_lifecycle import SIGNALS, UPDATES
from workflows.visibility import ALL

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = ROOT / "docs"
TARGETS = set(re.findall(r"^([a-z]+):[^=].*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
CODE = [ROOT / name for name in ("Makefile", "docker-compose.yml")] + [
    path for room in ("runtime", "platforms", "bridge", "console") for path in (ROOT / room).rglob("*.py")
]
MOST_BYTES = 150_000
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def read(name: str) -> str:
    return (ROOT / name).read_text()


def commands(page: Path) -> list[str]:
    """Lines of code blocks and code in sentences, with a line that ends in a backslash joined to the next."""
    text = page.read_text().replace("\\\n", " ")
    blocks = re.findall(r"^(?: {4,}|```\w*\n)(.*)$", text, re.MULTILINE)
    inline = re.findall(r"`([^`\n]+)`", text)
    return [each.strip() for each in (*blocks, *inline, *text.splitlines()) if each.strip()]


def header(anchor: str, text: str) -> bool:
    titles = [re.sub(r"[^\w\- ]", "", line.lstrip("# ")).lower() for line in text.splitlines() if line.startswith("#")]
    return anchor in [title.replace(" ", "-") for title in titles]


def links(page: Path) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or header(anchor, target.read_text()), link


@each_page
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    named = {target for line in commands(page) for target in re.findall(r"(?:^|`|; )make ([a-z]+)", line)}
    assert named <= TARGETS


@each_page
def test_every_module_that_is_run_exists(page: Path) -> None:
    for module in re.findall(r"python -m ([a-z_.]+[a-z])", page.read_text()):
        assert importlib.util.find_spec(module) is not None, module


def starter_lines() -> list[tuple[str, str]]:
    found = [(page.name, line) for page in PAGES for line in commands(page) if line.startswith("python starter.py ")]
    return [(page, line) for page, line in dict.fromkeys(found) if "VERB" not in line and "..." not in line]


@pytest.mark.parametrize(("page", "line"), starter_lines())
def test_every_command_of_starter_parses(page: str, line: str) -> None:
    words = shlex.split(line.partition(" > ")[0].replace("DIGEST", "0" * 64).replace("INCIDENT", "20120304T000000Z-1f2e3d"))[2:]
    if line.endswith("--help") or any("|" in word for word in words):
        words = [word for word in words if word != "--help"][:1]
    asked = build_parser().format_help() if not words else words[0]
    if len(words) <= 1 and asked not in ("status", "sweep", "doctor"):
        assert re.search(rf"^    {re.escape(words[0])}\b", build_parser().format_help(), re.MULTILINE) if words else asked
        return
    build_parser().parse_args(words)


def test_the_commands_are_found_at_all() -> None:
    assert len(starter_lines()) > 20
    assert len(TARGETS) > 5


@each_page
def test_every_variable_that_is_named_is_read_somewhere(page: Path) -> None:
    code = "".join(path.read_text() for path in CODE)
    for name in set(re.findall(r"HOMEOSTAT_[A-Z]+(?:_[A-Z]+)*", page.read_text())):
        field = name.removeprefix("HOMEOSTAT_").lower()
        fields = read("runtime/settings.py") if not field.startswith("aws_") else read("platforms/aws/settings.py")
        assert name in code or re.search(rf"^    {field.removeprefix('aws_')}:", fields, re.MULTILINE), name


def test_the_fleet_file_of_the_readme_is_valid(tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(.*?)```", read("README.md"), re.DOTALL)
    assert block
    file = tmp_path / "mine.yaml"
    file.write_text(block[1])
    assert list(load(file).endpoints) == ["rentals"]


def test_the_policy_of_the_people_page_is_valid(tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(.*?)```", read("docs/people.md"), re.DOTALL)
    assert block
    endpoint = "team: a, cost_center: b, data: {table: bikes, features: [hour], label: busy}"
    file = tmp_path / "mine.yaml"
    file.write_text(f"version: 1\n{block[1]}endpoints:\n  bikes: {{{endpoint}}}\n")
    assert load(file).endpoints["bikes"].review.quorum.count == 2


def test_the_conditions_of_the_people_page_are_those_there_are() -> None:
    section = read("docs/people.md").split("**Approve, but only if ...**")[1].split("**What it was asked on.**")[0]
    conditions = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert [condition.read(one).kind for one in conditions] == list(condition.ConditionKind)


def test_the_alarms_of_the_readme_are_understood() -> None:
    calls = re.findall(r"curl \S+/alarms -H 'Content-Type: (\S+)' -d '(.*?)'\n", read("README.md"), re.DOTALL)
    assert len(calls) == 3
    for content, body in calls:
        (item,) = items_from({"content-type": content}, body.encode())
        assert isinstance(item, Understood), item
        assert item.alarm.endpoint == "rentals"


def test_the_architecture_names_every_stage_in_order() -> None:
    section = read("docs/architecture.md").split("## Stages of a remediation")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [stage.value for stage in Stage]


def test_the_architecture_names_every_signal_update_and_search_attribute() -> None:
    rows = dict(re.findall(r"^\| ([^|]+) \| (.+) \|$", read("docs/architecture.md"), re.MULTILINE))
    assert tuple(re.findall(r"`(\w+)`", rows["signals to the lifecycle"])) == SIGNALS
    assert tuple(re.findall(r"`(\w+)`", rows["updates to the lifecycle"])) == UPDATES
    assert re.findall(r"`(\w+)`", rows["search attributes"]) == [key.name for key in ALL]


def test_every_word_of_the_glossary_stands_there_once_and_in_order() -> None:
    words = [word.strip("`") for word in re.findall(r"^\| ([^|]+?) \|", read("docs/glossary.md"), re.MULTILINE)][2:]
    assert len(words) > 50
    assert [word for word, count in Counter(words).items() if count > 1] == []
    assert words == sorted(words, key=lambda word: word.replace("_", " ").lower())


def test_pages_name_no_path_of_a_machine() -> None:
    for page in PAGES:
        assert not re.search(r"(?<![\w.:/])/(?:home|root|work|tmp|Users|usr)/", page.read_text()), page.name


def test_pictures_are_small_and_used() -> None:
    text = "".join(page.read_text() for page in PAGES)
    for picture in (OURS / "pictures").iterdir():
        assert picture.stat().st_size < MOST_BYTES, picture.name
        assert picture.name in text, picture.name
