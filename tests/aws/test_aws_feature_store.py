"""What only AWS does when a window is frozen: write times and deletions, partitions, executions that are adopted, other sources."""

import io
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.snapshot import DataPolicy, Snapshot
from platforms.aws.athena import failed
from platforms.aws.calls import Aws
from platforms.aws.feature_store import AwsFeatureStore
from platforms.aws.objects import Objects
from platforms.errors import Corrupt, Invalid, NotFound, PlatformError, Unavailable
from platforms.local.feature_store import LocalFeatureStore
from platforms.local.feature_table import normalised
from tests.aws.offline_store import OfflineStore, stored
from tests.aws.simulator import Simulator
from tests.platforms.data_fixtures import DATA, DAY, HOUR, at, changed, hourly, lenient, take, unlabelled

POLICY = DATA.model_copy(update={"coverage": lenient()})
PLAIN = POLICY.model_copy(update={"features": ("temp",)})


@pytest.fixture
def account(aws: Aws) -> Aws:
    return aws


@pytest.fixture
def store(account: Aws) -> AwsFeatureStore:
    return AwsFeatureStore(account, Objects(account))


@pytest.fixture
def offline(account: Aws) -> OfflineStore:
    return OfflineStore(account)


def _temps(store: AwsFeatureStore, snapshot: Snapshot) -> list[float]:
    return [float(value) for value in store.rows(snapshot.dataset, PLAIN, snapshot.window).features[:, 0]]


# ---- the time of writing


def test_a_version_that_was_written_after_the_moment_is_never_read(store: AwsFeatureStore, offline: OfflineStore) -> None:
    rows = hourly(60)
    offline.append("bikes", rows)
    n = rows.num_rows
    offline.append("bikes", changed(rows, temp=[1e9] * n), written=[at(60) + timedelta(seconds=1)] * n)
    offline.append("clean", rows)
    prints = {
        table: store.snapshot(take(f"snapshot/{table}", data=POLICY.model_copy(update={"table": table}))).fingerprint
        for table in ("bikes", "clean")
    }
    assert prints["bikes"] == prints["clean"]
    later = store.snapshot(take("snapshot/later", as_of=at(60) + DAY, data=PLAIN))
    assert set(_temps(store, later)) == {1e9}


def test_without_a_column_for_it_a_label_arrives_when_its_version_is_written(
    store: AwsFeatureStore, offline: OfflineStore
) -> None:
    rows = hourly(40).drop_columns(["label_time"])
    events = rows["event_time"].to_pylist()
    offline.append("bikes", changed(rows, busy=[None] * rows.num_rows), written=events)
    offline.append("bikes", rows, written=[moment + 2 * DAY for moment in events])
    snapshot = store.snapshot(take(as_of=at(30), horizons=(20 * DAY,), data=POLICY))
    labels = store.labels(snapshot.dataset, POLICY, snapshot.window)
    assert labels.event_time.max() == np.datetime64("2012-01-29T00:00")
    assert np.array_equal(labels.known_at - labels.event_time, np.full(len(labels), np.timedelta64(2 * DAY)))
    assert store.watermark(POLICY) == at(42) - HOUR


# ---- deletions


@pytest.mark.parametrize(("gone_at", "left"), [(at(50), 0), (at(61), 1)], ids=["before the moment", "after it"])
def test_a_deleted_record_is_gone_from_its_deletion_on(
    store: AwsFeatureStore, offline: OfflineStore, gone_at: datetime, left: int
) -> None:
    rows = hourly(60)
    offline.append("bikes", rows)
    _delete(offline, rows.slice(1000, 1), gone_at)
    snapshot = store.snapshot(take(data=PLAIN))
    assert snapshot.dataset.rows == 44 * 24 + left
    assert (rows["temp"][1000].as_py() in _temps(store, snapshot)) == bool(left)


def test_what_is_put_again_after_its_deletion_is_there(store: AwsFeatureStore, offline: OfflineStore) -> None:
    rows = hourly(60)
    offline.append("bikes", rows)
    _delete(offline, rows.slice(1000, 1), at(50))
    offline.append("bikes", changed(rows.slice(1000, 1), temp=[99.5]), written=[at(51)])
    assert 99.5 in _temps(store, store.snapshot(take(data=PLAIN)))


def _delete(offline: OfflineStore, rows: pa.Table, moment: datetime) -> None:
    """A tombstone: identifier and event time, which is that of the deletion."""
    bare = unlabelled(changed(rows, event_time=[moment], temp=[None], hour=[None]))
    location = offline.group("bikes", bare)["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"]
    offline.put(f"{location}/tombstone.parquet", stored(bare, [moment], [True]))


# ---- partitions, and what it costs


