"""What the Temporal UI shows of a workflow beside its history: search attributes and the current details."""

from collections.abc import Mapping

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

ENDPOINT = SearchAttributeKey.for_keyword("Endpoint")
STAGE = SearchAttributeKey.for_keyword("Stage")
INCIDENT = SearchAttributeKey.for_keyword("Incident")
SEVERITY = SearchAttributeKey.for_keyword("Severity")
WAITING_ON = SearchAttributeKey.for_keyword("WaitingOn")
TEAM = SearchAttributeKey.for_keyword("Team")
ALL = (ENDPOINT, STAGE, INCIDENT, SEVERITY, WAITING_ON, TEAM)

Values = Mapping[SearchAttributeKey[str], str]


def attributes(values: Values) -> TypedSearchAttributes:
    """For a start."""
    return TypedSearchAttributes([SearchAttributePair(key, value) for key, value in values.items()])


def upsert(values: Values) -> None:
    """One history event and one billed action, so only where something changed that people search for."""
    workflow.upsert_search_attributes([key.value_set(value) for key, value in values.items()])


def table(rows: Mapping[str, object]) -> str:
    """A markdown table of two columns; empty values are left out."""
    shown = [f"| {name} | {_cell(value)} |" for name, value in rows.items() if value not in (None, "", ())]
    return "\n".join(["| | |", "| --- | --- |", *shown])


def _cell(value: object) -> str:
    text = " ".join(str(value).split())
    return text.replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
