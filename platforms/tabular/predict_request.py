"""What a caller may send to `POST /predict`, and what is wrong with it when it isn't that.

Everything here is hostile until it has passed: sizes are bounded before anything is parsed, and no message repeats more than a
few characters of what was sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints, ValidationError

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_ROWS = 1000
_MAX_FAULTS = 20
_MAX_SHOWN = 80
_YEARS = (1900, 2200)


def _in_range(value: datetime) -> datetime:
    if not _YEARS[0] <= value.year <= _YEARS[1]:
        raise ValueError(f"the year must lie between {_YEARS[0]} and {_YEARS[1]}")
    return value.astimezone(UTC)


class PredictRow(BaseModel):
    """One row to be scored."""

    model_config = ConfigDict(strict=True, extra="forbid")

    id: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
    event_time: Annotated[AwareDatetime, AfterValidator(_in_range)]
    features: dict[str, FiniteFloat | None]
    """None is a missing value."""


class PredictBody(BaseModel):
    """The body of a call."""

    model_config = ConfigDict(strict=True, extra="forbid")

    requests: Annotated[list[PredictRow], Field(min_length=1, max_length=MAX_ROWS)]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a call."""

    field: str
    message: str


class Refused(Exception):
    """The call can't be answered as it was sent."""

    def __init__(self, status: int, error: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.faults = tuple(faults)


def parse_body(body: bytes) -> list[PredictRow]:
    """The rows of a call. Raises: Refused, 422 with every field that is wrong."""
    try:
        return PredictBody.model_validate_json(body).requests
    except ValidationError as error:
        raise Refused(422, "the call is not valid", [_fault(e) for e in error.errors(include_url=False)[:_MAX_FAULTS]]) from None


def to_matrix(rows: Sequence[PredictRow], features: Sequence[str]) -> NDArray[np.float64]:
    """Shape (n, k) in the order of `features`, NaN for null. Raises: Refused, 422 naming unknown and missing features."""
    wanted = frozenset(features)
    faults = [fault for i, row in enumerate(rows) if row.features.keys() != wanted for fault in _misfits(i, row, wanted)]
    if faults:
        raise Refused(422, "the features are not those of the model in service", faults[:_MAX_FAULTS])
    return np.array([[row.features[name] for name in features] for row in rows], dtype=np.float64)


def _misfits(index: int, row: PredictRow, wanted: frozenset[str]) -> list[Fault]:
    where = f"requests[{index}].features"
    missing = [
        Fault(f"{where}.{name}", "missing; send null for an unknown value") for name in sorted(wanted - row.features.keys())
    ]
    unknown = sorted(row.features.keys() - wanted)[:_MAX_FAULTS]
    return missing + [Fault(f"{where}.{_shown(name)}", "unknown; the model doesn't know this feature") for name in unknown]


def _fault(error: Any) -> Fault:  # noqa: ANN401 - pydantic's own error dictionary
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{_shown(part)}"
    return Fault(path.lstrip(".") or "body", error["msg"][:200])


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name[:_MAX_SHOWN])
