"""What a backtest leaves in its folder: each file whole or not at all, summary.json last."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from backtest.page import render
from backtest.plots import drawings, standalone
from backtest.summary import lines_of, summarise
from backtest.trial import Played
from platforms.files import write_atomic

SUMMARY: Final = "summary.json"
FILES: Final = ("periods.parquet", "periods.csv", "decisions.csv", "plot.svg", "index.html", SUMMARY)


def write(played: Played, out: Path, name: str) -> dict[str, Any]:
    """The summary, once everything is written. Raises: Exhausted, Invalid, Unavailable (disk, permissions)."""
    summary = summarise(played)
    lines, plots = lines_of(played), drawings(played)
    contents = {
        "periods.parquet": _parquet(lines),
        "periods.csv": _csv(lines),
        "decisions.csv": _csv(summary["decisions"]["list"]),
        "plot.svg": standalone(plots),
        "index.html": render(summary, name, plots).encode(),
        SUMMARY: (json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode(),
    }
    for file in FILES:
        write_atomic(out / file, contents[file])
    return summary


def _parquet(lines: Sequence[Mapping[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(lines)), sink)
    return sink.getvalue()


def _csv(lines: Sequence[Mapping[str, Any]]) -> bytes:
    sink = io.StringIO()
    if lines:
        out = csv.DictWriter(sink, fieldnames=list(lines[0]))
        out.writeheader()
        out.writerows({key: _cell(value) for key, value in line.items()} for line in lines)
    return sink.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return " ".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict) else value
