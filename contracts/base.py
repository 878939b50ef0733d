"""The two base classes and the few value types that every contract shares."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints


class Contract(BaseModel):
    """Inside the system: frozen, finite numbers, unknown fields ignored (an older worker reads newer history)."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, extra="ignore")


class Declared(Contract):
    """Written by people: in the fleet file, in a form. Whoever reads it *there* refuses an unknown field as a typo
    (`model_validate(..., extra="forbid")`); inside histories it is as tolerant as every contract, or a worker of an
    older release could no longer read what a newer one has configured.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*$")


def parse_duration(value: Any) -> Any:  # noqa: ANN401 - a pydantic before-validator sees raw input
    """Read '90s', '15m', '12h', '30d' or '2w'; everything else is left to pydantic (ISO 8601, timedelta)."""
    if isinstance(value, str) and (match := _DURATION.match(value)):
        try:
            return timedelta(seconds=float(match[1]) * _UNITS[match[2]])
        except OverflowError:
            raise ValueError("a duration can't be longer than 999999999 days") from None
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError("a duration needs a unit, for example '90s', '15m', '12h', '30d' or '2w'")  # noqa: TRY004 - pydantic turns a ValueError into a field error
    return value


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies beyond the years 1 to 9999 in UTC") from None


def _not_negative(value: timedelta) -> timedelta:
    if value < timedelta(0):
        raise ValueError("a duration can't be negative")
    return value


Utc = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""A moment with a time zone, kept in UTC."""

Duration = Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(_not_negative)]
"""A span of time; written '30d', '12h', '15m', '90s' in files."""

Horizon = Duration | Literal["all"]
"""How far back a challenger's training rows reach; 'all' takes everything there is."""

EndpointName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$")]
"""1 to 63 letters, digits and hyphens, as endpoint names are on SageMaker."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

Text = Annotated[str, StringConstraints(max_length=4000)]
"""Free text from outside, bounded so that no history grows by it."""
