"""The demo's clients: every hour's question goes to the endpoint over HTTP; homeostat is judged by the answers that came back."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from demo.data import FEATURES, Hours

ROWS_PER_CALL = 6
CONNECTIONS = 4
CALL_SECONDS = 10.0


class Answer(BaseModel):
    """One scored row of an answer."""

    id: str
    score: float
    label: int


class Reply(BaseModel):
    """What the endpoint sends back."""

    model: str
    answers: list[Answer]


@dataclass(frozen=True)
class Served:
    """What came back for some hours: score (n,), NaN where the call failed; model (n,), empty there."""

    score: NDArray[np.float64]
    model: NDArray[np.str_]
    failures: tuple[str, ...]
    """One sentence a failed call."""

    @property
    def failed(self) -> int:
        """Rows without an answer."""
        return int(np.isnan(self.score).sum())

    def first(self, rows: int) -> "Served":
        """The first rows, with every failure."""
        return Served(self.score[:rows], self.model[:rows], self.failures)


def joined(parts: list[Served]) -> Served:
    """Answers of consecutive hours as one."""
    failures = tuple(failure for part in parts for failure in part.failures)
    return Served(np.concatenate([p.score for p in parts]), np.concatenate([p.model for p in parts]), failures)


class Clients:
    """A few connections that ask in small calls; no call is repeated, so that a failed one is seen."""

    def __init__(self, url: str) -> None:
        limits = httpx.Limits(max_connections=CONNECTIONS)
        self._http = httpx.AsyncClient(base_url=url, timeout=CALL_SECONDS, limits=limits, trust_env=False)
        self._free = asyncio.Semaphore(CONNECTIONS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(self, hours: Hours) -> Served:
        """Ask about all the hours."""
        return joined(list(await asyncio.gather(*(self._call(part) for part in _calls(hours)))))

    async def _call(self, hours: Hours) -> Served:
        async with self._free:
            try:
                response = await self._http.post("/predict", json=_body(hours))
                return _served(hours, response)
            except httpx.HTTPError as error:
                return _failed(hours, f"{type(error).__name__} {error}")


def _calls(hours: Hours) -> Iterator[Hours]:
    return (hours[start : start + ROWS_PER_CALL] for start in range(0, len(hours), ROWS_PER_CALL))


def _body(hours: Hours) -> dict[str, list[dict[str, object]]]:
    rows = zip(hours.ids, hours.event_time, hours.features.tolist(), strict=True)
    return {
        "requests": [
            {"id": id_, "event_time": when.isoformat(), "features": dict(zip(FEATURES, values, strict=True))}
            for id_, when, values in rows
        ]
    }


def _served(hours: Hours, response: httpx.Response) -> Served:
    if not response.is_success:
        return _failed(hours, f"HTTP {response.status_code}: {response.text[:200]}")
    try:
        reply = Reply.model_validate_json(response.content)
    except ValidationError as error:
        return _failed(hours, f"an answer that can't be read: {error}")
    if tuple(answer.id for answer in reply.answers) != hours.ids:
        return _failed(hours, "an answer to other rows than were asked about")
    return Served(np.array([a.score for a in reply.answers]), np.full(len(hours), reply.model), ())


def _failed(hours: Hours, why: str) -> Served:
    return Served(np.full(len(hours), np.nan), np.full(len(hours), ""), (f"{hours.ids[0]} and {len(hours) - 1} more: {why}",))
