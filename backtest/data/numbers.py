"""Numbers out of a column of anything: quoted, with thousands separators, missing in many spellings, absurd."""

from contextlib import suppress
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from backtest.data.findings import ColumnFindings
from learning.rows import Floats

MISSING: Final = pa.array(
    ["", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "missing", "unknown", "<na>", "nat", r"\n"]
)
"""Spellings of nothing, in small letters."""
ABSURD: Final = 1e30
"""Nothing that people measure is as large, in any unit."""
_WORDS: Final = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
_NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(inf|infinity)$"
_GROUPED: Final = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"
_DECIMAL_COMMA: Final = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+$"


def is_text(column: pa.Array) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def trimmed(column: pa.Array) -> pa.Array:
    """Without blanks and quotes around, null for every spelling of nothing."""
    text = pc.utf8_trim(column.cast(pa.string()), characters=" \t\r\n\"'\u00a0\ufeff")
    return pc.if_else(pc.is_in(pc.utf8_lower(text), value_set=MISSING), pa.scalar(None, pa.string()), text)


def plain(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One array; a dictionary is spelled out, bytes become text."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(whole.type):
        whole = whole.cast(whole.type.value_type)
    if pa.types.is_binary(whole.type) or pa.types.is_large_binary(whole.type):
        return pa.array([None if one is None else bytes(one).decode(errors="replace") for one in whole.to_pylist()], pa.string())
    if pa.types.is_nested(whole.type):
        return pa.array([None if one is None else str(one) for one in whole.to_pylist()], pa.string())
    return whole


def numbers(column: pa.Array, found: ColumnFindings, *, decimal_comma: bool = False) -> Floats:
    """Shape (n,), NaN where there is no number; what was taken as missing is counted in `found`."""
    values = _of_text(trimmed(column), found, decimal_comma=decimal_comma) if is_text(column) else _of_typed(column, found)
    absurd = np.abs(values) > ABSURD
    found.absurd += int(absurd.sum())
    values[absurd] = np.nan
    return values


def _of_typed(column: pa.Array, found: ColumnFindings) -> Floats:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    try:
        values = np.array(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
    except pa.ArrowException:
        found.unreadable += len(column) - column.null_count
        found.example = found.example or str(column.type)
        return np.full(len(column), np.nan)
    found.missing += int(np.isnan(values).sum())
    return values


def _of_text(text: pa.Array, found: ColumnFindings, *, decimal_comma: bool) -> Floats:
    found.missing += text.null_count
    with suppress(pa.ArrowException):  # most columns hold nothing but numbers, and that is tried first
        return _doubles(text)
    clean = _without_separators(text, decimal_comma=decimal_comma)
    good = pc.fill_null(pc.match_substring_regex(clean, _NUMBER, ignore_case=True), fill_value=False)
    values = _doubles(pc.if_else(good, clean, pa.scalar(None, pa.string())))
    _take_words(values, text, good, found)
    return values


def _take_words(values: Floats, text: pa.Array, good: pa.Array, found: ColumnFindings) -> None:
    """True and false are numbers; what else is a word can't be read."""
    bad = np.flatnonzero(~good.to_numpy(zero_copy_only=False) & text.is_valid().to_numpy(zero_copy_only=False))
    for at, word in zip(bad, text.take(pa.array(bad)).to_pylist(), strict=True):
        values[at] = _WORDS.get(word.lower(), np.nan)
        if np.isnan(values[at]):
            found.unreadable += 1
            found.example = found.example or word[:40]


def _doubles(text: pa.Array) -> Floats:
    return np.array(text.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _without_separators(text: pa.Array, *, decimal_comma: bool) -> pa.Array:
    """'1,234.5' as 1234.5; '1.234,5' too where the file parts its columns by semicolons, which leaves the comma to decimals."""
    if decimal_comma:
        swapped = pc.replace_substring(pc.replace_substring(text, ".", ""), ",", ".")
        return pc.if_else(pc.match_substring_regex(text, _DECIMAL_COMMA), swapped, text)
    return pc.if_else(pc.match_substring_regex(text, _GROUPED), pc.replace_substring(text, ",", ""), text)


def hashed(column: pa.Array) -> NDArray[np.uint64]:
    """A number for each value, alike for alike values within this process; shape (n,)."""
    if pa.types.is_integer(column.type) or pa.types.is_timestamp(column.type):
        return np.asarray(pc.fill_null(column.cast(pa.int64(), safe=False), -1).to_numpy(zero_copy_only=False)).view(np.uint64)
    coded = plain(column).cast(pa.string()).dictionary_encode()
    table = np.array([hash(one) & 0xFFFFFFFFFFFFFFFF for one in [*coded.dictionary.to_pylist(), None]], dtype=np.uint64)
    return np.asarray(table[pc.fill_null(coded.indices, len(table) - 1).to_numpy(zero_copy_only=False)], dtype=np.uint64)
