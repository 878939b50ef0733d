"""What only the embedded feature store can show: files, layouts, corruption, a full disk, a crash."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.snapshot import Window
from platforms.errors import Corrupt, Invalid, NotFound
from platforms.files import key_folder
from platforms.local import feature_store, feature_table
from platforms.local.feature_store import LocalFeatureStore
from tests.platforms.data_fixtures import DATA, DAY, ROOT, at, changed, hourly, take

FULL = """
import resource, sys
from pathlib import Path
from platforms.errors import Exhausted
from platforms.local.feature_store import LocalFeatureStore
from tests.platforms.data_fixtures import hourly, take
store = LocalFeatureStore(Path(sys.argv[1]))
if sys.argv[2] == "snapshot":
    store.append("bikes", hourly(60))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    store.snapshot(take()) if sys.argv[2] == "snapshot" else store.append("bikes", hourly(60))
except Exhausted as error:
    print(error)
"""


@pytest.fixture
def store(home: Path) -> LocalFeatureStore:
    return LocalFeatureStore(home)


def _files(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file()]


def _partition(home: Path, day: int) -> Path:
    return home / "features" / "bikes" / f"day={at(day).date()}" / "000000000001.parquet"


def test_another_file_layout_leaves_the_fingerprint_alone(store: LocalFeatureStore, home: Path) -> None:
    rows = hourly(60)
    store.append("bikes", rows)
    store.append("bikes", changed(rows, temp=[1.0] * rows.num_rows))
    before = store.snapshot(take())
    for day in (home / "features" / "bikes").glob("day=*"):
        parts = sorted(day.glob("*.parquet"))
        merged = pa.concat_tables([pq.ParquetFile(path).read() for path in parts]).sort_by([("temp", "descending")])
        for path in parts:
            path.unlink()
        pq.write_table(merged.select(sorted(merged.column_names)), day / "compacted.parquet", row_group_size=5)
    assert store.snapshot(take("snapshot/2")).fingerprint == before.fingerprint


def test_a_feature_that_came_later_is_missing_in_older_rows(store: LocalFeatureStore) -> None:
    store.append("bikes", hourly(50).drop_columns(["temp"]))
    store.append("bikes", hourly(10, first=50))
    snapshot = store.snapshot(take(horizons=("all",)))
    temp = store.rows(snapshot.dataset, DATA, snapshot.window).features[:, 1]
    assert list(temp[:3]) != list(temp[:3])
    assert temp[-1] == temp[-1]


def test_the_recorded_query_gives_the_frozen_rows_again(
    store: LocalFeatureStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append("bikes", hourly(60))
    snapshot = store.snapshot(take())
    monkeypatch.chdir(home)
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE again AS {snapshot.query}")
        again = database.execute('SELECT count(*), sum("busy"), sum("temp") FROM again WHERE "busy" IS NOT NULL').fetchone()
    rows = store.rows(snapshot.dataset, DATA, snapshot.window)
    assert again == pytest.approx((snapshot.dataset.rows, rows.label.sum(), rows.features[:, 1].sum()))


def test_a_corrupt_partition_is_named(store: LocalFeatureStore, home: Path) -> None:
    store.append("bikes", hourly(60))
    broken = _partition(home, 50)
    broken.write_bytes(b"PAR1" + b"\0" * 200 + b"PAR1")
    with pytest.raises(Corrupt, match=str(broken)):
        store.snapshot(take())
    with pytest.raises(Corrupt, match=str(broken)):
        LocalFeatureStore(home).watermark(DATA)
    assert not list((home / "snapshots").iterdir()), "nothing half-done"


def test_damaged_pages_behind_a_whole_footer_are_named(store: LocalFeatureStore, home: Path) -> None:
    store.append("bikes", hourly(60))
    broken = _partition(home, 50)
    content = bytearray(broken.read_bytes())
    content[4:900] = b"\xff" * 896
    broken.write_bytes(content)
    with pytest.raises(Corrupt, match=str(broken)):
        store.snapshot(take())


def test_partitions_outside_the_window_are_not_even_opened(store: LocalFeatureStore, home: Path) -> None:
    store.append("bikes", hourly(60))
    _partition(home, 2).write_bytes(b"rubbish")
    assert store.snapshot(take(horizons=(30 * DAY,))).dataset.rows


def test_a_foreign_folder_among_the_partitions_is_named(store: LocalFeatureStore, home: Path) -> None:
    store.append("bikes", hourly(60))
    (home / "features" / "bikes" / "day=yesterday").mkdir()
    with pytest.raises(Corrupt, match="day=yesterday is not a day partition"):
        store.snapshot(take())


def test_a_frozen_file_that_was_changed_is_never_used(store: LocalFeatureStore) -> None:
    store.append("bikes", hourly(60))
    snapshot = store.snapshot(take())
    path = Path(snapshot.dataset.uri)
    table = pq.ParquetFile(path).read()
    pq.write_table(changed(table, busy=[1.0] * table.num_rows), path)
    with pytest.raises(Corrupt, match="changed after it was frozen"):
        store.rows(snapshot.dataset, DATA, snapshot.window)


def test_a_dataset_of_another_hash_is_never_used(store: LocalFeatureStore) -> None:
    store.append("bikes", hourly(60))
    snapshot = store.snapshot(take())
    other = snapshot.dataset.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(Corrupt, match="wanted 000000000000"):
        store.rows(other, DATA, snapshot.window)
    with pytest.raises(NotFound, match="no column wind"):
        store.rows(snapshot.dataset, DATA.model_copy(update={"features": ("wind",)}), snapshot.window)


@pytest.mark.parametrize(("what", "limit"), [("snapshot", 2000), ("snapshot", 10), ("append", 500)])
def test_a_full_disk_leaves_nothing_half_done(home: Path, what: str, limit: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL, str(home), what, str(limit)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Free some space" in ran.stdout, ran
    assert not [path for path in _files(home / "snapshots") if path.name != ".lock"]
    store = LocalFeatureStore(home)
    if what == "append":
        assert not [path for path in _files(home / "features") if path.suffix == ".parquet"]
        store.append("bikes", hourly(60))
    assert store.snapshot(take()).dataset.rows == 44 * 24 + 1 + 24 * 0, "the same call works once there is space"


def test_killed_while_freezing_the_next_call_freezes_anew(
    store: LocalFeatureStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append("bikes", hourly(60))
    with monkeypatch.context() as patch:
        patch.setattr(feature_store, "write_contract", _killed)
        with pytest.raises(KeyboardInterrupt):
            store.snapshot(take())
    assert not key_folder(home / "snapshots", take().key).exists()
    assert store.snapshot(take()).dataset.rows


def test_killed_while_appending_no_file_is_half_there(
    store: LocalFeatureStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(feature_table, "_make_durable", _killed)
        with pytest.raises(KeyboardInterrupt):
            store.append("bikes", hourly(60))
    assert not list(home.rglob("*.parquet"))
    store.append("bikes", hourly(60))
    snapshot = store.snapshot(take())
    assert len(store.rows(snapshot.dataset, DATA, Window(start=at(50), end=at(51)))) == 24


def test_what_a_snapshot_leaves_carries_its_tags(store: LocalFeatureStore, home: Path) -> None:
    store.append("bikes", hourly(60))
    store.snapshot(take())
    tags = (key_folder(home / "snapshots", take().key) / "tags.json").read_text()
    assert '"incident": "20120304T000000Z-1f2e3d"' in tags
    assert '"kind": "snapshot"' in tags


@pytest.mark.parametrize("name", ["../bikes", "", ".hidden", "a/b", "x" * 129])
def test_no_path_is_built_from_a_bad_table_name(store: LocalFeatureStore, home: Path, name: str) -> None:
    with pytest.raises(Invalid, match="is not allowed"):
        store.append(name, hourly(1))
    assert not home.exists()


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (hourly(1).drop_columns(["event_time"]), "event_time missing, found id, label_time"),
        (changed(hourly(1), id=["twice"] * 24), "id 'twice' stands there 24 times"),
        (changed(hourly(1), id=[None] * 24), "24 of 24 rows have no id"),
        (hourly(1).append_column("note", pa.array(["rainy"] * 24)), "column 'note' is string"),
        (hourly(1).append_column("Temp", pa.array([1.0] * 24)), "temp stands there twice"),
        (hourly(1).append_column("_version", pa.array([1.0] * 24)), "_version is the store's own"),
    ],
)
def test_rows_that_can_not_be_right_are_refused_with_the_reason(tmp_path: Path, rows: pa.Table, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        LocalFeatureStore(tmp_path).append("bikes", rows)
