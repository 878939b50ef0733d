"""Reads the fleet file, and names every mistake in it at once: file, line, field, what was read, what is allowed.

`python -m runtime.fleet_file FILE` checks a file, `--schema` prints the JSON Schema that editors complete it with.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from yaml.nodes import Node, ScalarNode, SequenceNode

from contracts.fleet import Fleet
from runtime.errors import StartError
from runtime.fleet_schema import fields_at, render
from runtime.fleet_yaml import MAX_BYTES, Document, Problem, Unreadable, read

_MAX_SHOWN: Final = 100
_ALTERNATIVES: Final = re.compile(r"^\^\(([\w|]+)\)\$$")
_PLAINLY: Final = {
    "time_delta": "write a duration such as 90s, 15m, 12h, 30d or 2w",
    "string_type": "should be text; put it in quotes",
    "model_type": "should be a mapping",
    "dict_type": "should be a mapping",
    "tuple_type": "should be a list",
}
"""What pydantic says in its own words, by the beginning of its error's type."""
_AHEAD: Final = (
    ("training", "judging"),
    ("training", "bench"),
    ("training", "recipe", "blends"),
    ("data", "task"),
    ("data", "slices"),
)
"""Fields whose words are settled and which the running loop does not carry out yet: taken in silence, they would mislead."""
_NAME_RULE: Final = "a name is 1 to 63 letters, digits and hyphens, with no hyphen at either end"


class FleetFileError(StartError):
    """Everything that is wrong with the file, a line each."""

    exit_code: ClassVar[int] = 65

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        lines = [f"{path}:{p.line}: {p.path}: {p.text}" for p in self.problems[:_MAX_SHOWN]]
        if len(self.problems) > _MAX_SHOWN:
            lines.append(f"{path}: and {len(self.problems) - _MAX_SHOWN} more")
        super().__init__("\n".join(lines))


def load(path: Path) -> Fleet:
    """Read and check the whole file.

    Raises:
        FleetFileError: it is missing, unreadable or wrong; carries all problems.
    """
    try:
        document = read(_text(path))
    except Unreadable as error:
        raise FleetFileError(path, [error.problem]) from None
    document.fold_defaults()
    data = document.data()
    try:
        fleet = Fleet.model_validate(data, extra="forbid")
    except ValidationError as error:
        found = [_problem(document, detail) for detail in error.errors(include_url=False) if not _follows(document, detail)]
        raise FleetFileError(path, [*document.problems, *_one_per_value(found)]) from None
    if problems := [*document.problems, *_ahead(document, fleet)]:
        raise FleetFileError(path, problems)
    return fleet


def _ahead(document: Document, fleet: Fleet) -> Iterator[Problem]:
    """Whatever asks for more than the loop does today."""
    for endpoint, policy in fleet.endpoints.items():
        for field in _AHEAD:
            if _asks(policy, field):
                path, node, line = document.locate(("endpoints", endpoint, *field))
                yield Problem(line, document.shown(path, node), "is not carried out by the loop yet; leave it out")


def _asks(policy: BaseModel, field: Sequence[str]) -> bool:
    """Whether the field has another value than its default."""
    for name in field[:-1]:
        policy = getattr(policy, name)
    return bool(getattr(policy, field[-1]) != type(policy).model_fields[field[-1]].get_default(call_default_factory=True))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(Problem(1, "file", f"can't be read: {error.strerror}. Give the path of your fleet file.")) from None
    if len(content) > MAX_BYTES:
        raise Unreadable(Problem(1, "file", f"is larger than {MAX_BYTES} bytes"))
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(Problem(line, "file", "isn't UTF-8 text; save it with that encoding")) from None


def _follows(document: Document, detail: ErrorDetails) -> bool:
    """A list is 'too short' only because its items are wrong, and they are named themselves."""
    return detail["type"] == "too_short" and bool(document.locate(detail["loc"])[1].value)


def _problem(document: Document, detail: ErrorDetails) -> Problem:
    location = detail["loc"]
    path, node, line = document.locate(location)
    shown = document.shown(path, node)
    if detail["type"] == "missing":
        return Problem(line, f"{shown}.{location[-1]}".removeprefix("file."), "is missing")
    if detail["type"] == "extra_forbidden":
        return Problem(line, shown, _unknown(str(path[-1]), fields_at(path[:-1])))
    if location[-1] == "[key]":
        return Problem(line, shown, _NAME_RULE)
    if detail["type"] == "value_error" and not isinstance(node, ScalarNode):
        return Problem(line, shown, detail["msg"].removeprefix("Value error, "))
    return Problem(line, shown, f"read {_read(node)}; {_wanted(detail)}")


def _unknown(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"is unknown; {guess}known here: {', '.join(known)}"


def _read(node: Node) -> str:
    if isinstance(node, ScalarNode):
        return "nothing" if node.value == "" and node.style is None else repr(node.value[:80])
    return "a list" if isinstance(node, SequenceNode) else "a mapping"


def _wanted(detail: ErrorDetails) -> str:
    context: dict[str, Any] = detail.get("ctx", {})
    kind, message = detail["type"], detail["msg"]
    if kind in ("enum", "literal_error"):
        return f"allowed: {context['expected'].replace(' or ', ', ')}".replace("'", "")
    if match := _ALTERNATIVES.match(str(context.get("pattern", ""))):
        return f"allowed: {match[1].replace('|', ', ')}"
    for prefix, text in _PLAINLY.items():
        if kind.startswith(prefix):
            return text
    plain = message.removeprefix("Value error, ").partition(", unable to parse")[0]
    return re.sub(r"^(Input|String|Tuple) should", "should", plain)


def _one_per_value(problems: Sequence[Problem]) -> list[Problem]:
    """A value that fits none of several types is reported once for each; say it in one line."""
    merged: dict[tuple[int, str], Problem] = {}
    for problem in dict.fromkeys(problems):
        key = (problem.line, problem.path)
        before = merged.get(key)
        same_value = before and before.text.startswith("read ") and problem.text.startswith("read ")
        if before and same_value and problem.text != before.text:
            problem = Problem(*key, f"{before.text}, or {problem.text.partition('; ')[2]}")  # noqa: PLW2901 - the joined one replaces it
        merged[key] = problem
    return list(merged.values())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m runtime.fleet_file", description="Check a fleet file, or print its JSON Schema."
    )
    parser.add_argument("file", nargs="?", type=Path, default=Path("fleet.yaml"))
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema instead")
    given = parser.parse_args(arguments)
    if given.schema:
        sys.stdout.write(render())
        return 0
    try:
        fleet = load(given.file)
    except FleetFileError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{given.file}: {len(fleet.endpoints)} endpoints, no mistakes\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
