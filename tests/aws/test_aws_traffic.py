"""Captured requests in S3 are replayed as on the local platform: as they were answered, with the labels known at the time."""

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from contracts.snapshot import DataPolicy, Window
from contracts.training import Task
from platforms.aws.calls import Aws
from platforms.aws.feature_store import AwsFeatureStore
from platforms.aws.objects import Objects
from platforms.aws.traffic import AwsTrafficLog
from platforms.errors import Invalid, NotFound
from platforms.local.feature_table import FeatureTable
from platforms.local.traffic import LocalTrafficLog
from platforms.ports import Served
from tests.aws.captures import capture_line, write_captures
from tests.aws.offline_store import OfflineStore
from tests.platforms.data_fixtures import DAY, HOUR, lenient, take
from tests.platforms.serving.captured import DIGEST, LATE, START, WEEK, answer, append_labels, write

DATA = DataPolicy(table="rides", features=("hour", "temperature"), label="busy", label_delay=timedelta(hours=1))
RUNTIME = "sagemaker-featurestore-runtime"


@pytest.fixture
def account(aws: Aws) -> Aws:
    return aws


@pytest.fixture
def bucket(account: Aws) -> Objects:
    return Objects(account)


@pytest.fixture
def replay(account: Aws, bucket: Objects) -> Callable[..., Served]:
    def look(window: Window = WEEK, known_at: datetime = LATE, **changes: Any) -> Served:
        return AwsTrafficLog(account, bucket).replay("bikes", DATA.model_copy(update=changes), window, known_at)

    return look


def labels(*given: tuple[str, float, float, float]) -> pa.Table:
    """Rows of (id, hours of the event, hours of the label's arrival, label)."""
    return pa.table(
        {
            "id": [label[0] for label in given],
            "event_time": pa.array([START + label[1] * HOUR for label in given], pa.timestamp("us", "UTC")),
            "label_time": pa.array([START + label[2] * HOUR for label in given], pa.timestamp("us", "UTC")),
            "busy": [label[3] for label in given],
        }
    )


def test_the_same_calls_and_labels_are_replayed_alike_on_both_platforms(
    account: Aws, bucket: Objects, replay: Callable[..., Served], tmp_path: Path
) -> None:
    calls = [answer(f"r{n}", n / 2, score=n / 40, served=n) for n in range(30)]
    calls += [answer("r3", 1.5, score=0.99, served=600), answer("later", 200), answer("r4", 2, score=0.11, served=10**8)]
    given = [(f"r{n}", n / 2, n / 2 + 1 + n % 7, float(n % 2)) for n in range(25)]
    for part in (calls[:20], calls[20:]):
        write(tmp_path / "capture" / "bikes", *part)
        write_captures(bucket, "bikes", f"part-{len(part)}", [capture_line([row]) for row in part], START)
    table = FeatureTable(tmp_path / "features", "rides")
    for some in (given, [("r5", 2.5, 60, 0.0)]):
        append_labels(table, *some)
        OfflineStore(account).append("rides", labels(*some))
    for known_at in (START + 10 * HOUR, LATE):
        ours, theirs = LocalTrafficLog(tmp_path).replay("bikes", DATA, WEEK, known_at), replay(known_at=known_at)
        for name in ("ids", "event_time", "features", "label", "score", "digest"):
            assert getattr(ours, name).tobytes() == getattr(theirs, name).tobytes(), name
    assert 0 < int(np.isnan(theirs.label).sum()) < len(theirs)


def test_a_call_of_many_rows_and_many_classes_keeps_every_score(
    bucket: Objects, account: Aws, replay: Callable[..., Served]
) -> None:
    OfflineStore(account).append("rides", labels(("a", 1, 2, 2.0)))
    rows = [answer(name, 1).model_copy(update={"scores": (0.1, 0.2, 0.7), "answer": 2}) for name in ("a", "b")]
    write_captures(bucket, "bikes", "x", [capture_line(rows)], START)
    served = replay(task=Task.MULTICLASS, classes=("calm", "busy", "full"))
    assert served.score.tolist() == [[0.1, 0.2, 0.7]] * 2
    assert served.label[0] == 2.0


