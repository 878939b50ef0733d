"""Functions stay short enough to be read aloud, files short enough to be held in mind."""

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path
    for path in ROOT.rglob("*.py")
    if not path.relative_to(ROOT).parts[0].startswith(".") and path.relative_to(ROOT).parts[0] not in ("tests", "var")
)


def lengths(path: Path) -> dict[str, int]:
    """Lines of each function from its `def` to its end, decorators and docstring apart: they are not code."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            head = node.body[0].lineno - node.lineno
            assert node.end_lineno is not None
            found[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = node.end_lineno - first.lineno + 1 + head
    return found


ALL = {name: length for path in FILES for name, length in lengths(path).items()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_no_function_has_more_than_50_lines() -> None:
    assert not {name: length for name, length in ALL.items() if length > 50}


def test_half_of_the_functions_have_at_most_10_lines_and_nine_of_ten_at_most_30() -> None:
    assert statistics.median(ALL.values()) <= 10
    assert statistics.quantiles(ALL.values(), n=10)[-1] <= 30
