"""A user's file as it comes: whatever is wrong with it is handled and told, and only what can't be helped ends the reading."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtest.data.card import CardError, TimeColumn
from backtest.data.findings import ColumnFindings
from backtest.data.history import PlayedHistory
from backtest.data.moments import NOWHEN, Moments
from backtest.data.numbers import numbers
from backtest.data.told import told_in_words
from backtest.data.watched import Watched
from learning.rows import moment_of
from platforms.errors import Invalid
from tests.backtest.files import BEGIN, CARD, Row, card, changed, history, understood, written

ROWS = history()


def rows_of(found: PlayedHistory) -> int:
    return sum(len(period) for period in found.periods())


def told(found: PlayedHistory) -> str:
    watched = Watched(found, found.material)
    for _ in watched.periods():
        pass
    return "\n".join(told_in_words(found, watched))


def test_a_clean_file_is_played_in_periods_after_its_first_window(tmp_path: Path) -> None:
    found = understood(tmp_path, written(tmp_path / "a.csv", ROWS))
    periods = list(found.periods())
    assert (periods[0].start, periods[0].end) == (BEGIN, BEGIN + timedelta(days=28))
    assert [period.end - period.start for period in periods[1:]] == [timedelta(days=7)] * 6
    assert found.count == 6
    assert rows_of(found) == len(ROWS)
    assert found.material.columns.features == ("load", "wind"), "words are left out unless they are named"
    assert "place" in told(found)


def test_parquet_and_csv_give_the_same_rows(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    at = pa.array([datetime.fromisoformat(str(row["at"])) for row in ROWS], pa.timestamp("ms", "UTC"))
    pq.write_table(table.set_column(0, "at", at), tmp_path / "a.parquet")
    one = list(understood(tmp_path, tmp_path / "a.parquet").periods())
    (tmp_path / "b").mkdir()
    other = list(understood(tmp_path / "b", written(tmp_path / "a.csv", ROWS)).periods())
    for left, right in zip(one, other, strict=True):
        assert (left.event_time == right.event_time).all()
        assert (left.features == right.features).all()
        assert (left.label == right.label).all()
        assert (left.known_at == right.known_at).all()


def test_rows_in_any_order_are_played_in_the_order_of_time(tmp_path: Path) -> None:
    order = np.random.default_rng(1).permutation(len(ROWS))
    found = understood(tmp_path, written(tmp_path / "a.csv", [ROWS[at] for at in order]))
    times = np.concatenate([period.event_time for period in found.periods()])
    assert (np.diff(times) > 0).all()
    assert "out of order" in told(found)


def test_labels_that_arrive_late_carry_their_time(tmp_path: Path) -> None:
    rows = [{**row, "known": str(row["at"]).replace("2023", "2024") if at % 5 else ""} for at, row in enumerate(ROWS)]
    text = CARD.replace("label_delay: 1h", "label_time: known")
    found = understood(tmp_path, written(tmp_path / "a.csv", rows), text)
    first = next(iter(found.periods()))
    assert (first.known_at > first.event_time + 300 * 86_400_000_000).all(), "none is known before its time, or without one"
    assert "no time of arrival: never learned from" in told(found)


def test_a_label_before_its_event_is_taken_to_arrive_with_it(tmp_path: Path) -> None:
    rows = [{**row, "known": "2022-01-01"} for row in ROWS]
    found = understood(tmp_path, written(tmp_path / "a.csv", rows), CARD.replace("label_delay: 1h", "label_time: known"))
    first = next(iter(found.periods()))
    assert (first.known_at == first.event_time).all()
    assert "before their event" in told(found)


def stray(row: Row) -> Row:
    return {"at": "1970-01-01T00:00:00"}


DIRT: dict[str, tuple[Callable[[], list[Row]], int, str]] = {
    "rows twice": (lambda: [*ROWS, *ROWS[:20]], len(ROWS), "20 rows stand there again"),
    "equal times": (
        lambda: changed(ROWS, lambda i: i % 2 == 0, lambda row: {"at": str(row["at"])[:11] + "00:00:00"}),
        len(ROWS),
        "",
    ),
    "holes of months": (lambda: ROWS[:400] + changed(ROWS[400:], lambda i: True, later), len(ROWS), "No rows from"),
    "no time": (lambda: changed(ROWS, lambda i: i < 9, lambda row: {"at": ""}), len(ROWS) - 9, "9 rows have no event time"),
    "no readable time": (
        lambda: changed(ROWS, lambda i: i < 9, lambda row: {"at": "soon"}),
        len(ROWS) - 9,
        "9 rows have no event",
    ),
    "a date of 1970": (lambda: changed(ROWS, lambda i: i == 5, stray), len(ROWS) - 1, "more than a year away"),
    "dates to come": (
        lambda: changed(ROWS, lambda i: i < 7, lambda row: {"at": "2031-01-01"}),
        len(ROWS) - 7,
        "7 rows lie in the future: left out",
    ),
    "absurd values": (
        lambda: changed(ROWS, lambda i: i < 6, lambda row: {"load": ["1e300", "inf"][hash(str(row)) % 2]}),
        len(ROWS),
        "load: 6 values are infinite",
    ),
    "words for numbers": (lambda: changed(ROWS, lambda i: i < 6, lambda row: {"load": "broken"}), len(ROWS), "'broken'"),
    "missing labels": (lambda: changed(ROWS, lambda i: i % 3 == 0, lambda row: {"late": ""}), len(ROWS), "have no label"),
    "labels of no class": (lambda: changed(ROWS, lambda i: i % 9 == 0, lambda row: {"late": "oops"}), len(ROWS), "'oops'"),
    "one class for weeks": (lambda: changed(ROWS, lambda i: i > 400, lambda row: {"late": 0}), len(ROWS), "one class only"),
    "an empty column": (lambda: changed(ROWS, lambda i: True, lambda row: {"wind": ""}), len(ROWS), "wind: never changes"),
    "a sensor that fails": (
        lambda: changed(ROWS, lambda i: i > 400, lambda row: {"wind": ""}),
        len(ROWS),
        "missing everywhere in",
    ),
    "far outside": (lambda: changed(ROWS, lambda i: i == 800, lambda row: {"wind": 1e9}), len(ROWS), "far outside"),
    "zones mixed": (lambda: changed(ROWS, lambda i: i % 2 == 0, elsewhere), len(ROWS), ""),
}


def later(row: Row) -> Row:
    return {"at": str(row["at"]).replace("2023-02", "2023-08").replace("2023-03", "2023-09")}


def elsewhere(row: Row) -> Row:
    moment = datetime.fromisoformat(str(row["at"])) + timedelta(hours=5)
    return {"at": f"{moment:%Y-%m-%d %H:%M:%S}+05:00"}


@pytest.mark.parametrize("name", DIRT)
def test_dirt_is_handled_and_told(tmp_path: Path, name: str) -> None:
    make, rows, said = DIRT[name]
    found = understood(tmp_path, written(tmp_path / "a.csv", make()))
    assert rows_of(found) == rows
    assert said in told(found)


def test_mixed_zones_are_one_time(tmp_path: Path) -> None:
    found = understood(tmp_path, written(tmp_path / "a.csv", DIRT["zones mixed"][0]()))
    times = np.concatenate([period.event_time for period in found.periods()])
    assert (np.diff(times) == 7_200_000_000).all()


def test_with_an_id_the_row_that_has_a_label_stays(tmp_path: Path) -> None:
    rows = [{"key": at, **row} for at, row in enumerate(ROWS)]
    early = [{**row, "late": ""} for row in rows[:30]]
    found = understood(tmp_path, written(tmp_path / "a.csv", [*early, *rows]), CARD + "id: key\n")
    assert rows_of(found) == len(rows)
    assert not any(np.isnan(period.label).any() for period in found.periods())


def test_many_repeats_without_an_id_are_how_the_data_is(tmp_path: Path) -> None:
    found = understood(tmp_path, written(tmp_path / "a.csv", [*ROWS, *ROWS]))
    assert rows_of(found) == 2 * len(ROWS)
    assert "duplicates: drop" in told(found)
    (tmp_path / "b").mkdir()
    dropped = understood(tmp_path / "b", tmp_path / "a.csv", CARD + "duplicates: drop\n")
    assert rows_of(dropped) == len(ROWS)


def test_the_header_may_be_in_another_case_with_a_byte_order_mark(tmp_path: Path) -> None:
    rows = [{name.upper(): value for name, value in row.items()} for row in ROWS]
    found = understood(tmp_path, written(tmp_path / "a.csv", rows, encoding="utf-8-sig"))
    assert rows_of(found) == len(ROWS)
    assert "'AT'" in told(found)


def test_semicolons_and_decimal_commas_are_understood(tmp_path: Path) -> None:
    rows = changed(ROWS, lambda i: True, lambda row: {"load": str(row["load"]).replace(".", ",")})
    found = understood(tmp_path, written(tmp_path / "a.csv", rows, delimiter=";"))
    assert next(iter(found.periods())).features[0, 0] == ROWS[0]["load"]


def test_text_that_is_no_utf8_is_read_all_the_same(tmp_path: Path) -> None:
    rows = changed(ROWS, lambda i: i == 3, lambda row: {"place": "Málaga"})
    found = understood(tmp_path, written(tmp_path / "a.csv", rows, encoding="cp1252"), CARD + "categorical_features: [place]\n")
    assert "Málaga" in found.material.reader.categories["place"].names
    assert "Latin-1" in told(found)


def test_lines_of_another_length_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ROWS)
    path.write_text(path.read_text() + "1,2\n1,2,3,4,5,6,7\n")
    found = understood(tmp_path, path)
    assert rows_of(found) == len(ROWS)
    assert "2 lines have more or fewer columns" in told(found)


def test_categories_get_numbers_and_new_ones_are_counted(tmp_path: Path) -> None:
    rows = changed(ROWS, lambda i: i > 700, lambda row: {"place": "west"})
    found = understood(
        tmp_path, written(tmp_path / "a.csv", rows), CARD + "features: [load, place]\ncategorical_features: [place]\n"
    )
    assert found.material.reader.categories["place"].names[-1] == "west"
    assert "place: 139 rows with categories that the first window did not have" in told(found)


def test_a_feature_of_words_is_read_as_a_category(tmp_path: Path) -> None:
    found = understood(tmp_path, written(tmp_path / "a.csv", ROWS), CARD + "features: [load, place]\n")
    assert found.material.columns.categorical == ("place",)
    assert "read as a category" in told(found)


def test_a_positive_class_may_be_a_word(tmp_path: Path) -> None:
    rows = changed(ROWS, lambda i: True, lambda row: {"late": "Late " if row["late"] else "on time"})
    found = understood(tmp_path, written(tmp_path / "a.csv", rows), CARD + "positive_class: late\n")
    labels = np.concatenate([period.label for period in found.periods()])
    assert labels.tolist() == [row["late"] for row in ROWS]


def test_classes_are_those_of_the_file_unless_the_card_names_them(tmp_path: Path) -> None:
    text = "event_time: at\nlabel: place\nlabel_delay: 1h\nfirst_window: 28d\ntask: multiclass\n"
    found = understood(tmp_path, written(tmp_path / "a.csv", ROWS), text)
    assert set(found.material.classes) == {"north", "south", "east"}
    (tmp_path / "b").mkdir()
    fixed = understood(tmp_path / "b", tmp_path / "a.csv", text + "classes: [south, north]\n")
    assert fixed.material.classes == ("south", "north")
    assert "labels can't be read" in told(fixed)


def test_a_quote_that_nobody_closed_swallows_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ROWS)
    path.write_text(path.read_text().replace("north", '"north', 1))
    found = understood(tmp_path, path)
    assert rows_of(found) == len(ROWS)
    assert "nobody closed" in told(found)


def test_values_may_hold_line_breaks(tmp_path: Path) -> None:
    rows = changed(ROWS, lambda i: i % 5 == 0, lambda row: {"place": "north\nby night"})
    found = understood(tmp_path, written(tmp_path / "a.csv", rows))
    assert rows_of(found) == len(ROWS)


def test_a_line_break_far_down_is_understood_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backtest.data.raw_table._HEAD", 3000)
    rows = changed(ROWS, lambda i: i == 700, lambda row: {"place": "north,\nby night"})
    path = written(tmp_path / "a.csv", rows)
    path.write_text(path.read_text().replace("\n2023-02", "\n\n\n2023-02", 3))
    found = understood(tmp_path, path, CARD + "categorical_features: [place]\n")
    assert rows_of(found) == len(ROWS)
    assert "north,\nby night" in found.material.reader.categories["place"].names
    assert "nobody closed" not in told(found)


def test_a_packed_file_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ROWS)
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert rows_of(understood(tmp_path, path)) == len(ROWS)


def test_lists_in_a_column_are_words(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{**row, "tags": [1, 2]} for row in ROWS])
    pq.write_table(table, tmp_path / "a.parquet")
    found = understood(tmp_path, tmp_path / "a.parquet", CARD + "slices: [tags]\ncategorical_features: [tags]\n")
    assert found.material.reader.categories["tags"].names == ("[1, 2]",)


def test_labels_of_1_and_2_are_not_guessed(tmp_path: Path) -> None:
    rows = changed(ROWS, lambda i: True, lambda row: {"late": 1 if row["late"] else 2})
    with pytest.raises(CardError, match="say which counts as 1 with `positive_class`"):
        understood(tmp_path, written(tmp_path / "a.csv", rows))


def test_an_absurd_label_of_a_regression_is_taken_as_missing(tmp_path: Path) -> None:
    rows = changed(ROWS, lambda i: i % 100 == 0, lambda row: {"load": "9e20"})
    text = CARD.replace("label: late", "label: load") + "task: regression\n"
    found = understood(tmp_path, written(tmp_path / "a.csv", rows), text)
    assert sum(np.isnan(period.label).sum() for period in found.periods()) == 9
    assert "9 labels are infinite or absurdly large" in told(found)


HOPELESS: dict[str, tuple[str, type[Exception], str]] = {
    "no such column": (
        CARD + "features: [lode, wind]\n",
        CardError,
        "card.yaml:5: features.0: the data has no column 'lode'; did you mean 'load'",
    ),
    "no times": (CARD.replace("at\n", "place\n", 1), CardError, "card.yaml:1: event_time: no value of column 'place'"),
    "no zeros and ones": (CARD.replace("label: late", "label: place"), CardError, "say which counts as 1 with `positive_class`"),
    "no such label": (CARD + "positive_class: never\n", CardError, "no row has the label 'never'; there are: "),
    "a window too long": (CARD.replace("28d", "900d"), Invalid, "leaves nothing to play"),
}


@pytest.mark.parametrize("name", HOPELESS)
def test_what_cannot_be_helped_is_one_clear_error(tmp_path: Path, name: str) -> None:
    text, kind, said = HOPELESS[name]
    with pytest.raises(kind) as found:
        understood(tmp_path, written(tmp_path / "a.csv", ROWS), text)
    assert said in str(found.value)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"at,late\n", b"PAR1nonsense"])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(Invalid):
        understood(tmp_path, path)


BAD_CARDS = {
    "label: late\n": "event_time: is missing",
    CARD + "lable: x\n": "card.yaml:5: lable: is unknown; did you mean 'label'",
    "event_time: at\nlabel: late\n": "say when labels arrive",
    CARD + "features: [late]\n": "'late' is the label",
    CARD + "task: ranking\n": "card.yaml:5: task: read 'ranking'; allowed: binary, multiclass, regression",
    CARD + "period: 7\n": "a duration needs a unit",
    CARD + "classes: [a, b]\n": "classes belong to a multiclass task",
    "event_time: {column: at, zone: Atlantis}\nlabel: late\nlabel_delay: 1h\n": "zone 'Atlantis' is unknown",
    "- a\n": "should be a mapping with `event_time`",
}


@pytest.mark.parametrize("text", BAD_CARDS)
def test_a_mistake_in_the_card_is_named_with_its_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(CardError) as found:
        card(tmp_path, text)
    assert BAD_CARDS[text] in str(found.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.5", 1234.5),
        (" '7' ", 7),
        ("12,34", None),
        ("1.5e3", 1500),
        ("NA", None),
        ("true", 1),
        ("-.5", -0.5),
        ("1e31", None),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, value: float | None) -> None:
    (found,) = numbers(pa.array([text, "x"]), ColumnFindings())[:1]
    assert np.isnan(found) if value is None else found == value


@pytest.mark.parametrize(
    ("text", "form", "moment"),
    [
        ("2024-03-01T10:00:00Z", None, "2024-03-01T10:00"),
        ("2024-03-01 10:00", None, "2024-03-01T10:00"),
        ("20240301", None, "2024-03-01"),
        ("1709287200", None, "2024-03-01T10:00"),
        ("1709287200000", None, "2024-03-01T10:00"),
        ("1709287200000000000", None, "2024-03-01T10:00"),
        ("1709287200", "unix", "2024-03-01T10:00"),
        ("31/03/2024 5:30 PM", None, "2024-03-31T17:30"),
        ("1.3.2024 10:00", None, "2024-03-01T10:00"),
        ("1 Mar 2024", None, "2024-03-01"),
        ("Fri, 01 Mar 2024 11:00:00 +0100", None, "2024-03-01T10:00"),
        ("03|01|24", "%m|%d|%y", "2024-03-01"),
        ("3/4/2024", None, None),
        ("2024-02-30", None, None),
        ("soon", None, None),
    ],
)
def test_moments_are_read_as_tables_write_them(text: str, form: str | None, moment: str | None) -> None:
    (found,) = Moments(TimeColumn(column="at", format=form)).read(pa.array([text]))
    assert found == NOWHEN if moment is None else moment_of(int(found)) == datetime.fromisoformat(moment).replace(tzinfo=UTC)


def test_a_zone_is_for_times_that_name_none() -> None:
    read = Moments(TimeColumn(column="at", zone="Europe/Berlin")).read(pa.array(["2024-07-01T12:00:00", "2024-07-01T12:00:00Z"]))
    assert [moment_of(int(each)).hour for each in read] == [10, 12]
