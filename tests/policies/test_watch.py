"""The watch looks after every row, raises hardly a false alarm, and finds a real regression in a few hundred rows."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.training import Task
from policies.metrics import Floats
from policies.paired import Days
from policies.watch import design_effect, e_value, watch

MARGIN = 0.005


def _days(days: int, rows: int) -> Days:
    return np.repeat(np.arange(days), rows)


def _differences(seed: int, *, days: int, rows: int, mean: float, correlation: float, spread: float = 0.15) -> Floats:
    """Differences in squared error, correlated within each day."""
    rng = np.random.default_rng(seed)
    shared = np.repeat(rng.normal(0, spread * math.sqrt(correlation), days), rows)
    own = rng.normal(0, spread * math.sqrt(1 - correlation), days * rows)
    return np.clip(mean + shared + own, -1, 1)


def _alarms(alpha: float, runs: int, *, days: int, rows: int, mean: float, correlation: float) -> float:
    """Share of watches that ever raised the alarm."""
    day = _days(days, rows)
    reached = [
        e_value(_differences(seed, days=days, rows=rows, mean=mean, correlation=correlation), day, MARGIN) >= 1 / alpha
        for seed in range(runs)
    ]
    return sum(reached) / runs


@pytest.mark.parametrize(("days", "rows"), [(7, 24), (21, 24), (21, 500)])
@pytest.mark.parametrize("correlation", [0.0, 0.06, 0.2])
def test_a_champion_just_at_the_margin_is_hardly_ever_called_worse_however_often_one_looks(
    days: int, rows: int, correlation: float
) -> None:
    assert _alarms(0.05, 120, days=days, rows=rows, mean=MARGIN, correlation=correlation) <= 0.05


def test_real_predictions_of_equal_models_raise_no_false_alarm() -> None:
    rng = np.random.default_rng(5)
    called = 0
    for _ in range(100):
        logit = rng.normal(0, 2, 500)
        label = (rng.random(500) < 1 / (1 + np.exp(-logit))).astype(float)
        one, other = (1 / (1 + np.exp(-logit - rng.normal(0, 0.7, 500))) for _ in range(2))
        called += watch(label=label, champion=one, former=other, day=_days(20, 25), alpha=0.05, margin=MARGIN).worse
    assert called <= 5


@pytest.mark.parametrize(("mean", "days", "power"), [(0.2, 7, 0.9), (0.12, 14, 0.9), (0.08, 21, 0.9)])
def test_a_real_regression_is_found_within_a_few_hundred_rows(mean: float, days: int, power: float) -> None:
    assert _alarms(0.01, 60, days=days, rows=24, mean=mean, correlation=0.06) >= power


def test_a_better_champion_is_never_called_worse() -> None:
    assert _alarms(0.05, 60, days=30, rows=24, mean=-0.03, correlation=0.06) == 0


def test_an_alarm_stays_raised_when_the_champion_recovers() -> None:
    bad, good = np.full(240, 0.3), np.full(360, -0.3)
    day = _days(25, 24)
    assert e_value(np.concatenate([bad, good]), day, MARGIN) == e_value(bad, day[:240], MARGIN) > 100


@given(st.integers(0, 500), st.integers(1, 30))
def test_rows_of_later_days_never_lower_the_evidence(seed: int, days: int) -> None:
    difference, day = _differences(seed, days=30, rows=10, mean=0.02, correlation=0.1), _days(30, 10)
    seen = day < days
    assert e_value(difference[seen], day[seen], MARGIN) <= e_value(difference, day, MARGIN) * (1 + 1e-12)


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_extremes_stay_finite(value: float) -> None:
    assert 1 <= e_value(np.full(100_000, value), _days(100, 1000), 0.0) <= 1e12


def test_one_row_a_day_is_no_cluster_and_equal_rows_of_a_day_count_once() -> None:
    alternating = np.tile([0.1, -0.1], 20)
    assert design_effect(alternating, np.arange(40)) == pytest.approx(np.ones(40))
    repeated, day = np.repeat(alternating, 50), _days(40, 50)
    assert design_effect(repeated, day)[-1] == pytest.approx(50, rel=0.1)


def test_a_days_design_effect_rests_on_former_days_alone() -> None:
    value, day = _differences(3, days=20, rows=10, mean=0, correlation=0.3), _days(20, 10)
    changed = np.where(day == 19, 0.9, value)
    assert design_effect(changed, day) == pytest.approx(design_effect(value, day))


def test_without_labels_nothing_is_known() -> None:
    none = np.zeros(0)
    report = watch(label=none, champion=none, former=none, day=np.zeros(0, dtype=np.int64), alpha=0.01, margin=MARGIN)
    assert (report.worse, report.rows, report.evidence, report.brier_champion) == (False, 0, 1.0, None)
    assert "No label" in report.sentence


def test_the_sentence_holds_both_scores_and_the_bound() -> None:
    label = np.ones(200)
    report = watch(
        label=label, champion=label * 0.1, former=label * 0.9, day=_days(10, 20), alpha=0.01, margin=MARGIN, complete=True
    )
    assert report.worse
    assert report.complete
    assert "worse: Brier score 0.810 against 0.010 of the former champion on 200 rows" in report.sentence


@pytest.mark.parametrize(
    ("label", "champion"),
    [([1.0, np.nan], [0.5, 0.5]), ([1.0, 0.0], [0.5, np.inf]), ([1.0, 0.0], [0.5]), ([1.0, 2.0], [0.5, 0.5])],
)
def test_rows_without_label_or_probability_are_refused(label: list[float], champion: list[float]) -> None:
    with pytest.raises(ValueError, match=r"scores of the champion|labelled rows|labels must be 0, 1"):
        watch(
            label=np.array(label), champion=np.array(champion), former=np.array([0.5, 0.5]), day=_days(2, 1), alpha=0.01, margin=0
        )


# ---- other tasks


def _numbers(seed: int, *, days: int, rows: int, worse: float, tail: float) -> tuple[Floats, Floats, Floats]:
    """Labels, and two models whose errors share a day's effect and have heavy tails; the champion's are larger by `worse`."""
    rng = np.random.default_rng(seed)
    level = np.repeat(np.exp(rng.normal(0, 0.3, days)), rows)
    label = 1000 + 300 * rng.normal(size=days * rows)
    shared = 60 * np.repeat(rng.normal(size=days), rows)
    champion, former = (50 * level * rng.standard_t(tail, days * rows) + shared for _ in range(2))
    return label, label + (1 + worse) * champion, label + former


def _watched(seed: int, alpha: float, *, days: int = 14, rows: int = 24, worse: float = 0.0, tail: float = 5) -> bool:
    label, champion, former = _numbers(seed, days=days, rows=rows, worse=worse, tail=tail)
    told = {"day": _days(days, rows), "alpha": alpha, "margin": MARGIN, "task": Task.REGRESSION}
    return watch(label=label, champion=champion, former=former, **told).worse  # type: ignore[arg-type] - spelled once


@pytest.mark.parametrize("tail", [2.5, 30])
@pytest.mark.parametrize("rows", [1, 24, 200])
def test_equally_good_regressions_are_hardly_ever_called_worse_however_far_off_their_rarest_errors(
    tail: float, rows: int
) -> None:
    assert sum(_watched(seed, 0.05, rows=rows, tail=tail) for seed in range(150)) <= 0.05 * 150


@pytest.mark.parametrize(("worse", "days", "found"), [(0.5, 14, 0.9), (0.25, 28, 0.5)])
def test_a_regression_that_errs_clearly_more_is_found(worse: float, days: int, found: float) -> None:
    assert sum(_watched(seed, 0.01, rows=48, days=days, worse=worse) for seed in range(60)) >= found * 60


def test_the_unit_of_a_number_does_not_matter() -> None:
    label, champion, former = _numbers(1, days=14, rows=24, worse=0.3, tail=5)
    evidence = [
        watch(
            label=label * unit,
            champion=champion * unit,
            former=former * unit,
            day=_days(14, 24),
            alpha=0.01,
            margin=MARGIN,
            task=Task.REGRESSION,
        ).evidence
        for unit in (1e-6, 1.0, 1e6)
    ]
    assert evidence == pytest.approx([evidence[1]] * 3, rel=1e-6)


def test_a_regression_says_the_root_of_its_squared_error() -> None:
    label, champion, former = _numbers(2, days=28, rows=100, worse=1.0, tail=30)
    report = watch(
        label=label, champion=champion, former=former, day=_days(28, 100), alpha=0.01, margin=MARGIN, task=Task.REGRESSION
    )
    assert (report.worse, report.metric, report.brier_champion) == (True, "rmse", None)
    assert report.loss_champion == pytest.approx(np.sqrt(np.mean((champion - label) ** 2)))
    assert "worse: root of the squared error" in report.sentence


def test_errors_that_nobody_had_before_count_as_three_times_the_usual_one_and_no_more() -> None:
    """A champion that is off by a million on one row in 100 is not ruined by the unit, and not forgiven either."""
    label, champion, former = _numbers(3, days=28, rows=100, worse=0.0, tail=30)
    champion[::100] += 1e6
    told = {"day": _days(28, 100), "alpha": 0.01, "margin": 0.0, "task": Task.REGRESSION}
    report = watch(label=label, champion=champion, former=former, **told)  # type: ignore[arg-type] - spelled once
    assert 10 < report.evidence < 1e12


@pytest.mark.parametrize("classes", [2, 4])
def test_equally_good_models_of_many_classes_are_hardly_ever_called_worse_and_a_bad_one_is(classes: int) -> None:
    called = dict.fromkeys((0.5, 3.0), 0)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        logit = rng.normal(0, 2, (600, classes))
        label = np.argmax(logit + rng.gumbel(size=logit.shape), axis=1).astype(float)
        for noise in called:
            champion, former = (_softmax(logit + rng.normal(0, spread, logit.shape)) for spread in (noise, 0.5))
            told = {"day": _days(25, 24), "alpha": 0.05, "margin": MARGIN, "task": Task.MULTICLASS}
            called[noise] += watch(label=label, champion=champion, former=former, **told).worse  # type: ignore[arg-type] - as above
    assert called[0.5] <= 3
    assert called[3.0] >= 57


def test_two_classes_are_bet_on_like_a_binary_task() -> None:
    rng = np.random.default_rng(4)
    label, champion, former = (rng.random(480) < 0.3).astype(float), rng.random(480), rng.random(480)
    day = _days(20, 24)
    binary = watch(label=label, champion=champion, former=former, day=day, alpha=0.01, margin=MARGIN)
    pairs = [np.stack([1 - score, score], axis=1) for score in (champion, former)]
    both = watch(label=label, champion=pairs[0], former=pairs[1], day=day, alpha=0.01, margin=MARGIN, task=Task.MULTICLASS)
    assert both.evidence == pytest.approx(binary.evidence)


def _softmax(logit: Floats) -> Floats:
    power = np.exp(logit - logit.max(axis=1, keepdims=True))
    return np.asarray(power / power.sum(axis=1, keepdims=True))