def test_a_line_in_base64_is_read_and_a_broken_one_is_put_aside_once_with_its_reason(
    bucket: Objects, account: Aws, replay: Callable[..., Served]
) -> None:
    OfflineStore(account).append("rides", labels(("a", 1, 2, 1.0)))
    coded = json.loads(capture_line([answer("a", 1)]))
    for side in coded["captureData"].values():
        side |= {"data": base64.b64encode(side["data"].encode()).decode(), "encoding": "BASE64"}
    other = json.loads(capture_line([answer("b", 2)]))
    other["captureData"]["endpointOutput"]["data"] = '{"error":"the call is not valid"}'
    torn = capture_line([answer("c", 3)])[:100]
    key = write_captures(
        bucket, "bikes", "x", [json.dumps(coded), json.dumps(other), torn, capture_line([answer("d", 4)])], START
    )
    assert replay().ids.tolist() == replay().ids.tolist() == ["a", "d"]
    (aside,) = bucket.keys("quarantine/bikes/")
    notes = [json.loads(line) for line in bucket.get(aside).splitlines()]
    assert [(note["object"], note["line"]) for note in notes] == [(key, 2), (key, 3)]
    assert "model: Field required" in notes[0]["reason"]


def test_calls_long_before_the_window_are_not_even_read(bucket: Objects, account: Aws, replay: Callable[..., Served]) -> None:
    OfflineStore(account).append("rides", labels(("a", 1, 2, 1.0)))
    write_captures(bucket, "bikes", "old", ["{broken"], START - 40 * DAY)
    write_captures(bucket, "bikes", "new", [capture_line([answer("a", 1)])], START + 400 * DAY)
    assert replay().ids.tolist() == ["a"]
    assert list(bucket.keys("quarantine/")) == []


def test_nothing_captured_is_an_empty_replay_and_what_is_not_there_is_named(account: Aws, replay: Callable[..., Served]) -> None:
    with pytest.raises(NotFound, match="no table 'rides'"):
        replay()
    OfflineStore(account).append("rides", labels(("a", 1, 2, 1.0)))
    assert replay().features.shape == (0, 2)
    with pytest.raises(NotFound, match="no column crowded; there are: busy"):
        replay(label="crowded")


# ---- the online store as source


def _online(account: Aws, *given: tuple[str, float, float, float]) -> str:
    made = OfflineStore(account).group("live", labels(*given), online=True)
    for id_, event, arrival, label in given:
        values = {
            "id": id_,
            "event_time": f"{START + event * HOUR:%Y-%m-%dT%H:%M:%SZ}",
            "label_time": f"{START + arrival * HOUR:%Y-%m-%dT%H:%M:%SZ}",
            "busy": str(label),
        }
        record = [{"FeatureName": name, "ValueAsString": value} for name, value in values.items()]
        account.call(RUNTIME, "put_record", FeatureGroupName=made["FeatureGroupName"], Record=record)
    return f"online:{made['FeatureGroupName']}"


def test_live_requests_joined_with_the_online_stores_labels_are_a_window(account: Aws, bucket: Objects) -> None:
    rows = [answer(f"r{n}", n / 2, hour=float(n % 24), temperature=n / 7) for n in range(150)]
    write_captures(bucket, "bikes", "x", [capture_line([row]) for row in rows], START)
    source = _online(account, *((f"r{n}", n / 2, n / 2 + 1, float(n % 2)) for n in range(120)))
    data = DATA.model_copy(update={"source": source, "coverage": lenient()})
    store = AwsFeatureStore(account, bucket)
    request = take(as_of=START + 50 * HOUR, data=data, horizons=(2 * DAY,), holdout=12 * HOUR)
    snapshot = store.snapshot(request)
    found = store.rows(snapshot.dataset, data, snapshot.window)
    assert (snapshot.coverage.rows, len(found)) == (96, 99)
    assert found.features[3].tolist() == [
        (found.event_time[3] - np.datetime64("2024-03-01")) // np.timedelta64(30, "m") % 24,
        int(found.ids[3][1:]) / 7,
    ]
    assert snapshot.retrieval is not None
    assert (snapshot.retrieval.source, snapshot.retrieval.cost_usd) == (source, 0.0)
    served = AwsTrafficLog(account, bucket).replay("bikes", data, WEEK, START + 10 * HOUR)
    assert int((~np.isnan(served.label)).sum()) == 19
    assert set(served.digest) == {DIGEST}


def test_an_online_source_says_what_it_can_not_do(account: Aws, bucket: Objects) -> None:
    data = DATA.model_copy(update={"source": _online(account, ("a", 1, 2, 1.0))})
    store = AwsFeatureStore(account, bucket)
    assert store.watermark(data) is None
    with pytest.raises(Invalid, match="has no horizon 'all'"):
        store.snapshot(take(as_of=LATE, data=data, horizons=("all",)))
    offline = OfflineStore(account).group("cold", labels(("a", 1, 2, 1.0)))["FeatureGroupName"]
    with pytest.raises(Invalid, match="has no online store"):
        store.snapshot(take(as_of=LATE, data=data.model_copy(update={"source": f"online:{offline}"})))
