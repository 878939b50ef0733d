"""The whole verb on small files: what is played, judged in hindsight, written and shown."""

import asyncio
import csv
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from backtest.arms import ARMS, HABITS
from backtest.data.card import CardFile
from backtest.hindsight import Proved, proved
from backtest.outputs import FILES
from backtest.policy_file import PolicyFileError, load
from backtest.template import template
from tests.backtest.files import CARD, SMALL, changed, history, written
from tests.console.conftest import ROOT, Ran, run_here

ROWS = history()


async def tried(
    folder: Path, text: str = CARD, rows: list[dict[str, object]] | None = None, *more: str, policy: str = SMALL
) -> Ran:
    written(folder / "data.csv", rows or ROWS)
    (folder / "card.yaml").write_text(text)
    (folder / "policy.yaml").write_text(policy)
    words = ("--data", str(folder / "data.csv"), "--card", str(folder / "card.yaml"), "--out", str(folder / "out"))
    return await run_here("backtest", *words, "--policy", str(folder / "policy.yaml"), *more)


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out" / "summary.json").read_text())
    return found


async def test_a_backtest_writes_its_files_and_tells_the_five_ways_apart(tmp_path: Path) -> None:
    ran = await tried(tmp_path, CARD + "slices: [place]\n", None, "--json")
    assert ran.exit == 0, ran.err
    assert ran.err == ""
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
    found = summary(tmp_path)
    assert set(found["arms"]) == set(ARMS)
    assert all(0 < found["arms"][arm]["accuracy"] < 1 for arm in ARMS)
    assert {"accuracy", "recall", "auc", "brier", "log_loss", "promotions", "recalibrations"} <= set(found["arms"]["homeostat"])
    assert found["arms"]["never"]["promotions"] == 0
    assert found["arms"]["weekly30"]["promotions"] == found["periods"]["count"] == 6
    assert set(found["differences"]) == set(HABITS)
    gap = found["differences"]["never"]["log_loss"]
    assert gap["low"] <= gap["difference"] <= gap["high"]
    assert gap["difference"] == pytest.approx(found["arms"]["homeostat"]["log_loss"] - found["arms"]["never"]["log_loss"])
    assert {one["value"] for one in found["slices"]} == {"north", "south", "east"}
    assert ran.data["summary"]["arms"] == found["arms"]


async def test_the_tables_have_a_line_for_each_period(tmp_path: Path) -> None:
    await tried(tmp_path)
    table = pq.read_table(tmp_path / "out" / "periods.parquet")
    lines = list(csv.DictReader((tmp_path / "out" / "periods.csv").read_text().splitlines()))
    assert table.num_rows == len(lines) == 6
    assert float(lines[2]["homeostat.log_loss"]) == table["homeostat.log_loss"][2].as_py()
    decisions = list(csv.DictReader((tmp_path / "out" / "decisions.csv").read_text().splitlines()))
    assert {one["action"] for one in decisions} <= {"promotion", "hold"}


async def test_the_page_stands_alone_and_loads_nothing(tmp_path: Path) -> None:
    rows = changed(ROWS, lambda at: at % 7 == 0, lambda row: {"place": "<script>alert(1)</script>"})
    await tried(tmp_path, CARD + "slices: [place]\n", rows)
    page = (tmp_path / "out" / "index.html").read_text()
    assert len(page) < 1_000_000
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert page.count("<svg") == 2
    assert "prefers-color-scheme: dark" in page
    assert (tmp_path / "out" / "plot.svg").read_text().startswith("<svg")


async def test_the_same_file_is_decided_the_same_in_any_order(tmp_path: Path) -> None:
    await tried(tmp_path)
    first = summary(tmp_path)
    order = np.random.default_rng(3).permutation(len(ROWS))
    await tried(tmp_path, CARD, [ROWS[at] for at in order])
    again = summary(tmp_path)
    assert again["arms"] == first["arms"]
    assert again["decisions"] == first["decisions"]


TASKS = {
    "multiclass": "event_time: at\nlabel: place\nlabel_delay: 1h\nfirst_window: 28d\ntask: multiclass\nfeatures: [load, wind]\n",
    "regression": "event_time: at\nlabel: load\nlabel_delay: 1h\nfirst_window: 28d\ntask: regression\nfeatures: [late, wind]\n",
}


@pytest.mark.parametrize("task", TASKS)
async def test_other_tasks_have_their_own_metrics(tmp_path: Path, task: str) -> None:
    ran = await tried(tmp_path, TASKS[task])
    assert ran.exit == 0, ran.err
    wanted = {"multiclass": {"log_loss", "accuracy", "macro_recall"}, "regression": {"rmse", "mae"}}[task]
    assert wanted <= set(summary(tmp_path)["arms"]["homeostat"])
    assert wanted <= set(summary(tmp_path)["differences"]["never"])


DIRT: dict[str, Callable[[dict[str, object]], dict[str, object]]] = {
    "no label after the first window": lambda row: {"late": "" if str(row["at"]) > "2023-01-29" else row["late"]},
    "one class in the first window": lambda row: {"late": 0 if str(row["at"]) < "2023-01-29" else row["late"]},
    "one class for ever": lambda row: {"late": 1},
    "nothing in the features": lambda row: {"load": "", "wind": "inf"},
}


@pytest.mark.parametrize("name", DIRT)
async def test_dirty_files_are_played_to_their_end(tmp_path: Path, name: str) -> None:
    ran = await tried(tmp_path, CARD + "features: [load, wind]\n", changed(ROWS, lambda _: True, DIRT[name]))
    assert ran.exit == 0, ran.err
    assert summary(tmp_path)["periods"]["count"] == 6
    assert (tmp_path / "out" / "index.html").exists()


