"""What would change between two policies, field by field."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contracts.fleet import EndpointPolicy


@dataclass(frozen=True)
class Change:
    """One field: `path` as in the fleet file below the endpoint's name, values as JSON has them; None where it is absent."""

    path: str
    old: Any
    new: Any

    def as_data(self) -> dict[str, Any]:
        return {"path": self.path, "old": self.old, "new": self.new}


def changes(old: EndpointPolicy, new: EndpointPolicy) -> tuple[Change, ...]:
    """The differing fields, in the order of the policy. Lists are compared as a whole."""
    before, after = dict(_leaves(old.model_dump(mode="json"))), dict(_leaves(new.model_dump(mode="json")))
    paths = list(after) + [path for path in before if path not in after]
    return tuple(Change(path, before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path))


def _leaves(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        path = f"{prefix}{name}"
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, f"{path}.")
        else:
            yield path, inner
