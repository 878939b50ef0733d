"""What a verb is. Nothing heavy is imported here, so that `--help` answers at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True)
class Argument:
    """One argument as argparse takes it."""

    flags: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verb:
    """One thing an operator can ask for. `done_by` is 'module:function' in this package."""

    name: str
    summary: str
    teaches: str
    examples: tuple[str, ...]
    done_by: str
    arguments: tuple[Argument, ...] = ()
    waits: bool = True
    """Speaks to a worker, so it has a --timeout."""
    patience: float = 30.0
    """Default of --timeout, in seconds."""


def arg(*flags: str, **options: Any) -> Argument:  # noqa: ANN401 - argparse's own open options
    return Argument(flags, options)


INCIDENT: Final = arg("incident", metavar="NAME/ID", help="the incident, as `status` and the notice write it")