async def test_a_hole_of_months_is_played_through(tmp_path: Path) -> None:
    rows = ROWS[:500] + changed(ROWS[500:], lambda _: True, lambda row: {"at": str(row["at"]).replace("2023-0", "2023-1")})
    rows = [row for row in rows if "2023-13" not in str(row["at"])]
    ran = await tried(tmp_path, CARD, rows)
    assert ran.exit == 0, ran.err
    assert summary(tmp_path)["data"]["holes"][0]["days"] > 60
    assert summary(tmp_path)["data"]["periods_without_rows"] > 10


async def test_progress_goes_to_stderr_line_by_line_where_no_terminal_is(tmp_path: Path) -> None:
    ran = await tried(tmp_path)
    assert "playing 6 of 6 periods" in ran.err
    assert "homeostat" in ran.out
    assert "index.html" in ran.out


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        (CARD + "features: [nothing]\n", (), "the data has no column 'nothing'"),
        (CARD + "positive_class: maybe\n", (), "no row has the label 'maybe'"),
        (CARD, ("--data", "nowhere.csv"), "nowhere.csv is not a file"),
        (CARD, ("--policy", "nowhere.yaml"), "can't be read"),
    ],
)
async def test_what_cannot_be_played_is_refused_in_one_error(tmp_path: Path, text: str, more: tuple[str, ...], said: str) -> None:
    ran = await tried(tmp_path, text, None, *more, "--json")
    assert ran.exit == 2
    assert said in ran.data["error"]["message"]
    assert not (tmp_path / "out" / "summary.json").exists()
    assert list((tmp_path / "out").glob(".*")) == [] if (tmp_path / "out").exists() else True


async def test_what_is_missing_on_the_command_line_is_named(tmp_path: Path) -> None:
    ran = await run_here("backtest", "--data", "a.csv")
    assert ran.exit == 2
    assert "--card, --out is missing" in ran.err


POLICIES = {
    "training: {recipe: {horizons: [30d]}}\nserving: {costs: {false_positive: 1, false_negative: 3}}\n": (1, 0.25),
    "version: 1\ndefaults: {team: a, cost_center: b}\nendpoints:\n  one:\n    data: {table: t, features: [x], label: y}\n": (
        8,
        0.5,
    ),
    "training: {recipe: {learner: {rounds: 9}}}\n": (8, 0.5),
    "gate: {primary: brier}\n": (8, 0.5),
}


@pytest.mark.parametrize("text", POLICIES)
def test_a_policy_is_written_in_the_words_of_the_fleet_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "policy.yaml").write_text(text)
    found = load(tmp_path / "policy.yaml")
    assert (len(found.training.recipe.blended), found.serving.threshold) == POLICIES[text]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gate: {alpa: 0.1}\n", "policy.yaml:1: gate.alpa: is unknown; did you mean 'alpha'"),
        ("version: 1\nendpoints:\n  a: {}\n  b: {}\n", "policy.yaml:2: endpoints: has 2 endpoints (a, b)"),
        ("endpoints: 3\n", "should be a mapping"),
    ],
)
def test_a_mistake_in_the_policy_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(PolicyFileError) as found:
        load(tmp_path / "policy.yaml")
    assert said in str(found.value)


def test_a_template_is_a_card_that_can_be_played(tmp_path: Path) -> None:
    made = template(written(tmp_path / "data.csv", ROWS))
    (tmp_path / "card.yaml").write_text(made)
    card = CardFile(tmp_path / "card.yaml").card
    assert (card.event_time.column, card.label, card.features) == ("at", "late", ("load", "wind", "place"))
    assert card.categorical_features == ("place",)


@pytest.mark.parametrize(
    ("text", "event", "known"),
    [
        ("id,event_ts,label_ts,x,fraud\n1,1704067200,1704153600,3.5,0\n2,1704070800,1704153600,4.5,1\n", "event_ts", "label_ts"),
        (
            "created_at,settled_at,x,y\n1704067200000,1704153600000,1,0\n1704070800000,1704153600000,2,1\n",
            "created_at",
            "settled_at",
        ),
        ("when,update_rate,y\n2024-01-01,0.4,1\n2024-01-02,0.5,0\n", "when", None),
    ],
)
def test_a_template_finds_times_that_are_counts_and_when_labels_came(
    tmp_path: Path, text: str, event: str, known: str | None
) -> None:
    (tmp_path / "data.csv").write_text(text)
    (tmp_path / "card.yaml").write_text(template(tmp_path / "data.csv"))
    card = CardFile(tmp_path / "card.yaml").card
    assert card.event_time.column == event
    assert (card.label_time and card.label_time.column) == known


def test_hindsight_needs_more_than_chance() -> None:
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(28), 50)
    noise = rng.normal(size=len(day))
    assert proved(day, noise + 0.5).proved is Proved.RIGHT
    assert proved(day, noise - 0.5).proved is Proved.WRONG
    assert proved(day, noise).proved is Proved.UNCLEAR
    assert proved(day * 0, noise + 9).proved is Proved.UNCLEAR, "a single day proves nothing"


async def test_ctrl_c_ends_it_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    written(tmp_path / "data.csv", history(days=400))
    (tmp_path / "card.yaml").write_text(CARD)
    words = ("backtest", "--data", "data.csv", "--card", "card.yaml", "--out", "out")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "starter.py"), *words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=asyncio.subprocess.PIPE
    )  # fmt: skip
    assert process.stderr is not None
    while b"playing" not in await process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 60) == 130
    assert list((tmp_path / "out").iterdir()) == []
