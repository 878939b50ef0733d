"""Captured answers and labels, written as instances and ingestion write them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from contracts.snapshot import Window
from platforms.local.capture import CapturedRow, CaptureWriter
from platforms.local.feature_table import FeatureTable

START = datetime(2024, 3, 1, tzinfo=UTC)
WEEK = Window(start=START, end=START + timedelta(days=7))
LATE = START + timedelta(days=30)
DIGEST = "ab" * 32


def answer(id: str, hours: float = 0, score: float = 0.7, served: float = 0, **features: float | None) -> CapturedRow:  # noqa: A002
    return CapturedRow(
        id=id,
        event_time=START + timedelta(hours=hours),
        served_at=START + timedelta(seconds=served),
        digest=DIGEST,
        score=score,
        answer=int(score >= 0.5),
        features=features or {"hour": hours % 24, "temperature": 1.0},
    )


def labels_table(*labels: tuple[str, float, float, float]) -> pa.Table:
    """Rows of (id, hours of the event, hours of the label's arrival, label)."""
    moments = [START + timedelta(hours=event) for _, event, _, _ in labels]
    arrivals = [START + timedelta(hours=arrival) for _, _, arrival, _ in labels]
    return pa.table(
        {
            "id": [label[0] for label in labels],
            "event_time": pa.array(moments, pa.timestamp("us", "UTC")),
            "label_time": pa.array(arrivals, pa.timestamp("us", "UTC")),
            "busy": [label[3] for label in labels],
        }
    )


def append_labels(table: FeatureTable, *labels: tuple[str, float, float, float]) -> None:
    table.append(labels_table(*labels))


def write(capture: Path, *rows: CapturedRow) -> None:
    writer = CaptureWriter(capture)
    writer.append(rows)
    writer.close()
