"""Moments out of a column of anything: ISO 8601 with and without zones, counts since 1970, the dates of spreadsheets."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backtest.data.card import UNITS, TimeColumn
from backtest.data.numbers import is_text, trimmed
from learning.rows import Floats, Times, microseconds

NOWHEN: Final = int(np.iinfo(np.int64).min)
"""Stands for a moment that is missing or can't be read."""
_MICROSECONDS: Final = pa.timestamp("us", "UTC")
_ZONED: Final = r"(Z|z|[+-]\d\d(:?\d\d)?)$"
_COUNT: Final = r"^[+-]?\d{9,19}(\.\d*)?$"
_DIGITS: Final = {10: 1, 13: 1_000, 16: 1_000_000}
"""Counts since 1970 among other times, by their length: so many a second."""
_DAY_NUMBER: Final = r"^(19|20)\d{6}$"
_PARTS: Final = re.compile(r"^(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?:[ T,]+(.*))?$")
_HOURS: Final = ("%H:%M:%S.%f", "%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "%H")
_DATES: Final = (
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y-%m-%d",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d %Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%Y%m%d",
)
_LAST: Final = 4_102_444_800_000_000 * 2


class Moments:
    """Reads one column, batch by batch; what the first batch shows of its format holds for all."""

    def __init__(self, column: TimeColumn) -> None:
        self._format, self._zone = column.format, ZoneInfo(column.zone)
        self._unit: int | None = UNITS.get(column.format or "")
        self.day_first: bool | None = None
        """Whether 3/4/2024 is the third of April; None where no date told."""
        self.ambiguous = 0
        """Dates that could be both while nothing has told."""

    def read(self, column: pa.Array) -> Times:
        """Microseconds since 1970, shape (n,); NOWHEN where there is none."""
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            return self._typed(column)
        if not is_text(column) and (pa.types.is_floating(column.type) or self._unit is not None):
            return self._counted(np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64))
        text = trimmed(column)
        if self._unit is not None or (self._format is None and _all_match(text, _COUNT)):
            return self._counted(_floats(text))
        if self._format is None and not _all_match(text, _DAY_NUMBER) and (quick := self._iso(text)) is not None:
            return quick
        return self._slowly(text)

    def _typed(self, column: pa.Array) -> Times:
        if pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("s"))
        if column.type.tz is None:
            column = pc.assume_timezone(column, self._zone.key, ambiguous="earliest", nonexistent="latest")
        return _whole(column.cast(_MICROSECONDS, safe=False))

    def _iso(self, text: pa.Array) -> Times | None:
        """All of ISO 8601, or None where a value is something else."""
        zoned = pc.match_substring_regex(text, _ZONED)
        dated = pc.match_substring_regex(text, r"^\d{4}-\d\d-\d\d$")
        zoned = pc.and_(zoned, pc.invert(dated))
        try:
            if self._zone.key == "UTC":
                return _whole(pc.if_else(zoned, text, pc.binary_join_element_wise(text, "Z", "")).cast(_MICROSECONDS))
            if pc.any(zoned).as_py():
                return None
            return self._typed(text.cast(pa.timestamp("us")))
        except pa.ArrowException:
            return None

    def _counted(self, values: Floats) -> Times:
        """Seconds, milliseconds or microseconds since 1970, by their size where nothing is said."""
        there = np.isfinite(values)
        if self._unit is None and there.any():
            size = float(np.median(np.abs(values[there])))
            self._unit = 1_000_000 if size < 1e11 else 1_000 if size < 1e14 else 1  # noqa: PLR2004 - seconds until the year 5138
        unit = self._unit or 1
        if self._format is None and there.any() and float(np.median(np.abs(values[there]))) > 1e17:  # noqa: PLR2004 - nanoseconds
            values, unit = values / 1000, 1
        scaled = np.where(there, values, 0) * unit
        there &= np.abs(scaled) < _LAST
        return np.asarray(np.where(there, np.round(np.where(there, scaled, 0)).astype(np.int64), NOWHEN), dtype=np.int64)

    def _slowly(self, text: pa.Array) -> Times:
        """Each distinct value by itself."""
        coded = text.dictionary_encode()
        words = coded.dictionary.to_pylist()
        self._look_at(words)
        table = np.array([*(self._one(word) for word in words), NOWHEN], dtype=np.int64)
        return np.asarray(table[pc.fill_null(coded.indices, len(words)).to_numpy(zero_copy_only=False)], dtype=np.int64)

    def _look_at(self, words: Sequence[str]) -> None:
        """Which number of a date is the day: only a number above 12 tells."""
        parts = [match for word in words if (match := _PARTS.match(word)) and match[2] != "."]
        if self.day_first is None and parts:
            first, second = (max(int(match[group]) for match in parts) for group in (1, 3))
            if (first > 12) != (second > 12):  # noqa: PLR2004 - months
                self.day_first = first > 12  # noqa: PLR2004 - months

    def _one(self, word: str) -> int:
        try:
            found = datetime.strptime(word, self._format) if self._format else self._guessed(word)  # noqa: DTZ007 - its zone comes below
            if found is None:
                return NOWHEN
            aware = found if found.tzinfo else found.replace(tzinfo=self._zone)
            return microseconds(aware.astimezone(UTC))
        except (ValueError, OverflowError):
            return NOWHEN

    def _guessed(self, word: str) -> datetime | None:
        if match := _PARTS.match(word):
            return self._spreadsheet(match)
        if (digits := len(word.partition(".")[0])) in _DIGITS and re.match(_COUNT, word):
            return datetime.fromtimestamp(float(word) / _DIGITS[digits], UTC)
        try:
            return datetime.fromisoformat(word)
        except ValueError:
            return _first_that_fits(word) or _from_mail(word)

    def _spreadsheet(self, match: re.Match[str]) -> datetime | None:
        """3/4/2024 14:00, once it is known which number is the day; with dots the day always comes first."""
        one, other, rest = int(match[1]), int(match[3]), match[5] or ""
        day_first = True if match[2] == "." else self.day_first
        if day_first is None and one != other:
            self.ambiguous += 1
            return None
        day, month = (one, other) if day_first else (other, one)
        hours = _hours(rest)
        return None if hours is None else datetime(int(match[4]), month, day, *hours)  # noqa: DTZ001 - its zone comes later