def test_only_the_windows_partitions_are_scanned(store: AwsFeatureStore, offline: OfflineStore) -> None:
    rows = hourly(60).drop_columns(["hour"])
    group = offline.group("bikes", rows, iceberg=False)
    location = group["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"]
    for first in (0, 20, 40, 59):
        part = rows.slice(first * 24, 1)
        hour = part["event_time"][0].as_py()
        offline.put(f"{location}/year={hour:%Y}/month={hour:%m}/day={hour:%d}/hour={hour:%H}/a.parquet", stored(part, [hour]))
    narrow = store.snapshot(take("snapshot/narrow", data=PLAIN, horizons=(5 * DAY,), holdout=3 * DAY))
    wide = store.snapshot(take("snapshot/wide", data=PLAIN, horizons=("all",), holdout=3 * DAY))
    assert (narrow.coverage.rows, wide.window.start) == (1, at(0))
    assert narrow.retrieval is not None
    assert wide.retrieval is not None
    assert wide.retrieval.scanned_bytes == pytest.approx(4 * narrow.retrieval.scanned_bytes, rel=0.2)
    assert narrow.retrieval.cost_usd == pytest.approx(10 / 2**20 * 5, abs=1e-6)
    assert "BETWEEN '2012-02-21' AND '2012-03-01'" in narrow.query
    assert """"event_time" >= '2012-02-20' AND "event_time" < '2012-03-03'""" in narrow.query


def test_a_partition_key_can_not_be_a_feature(store: AwsFeatureStore, offline: OfflineStore) -> None:
    offline.group("bikes", hourly(1).drop_columns(["hour"]), iceberg=False)
    with pytest.raises(NotFound, match="no column hour"):
        store.snapshot(take(data=POLICY))
    with pytest.raises(Invalid, match="a feature group with 'hour' among its features in the Glue format"):
        offline.group("other", hourly(1), iceberg=False)


# ---- once, whatever dies


@pytest.mark.parametrize(
    "where",
    [("athena", "StartQueryExecution", 0), ("athena", "GetQueryExecution", 1), ("s3", "PutObject", 2), ("s3", "PutObject", 4)],
    ids=["asked and not heard", "while it ran", "before the rows", "after the snapshot was written"],
)
def test_a_snapshot_that_died_is_taken_up_with_the_same_execution(
    store: AwsFeatureStore, offline: OfflineStore, simulator: Simulator, where: tuple[str, str, int]
) -> None:
    offline.append("bikes", hourly(60))
    simulator.fault(*where[:2], "timeout_after", after=where[2])
    with pytest.raises(Unavailable):
        store.snapshot(take(data=POLICY))
    taken = store.snapshot(take(data=POLICY))
    assert taken.dataset.rows == 44 * 24 + 1
    asked = {call["params"]["ClientRequestToken"] for call in simulator.calls("athena", "StartQueryExecution")}
    assert len(asked) == 1
    assert store.snapshot(take(data=POLICY)) == taken


def test_an_execution_that_failed_is_followed_by_another_with_a_prefix_of_its_own(
    store: AwsFeatureStore, offline: OfflineStore, account: Aws, simulator: Simulator
) -> None:
    offline.append("bikes", hourly(60))
    simulator.fault("athena", "StartQueryExecution", "capacity")
    with pytest.raises(Unavailable, match="Query exhausted resources"):
        store.snapshot(take(data=POLICY))
    taken = store.snapshot(take(data=POLICY))
    assert taken.retrieval is not None
    left = [key.split("/", 2)[2] for key in Objects(account).keys("snapshots/")]
    assert sorted(part.partition("/")[0] for part in left if not part.endswith(".parquet")) == sorted(
        ["attempts", "attempts", taken.dataset.uri.split("/")[-2], "snapshot.json", "tags.json"]
    )


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.a.b' does not exist", NotFound),
        ("COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved", NotFound),
        ("SYNTAX_ERROR: line 1:8: mismatched input", Invalid),
        ("HIVE_BAD_DATA: Not valid Parquet file", Corrupt),
        ("Insufficient permissions to execute the query. Access Denied", Unavailable),
        ("Query exhausted resources at this scale factor", Unavailable),
        ("Query was cancelled by user", Unavailable),
    ],
)
def test_why_a_query_failed_is_told_in_our_words(reason: str, error: type[PlatformError]) -> None:
    assert type(failed("q", reason)) is error or (error is Unavailable and isinstance(failed("q", reason), Unavailable))


# ---- the same as on the local platform


