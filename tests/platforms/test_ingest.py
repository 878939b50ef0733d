"""Your own rows into the feature store, by one command that teaches."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from contracts.snapshot import DataPolicy, Window
from platforms.local.feature_store import LocalFeatureStore
from platforms.local.ingest import main
from tests.platforms.data_fixtures import DATA, DAY, HOUR, at, hourly, take

CSV = """\
hour_id,start,busy,hour,temp
a,2012-01-01 08:00:00,1,8,3.5
b,2012-01-01T10:00:00+01:00,0,9,
c,2012-01-01T10:00:00Z,,10,4
"""
COLUMNS = ["--id", "hour_id", "--event-time", "start", "--label", "busy", "--label-delay", "1h"]


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "rentals.csv"
    path.write_text(CSV)
    return path


def _ingest(home: Path, path: Path, *options: str) -> int:
    return main(["bikes", str(path), "--home", str(home), *(options or COLUMNS)])


def test_a_csv_becomes_rows_that_a_snapshot_finds(home: Path, csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _ingest(home, csv) == 0
    said = capsys.readouterr().out
    assert "3 rows (2 labelled) from 2012-01-01T08:00:00+00:00 to 2012-01-01T10:00:00+00:00 are in table 'bikes'" in said
    assert "data: {table: bikes, label: busy, features: [hour, temp]}" in said
    store = LocalFeatureStore(home)
    assert store.watermark(DATA) == at(0) + 10 * HOUR
    snapshot = store.snapshot(take(as_of=at(2), horizons=("all",)))
    rows = store.rows(snapshot.dataset, DATA, Window(start=at(0), end=at(2)))
    assert (list(rows.ids), list(rows.label), list(rows.features[:, 0])) == (["a", "b"], [1, 0], [8, 9])


def test_one_json_object_tells_a_script_what_went_in(home: Path, csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _ingest(home, csv, *COLUMNS, "--features", "temp", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["labelled"], found["features"]) == (3, 2, ["temp"])


def test_parquet_and_a_column_of_label_times(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(hourly(3), path)
    columns = ["--id", "id", "--event-time", "event_time", "--label", "busy", "--label-time", "label_time"]
    assert _ingest(home, path, *columns) == 0
    assert LocalFeatureStore(home).watermark(DATA) == at(3) + DAY - HOUR


def test_labels_may_come_later_under_the_same_id(home: Path, csv: Path, tmp_path: Path) -> None:
    assert _ingest(home, csv) == 0
    csv.write_text(CSV.replace("10:00:00Z,,", "10:00:00Z,1,"))
    assert _ingest(home, csv) == 0
    snapshot = LocalFeatureStore(home).snapshot(take(as_of=at(2), horizons=("all",)))
    assert snapshot.dataset.rows == 3


@pytest.mark.parametrize(
    "case",
    [
        (CSV.replace("busy", "crowded"), COLUMNS, "has no column busy; there are: hour_id, start, crowded, hour, temp"),
        (CSV.replace("2012-01-01 08:00:00", "soon"), COLUMNS, "column 'start' holds no times"),
        (CSV.replace("3.5", "cold"), COLUMNS, "column 'temp' is string"),
        (CSV.replace("b,2012", "a,2012"), COLUMNS, "id 'a' stands there 2 times"),
        (CSV.replace("temp", "label_time"), COLUMNS, "label_time can't be a feature or label"),
        (CSV + "d,1\n", COLUMNS, "can't be read as csv"),
        ("", COLUMNS, "can't be read as csv"),
        (CSV, [*COLUMNS, "--features", "hour,wind"], "has no column wind"),
    ],
)
def test_what_can_not_be_right_is_refused_in_a_sentence_and_nothing_goes_in(
    home: Path, csv: Path, capsys: pytest.CaptureFixture[str], case: tuple[str, list[str], str]
) -> None:
    content, options, why = case
    csv.write_text(content)
    assert _ingest(home, csv, *options) == 2
    assert why in capsys.readouterr().err
    assert not list(home.rglob("*.parquet"))


@pytest.mark.parametrize(("name", "why"), [("none.csv", "is not a file"), ("rows.xlsx", "is neither .csv nor .parquet")])
def test_other_files_are_refused(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, why: str) -> None:
    (tmp_path / "rows.xlsx").write_bytes(b"PK")
    assert _ingest(home, tmp_path / name) == 2
    assert why in capsys.readouterr().err


def test_a_delay_without_a_unit_is_explained(home: Path, csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _ingest(home, csv, *COLUMNS[:-1], "60")
    assert "'60' is no duration: write 15m, 1h or 2d" in capsys.readouterr().err


def test_the_home_comes_from_the_environment(
    home: Path, csv: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOMEOSTAT_HOME", str(home))
    assert main(["bikes", str(csv), *COLUMNS]) == 0
    policy = DataPolicy(table="bikes", features=("hour",), label="busy")
    assert LocalFeatureStore(home).watermark(policy) == at(0) + 10 * HOUR
    assert "3 rows" in capsys.readouterr().out


CLASSES = """\
hour_id,start,level,hour
a,2012-01-01T08:00:00Z,busy,8
b,2012-01-01T09:00:00Z,calm,9
c,2012-01-01T10:00:00Z,,10
"""
NAMED = ["--id", "hour_id", "--event-time", "start", "--label", "level", "--label-delay", "1h", "--classes", "calm, busy, full"]


def test_names_of_classes_become_their_numbers(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "levels.csv"
    path.write_text(CLASSES)
    assert _ingest(home, path, *NAMED) == 0
    said = capsys.readouterr().out
    assert "3 rows (2 labelled)" in said
    assert "data: {table: bikes, label: level, task: multiclass, classes: [calm, busy, full], features: [hour]}" in said
    store = LocalFeatureStore(home)
    data = DataPolicy(table="bikes", label="level", features=("hour",), task="multiclass", classes=("calm", "busy", "full"))
    snapshot = store.snapshot(take(as_of=at(2), horizons=("all",), data=data))
    assert list(store.rows(snapshot.dataset, data, Window(start=at(0), end=at(2))).label) == [1, 0]
    assert snapshot.coverage.classes == {"calm": 1, "busy": 1, "full": 0}


def test_a_class_that_nobody_named_is_refused(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "levels.csv"
    path.write_text(CLASSES.replace("busy", "crowded"))
    assert _ingest(home, path, *NAMED) == 2
    assert "column 'level' holds 'crowded', which --classes doesn't name" in capsys.readouterr().err
