"""Samples made to fool the gate: uneven days, copied rows, rare labels, certain scores, slices without end."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.evaluation import GatePolicy, Judgement, Verdict
from policies.bootstrap import block_mean, effective_blocks, least_t
from policies.gate import judge
from policies.metrics import Floats, row_log_loss
from policies.paired import Days, PairedScores
from policies.slices import Values

NOW = datetime(2026, 3, 1, tzinfo=UTC)
QUICK = GatePolicy(resamples=200)
SURE = 0.9999999


def _judge(
    pair: PairedScores, *, newer: int = 0, gate: GatePolicy = QUICK, slices: dict[str, Values] | None = None, family: int = 1
) -> Judgement:
    return judge(
        holdout=pair,
        replay=PairedScores.empty(),
        gate=gate,
        threshold=0.5,
        champion_trained_through=NOW - timedelta(days=newer),
        challenger_trained_through=NOW,
        weeks_since_promotion=4.0,
        evidence_digest="0" * 64,
        slices=slices,
        family=family,
    )


def _sigmoid(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float64)


def _equal(seed: int, day: Days, *, shared: float = 0.5, own: float = 0.3, base: float = 0.0) -> PairedScores:
    """Two models that are equally good: each errs by the row, and by the day in one direction."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(base, 1.5, len(day))
    label = (rng.random(len(day)) < _sigmoid(truth)).astype(np.float64)

    def scores() -> Floats:
        return _sigmoid(truth + rng.normal(0, shared, int(day.max()) + 1)[day] + rng.normal(0, own, len(day)))

    return PairedScores(day=day, label=label, champion=scores(), challenger=scores())


def _one_giant_day(seed: int) -> Days:
    return np.sort(np.concatenate([np.zeros(900, dtype=np.int64), np.random.default_rng(seed).integers(1, 14, 100)]))


def _very_unequal_days(seed: int) -> Days:
    rng = np.random.default_rng(seed)
    weight = rng.pareto(0.7, 14) + 0.05
    return np.sort(rng.choice(14, 600, p=weight / weight.sum()))


def _verdicts(days: Callable[[int], Days], **model: float) -> Counter[Verdict]:
    return Counter(_judge(_equal(seed, days(seed), **model)).verdict for seed in range(120))


@pytest.mark.parametrize("days", [_one_giant_day, _very_unequal_days])
def test_a_day_with_most_of_the_rows_does_not_make_an_equal_model_look_steady(days: Callable[[int], Days]) -> None:
    assert _verdicts(days)[Verdict.PROMOTE] <= 3


def test_the_reviewer_is_told_as_how_many_days_uneven_days_count() -> None:
    day = _one_giant_day(1)
    pair = _equal(1, day)
    judgement = _judge(replace(pair, champion=_sigmoid(0.3 * np.log(pair.challenger / (1 - pair.challenger)))))
    assert judgement.effective_blocks == 2
    assert any("days that count as 2, so uneven are they" in reason for reason in judgement.reasons)


def test_blocks_of_one_size_count_as_many_as_they_are_and_one_giant_as_little_more_than_one() -> None:
    assert effective_blocks(np.full(14, 24)) == 14
    assert effective_blocks(np.array([1000, 1, 1, 1])) == 2
    assert least_t(3.5, 2) > 1000


def test_the_error_of_equal_blocks_is_that_of_a_mean_of_their_means() -> None:
    pair = _equal(2, np.arange(480) % 20)
    gain = row_log_loss(pair.label, pair.champion) - row_log_loss(pair.label, pair.challenger)
    means = np.bincount(pair.day, weights=gain) / 24
    assert block_mean(pair, row_log_loss).error == pytest.approx(means.std(ddof=1) / math.sqrt(20))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30), st.sampled_from([0, 30]), st.floats(0, 1))
def test_rows_copied_within_their_days_never_turn_a_verdict_into_a_promotion(
    seed: int, copies: int, newer: int, shared: float
) -> None:
    pair = _equal(seed, np.arange(240) % 12, shared=shared)
    copied = pair.chosen(np.repeat(np.arange(240), copies))
    once, often = _judge(pair, newer=newer), _judge(copied, newer=newer)
    assert often.verdict is once.verdict
    assert (often.t, often.relative_gain) == pytest.approx((once.t, once.relative_gain))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0, 30]), st.integers(2, 20))
def test_a_larger_family_never_promotes_what_a_smaller_one_held(seed: int, newer: int, family: int) -> None:
    pair = _equal(seed, np.arange(400) % 16, shared=0.0, own=1.5)
    better = replace(pair, challenger=0.7 * pair.challenger + 0.3 * pair.label)
    alone, among = _judge(better, newer=newer), _judge(better, newer=newer, family=family)
    assert among.verdict is not Verdict.PROMOTE or alone.verdict is Verdict.PROMOTE


def test_a_demand_without_bounds_is_answered_and_not_a_fault() -> None:
    strict = QUICK.strict.model_copy(update={"t": 60.0})
    gate = QUICK.model_copy(update={"strict": strict})
    assert _judge(_equal(3, np.arange(480) % 20), gate=gate, family=50).verdict is not Verdict.PROMOTE