def _untidy(seed: int) -> list[pa.Table]:
    """Appends as they come: labels late or never, gaps, infinities, corrections, repeats."""
    random, rows = np.random.default_rng(seed), hourly(40, seed=seed)
    n = rows.num_rows
    delays = random.exponential(np.where(random.random(n) < 0.2, 20 * 24.0, 6.0))
    rows = changed(
        rows,
        label_time=[at(0) + (i + float(delay)) * HOUR for i, delay in enumerate(delays)],
        temp=random.choice([np.nan, np.inf, 1e-300, 0.1], n, p=[0.1, 0.01, 0.1, 0.79]) * random.normal(size=n),
        busy=np.where(random.random(n) < 0.05, np.nan, rows["busy"].to_numpy()),
    )
    chosen = np.sort(random.choice(n, 100, replace=False))
    late = [
        moment + timedelta(microseconds=int(random.integers(1, 10**12))) for moment in rows["label_time"].take(chosen).to_pylist()
    ]
    return [
        unlabelled(rows.slice(0, n // 2)),
        rows,
        changed(rows.take(chosen), temp=list(random.normal(size=100)), label_time=late),
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_rows_are_frozen_to_the_same_bits_on_both_platforms(
    store: AwsFeatureStore, offline: OfflineStore, account: Aws, tmp_path: Path, seed: int
) -> None:
    local = LocalFeatureStore(tmp_path)
    for part in _untidy(seed):
        local.append("bikes", part)
        offline.append("bikes", part)
    request = take(as_of=at(35), data=POLICY.model_copy(update={"segment": "hour"}), horizons=("all",), categorical=("hour",))
    ours, theirs = local.snapshot(request), store.snapshot(request)
    assert theirs.fingerprint == ours.fingerprint
    assert theirs.coverage == ours.coverage == store.coverage(request)
    objects = Objects(account)
    assert objects.get(objects.within(theirs.dataset.uri)) == Path(ours.dataset.uri).read_bytes()


# ---- encryption


def test_what_is_unloaded_is_encrypted_under_the_key_of_the_settings(
    account: Aws, offline: OfflineStore, simulator: Simulator
) -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    offline.append("bikes", hourly(60))
    locked = Aws(account.settings.model_copy(update={"kms_key": key}))
    AwsFeatureStore(locked, Objects(locked)).snapshot(take(data=POLICY))
    (started,) = simulator.calls("athena", "StartQueryExecution")
    assert started["params"]["ResultConfiguration"]["EncryptionConfiguration"] == {"EncryptionOption": "SSE_KMS", "KmsKey": key}


# ---- other sources


def test_a_glue_table_and_a_prefix_of_files_give_the_same_snapshot_as_the_local_table(
    store: AwsFeatureStore, offline: OfflineStore, account: Aws, tmp_path: Path
) -> None:
    rows, bucket = hourly(60), account.settings.bucket
    sink = io.BytesIO()
    pq.write_table(normalised(rows), sink)
    offline.put(f"s3://{bucket}/plain/rows.parquet", sink.getvalue())
    account.client("glue").create_database(DatabaseInput={"Name": account.settings.prefix})
    kinds = {"id": "string", "event_time": "timestamp", "label_time": "timestamp"}
    account.client("glue").create_table(
        DatabaseName=account.settings.prefix,
        TableInput={
            "Name": "rides",
            "StorageDescriptor": {
                "Location": f"s3://{bucket}/plain",
                "Columns": [{"Name": name, "Type": kinds.get(name, "double")} for name in rows.column_names],
            },
        },
    )
    local = LocalFeatureStore(tmp_path)
    local.append("bikes", rows)
    wanted = local.snapshot(take(data=POLICY, horizons=("all",)))
    for source in (f"glue:{account.settings.prefix}.rides", f"s3://{bucket}/plain"):
        data = DataPolicy.model_validate(POLICY.model_dump() | {"source": source})
        found = store.snapshot(take(f"snapshot/{source}", data=data, horizons=("all",)))
        assert (found.fingerprint, found.window) == (wanted.fingerprint, wanted.window), source
        assert found.coverage == wanted.coverage
        assert store.watermark(data) == local.watermark(POLICY)
        assert found.retrieval is not None
        assert found.retrieval.scanned_bytes > 0


def test_a_source_that_is_none_is_refused_and_one_that_is_not_there_is_named(store: AwsFeatureStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="source"):
        DataPolicy.model_validate(POLICY.model_dump() | {"source": "ftp://x"})
    for source, said in (("glue:no.such", "'such' in the Glue database 'no'"), ("s3://no-such-bucket/x", "NoSuchBucket")):
        with pytest.raises(NotFound, match=said):
            store.snapshot(take(data=POLICY.model_copy(update={"source": source})))
    with pytest.raises(Invalid, match="is read on AWS only"):
        LocalFeatureStore(tmp_path).snapshot(take(data=POLICY.model_copy(update={"source": "online:bikes"})))
