"""Members of a blend, fitted for real on small tables."""

from datetime import UTC, datetime, timedelta

import lightgbm
import numpy as np
import pytest

from contracts.training import LearnerSettings, MemberRecipe, Task
from learning.fit import Unfit, fit_member, margins
from learning.rows import LabelledRows, microseconds

END = datetime(2024, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
QUICK = LearnerSettings(rounds=20, min_rows_per_leaf=10)


def rows(count: int = 600, task: Task = Task.BINARY, seed: int = 0, days: int = 60) -> LabelledRows:
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(microseconds(END - days * DAY), microseconds(END), count))
    features = rng.normal(size=(count, 3))
    features[rng.random((count, 3)) < 0.05] = np.nan
    signal = np.nan_to_num(features[:, 0]) + rng.normal(size=count) / 2
    label = {Task.BINARY: signal > 0, Task.MULTICLASS: np.digitize(signal, [-0.5, 0.5]), Task.REGRESSION: signal}[task]
    return LabelledRows(times, features, label.astype(np.float64))


def booster(text: str) -> lightgbm.Booster:
    return lightgbm.Booster(model_str=text)


@pytest.mark.parametrize("member", ["30d", "all/9d", "all+10d"])
def test_the_same_rows_give_the_same_bytes(member: str) -> None:
    recipe = MemberRecipe.model_validate(_spelled(member))
    texts = {fit_member(recipe, rows(), end=END, learner=QUICK) for _ in range(2)}
    assert len(texts) == 1


def test_no_row_at_or_after_the_end_is_read() -> None:
    data, cut = rows(), END - 20 * DAY
    spoilt = LabelledRows(
        data.event_time, data.features, np.where(data.event_time >= microseconds(cut), 1 - data.label, data.label)
    )
    members = [
        MemberRecipe(horizon=30 * DAY),
        MemberRecipe(horizon="all", half_life=9 * DAY),
        MemberRecipe(horizon="all", boost=DAY * 9),
    ]
    for member in members:
        before = fit_member(member, data, end=cut, learner=QUICK)
        assert fit_member(member, spoilt, end=cut, learner=QUICK) == before


def test_a_boost_on_a_fit_at_hand_is_the_boost_from_scratch() -> None:
    boosted, plain = MemberRecipe(horizon="all", boost=10 * DAY), MemberRecipe(horizon="all")
    begun = fit_member(plain, rows(), end=END, learner=QUICK)
    whole = fit_member(boosted, rows(), end=END, learner=QUICK)
    assert fit_member(boosted, rows(), end=END, learner=QUICK, begun=begun) == whole
    assert booster(whole).num_trees() == booster(begun).num_trees() + QUICK.boost_rounds


def test_a_boost_without_rows_leaves_the_first_rounds_alone() -> None:
    plain = fit_member(MemberRecipe(horizon="all"), rows(), end=END + 99 * DAY, learner=QUICK)
    assert fit_member(MemberRecipe(horizon="all", boost=DAY), rows(), end=END + 99 * DAY, learner=QUICK) == plain


@pytest.mark.parametrize("task", list(Task))
def test_margins_have_the_shape_of_the_task(task: Task) -> None:
    data = rows(task=task)
    text = fit_member(MemberRecipe(horizon="all"), data, end=END, learner=QUICK, task=task, classes=3)
    found = margins(booster(text), data.features, task)
    assert found.shape == ((600, 3) if task is Task.MULTICLASS else (600,))
    if task is Task.MULTICLASS:
        assert np.allclose(np.exp(found).sum(axis=1), 1)
        assert (found.argmax(axis=1) == data.label).mean() > 0.7


@pytest.mark.parametrize(
    ("task", "label", "reason"),
    [
        (Task.BINARY, 0.0, "no positives"),
        (Task.BINARY, 1.0, "no negatives"),
        (Task.MULTICLASS, 2.0, "one class"),
        (Task.REGRESSION, 3.5, "every label"),
    ],
)
def test_one_class_alone_is_unfit_and_says_so(task: Task, label: float, reason: str) -> None:
    data = rows()
    alike = LabelledRows(data.event_time, data.features, np.full(600, label))
    with pytest.raises(Unfit, match=reason):
        fit_member(MemberRecipe(horizon="all"), alike, end=END, learner=QUICK, task=task, classes=3)


def test_no_rows_and_too_few_rows_are_unfit() -> None:
    with pytest.raises(Unfit, match="0 labelled rows"):
        fit_member(MemberRecipe(horizon=DAY), rows().chosen(np.zeros(600, dtype=np.bool_)), end=END, learner=QUICK)


def test_constant_and_empty_columns_are_no_error() -> None:
    data = rows()
    for column in (np.full((600, 3), 1.0), np.full((600, 3), np.nan)):
        fit_member(MemberRecipe(horizon="all"), LabelledRows(data.event_time, column, data.label), end=END, learner=QUICK)


def test_a_class_that_is_missing_from_the_window_gets_a_finite_margin() -> None:
    data = rows(task=Task.MULTICLASS)
    text = fit_member(MemberRecipe(horizon="all"), data, end=END, learner=QUICK, task=Task.MULTICLASS, classes=5)
    assert np.isfinite(margins(booster(text), data.features, Task.MULTICLASS)).all()


def test_recent_rows_count_more_under_a_half_life() -> None:
    """The sign of the signal turns in the last days; only the weighted member follows."""
    data = rows(4000)
    turned = data.event_time >= microseconds(END - 6 * DAY)
    data = LabelledRows(data.event_time, data.features, np.where(turned, 1 - data.label, data.label))
    probe = np.array([[2.0, 0.0, 0.0]])
    plain, faded = (
        margins(
            booster(fit_member(MemberRecipe(horizon="all", half_life=half), data, end=END, learner=QUICK)), probe, Task.BINARY
        )[0]
        for half in (None, DAY)
    )
    assert plain > 0 > faded


def _spelled(text: str) -> dict[str, object]:
    from contracts.training import Recipe

    return Recipe(members=(text,)).members[0].model_dump()  # type: ignore[arg-type]