@pytest.mark.parametrize("base", [-7.0, 7.0])
def test_labels_of_one_in_a_thousand_are_judged_without_a_false_promotion(base: float) -> None:
    found = Counter(_judge(_equal(seed, np.arange(20_000) % 20, base=base)).verdict for seed in range(15))
    assert found[Verdict.PROMOTE] == 0


def _odd(name: str, rows: int) -> Floats:
    rng = np.random.default_rng(5)
    return {
        "certain and wrong now and then": np.where(rng.random(rows) < 0.02, 1.0, 0.2),
        "only 0 and 1": (rng.random(rows) < 0.3).astype(np.float64),
        "one value": np.full(rows, 0.3),
        "two values": np.where(np.arange(rows) % 2 == 0, 0.3, 0.3 + 1e-15),
        "next to 1": np.full(rows, SURE),
    }[name]


ODD = ("certain and wrong now and then", "only 0 and 1", "one value", "two values", "next to 1")


@pytest.mark.parametrize("champion", ODD)
@pytest.mark.parametrize("challenger", ODD)
@pytest.mark.parametrize("missing", [0.0, 0.97, 1.0])
def test_ties_certain_scores_and_labels_that_hardly_came_are_answered_with_finite_figures(
    champion: str, challenger: str, missing: float
) -> None:
    rows, rng = 800, np.random.default_rng(6)
    label = np.where(rng.random(rows) < missing, math.nan, (rng.random(rows) < 0.3).astype(np.float64))
    pair = PairedScores(day=np.arange(rows) % 20, label=label, champion=_odd(champion, rows), challenger=_odd(challenger, rows))
    judgement = _judge(pair, slices={"half": np.arange(rows) % 2})  # the contract itself refuses NaN and infinity
    assert judgement.verdict is not Verdict.PROMOTE or judgement.relative_gain > 0
    if champion == challenger:
        assert judgement.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("days", [1, 2])
def test_one_or_two_blocks_never_promote_even_if_the_policy_would_let_them(days: int) -> None:
    gate = GatePolicy(resamples=200, min_days=2)
    pair = _equal(7, np.arange(400) % days)
    better = replace(pair, challenger=0.9 * pair.challenger + 0.1 * pair.label)
    assert _judge(better, gate=gate).verdict is Verdict.INCONCLUSIVE


def test_a_hundred_thousand_slices_of_one_row_are_counted_and_a_slice_of_one_class_is_judged() -> None:
    rows = 100_000
    pair = _equal(8, np.arange(rows) % 28)
    judgement = _judge(pair, slices={"customer": np.arange(rows), "won": pair.label})
    assert judgement.slices_not_evaluable == rows
    assert sum(one.evaluable for one in judgement.slices) == 2
    assert len(judgement.slices) + judgement.slices_unlisted == rows + 2


def test_a_slice_that_lives_on_one_giant_day_is_not_called_harmed() -> None:
    rng = np.random.default_rng(9)
    day = np.where(np.arange(4000) < 2000, 0, np.arange(4000) % 20)
    harmed = (np.arange(4000) % 10 == 3) & (day == 0)
    pair = _equal(9, day, shared=0.0)
    bad_day = np.where(harmed, _sigmoid(rng.normal(0, 3, 4000)), pair.challenger)
    listed = _judge(replace(pair, challenger=bad_day), slices={"place": np.arange(4000) % 10}).slices
    worst = next(one for one in listed if one.value == "3")
    assert worst.gain < 0
    assert worst.held


def test_proven_guards_hold_back_what_point_guards_let_pass_and_say_so() -> None:
    rng = np.random.default_rng(10)
    truth = rng.normal(0, 2, 400)
    label = (rng.random(400) < _sigmoid(truth)).astype(np.float64)
    noisy, near = _sigmoid(truth + 1.5 * rng.normal(0, 1, 400)), _sigmoid(truth + 0.1 * rng.normal(0, 1, 400))
    pair = PairedScores(day=np.arange(400) % 20, label=label, champion=noisy, challenger=near)
    margins = {"recall": 0.0}
    point = _judge(pair, newer=30, gate=QUICK.model_copy(update={"margins": margins}))
    proven = _judge(pair, newer=30, gate=QUICK.model_copy(update={"margins": margins, "guards": "proven"}))
    assert (point.verdict, proven.verdict) == (Verdict.PROMOTE, Verdict.INCONCLUSIVE)
    assert any("It is not proven that the challenger's recall" in reason for reason in proven.reasons)
    recall = proven.metric("recall")
    assert recall is not None
    assert not recall.held


def test_a_challenger_that_gains_and_breaks_a_guard_is_not_told_as_worse() -> None:
    rows = np.arange(2000)
    label = (rows % 3 == 0).astype(np.float64)
    challenger = np.where(label == 1, np.where(rows % 4 == 0, 0.48, 0.9), 0.05)
    pair = PairedScores(day=rows // 100, label=label, champion=np.where(label == 1, 0.6, 0.4), challenger=challenger)
    judgement = _judge(pair, newer=30)
    assert judgement.verdict is Verdict.REGRESS
    assert judgement.sentence.startswith("The challenger gains and breaks a guard: log loss")
