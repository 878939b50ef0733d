"""Weeks of traffic with known quality, and the labels that tell it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from platforms.local.capture import CapturedRow, CaptureWriter
from platforms.local.feature_table import FeatureTable

START = datetime(2024, 3, 1, tzinfo=UTC)


def play_week(home: Path, digest: str, week: int, *, right: bool, labels: bool = True) -> None:
    """168 answers an hour apart, sure of themselves and right or wrong, and their labels an hour later."""
    moments = [START + timedelta(days=7 * week, hours=hour) for hour in range(168)]
    truth = [hour % 2 for hour in range(168)]
    scores = [0.95 if bool(label) == right else 0.05 for label in truth]
    ids = [f"w{week}h{hour}" for hour in range(168)]
    writer = CaptureWriter(home / "capture" / "bikes")
    writer.append(
        [
            CapturedRow(
                id=i,
                event_time=t,
                served_at=t,
                digest=digest,
                score=s,
                answer=int(s > 0.5),
                features={"hour": 1.0, "temperature": 2.0},
            )
            for i, t, s in zip(ids, moments, scores, strict=True)
        ]
    )
    writer.close()
    if labels:
        append_labels(home, ids, moments, truth)


def append_labels(home: Path, ids: list[str], moments: list[datetime], truth: list[int]) -> None:
    arrivals = [moment + timedelta(hours=1) for moment in moments]
    stamp = pa.timestamp("us", "UTC")
    columns = {"id": ids, "event_time": pa.array(moments, stamp), "label_time": pa.array(arrivals, stamp), "busy": truth}
    FeatureTable(home / "features", "rides").append(pa.table(columns))


def close_week(home: Path, week: int) -> None:
    """The first label of the week after, which says that the week's own have all arrived."""
    append_labels(home, [f"close{week}"], [START + timedelta(days=7 * (week + 1))], [0])
