"""Files and cards for the tests of the backtest: a history in which something can be learned, and every way to spoil it."""

import csv
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from backtest.data.card import CardFile
from backtest.data.history import PlayedHistory, history_of
from backtest.data.raw_table import RawTable
from backtest.data.reading import read_table

BEGIN = datetime(2023, 1, 1, tzinfo=UTC)
NOW = datetime(2024, 6, 1, tzinfo=UTC)
Row = dict[str, object]
CARD = "event_time: at\nlabel: late\nlabel_delay: 1h\nfirst_window: 28d\n"
SMALL = "training:\n  recipe:\n    horizons: [30d, all]\n    learner: {rounds: 5, min_rows_per_leaf: 10, learning_rate: 0.3}\ngate: {resamples: 200}\n"
"""A policy that fits in no time."""


def history(days: int = 70, per_day: int = 12, seed: int = 0) -> list[Row]:
    """`late` follows `load`, and turns round after two thirds of the time."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for at in range(days * per_day):
        load, noise = rng.normal(size=2)
        turned = -1 if at > days * per_day * 2 / 3 else 1
        row = {
            "at": (BEGIN + at * timedelta(days=1) / per_day).isoformat(),
            "load": round(float(load), 3),
            "wind": round(float(rng.normal()), 3),
            "place": str(rng.choice(["north", "south", "east"])),
            "late": int(turned * load + 0.3 * noise > 0),
        }
        rows.append(row)
    return rows


def changed(rows: Sequence[Row], which: Callable[[int], bool], change: Callable[[Row], Mapping[str, object]]) -> list[Row]:
    return [{**row, **change(row)} if which(at) else dict(row) for at, row in enumerate(rows)]


def written(path: Path, rows: Sequence[Row], **options: str) -> Path:
    """A CSV file."""
    with path.open("w", newline="", encoding=options.get("encoding", "utf-8")) as file:
        out = csv.DictWriter(file, list(rows[0]), delimiter=options.get("delimiter", ","))
        out.writeheader()
        out.writerows(rows)
    return path


def card(folder: Path, text: str = CARD) -> CardFile:
    path = folder / "card.yaml"
    path.write_text(text)
    return CardFile(path)


def understood(folder: Path, data: Path, text: str = CARD) -> PlayedHistory:
    """Read and prepared, as a backtest does it."""
    table = RawTable(data)
    table.survey()
    scratch = folder / "scratch"
    scratch.mkdir()
    return history_of(read_table(card(folder, text), table, scratch, NOW, lambda _rows: None), NOW)