def _hours(text: str) -> tuple[int, int, int, int] | None:
    if not text:
        return 0, 0, 0, 0
    for known in _HOURS:
        try:
            found = datetime.strptime(text.strip(), known)  # noqa: DTZ007 - an hour has no zone
        except ValueError:
            continue
        return found.hour, found.minute, found.second, found.microsecond
    return None


def _first_that_fits(word: str) -> datetime | None:
    for date in _DATES:
        for known in (date, *(f"{date} {hours}" for hours in _HOURS)):
            try:
                return datetime.strptime(word, known)  # noqa: DTZ007 - its zone comes later
            except ValueError:
                continue
    return None


def _from_mail(word: str) -> datetime | None:
    """'Tue, 05 Mar 2024 14:00:00 +0100'."""
    try:
        return parsedate_to_datetime(word)
    except (ValueError, TypeError, IndexError):
        return None


def _all_match(text: pa.Array, pattern: str) -> bool:
    return bool(len(text) > text.null_count and pc.all(pc.match_substring_regex(text, pattern)).as_py())


def _floats(text: pa.Array) -> Floats:
    good = pc.match_substring_regex(text, r"^[+-]?\d+(\.\d*)?$")
    return np.asarray(pc.if_else(good, text, pa.scalar(None, pa.string())).cast(pa.float64()).to_numpy(zero_copy_only=False))


def _whole(column: pa.Array) -> Times:
    return np.asarray(pc.fill_null(column.cast(pa.int64()), NOWHEN).to_numpy(zero_copy_only=False), dtype=np.int64)
