"""`--help` teaches, answers at once, and promises nothing that isn't there."""

import re
import shlex
import sys
from importlib import import_module

import pytest

from console.exits import Exit, Usage
from console.parser import build_parser
from console.verbs import EVENTS, KINDS, SEVERITIES, VERBS, Verb
from contracts.alarm import AlarmKind, Severity
from contracts.audit import AuditEvent
from tests.console.conftest import run_starter

LATER = ("prescale", "journal", "capacity", "cost", "alarms", "review")
names = [verb.name for verb in VERBS]


@pytest.mark.parametrize("verb", VERBS, ids=names)
def test_help_of_every_verb_shows_an_example_and_the_exit_codes(verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([*verb.name.split(), "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert verb.examples
    assert all(example in shown for example in verb.examples)
    assert all(f"\n  {code.value}  " in shown for code in Exit)
    assert "--json" in shown


@pytest.mark.parametrize("verb", VERBS, ids=names)
def test_every_example_is_accepted_by_the_parser(verb: Verb) -> None:
    for example in verb.examples:
        words = shlex.split(example)
        assert words[:2] == ["python", "starter.py"]
        assert build_parser().parse_args(words[2:]).verb is verb


@pytest.mark.parametrize("verb", VERBS, ids=names)
def test_every_verb_is_done_by_somebody(verb: Verb) -> None:
    module, _, name = verb.done_by.partition(":")
    assert callable(getattr(import_module(f"console.{module}"), name))


def test_what_the_parser_offers_is_what_the_contracts_know() -> None:
    assert tuple(AlarmKind) == KINDS
    assert tuple(Severity) == SEVERITIES
    assert tuple(AuditEvent) == EVENTS


@pytest.mark.parametrize("name", LATER)
def test_a_verb_that_is_not_built_is_not_offered(name: str) -> None:
    with pytest.raises(Usage, match="invalid choice"):
        build_parser().parse_args([name])


async def test_help_loads_nothing_that_is_slow() -> None:
    code = (
        "import sys; from console.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(any(name in sys.modules for name in ('temporalio', 'pydantic', 'rich', 'numpy', 'httpx')))"
    )
    import asyncio

    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0


async def test_starter_lists_its_verbs() -> None:
    ran = await run_starter("--help")
    assert ran.exit == 0
    assert all(re.search(rf"^    {name.split()[0]}\b", ran.out, re.MULTILINE) for name in names)
    assert ran.err == ""
