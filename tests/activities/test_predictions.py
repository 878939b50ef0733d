"""The evidence file of every task: what is written is read back to the last bit, and the same scores are the same bytes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.predictions import Part, Predictions, Scores, decode, encode
from contracts.training import Task
from platforms.errors import Corrupt
from platforms.ports import Rows


def _rows(n: int, task: Task, random: np.random.Generator) -> Rows:
    label = {
        Task.BINARY: random.integers(0, 2, n).astype(float),
        Task.MULTICLASS: random.integers(0, 3, n).astype(float),
        Task.REGRESSION: random.normal(0, 1e6, n),
    }[task]
    moments = np.datetime64("2024-03-01", "us") + np.arange(n) * np.timedelta64(1, "h")
    label[random.random(n) < 0.2] = np.nan
    return Rows(
        ids=np.array([f"r{i}" for i in range(n)], dtype=np.str_), event_time=moments, features=np.zeros((n, 1)), label=label
    )


def _scores(n: int, task: Task, random: np.random.Generator) -> Scores:
    if task is Task.MULTICLASS:
        return np.asarray(random.dirichlet((1, 2, 3), n)).reshape(n, 3)
    return random.normal(0, 1e6, n) if task is Task.REGRESSION else random.random(n)


def _part(n: int, task: Task, random: np.random.Generator, *, refit: bool) -> Part:
    rows, scores = _rows(n, task, random), [_scores(n, task, random) for _ in range(3)]
    return Part(rows, scores[0], scores[1], scores[2] if refit else None)


def _same(one: Scores, other: Scores) -> None:
    assert one.shape == other.shape
    assert one.tobytes() == other.tobytes()


@given(task=st.sampled_from(Task), held=st.integers(0, 30), live=st.integers(0, 30), seed=st.integers(0, 99))
def test_what_is_written_is_read_back_to_the_last_bit(task: Task, held: int, live: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    holdout, replay = _part(held, task, random, refit=False), _part(live, task, random, refit=True)
    values = np.where(random.random(held) < 0.3, np.nan, random.integers(0, 3, held))
    content = encode(holdout, replay, {"hour": values})
    assert content == encode(holdout, replay, {"hour": values})
    read: Predictions = decode(content, task)
    for part, paired in ((holdout, read.holdout), (replay, read.replay)):
        _same(paired.champion, part.champion)
        _same(paired.challenger, part.challenger)
        np.testing.assert_array_equal(paired.label, part.rows.label)
        assert paired.task is task
    assert replay.refit is not None
    _same(read.refit_on_replay, replay.refit)
    np.testing.assert_array_equal(read.slices["hour"], values)


def test_evidence_of_another_task_is_no_evidence() -> None:
    random = np.random.default_rng(1)
    holdout, replay = (_part(5, Task.MULTICLASS, random, refit=refit) for refit in (False, True))
    with pytest.raises(Corrupt, match="the evidence file can't be read"):
        decode(encode(holdout, replay), Task.BINARY)
    wild = replace(holdout, champion=holdout.champion * 2)
    with pytest.raises(Corrupt, match="must"):
        decode(encode(wild, replay), Task.MULTICLASS)
