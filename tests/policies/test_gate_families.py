"""Regression and multiclass pairs at the gate, the stricter rule, metrics that run dry, week blocks, power and rivals."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.evaluation import GatePolicy, Judgement, Rule, Verdict
from contracts.training import Task
from policies.chance import holm, student_quantile, student_tail
from policies.gate import judge
from policies.metrics import Floats
from policies.paired import PairedScores

NOW = datetime(2026, 3, 1, tzinfo=UTC)
QUICK = GatePolicy(resamples=200)


def _judge(pair: PairedScores, *, gate: GatePolicy = QUICK, newer: int = 30, family: int = 1) -> Judgement:
    return judge(
        holdout=pair,
        replay=PairedScores.empty(),
        gate=gate,
        threshold=0.5,
        champion_trained_through=NOW - timedelta(days=newer),
        challenger_trained_through=NOW,
        weeks_since_promotion=4.0,
        evidence_digest="0" * 64,
        family=family,
    )


def _softmax(logit: Floats) -> Floats:
    raised = np.exp(logit - logit.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float64)


def pair(task: Task, seed: int, champion: float, challenger: float, *, rows: int = 600, days: int = 20) -> PairedScores:
    """Labels drawn from the truth; each model sees the truth through noise of its size."""
    rng = np.random.default_rng(seed)
    day = np.arange(rows) % days
    if task is Task.REGRESSION:
        truth = rng.normal(50, 10, rows)
        label = truth + rng.normal(0, 2, rows)
        scores = [truth + noise * rng.normal(0, 3, rows) for noise in (champion, challenger)]
        return PairedScores(day=day, label=label, champion=scores[0], challenger=scores[1], task=task)
    logit = rng.normal(0, 2, (rows, 4))
    label = np.array([rng.choice(4, p=p) for p in _softmax(logit)], dtype=np.float64)
    told = [_softmax(logit + noise * rng.normal(0, 1, logit.shape)) for noise in (champion, challenger)]
    if task is Task.MULTICLASS:
        return PairedScores(day=day, label=label, champion=told[0], challenger=told[1], task=task)
    yes = (label == 0).astype(np.float64)
    return PairedScores(day=day, label=yes, champion=told[0][:, 0], challenger=told[1][:, 0], task=task)


def _swapped(scores: PairedScores) -> PairedScores:
    return replace(scores, champion=scores.challenger, challenger=scores.champion)


TASKS = st.sampled_from(list(Task))
NOISE = st.floats(0, 2)


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("newer", [0, 30])
def test_every_task_promotes_the_clearly_better_and_calls_the_clearly_worse_a_regress(task: Task, newer: int) -> None:
    better = pair(task, 1, 2.0, 0.2)
    assert _judge(better, newer=newer).verdict is Verdict.PROMOTE
    assert _judge(_swapped(better), newer=newer).verdict is Verdict.REGRESS


@settings(max_examples=25, deadline=None)
@given(TASKS, st.integers(0, 1000), NOISE, st.sampled_from([0, 30]))
def test_equal_scores_are_never_promoted_in_any_task(task: Task, seed: int, noise: float, newer: int) -> None:
    one = pair(task, seed, noise, noise, rows=200)
    judgement = _judge(replace(one, challenger=one.champion), newer=newer)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert all((c.gain, c.low, c.high) == (0, 0, 0) for c in judgement.comparisons)


@settings(max_examples=25, deadline=None)
@given(TASKS, st.integers(0, 1000), NOISE, NOISE)
def test_swapping_the_models_flips_every_gain_in_any_task(task: Task, seed: int, one: float, other: float) -> None:
    scores = pair(task, seed, one, other, rows=200)
    there, back = _judge(scores), _judge(_swapped(scores))
    for mine, theirs in zip(there.comparisons, back.comparisons, strict=True):
        assert (mine.gain, mine.low, mine.high) == pytest.approx((-theirs.gain, -theirs.high, -theirs.low), rel=1e-9, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(TASKS, st.integers(0, 1000))
def test_the_order_of_rows_changes_nothing_in_any_task(task: Task, seed: int) -> None:
    scores = pair(task, seed, 1.0, 0.5, rows=300)
    late = scores.label.copy()
    late[::7] = math.nan
    scores = replace(scores, label=late)
    assert _judge(scores.chosen(np.random.default_rng(seed).permutation(len(scores)))) == _judge(scores)


@pytest.mark.parametrize(("task", "primary"), [(Task.REGRESSION, "squared_error"), (Task.MULTICLASS, "log_loss")])
def test_the_default_primary_is_a_proper_score_of_the_task(task: Task, primary: str) -> None:
    judgement = _judge(pair(task, 2, 1.0, 0.5))
    assert (judgement.primary, judgement.task) == (primary, task)


@pytest.mark.parametrize(("task", "primary"), [(Task.REGRESSION, "brier"), (Task.BINARY, "squared_error")])
def test_a_primary_of_another_task_is_refused_with_the_ones_that_fit(task: Task, primary: str) -> None:
    with pytest.raises(ValueError, match=f"gate.primary is {primary}"):
        _judge(pair(task, 2, 1.0, 0.5), gate=GatePolicy(primary=primary))


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e30])
def test_a_regression_is_judged_alike_in_whatever_unit_it_is_told(scale: float) -> None:
    scores = pair(Task.REGRESSION, 3, 2.0, 0.5)
    scaled = replace(scores, label=scores.label * scale, champion=scores.champion * scale, challenger=scores.challenger * scale)
    mine, theirs = _judge(scores), _judge(scaled)
    assert mine.verdict is theirs.verdict
    assert (mine.relative_gain, mine.t) == pytest.approx((theirs.relative_gain, theirs.t))


@pytest.mark.parametrize("label", [0.0, 5.0])
def test_constant_labels_of_a_regression_give_finite_figures(label: float) -> None:
    rows = 200
    scores = PairedScores(
        day=np.arange(rows) % 20,
        label=np.full(rows, label),
        champion=np.full(rows, label + 1.0),
        challenger=np.full(rows, label),
        task=Task.REGRESSION,
    )
    assert _judge(scores).relative_gain == 1.0
    assert _judge(_swapped(scores)).verdict is Verdict.REGRESS
    assert math.isfinite(_judge(_swapped(scores)).relative_gain)


def test_a_class_that_never_comes_and_one_class_only_are_answered() -> None:
    scores = pair(Task.MULTICLASS, 4, 1.0, 0.5)
    missing = scores.chosen(scores.label != 3)
    assert _judge(missing).metric("macro_auc") is not None
    assert "Too few rows of the second largest class" in _judge(scores.chosen(scores.label == 2)).reasons[0]


@pytest.mark.parametrize("rows", [0, 1, 2])
@pytest.mark.parametrize("task", list(Task))
def test_a_handful_of_rows_is_inconclusive_in_any_task(task: Task, rows: int) -> None:
    assert _judge(pair(task, 5, 1.0, 0.5).chosen(np.arange(rows))).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("task", list(Task))
def test_one_day_only_or_no_label_at_all_is_inconclusive(task: Task) -> None:
    scores = pair(task, 5, 2.0, 0.2)
    assert _judge(replace(scores, day=np.zeros_like(scores.day))).verdict is Verdict.INCONCLUSIVE
    unlabelled = _judge(replace(scores, label=np.full(len(scores), math.nan)))
    assert (unlabelled.verdict, unlabelled.unlabelled) == (Verdict.INCONCLUSIVE, len(scores))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 1e61])
def test_numbers_that_are_none_are_refused_in_a_regression(wrong: float) -> None:
    scores = pair(Task.REGRESSION, 6, 1.0, 0.5)
    broken = scores.champion.copy()
    broken[0] = wrong
    with pytest.raises(ValueError, match="scores of the champion"):
        replace(scores, champion=broken)


def test_class_probabilities_have_to_sum_to_one_and_labels_to_name_a_class() -> None:
    scores = pair(Task.MULTICLASS, 6, 1.0, 0.5)
    with pytest.raises(ValueError, match="sum to 1"):
        replace(scores, champion=scores.champion * 0.9)
    with pytest.raises(ValueError, match="labels must be 0 to 3"):
        replace(scores, label=scores.label + 1)
    with pytest.raises(ValueError, match="champion's scores have shape"):
        replace(scores, challenger=_softmax(np.zeros((len(scores), 3))))


def test_a_replay_of_another_task_is_refused() -> None:
    with pytest.raises(ValueError, match="holdout is of a regression task"):
        judge(
            holdout=pair(Task.REGRESSION, 1, 1, 0.5),
            replay=pair(Task.BINARY, 1, 1, 0.5),
            gate=QUICK,
            threshold=0.5,
            champion_trained_through=None,
            challenger_trained_through=NOW,
            weeks_since_promotion=None,
            evidence_digest="0" * 64,
        )


def _sharper_but_missing_positives() -> PairedScores:
    """A better log loss and accuracy, with one positive in fifty let slip."""
    rows = 1000
    label = (np.arange(rows) % 3 == 0).astype(np.float64)
    slip = (label == 1) & (np.arange(rows) % 150 == 0)
    champion = np.where(label == 1, 0.6, np.where(np.arange(rows) % 10 == 1, 0.55, 0.4))
    challenger = np.where(slip, 0.48, np.where(label == 1, 0.7, 0.1))
    return PairedScores(day=np.arange(rows) % 20, label=label, champion=champion, challenger=challenger)


def test_all_better_demands_recall_too_where_the_primary_alone_would_promote() -> None:
    scores = _sharper_but_missing_positives()
    assert _judge(scores).verdict is Verdict.PROMOTE
    strict = _judge(scores, gate=GatePolicy(resamples=200, rule=Rule.ALL_BETTER))
    assert strict.verdict is Verdict.INCONCLUSIVE
    assert any("all_better wants a better recall" in reason for reason in strict.reasons)
    dry = _judge(scores, gate=GatePolicy(resamples=200, rule=Rule.ALL_BETTER, dry=("recall", "calibration_error")))
    assert not any("recall" in reason for reason in dry.reasons if "all_better" in reason)


@pytest.mark.parametrize("task", list(Task))
def test_all_better_still_promotes_what_is_better_in_everything(task: Task) -> None:
    gate = GatePolicy(resamples=200, rule=Rule.ALL_BETTER)
    assert _judge(pair(task, 9, 2.0, 0.0, rows=3000), gate=gate).verdict is Verdict.PROMOTE


def test_a_metric_that_runs_dry_is_reported_and_cannot_decide() -> None:
    scores = _sharper_but_missing_positives()
    held = _judge(scores, gate=GatePolicy(resamples=200, margins={"recall": 0.001}))
    dry = _judge(scores, gate=GatePolicy(resamples=200, margins={"recall": 0.001}, dry=("recall",)))
    assert (held.verdict, dry.verdict) == (Verdict.INCONCLUSIVE, Verdict.PROMOTE)
    recall = dry.metric("recall")
    assert recall is not None
    assert recall.dry
    assert recall.margin is None


def test_the_primary_cannot_run_dry() -> None:
    with pytest.raises(ValidationError, match="dry names the primary"):
        GatePolicy(dry=("log_loss",))


def test_week_intervals_stand_beside_those_of_days_where_there_are_enough_weeks() -> None:
    assert _judge(pair(Task.BINARY, 1, 1.0, 0.5, days=20)).weekly == ()
    long = _judge(pair(Task.BINARY, 1, 1.0, 0.5, days=56))
    assert long.weeks >= 8
    shown = {c.metric: c for c in long.weekly}
    assert "worst_day_log_loss" not in shown
    primary = long.metric("log_loss")
    assert primary is not None
    assert shown["log_loss"].gain == pytest.approx(primary.gain)


def test_a_gate_that_blocks_by_week_counts_weeks_and_asks_for_enough_of_them() -> None:
    gate = GatePolicy(resamples=200, block="week")
    assert any("Too few weeks" in reason for reason in _judge(pair(Task.BINARY, 1, 2.0, 0.2), gate=gate).reasons)
    assert _judge(pair(Task.BINARY, 1, 2.0, 0.2, days=60), gate=gate).verdict is Verdict.PROMOTE


def test_a_larger_family_wants_a_steeper_t_at_the_strict_gate_and_changes_nothing_at_the_refresh_gate() -> None:
    scores = pair(Task.BINARY, 1, 1.0, 0.5)
    alone, many = _judge(scores, newer=0).least_t, _judge(scores, newer=0, family=12).least_t
    assert alone is not None
    assert many is not None
    assert many > alone
    assert _judge(scores, family=12) == _judge(scores)
    with pytest.raises(ValueError, match="family"):
        _judge(scores, family=0)


def test_power_falls_with_fewer_rows_and_names_its_figures() -> None:
    few, many = (_judge(pair(Task.BINARY, 1, 1.0, 0.5, rows=rows)).power for rows in (200, 6000))
    assert few is not None
    assert many is not None
    assert few.gain > many.gain >= many.least_gain
    assert "80 %" in many.sentence


def test_unlabelled_rows_promise_what_calibrated_scores_expect_and_decide_nothing() -> None:
    scores = pair(Task.BINARY, 1, 1.0, 0.5, rows=4000)
    late = scores.label.copy()
    late[2000:] = math.nan
    judgement = _judge(replace(scores, label=late))
    promised = {e.metric: e for e in judgement.estimates}
    assert (promised["accuracy"].rows, promised["accuracy"].part) == (2000, "holdout")
    seen = np.mean((scores.challenger[2000:] >= 0.5) == (scores.label[2000:] == 1))
    assert promised["accuracy"].challenger == pytest.approx(seen, abs=0.05)
    assert judgement.verdict is _judge(scores.chosen(np.arange(2000))).verdict


def test_students_tail_and_quantile_agree_with_tables_and_with_each_other() -> None:
    assert student_quantile(0.025, 4) == pytest.approx(2.776445, abs=1e-5)
    assert student_tail(12.706205, 1) == pytest.approx(0.025, abs=1e-7)
    assert student_tail(0.0, 9) == 0.5
    assert student_tail(-2.0, 9) == pytest.approx(1 - student_tail(2.0, 9))
    assert student_tail(student_quantile(1e-5, 13), 13) == pytest.approx(1e-5, rel=1e-6)


def test_holm_multiplies_the_smallest_by_the_number_of_tests_and_never_reverses_an_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([]) == ()
    assert holm([0.9, 0.8]) == (1.0, 1.0)
