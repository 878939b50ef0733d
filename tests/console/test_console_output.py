"""What leaves the program: one object or plain text, colours only where they are wanted, one exit code per kind of end."""

import os
import pty
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.screen import plain
from tests.console.conftest import ROOT, run_here, run_starter

NOWHERE = {"TEMPORAL_ADDRESS": "127.0.0.1:9"}


async def test_starter_prints_one_object_on_stdout_and_the_words_on_stderr() -> None:
    ran = await run_starter("status", "--json", **NOWHERE)
    assert ran.exit == 3
    assert ran.data["error"]["exit"] == 3
    assert ran.data["error"]["type"] == "TemporalUnreachable"
    assert ran.err.startswith("error: no Temporal server answers at 127.0.0.1:9")


async def test_a_mistake_of_usage_is_an_object_too() -> None:
    ran = await run_starter("alarm", "--json")
    assert ran.exit == 2
    assert "ENDPOINT" in ran.data["error"]["message"]
    assert "--help" in ran.data["error"]["remedy"]
    assert "Traceback" not in ran.err


async def test_a_wrong_setting_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_BRIDGE_PORT", "http")
    ran = await run_here("status", "--json")
    assert ran.exit == 2
    assert "HOMEOSTAT_BRIDGE_PORT" in ran.data["error"]["message"]


async def test_a_platform_that_lacks_a_setting_is_refused_with_its_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_PLATFORM", "aws")
    ran = await run_here("audit", "verify", "--json")
    assert ran.exit == 2
    assert "HOMEOSTAT_AWS_BUCKET" in ran.data["error"]["message"]


def in_terminal(**environment: str) -> str:
    """What a person at a terminal sees of a mistake of usage."""
    ours, theirs = pty.openpty()
    words = [sys.executable, str(ROOT / "starter.py"), "alarm"]
    with subprocess.Popen(words, stdout=theirs, stderr=theirs, cwd=ROOT, env={**os.environ, **environment}) as process:
        os.close(theirs)
        seen = b""
        while chunk := _read(ours):
            seen += chunk
    os.close(ours)
    assert process.returncode == 2
    return seen.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says EIO at the end of a terminal
        return b""


def test_colours_show_on_a_terminal_and_go_with_no_color() -> None:
    assert "\x1b[31m" in in_terminal(TERM="xterm-256color", NO_COLOR="")
    plainly = in_terminal(TERM="xterm-256color", NO_COLOR="1")
    assert "\x1b" not in plainly
    assert "error: " in plainly


async def test_no_colours_where_the_output_is_no_terminal() -> None:
    ran = await run_starter("alarm", FORCE_COLOR="1", TERM="xterm-256color")
    assert ran.exit == 2
    assert "\x1b" not in ran.out + ran.err


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    words = f"{sys.executable} starter.py doctor | true"
    environment = {**os.environ, **NOWHERE, "HOMEOSTAT_HOME": str(tmp_path)}
    ended = subprocess.run(["bash", "-c", words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.stderr == ""


async def test_an_ascii_terminal_ends_nothing() -> None:
    ran = await run_starter("alarm", "bikes", "--kind", "früh →", PYTHONIOENCODING="ascii")
    assert ran.exit == 2
    assert r"fr\xfch \u2192" in ran.err


@given(st.text(st.characters(exclude_categories=())))
def test_shown_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = plain(text)
    assert all(char.isprintable() or unicodedata.category(char) == "Zs" for char in shown)
    assert not any(c in shown for c in "\x1b\r\n\x07\x08\x9b\u202e\u2066\u200b\x00")
