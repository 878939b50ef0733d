"""`backtest`: plays a policy over a file of one's own history. Neither Temporal nor a platform is needed."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from backtest.arms import ARMS, HOMEOSTAT
from backtest.data.card import CardFile
from backtest.outputs import FILES, write
from backtest.policy_file import TriedPolicy, load, unsuitable
from backtest.scoring import SHOWN
from backtest.template import template
from backtest.trial import Played, Step, Told, try_policy
from console.call import Call
from console.exits import Usage
from console.screen import Answer, Show, console_for, safe, table
from contracts.training import Task
from policies.verdict_words import NAMES

_SCRATCH: Final = ".backtest-"
_EVERY: Final = 10.0
"""Seconds between lines of progress where no terminal is."""


async def backtest(call: Call) -> Answer:
    given = call.given
    if given.template is not None:
        return _template(Path(given.template))
    if missing := [f"--{name}" for name in ("data", "card", "out") if getattr(given, name) is None]:
        raise Usage(f"{', '.join(missing)} is missing", "See `python starter.py backtest --help` for an example.")
    with _interruptible():
        return _tried(given)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends the work at once: the loop's own handler would wait for somebody who never waits."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _template(path: Path) -> Answer:
    text = template(path)
    return Answer({"card": text}, lambda console: console.print(safe_lines(text), soft_wrap=True, end=""))


def safe_lines(text: str) -> str:
    return "".join(f"{safe(line)}\n" for line in text.splitlines())


def _tried(given: argparse.Namespace) -> Answer:
    source = CardFile(Path(given.card))
    tried = load(Path(given.policy)) if given.policy else TriedPolicy()
    if wrong := unsuitable(tried, source.card):
        raise Usage(f"--policy: {wrong}.", "Correct the policy, or the card's task.")
    out, data = _folder(Path(given.out)), Path(given.data)
    with tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-", dir=out) as scratch, _progress(quiet=given.json) as told:
        now = datetime.now(UTC)
        played = try_policy(data=data, source=source, tried=tried, folder=Path(scratch), now=now, told=told)
        told(Step("writing", 0, None))
        summary = write(played, out, data.name)
    files = [str(out / name) for name in FILES]
    return Answer({"out": str(out), "files": files, "summary": _short(summary)}, _shown(summary, played, out))


def _folder(out: Path) -> Path:
    """The folder, without what a killed run left behind."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Usage(f"--out: {out} can't be made a folder: {error.strerror}", "Name another folder.") from None
    for left in out.glob(f"{_SCRATCH}*"):
        owner = left.name.split("-")[1]
        if not (owner.isdigit() and psutil.pid_exists(int(owner))):
            shutil.rmtree(left, ignore_errors=True)
    return out


def _short(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary without its long lists, which stand in summary.json."""
    decisions = {name: value for name, value in summary["decisions"].items() if name != "list"}
    left = {name: value for name, value in summary.items() if name not in ("decisions", "card", "policy", "slices")}
    return {**left, "decisions": decisions}


def _shown(summary: dict[str, Any], played: Played, out: Path) -> Show:
    task = Task(summary["task"])

    def draw(console: Console) -> None:
        for sentence in summary["sentences"]:
            console.print(safe(sentence), soft_wrap=True)
        rows = [_row(arm, summary["arms"][arm], task) for arm in ARMS]
        columns = ("way", *(NAMES[name] for name in SHOWN[task]), "promotions", "recalibrations")
        console.print(table(columns, rows))
        notes = summary["data"]["notes"]
        if notes:
            console.print(safe(f"What was found in the data ({len(notes)}) stands on the page."), soft_wrap=True)
        seconds = played.reading_seconds + played.playing_seconds
        console.print(safe(f"{len(played.lines)} periods in {seconds:.0f} s. The page: {out / 'index.html'}"), soft_wrap=True)

    return draw


def _row(arm: str, found: dict[str, Any], task: Task) -> tuple[object, ...]:
    figures = ("-" if found[name] is None else f"{found[name]:.4f}" for name in SHOWN[task])
    style = "bold" if arm == HOMEOSTAT else ""
    return safe(arm, style), *figures, found["promotions"], found["recalibrations"]


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Told]:
    """A bar on a terminal, a line now and then elsewhere, nothing with --json; all of it on stderr."""
    if quiet:
        yield lambda _step: None
        return
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console_for(sys.stderr), transient=True) as bar:
        yield _Bar(bar)


class _Lines:
    """One line for each kind of work, and then one every few seconds."""

    def __init__(self) -> None:
        self._last, self._what = 0.0, ""

    def __call__(self, step: Step) -> None:
        now = time.monotonic()
        finished = step.of is not None and step.done == step.of
        if step.what == self._what and now - self._last < _EVERY and not finished:
            return
        self._last, self._what = now, step.what
        sys.stderr.write(f"{step.what} {_said(step)}".rstrip() + "\n")
        sys.stderr.flush()


class _Bar:
    def __init__(self, bar: Progress) -> None:
        self._bar, self._what = bar, ""
        self._task = bar.add_task("reading", total=None, said="")

    def __call__(self, step: Step) -> None:
        if step.what != self._what:
            self._what = step.what
            self._bar.reset(self._task, total=step.of, description=step.what, said="")
        self._bar.update(self._task, completed=step.done, total=step.of, said=_said(step))


def _said(step: Step) -> str:
    if step.at is None:
        return f"{step.done:,} rows" if step.what == "reading" else ""
    return f"{step.done} of {step.of} periods, {step.at:%Y-%m-%d}, {step.promotions} promotions"
