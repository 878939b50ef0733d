"""The fleet file's JSON Schema, so that editors complete and check it while it is written."""

import json
from datetime import timedelta
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from contracts.fleet import Fleet

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_DURATION: Final = {
    "type": "string",
    "pattern": r"^(\s*\d+(\.\d+)?\s*[smhdw]\s*|P.+)$",
    "description": "A span of time: 90s, 15m, 12h, 30d or 2w.",
    "examples": ["90s", "15m", "12h", "30d", "2w"],
}


class _Schema(GenerateJsonSchema):
    """Durations as people write them, and no field that the reader would refuse."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return {**super().model_schema(schema), "additionalProperties": False}

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:  # noqa: ARG002 - the base class's signature
        return dict(_DURATION)

    def encode_default(self, dft: Any) -> Any:  # noqa: ANN401 - any default of any field
        return _spoken(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def _spoken(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return f"{seconds // size}{unit}"


def schema() -> dict[str, Any]:
    """The schema of the file: `Fleet` plus `defaults`. Since `defaults` may bring any field, no endpoint has to name one."""
    made = Fleet.model_json_schema(schema_generator=_Schema)
    for definition in made["$defs"].values():
        definition.pop("required", None)
    made["properties"]["defaults"] = {
        "$ref": "#/$defs/EndpointPolicy",
        "description": "Laid under every endpoint; an endpoint's own value wins, mappings are merged.",
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "fleet.schema.json", **made}


def render() -> str:
    return json.dumps(schema(), indent=2) + "\n"


def fields_at(path: tuple[str | int, ...], model: type[BaseModel] = Fleet) -> list[str]:
    """The keys that the model at `path` below `model` knows, for 'did you mean'."""
    annotation: Any = model
    for part in path:
        annotation = _below(annotation, part)
    if not _is_model(annotation):
        return []
    return [*annotation.model_fields, "defaults"] if annotation is Fleet else list(annotation.model_fields)


def _below(annotation: Any, part: str | int) -> Any:  # noqa: ANN401 - type annotations have no common type
    if _is_model(annotation) and part in annotation.model_fields:
        return annotation.model_fields[part].annotation
    arguments = [one for one in get_args(annotation) if one not in (type(None), ...)]
    return arguments[-1] if arguments and not _is_model(annotation) else None


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
