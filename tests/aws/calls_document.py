"""Writes docs/aws-calls.md from the table and from the places that call: `python -m tests.aws.calls_document > docs/aws-calls.md`."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from platforms.aws.call_table import CALLS, Call, Retry

ROOT: Final = Path(__file__).resolve().parents[2]
ROOMS: Final = ("platforms", "runtime", "bridge", "console", "review", "backtest", "deploy", "demo")
ASKING: Final = frozenset({"call", "pages"})
"""The ways through which `Aws` asks; a paginator's pages are calls of the operation, too."""
RETRIES: Final = {
    Retry.READ: "changes nothing: again",
    Retry.REPEAT: "asking twice is asking once: again, as it is",
    Retry.ADOPT: "its name or token is made from the idempotency key: again, and what is there already is compared and taken over",
    Retry.CONDITION: "the service refuses what was done: again, and a refusal is read and compared",
    Retry.LOOK: "what is true now is looked at first, and only what isn't is asked for",
}
HEAD: Final = """\
# Every AWS call

Made from `platforms/aws/call_table.py` and from the code that calls: `python -m tests.aws.calls_document > docs/aws-calls.md`. A call
that is missing in the table fails a test, and so does a row that nothing calls. Every call is sent once: botocore's own retries are
off, Temporal tries the step again as `workflows/options.py` says, and [the errors](../platforms/aws/failures.py) decide whether it
may. What happens when a call fails, or is done without an answer, is played in the fault matrix.

One call stands apart, since notices use it on every platform: `sns publish` (`platforms/aws/sns_post.py`), with the right `sns:Publish`
on the topic. A FIFO topic drops a second one under the same key within five minutes; any other may pass a notice on twice.
"""


@cache
def asked() -> dict[tuple[str, str], set[str]]:
    """Service and operation of every call that the code makes, with the files that make it."""
    found: dict[tuple[str, str], set[str]] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for each in calls_in(ast.parse(path.read_text())):
                found.setdefault(each, set()).add(str(path.relative_to(ROOT)))
    return found


def calls_in(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """`x.call("service", "operation", ...)`, and `pages` alike. Both words stand there literally, or this can't see them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ASKING:
            words = [word.value for word in node.args[:2] if isinstance(word, ast.Constant) and isinstance(word.value, str)]
            if len(words) == len(node.args) == 2:
                yield words[0], words[1]


def render() -> str:
    where = asked()
    services = dict.fromkeys(service for service, _ in sorted(CALLS))
    parts = [HEAD, _retries()]
    parts += [
        _section(service, {name: call for (of, name), call in sorted(CALLS.items()) if of == service}, where)
        for service in services
    ]
    return "\n".join(parts)


def _retries() -> str:
    rows = "\n".join(f"| {retry.value} | {RETRIES[retry]} |" for retry in Retry)
    return f"| retry | after a throttled call, a server's error or a lost answer |\n| --- | --- |\n{rows}\n"


def _section(service: str, calls: dict[str, Call], where: dict[tuple[str, str], set[str]]) -> str:
    rows = "\n".join(_row(service, name, call, where) for name, call in calls.items())
    head = "| call | what for | permission | retry | why again is safe | called in |\n| --- | --- | --- | --- | --- | --- |"
    return f"## {service}\n\n{head}\n{rows}\n"


def _row(service: str, name: str, call: Call, where: dict[tuple[str, str], set[str]]) -> str:
    permissions = ", ".join(f"`{permission}`" for permission in call.permissions)
    places = ", ".join(f"`{place.removeprefix('platforms/aws/')}`" for place in sorted(where.get((service, name), ())))
    return f"| `{name}` | {call.used} | {permissions} | {call.retry.value} | {call.again} | {places} |"


if __name__ == "__main__":
    sys.stdout.write(render())
