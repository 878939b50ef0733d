"""The bikeshare set as the demo reads it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.data import FEATURES, load_hours
from demo.drive import labelled_rows
from platforms.errors import Corrupt, NotFound

HEADER = '"date","ts","count","tmin","tmax","pn"\n'
LINES = "2010-09-20,2010-09-20 12:00:00,300,12.8,25.6,0\n2010-09-20,2010-09-20 13:00:00,301,12.8,25.6,0.5\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "hours.csv"
    path.write_text(text)
    return path


def test_an_hour_with_more_than_300_rentals_is_busy(tmp_path: Path) -> None:
    assert load_hours(written(tmp_path, HEADER + LINES)).busy.tolist() == [0.0, 1.0]


def test_the_id_names_the_hour_and_the_features_stand_in_the_declared_order(tmp_path: Path) -> None:
    found = load_hours(written(tmp_path, HEADER + LINES))
    assert found.ids == ("bikes-2010092012", "bikes-2010092013")
    assert dict(zip(FEATURES, found.features[1], strict=True)) == {
        "hour": 13,
        "weekday": 0,
        "tmin": 12.8,
        "tmax": 25.6,
        "pn": 0.5,
    }


@pytest.mark.parametrize("line", ["2010-09-20,noon,1,1,1,1\n", "2010-09-20,2010-09-20 14:00:00,,1,1,1\n", "2010-09-20\n"])
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(Corrupt, match=r"hours.csv line 4"):
        load_hours(written(tmp_path, HEADER + LINES + line))


def test_without_the_package_the_message_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(NotFound, match=r"make demo"):
        load_hours()


def test_a_span_is_half_open(tmp_path: Path) -> None:
    found = load_hours(written(tmp_path, HEADER + LINES))
    noon = datetime(2010, 9, 20, 12, tzinfo=UTC)
    assert found.between(noon, noon + timedelta(hours=1)).ids == ("bikes-2010092012",)
    assert len(found.between(noon + timedelta(days=1), noon + timedelta(days=2))) == 0


def test_no_label_is_known_before_its_hour_is_over(tmp_path: Path) -> None:
    rows = labelled_rows(load_hours(written(tmp_path, HEADER + LINES))).to_pylist()
    assert all(row["label_time"] == row["event_time"] + timedelta(hours=1) for row in rows)
