"""docs/cli.md says what the parser does, verb by verb."""

import re
from pathlib import Path

import pytest

from console.exits import MEANING
from console.verbs import VERBS, Verb

DOCUMENT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
_PARTS = re.split(r"^## (.+)$", DOCUMENT, flags=re.MULTILINE)
SECTIONS = dict(zip(_PARTS[1::2], _PARTS[2::2], strict=True))
SHARED = "What holds for every verb"
names = [verb.name for verb in VERBS]


def test_the_document_has_one_section_for_each_verb_in_the_order_of_the_help() -> None:
    assert list(SECTIONS) == [SHARED, *names]


def test_the_exit_codes_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", SECTIONS[SHARED], flags=re.MULTILINE)
    assert rows == [(str(code.value), meaning) for code, meaning in MEANING.items()]


@pytest.mark.parametrize("verb", VERBS, ids=names)
def test_each_section_shows_the_examples(verb: Verb) -> None:
    shown = re.findall(r"^    (python starter\.py .+)$", SECTIONS[verb.name], flags=re.MULTILINE)
    assert shown == list(verb.examples)


@pytest.mark.parametrize("verb", VERBS, ids=names)
def test_each_section_names_every_option_and_no_other(verb: Verb) -> None:
    options = {flag for argument in verb.arguments for flag in argument.flags if flag.startswith("--")}
    written = set(re.findall(r"--[a-z-]+[a-z]", SECTIONS[verb.name]))
    assert options <= written
    assert written <= options | {"--json", "--timeout"}


@pytest.mark.parametrize("verb", VERBS, ids=names)
def test_each_section_names_the_choices_and_the_patience(verb: Verb) -> None:
    text = SECTIONS[verb.name]
    for argument in verb.arguments:
        assert all(f"`{choice}`" in text for choice in argument.options.get("choices", ()))
    assert verb.patience == 30 or f"{verb.patience:g} s" in text
