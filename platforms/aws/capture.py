"""Data capture: what endpoints were asked and what they answered, as SageMaker writes it to S3.

capture/<endpoint>/<EndpointName>/<Variant>/yyyy/mm/dd/hh/*.jsonl     by the hour of the call, which is not the time of the event
quarantine/<endpoint>/<mark>.jsonl                                     lines that could not be read, with the reason

The captured objects are SageMaker's and stay as they are.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from contracts.snapshot import Window
from platforms.aws.objects import Objects, together
from platforms.files import checked_name, key_mark
from platforms.tabular.captured import CapturedRow, to_table
from platforms.tabular.predict_request import PredictRow, Refused, parse_body

AHEAD: Final = timedelta(days=31)
"""How far ahead of its call an event may lie: earlier calls are not read for a window."""
_BATCH: Final = 64
_SHOWN: Final = 5
_DAY: Final = re.compile(r"/(\d{4})/(\d{2})/(\d{2})/\d{2}/[^/]+$")
_log = structlog.get_logger()


class _Side(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: str
    encoding: str = "JSON"

    def content(self) -> bytes:
        """Raises: ValueError."""
        return base64.b64decode(self.data, validate=True) if self.encoding == "BASE64" else self.data.encode()


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore")

    endpointInput: _Side  # noqa: N815 - SageMaker's name
    endpointOutput: _Side  # noqa: N815 - SageMaker's name


class _Event(BaseModel):
    model_config = ConfigDict(extra="ignore")

    inferenceTime: AwareDatetime  # noqa: N815 - SageMaker's name


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore")

    captureData: _Data  # noqa: N815 - SageMaker's name
    eventMetadata: _Event  # noqa: N815 - SageMaker's name


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str
    score: float
    label: int | None = None
    scores: dict[str, float] | None = None


class _Answers(BaseModel):
    model_config = ConfigDict(extra="ignore")

    model: str
    answers: list[_Answer]


def captured(objects: Objects, endpoint: str, window: Window) -> list[pa.Table]:
    """Answers to events that may lie in the window, in the order of the calls. Raises: Unavailable."""
    folder = f"capture/{checked_name(endpoint, 'endpoint')}/"
    keys = [key for key in objects.keys(folder) if _may_hold(key, window)]
    tables = []
    for start in range(0, len(keys), _BATCH):
        for key, content in zip(keys[start : start + _BATCH], together(objects.get, keys[start : start + _BATCH]), strict=True):
            rows = [row for row in _rows(objects, endpoint, key, content) if window.start <= row.event_time < window.end]
            tables += [to_table(rows)] if rows else []
    return tables


def _may_hold(key: str, window: Window) -> bool:
    found = _DAY.search(key)
    if found is None:
        return key.endswith(".jsonl")
    try:
        day = date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return True
    return day >= (window.start - AHEAD).astimezone(UTC).date()


def _rows(objects: Objects, endpoint: str, key: str, content: bytes) -> Iterator[CapturedRow]:
    """What the file holds; lines that can't be read are put aside and told once."""
    faults = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield from _answered(line)
        except (ValueError, binascii.Error, Refused) as error:
            faults.append((number, _reason(error), line))
    if faults:
        _set_aside(objects, endpoint, key, faults)


def _answered(line: bytes) -> list[CapturedRow]:
    """Raises: ValueError (and pydantic's), Refused."""
    found = _Line.model_validate_json(line)
    asked = parse_body(found.captureData.endpointInput.content())
    said = _Answers.model_validate_json(found.captureData.endpointOutput.content())
    if [row.id for row in asked] != [answer.id for answer in said.answers]:
        raise ValueError("the answers are not those of the rows that were asked")
    at = found.eventMetadata.inferenceTime
    return [_row(row, answer, said.model, at) for row, answer in zip(asked, said.answers, strict=True)]


def _row(row: PredictRow, answer: _Answer, digest: str, at: datetime) -> CapturedRow:
    return CapturedRow(
        id=row.id,
        event_time=row.event_time,
        served_at=at,
        digest=digest,
        score=answer.score,
        answer=answer.label,
        scores=tuple(answer.scores.values()) if answer.scores else None,
        features=dict(row.features),
    )


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200]
    return str(error)[:200]


def _set_aside(objects: Objects, endpoint: str, key: str, faults: list[tuple[int, str, bytes]]) -> None:
    notes: list[dict[str, Any]] = [
        {"object": key, "line": number, "reason": reason, "content": line.decode(errors="replace")}
        for number, reason, line in faults
    ]
    content = "".join(f"{json.dumps(note)}\n" for note in notes).encode()
    aside = f"quarantine/{endpoint}/{key_mark(key)}.jsonl"
    if objects.create(aside, content):
        told = [f"line {number}: {reason}" for number, reason, _ in faults[:_SHOWN]]
        _log.error("capture_lines_set_aside", endpoint=endpoint, object=key, kept=objects.uri(aside), lines=told)
