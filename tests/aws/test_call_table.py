"""The table of AWS calls is what the code calls: no more, no less; and every row can be right."""

import ast
import re
from functools import cache
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from platforms.aws.call_table import CALLS, Call, Retry
from tests.aws.calls_document import ROOT, asked, calls_in, render

AWS = sorted((ROOT / "platforms" / "aws").rglob("*.py"))
ALONE = {"sns_post.py"}
"""Posts to a topic for the local platform, too, where nothing else of AWS is configured."""
READING = re.compile(r"^(get|head|list|describe|batch_get|batch_describe|search|lookup|query|filter|simulate|receive|validate)_")
each_row = pytest.mark.parametrize(("service", "operation", "row"), [(*key, row) for key, row in CALLS.items()])


def test_every_call_of_the_code_has_its_row() -> None:
    missing = {call: places for call, places in asked().items() if call not in CALLS}
    assert not missing, f"add rows to platforms/aws/call_table.py for {missing}"


def test_every_row_is_called_by_the_code() -> None:
    assert not set(CALLS) - set(asked()), "remove the rows that nothing calls"


def test_no_call_hides_its_name_in_a_variable() -> None:
    """Else the table couldn't see it."""
    for path in AWS:
        hidden = [
            ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if asks_aws(node) and not list(calls_in(node))
        ]
        assert not hidden, f"{path.name}: name service and operation as they are in {hidden}"


def asks_aws(node: ast.AST) -> bool:
    asking = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"call", "pages"}
    return asking and "aws" in ast.unparse(node.func.value).lower()


def test_nobody_makes_a_client_of_his_own() -> None:
    for path in AWS:
        if path.name not in {"calls.py"} | ALONE:
            assert not re.search(r"boto3\.|\.client\(|get_paginator|get_waiter", path.read_text()), path.name


@cache
def operations(service: str) -> set[str]:
    return {xform_name(name) for name in botocore.session.get_session().get_service_model(service).operation_names}


@each_row
def test_each_operation_exists_in_botocore(service: str, operation: str, row: Call) -> None:
    assert operation in operations(service)


@each_row
def test_each_row_names_rights_and_reasons(service: str, operation: str, row: Call) -> None:
    assert row.permissions
    assert all(re.fullmatch(r"[a-z0-9-]+:[A-Z][A-Za-z0-9]+", permission) for permission in row.permissions)
    assert row.used
    assert row.again


@each_row
def test_what_is_called_a_read_has_the_name_of_one(service: str, operation: str, row: Call) -> None:
    assert (row.retry is Retry.READ) == bool(READING.match(operation))


def test_rows_stand_in_order() -> None:
    assert list(CALLS) == sorted(CALLS)


def test_the_document_is_the_table() -> None:
    written = Path(ROOT / "docs" / "aws-calls.md").read_text()
    assert written == render(), "run: python -m tests.aws.calls_document > docs/aws-calls.md"
