"""Reads YAML for the fleet file so that each value knows its line, and nothing in it can surprise.

No tags, no anchors, no duplicate keys, bounded in size and depth. Words such as `no` and `on` stay words, and so do dates:
only numbers and null are more than text.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, cast

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_BYTES: Final = 1_048_576
MAX_DEPTH: Final = 30
_NUMBERS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("int", "float"))
_NULL: Final = "tag:yaml.org,2002:null"

Path = tuple[str | int, ...]
Data = dict[str, "Data"] | list["Data"] | str | int | float | None


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake: the line (from 1), the path of the field, what is wrong."""

    line: int
    path: str
    text: str


class Unreadable(Exception):
    """The text is no YAML that we take, so that nothing behind the problem can be judged."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


@dataclass
class Document:
    """The file as nodes, with `defaults` folded into each endpoint, and what was wrong so far."""

    root: MappingNode
    problems: list[Problem] = field(default_factory=list)
    _defaults: MappingNode | None = None

    def data(self) -> Data:
        return self._convert(self.root)

    def locate(self, location: Path) -> tuple[Path, Node, int]:
        """The deepest node along a validator's location, and the line of its key.

        Parts of the location that are no keys (union tags) are left out.
        """
        path: Path = ()
        node, line = cast("Node", self.root), 1
        for part in location:
            child = _child(node, part)
            if child is not None:
                path, node, line = (*path, part), child[1], _line(child[0])
        return path, node, line

    def shown(self, path: Path, node: Node) -> str:
        """The path as the author wrote it: what came from `defaults` is shown there."""
        start = self._defaults
        if start is not None and len(path) > 1 and start.start_mark.index <= node.start_mark.index < start.end_mark.index:
            path = ("defaults", *path[2:])
        return ".".join(map(str, path)) or "file"

    def fold_defaults(self) -> None:
        """Lay `defaults` under every endpoint; an endpoint's own value wins, mappings are merged."""
        pairs = _pairs(self.root)
        defaults, endpoints = pairs.pop("defaults", None), pairs.get("endpoints")
        self.root.value = [(key, value) for key, value in self.root.value if key.value != "defaults"]
        if defaults is None or _is_null(defaults):
            return
        if not isinstance(defaults, MappingNode):
            self.problems.append(Problem(_line(defaults), "defaults", "should be a mapping, as one endpoint's is"))
            return
        self._defaults = defaults
        if isinstance(endpoints, MappingNode):
            endpoints.value = [(key, _merged(defaults, value)) for key, value in endpoints.value]

    def _convert(self, node: Node) -> Data:
        if isinstance(node, MappingNode):
            return {key.value: self._convert(value) for key, value in node.value}
        if isinstance(node, SequenceNode):
            return [self._convert(value) for value in node.value]
        if node.tag == _NULL:
            return None
        if node.tag in _NUMBERS:
            return _number(node)
        return str(node.value)


def read(text: str, keys: str = "`version` and `endpoints`") -> Document:
    """Compose the text; `keys` is what a reader expects at its top.

    Raises:
        Unreadable: it is no YAML, or holds what we don't take.
    """
    try:
        _check_events(text)
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(filter(None, (error.context, error.problem)))
        raise Unreadable(Problem(mark.line + 1 if mark else 1, "file", f"isn't YAML: {reason}")) from None
    except yaml.YAMLError as error:
        raise Unreadable(Problem(1, "file", f"isn't YAML: {' '.join(str(error).split())}")) from None
    if not isinstance(root, MappingNode):
        raise Unreadable(Problem(1, "file", f"should be a mapping with {keys}"))
    document = Document(root)
    document.problems.extend(_key_problems(root, ()))
    return document


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise Unreadable(Problem(line, "file", "anchors and aliases aren't allowed; use `defaults`"))
        if tag := getattr(event, "tag", None):
            raise Unreadable(Problem(line, "file", f"the tag {tag!r} isn't allowed; write plain values"))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise Unreadable(Problem(line, "file", f"is nested deeper than {MAX_DEPTH} levels"))


def _key_problems(node: Node, path: Path) -> Iterator[Problem]:
    """Keys that are no text, merge keys and duplicates; what is found is taken out of the tree."""
    if isinstance(node, SequenceNode):
        for at, value in enumerate(node.value):
            yield from _key_problems(value, (*path, at))
    if not isinstance(node, MappingNode):
        return
    kept: dict[str, tuple[Node, Node]] = {}
    for key, value in node.value:
        fault = _key_fault(key, kept)
        if fault:
            yield Problem(_line(key), ".".join(map(str, path)) or "file", fault)
            continue
        kept[key.value] = (key, value)
        yield from _key_problems(value, (*path, key.value))
    node.value = list(kept.values())


def _key_fault(key: Node, kept: dict[str, tuple[Node, Node]]) -> str | None:
    if not isinstance(key, ScalarNode):
        return "a key should be plain text"
    if key.value == "<<":
        return "the merge key '<<' isn't allowed; use `defaults`"
    if key.value in kept:
        return f"the key {key.value!r} stands here twice, first on line {_line(kept[key.value][0])}"
    return None


def _merged(under: Node, over: Node) -> Node:
    if not (isinstance(under, MappingNode) and isinstance(over, MappingNode)):
        return over
    below, above = {k.value: (k, v) for k, v in under.value}, {k.value: (k, v) for k, v in over.value}
    both = [(key, _merged(below[name][1], value) if name in below else value) for name, (key, value) in above.items()]
    rest = [pair for name, pair in below.items() if name not in above]
    return MappingNode(over.tag, both + rest, over.start_mark, over.end_mark, over.flow_style)


def _child(node: Node, part: str | int) -> tuple[Node, Node] | None:
    """Key and value; an item of a list is its own key."""
    if isinstance(node, MappingNode):
        return next(((key, value) for key, value in node.value if key.value == part), None)
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _pairs(node: MappingNode) -> dict[str, Node]:
    return {key.value: value for key, value in node.value}


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.tag == _NULL


def _number(node: Node) -> int | float | str:
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except ValueError:
        return str(node.value)
    return value if isinstance(value, int | float) else str(node.value)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
