"""Reads a YAML file that people wrote into a contract, and names every mistake in it at once.

Each with its line, its field, what was read and what is allowed. The fleet file is read so, and the card of a backtest.
"""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from yaml.nodes import Node, ScalarNode, SequenceNode

from runtime.errors import StartError
from runtime.fleet_schema import fields_at
from runtime.fleet_yaml import MAX_BYTES, Document, Problem, Unreadable, read

M = TypeVar("M", bound=BaseModel)

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
_NAME_RULE: Final = "a name is 1 to 63 letters, digits and hyphens, with no hyphen at either end"


class DeclaredFileError(StartError):
    """Everything that is wrong with the file, a line each."""

    exit_code: ClassVar[int] = 65

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        lines = [f"{path}:{p.line}: {p.path}: {p.text}" for p in self.problems[:_MAX_SHOWN]]
        if len(self.problems) > _MAX_SHOWN:
            lines.append(f"{path}: and {len(self.problems) - _MAX_SHOWN} more")
        super().__init__("\n".join(lines))


def document_of(path: Path, what: str, keys: str) -> Document:
    """The file as nodes; `what` is how people call it, `keys` what they expect in it.

    Raises: Unreadable (missing, too large, no text, no YAML).
    """
    return read(_text(path, what), keys)


def parsed(document: Document, model: type[M]) -> M:
    """The document as `model`, no unknown field allowed. Raises: Mistaken, with all problems."""
    try:
        found = model.model_validate(document.data(), extra="forbid")
    except ValidationError as error:
        details = [one for one in error.errors(include_url=False) if not _follows(document, one)]
        raise Mistaken([*document.problems, *_one_per_value([_problem(document, one, model) for one in details])]) from None
    if document.problems:
        raise Mistaken(document.problems)
    return found


class Mistaken(Exception):
    """What is wrong, before it is said of which file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = tuple(problems)


def _text(path: Path, what: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(Problem(1, "file", f"can't be read: {error.strerror}. Give the path of your {what}.")) from None
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


def _problem(document: Document, detail: ErrorDetails, model: type[BaseModel]) -> Problem:
    location = detail["loc"]
    path, node, line = document.locate(location)
    shown = document.shown(path, node)
    if detail["type"] == "missing":
        return Problem(line, f"{shown}.{location[-1]}".removeprefix("file."), "is missing")
    if detail["type"] == "extra_forbidden":
        return Problem(line, shown, _unknown(str(path[-1]), fields_at(path[:-1], model)))
    if location[-1:] == ("[key]",):
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
