"""From the words typed to an exit code: the only place that prints."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, cast

from console.exits import Exit, Halt
from console.parser import build_parser
from runtime.leaving import leave

if TYPE_CHECKING:
    from console.call import Call
    from console.screen import Answer

Handler = Callable[["Call"], Awaitable["Answer"]]
_INTERRUPTED = 130


def run() -> NoReturn:
    """What `starter.py` does."""
    leave(main())


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    typed = list(sys.argv[1:] if words is None else words)
    machine = "--json" in typed
    try:
        return _run(build_parser().parse_args(typed))
    except Halt as halt:
        return _tell(halt, machine=machine)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201 - a command line's own output
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.REFUSED


def _run(given: argparse.Namespace) -> int:
    screen = import_module("console.screen")
    call = import_module("console.call")
    for stream in (sys.stdout, sys.stderr):
        screen.harden(stream)
    answer = cast("Answer", asyncio.run(call.perform(_handler(given.verb.done_by), given)))
    if given.json:
        screen.print_json(answer.data)
    else:
        answer.show(screen.console_for(sys.stdout))
    sys.stdout.flush()
    return answer.exit


def _handler(done_by: str) -> Handler:
    module, _, name = done_by.partition(":")
    return cast("Handler", getattr(import_module(f"console.{module}"), name))


def _tell(halt: Halt, *, machine: bool) -> int:
    screen = import_module("console.screen")
    screen.harden(sys.stderr)
    if machine:
        screen.print_json({"error": error_data(halt)})
    out = screen.console_for(sys.stderr)
    for line in f"error: {joined(halt)}".splitlines():
        out.print(screen.safe(line if line.startswith("error: ") else f"  {line}", "red"), soft_wrap=True)
    return halt.exit


def joined(halt: Halt) -> str:
    stop = "" if halt.message.endswith((".", "!", "?")) else "."
    return f"{halt.message}{stop} {halt.remedy}".strip()


def error_data(halt: Halt) -> dict[str, Any]:
    return {"type": halt.kind, "message": halt.message, "remedy": halt.remedy, "exit": halt.exit.value}
