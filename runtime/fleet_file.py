"""Reads the fleet file, and names every mistake in it at once: file, line, field, what was read, what is allowed.

`python -m runtime.fleet_file FILE` checks a file, `--schema` prints the JSON Schema that editors complete it with.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from yaml.nodes import Node

from contracts.bench import Judging
from contracts.fleet import Fleet
from policies.review_mistakes import Place, mistakes
from runtime.declared_file import DeclaredFileError, Mistaken, document_of, parsed
from runtime.fleet_schema import render
from runtime.fleet_yaml import Document, Problem, Unreadable

_OF_THE_BENCH: Final = (
    ("training", "bench"),
    ("training", "recipe", "blends"),
)
"""Fields that only the shadow bench reads: taken in silence where it doesn't judge, they would mislead."""


_AT_THE_TOP: Final = {"people": "people", "groups": "groups", "issuers": "issuers", "reach": "channels"}
"""Where an endpoint's review has it, and what the top of the file calls it."""


class FleetFileError(DeclaredFileError):
    """Everything that is wrong with the fleet file, a line each."""


def load(path: Path) -> Fleet:
    """Read and check the whole file.

    Raises:
        FleetFileError: it is missing, unreadable or wrong; carries all problems.
    """
    try:
        document = document_of(path, "fleet file", "`version` and `endpoints`")
        document.fold_defaults()
        fleet = parsed(document, Fleet)
    except Unreadable as error:
        raise FleetFileError(path, [error.problem]) from None
    except Mistaken as error:
        raise FleetFileError(path, error.problems) from None
    if problems := [*_without_the_bench(document, fleet), *_misnamed(document, fleet)]:
        raise FleetFileError(path, problems)
    return fleet


def _without_the_bench(document: Document, fleet: Fleet) -> Iterator[Problem]:
    """Whatever the bench is told by endpoints that are not judged by it."""
    for endpoint, policy in fleet.endpoints.items():
        if policy.training.judging is Judging.SHADOW:
            continue
        for field in _OF_THE_BENCH:
            if _differs(policy, field):
                path, node, line = document.locate(("endpoints", endpoint, *field))
                said = "counts only with `training.judging: shadow`; declare that, or leave it out"
                yield Problem(line, document.shown(path, node), said)


def _misnamed(document: Document, fleet: Fleet) -> Iterator[Problem]:
    """Names of nobody, and what could never come about, wherever they were written."""
    found: dict[tuple[int, str], Problem] = {}
    for endpoint, policy in fleet.endpoints.items():
        for place, text in mistakes(policy.review):
            path, node, line = _written(document, endpoint, place)
            found.setdefault((line, shown := document.shown(path, node)), Problem(line, shown, text))
    yield from found.values()


def _written(document: Document, endpoint: str, place: Place) -> tuple[Place, Node, int]:
    """The endpoint's own words, or those at the top of the file, which are laid under them."""
    own = document.locate(("endpoints", endpoint, "review", *place))
    top = _AT_THE_TOP.get(str(place[0]))
    if top is None or own[0][3:] == place:
        return own
    return document.locate((top, *place[1:]))


def _differs(policy: BaseModel, field: Sequence[str]) -> bool:
    for name in field[:-1]:
        policy = getattr(policy, name)
    return bool(getattr(policy, field[-1]) != type(policy).model_fields[field[-1]].get_default(call_default_factory=True))


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
