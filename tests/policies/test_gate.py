"""The gate's verdicts: better, worse, not clear; and what no challenger can get past."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.evaluation import GateKind, GatePolicy, Judgement, Thresholds, Verdict
from policies.bootstrap import day_t, gains, least_t
from policies.gate import gate_kind, judge
from policies.metrics import Floats, row_log_loss
from policies.paired import Days, PairedScores

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DIGEST = "0" * 64
QUICK = GatePolicy(resamples=200)
SLACK = Thresholds(log_loss_gain=0, brier_gain=0, t=0)


def _sigmoid(logit: Floats) -> Floats:
    return 1 / (1 + np.exp(-logit))


def _pair(
    seed: int, *, champion: float, challenger: float, rows: int = 480, days: int = 20, day_noise: float = 0.0
) -> PairedScores:
    """Honest labels; each model's logits are the true ones plus noise of this size, shared within a day by `day_noise`."""
    rng = np.random.default_rng(seed)
    day = np.sort(np.arange(rows) % days) + 16_000
    truth = rng.normal(0, 2, rows)

    def scores(noise: float) -> Floats:
        shared = day_noise * rng.normal(0, 1, days)[day - 16_000]
        return _sigmoid(truth + noise * rng.normal(0, 1, rows) + shared)

    label = (rng.random(rows) < _sigmoid(truth)).astype(float)
    return PairedScores(day=day, label=label, champion=scores(champion), challenger=scores(challenger))


BETTER = _pair(1, champion=1.5, challenger=0.1)
WORSE = _pair(1, champion=0.1, challenger=1.5)


def _judge(
    holdout: PairedScores,
    replay: PairedScores | None = None,
    *,
    gate: GatePolicy = QUICK,
    newer: timedelta | None = timedelta(days=30),
    weeks: float | None = 4.0,
) -> Judgement:
    """`newer` is how much later the challenger's training data end; None stands for no champion."""
    return judge(
        holdout=holdout,
        replay=PairedScores.empty() if replay is None else replay,
        gate=gate,
        threshold=0.5,
        champion_trained_through=None if newer is None else NOW - newer,
        challenger_trained_through=NOW,
        weeks_since_promotion=weeks,
        evidence_digest=DIGEST,
    )


def _swapped(pair: PairedScores) -> PairedScores:
    return replace(pair, champion=pair.challenger, challenger=pair.champion)


def _told(judgement: Judgement, words: str) -> bool:
    return any(words in reason for reason in judgement.reasons)


@pytest.mark.parametrize("newer", [timedelta(0), timedelta(days=30)])
def test_a_clearly_better_challenger_is_promoted_by_both_gates(newer: timedelta) -> None:
    judgement = _judge(BETTER, BETTER, newer=newer)
    assert judgement.verdict is Verdict.PROMOTE
    assert judgement.sentence.startswith("The challenger is better: log loss")
    assert "on 480 rows of 20 days." in judgement.sentence
    assert judgement.reasons == ()


@pytest.mark.parametrize("newer", [timedelta(0), timedelta(days=30)])
def test_a_clearly_worse_challenger_is_a_regress_and_says_so_first(newer: timedelta) -> None:
    judgement = _judge(WORSE, newer=newer)
    assert judgement.verdict is Verdict.REGRESS
    assert "log loss is worse beyond chance" in judgement.reasons[0]
    assert judgement.sentence.startswith("The challenger is worse: log loss")


@pytest.mark.parametrize("gate", [QUICK, GatePolicy(resamples=200, refresh=SLACK, strict=SLACK, urgency=0)])
@pytest.mark.parametrize("newer", [timedelta(0), timedelta(days=30), None])
def test_identical_scores_are_never_promoted_whatever_the_thresholds(gate: GatePolicy, newer: timedelta | None) -> None:
    judgement = _judge(replace(BETTER, challenger=BETTER.champion), gate=gate, newer=newer)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert (judgement.t, judgement.relative_gain) == (0, 0)
    assert all((c.gain, c.low, c.high) == (0, 0, 0) for c in judgement.comparisons)


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        (GatePolicy(resamples=200, min_rows=481), "Too few rows with a label: 480 of at least 481."),
        (GatePolicy(resamples=200, min_days=21), "Too few days with labelled rows: 20 of at least 21."),
        (GatePolicy(resamples=200, min_class_rows=400), "Too few rows with label 1: "),
        (GatePolicy(resamples=200, min_class_rows=400), "Too few rows with label 0: "),
    ],
)
def test_too_small_a_sample_is_inconclusive_and_names_what_was_found_and_wanted(gate: GatePolicy, reason: str) -> None:
    judgement = _judge(BETTER, gate=gate)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert _told(judgement, reason)


def test_rows_without_a_label_count_for_nothing() -> None:
    unlabelled = replace(WORSE, label=np.full(len(WORSE), math.nan))
    both = PairedScores(
        day=np.concatenate([BETTER.day, unlabelled.day]),
        label=np.concatenate([BETTER.label, unlabelled.label]),
        champion=np.concatenate([BETTER.champion, unlabelled.champion]),
        challenger=np.concatenate([BETTER.challenger, unlabelled.challenger]),
    )
    told = {"stability", "unlabelled", "estimates"}
    assert _judge(both).model_dump(exclude=told) == _judge(BETTER).model_dump(exclude=told)
    assert _judge(both).unlabelled == len(WORSE)
    assert _judge(unlabelled).verdict is Verdict.INCONCLUSIVE


def _trading_recall(seed: int, share: float) -> PairedScores:
    """The challenger is far better on the negatives and lets `share` of the positives slip just below the threshold."""
    rng = np.random.default_rng(seed)
    rows = 1000
    label = (rng.random(rows) < 0.3).astype(float)
    slip = (label == 1) & (rng.random(rows) < share)
    champion = np.where(label == 1, 0.6, 0.45)
    challenger = np.where(slip, 0.48, np.where(label == 1, 0.6, 0.05))
    return PairedScores(day=np.arange(rows) // 50, label=label, champion=champion, challenger=challenger)


def test_a_guard_beyond_its_margin_holds_back_a_better_challenger() -> None:
    assert _judge(_trading_recall(1, 0.02)).verdict is Verdict.PROMOTE
    judgement = _judge(_trading_recall(1, 0.1), gate=GatePolicy(resamples=200, margins={"recall": 0.05}))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert _told(judgement, "recall is worse by more than its margin: recall")


def test_a_guard_beyond_its_margin_beyond_chance_is_a_regress() -> None:
    judgement = _judge(_trading_recall(1, 0.3))
    assert judgement.verdict is Verdict.REGRESS
    assert _told(judgement, "recall is worse by more than its margin beyond chance")


@settings(max_examples=30)
@given(st.floats(0, 0.3), st.floats(0, 0.3))
def test_a_wider_margin_never_fails_a_guard_that_a_narrower_one_holds(one: float, other: float) -> None:
    pair = _trading_recall(2, 0.15)
    narrow, wide = sorted((one, other))
    held = [_held(pair, margin) for margin in (narrow, wide)]
    assert held[1] or not held[0]


def _held(pair: PairedScores, margin: float) -> bool:
    recall = _judge(pair, gate=GatePolicy(resamples=200, margins={"recall": margin})).metric("recall")
    assert recall is not None
    return recall.held


def test_a_replay_that_contradicts_the_holdout_leaves_it_to_a_person() -> None:
    judgement = _judge(BETTER, WORSE)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert _told(judgement, "On replayed live requests the challenger's log loss is worse beyond chance")
    assert judgement.replay


def test_a_bad_replay_without_a_good_holdout_is_a_regress() -> None:
    assert _judge(replace(BETTER, challenger=BETTER.champion), WORSE).verdict is Verdict.REGRESS


def test_missing_replay_is_said_and_not_counted_as_passed() -> None:
    judgement = _judge(BETTER)
    assert judgement.verdict is Verdict.PROMOTE
    assert judgement.replay == ()
    assert set(judgement.stability) == {"harmful_flips", "beneficial_flips", "holdout_disagreement", "holdout_score_shift"}
    assert _told(judgement, "No live request was replayed")


def test_replay_with_too_few_labels_is_not_compared_but_still_shows_churn() -> None:
    late = BETTER.label.copy()
    late[50:] = math.nan
    judgement = _judge(BETTER, replace(BETTER, label=late))
    assert judgement.replay == ()
    assert _told(judgement, "not compared by label: Too few rows")
    assert judgement.stability["replay_disagreement"] > 0


def test_scores_of_another_shape_on_replay_leave_it_to_a_person() -> None:
    gate = GatePolicy(resamples=200, max_score_shift=0.01)
    judgement = _judge(BETTER, replace(BETTER, label=np.full(len(BETTER), math.nan)), gate=gate)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert _told(judgement, "distributed otherwise")


def test_the_shift_of_a_handful_of_requests_is_reported_only() -> None:
    few = PairedScores(*(getattr(BETTER, name)[:20] for name in ("day", "label", "champion", "challenger")))
    judgement = _judge(BETTER, few, gate=GatePolicy(resamples=200, max_score_shift=1e-9))
    assert judgement.verdict is Verdict.PROMOTE
    assert _told(judgement, "score shift is reported only: 20")


@pytest.mark.parametrize(
    ("weeks", "newer", "verdict"),
    [
        (0.01, timedelta(days=30), Verdict.INCONCLUSIVE),
        (0.0, timedelta(days=30), Verdict.INCONCLUSIVE),
        (-1.0, timedelta(days=30), Verdict.INCONCLUSIVE),
        (8.0, timedelta(days=30), Verdict.PROMOTE),
        (None, timedelta(days=30), Verdict.PROMOTE),
        (0.01, timedelta(0), Verdict.PROMOTE),
    ],
)
def test_a_refresh_soon_after_the_last_one_has_to_gain_more(weeks: float | None, newer: timedelta, verdict: Verdict) -> None:
    assert _judge(BETTER, weeks=weeks, newer=newer).verdict is verdict


@pytest.mark.parametrize(
    ("newer", "kind"),
    [
        (None, GateKind.REFRESH),
        (timedelta(days=14), GateKind.REFRESH),
        (timedelta(days=13, hours=23), GateKind.STRICT),
        (timedelta(days=-20), GateKind.STRICT),
    ],
)
def test_newer_data_makes_a_refresh(newer: timedelta | None, kind: GateKind) -> None:
    assert gate_kind(champion=None if newer is None else NOW - newer, challenger=NOW, gate=QUICK) is kind


def test_the_same_small_gain_passes_the_refresh_gate_and_not_the_strict_one() -> None:
    pair = _pair(0, champion=1.0, challenger=0.7, rows=336, days=14)
    assert _judge(pair, newer=timedelta(days=30)).verdict is Verdict.PROMOTE
    assert _judge(pair, newer=timedelta(0)).verdict is Verdict.INCONCLUSIVE


def test_the_first_champion_is_held_against_the_base_rate_without_guards() -> None:
    pair = replace(BETTER, champion=np.full(len(BETTER), 0.51))
    judgement = _judge(pair, newer=None, weeks=None)
    assert judgement.verdict is Verdict.PROMOTE
    assert judgement.kind is GateKind.REFRESH
    assert all(c.margin is None and c.held for c in judgement.comparisons)
    assert _told(judgement, "no champion yet")
    useless = replace(pair, challenger=np.random.default_rng(1).permutation(pair.challenger))
    assert _judge(useless, newer=None, weeks=None).verdict is Verdict.REGRESS


def test_brier_can_be_the_declared_primary() -> None:
    judgement = _judge(BETTER, gate=GatePolicy(resamples=200, primary="brier"))
    assert judgement.verdict is Verdict.PROMOTE
    assert "Brier score" in judgement.sentence


def test_a_margin_on_an_unknown_metric_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="accurcy"):
        _judge(BETTER, gate=GatePolicy(margins={"accurcy": 0.1}))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -0.1, 1.1])
@pytest.mark.parametrize("column", ["champion", "challenger"])
def test_scores_that_are_no_probabilities_are_refused(column: str, wrong: float) -> None:
    scores = getattr(BETTER, column).copy()
    scores[3] = wrong
    with pytest.raises(ValueError, match=f"scores of the {column}"):
        replace(BETTER, **{column: scores})


@pytest.mark.parametrize("wrong", [2.0, -1.0, 0.5, math.inf])
def test_labels_other_than_0_and_1_are_refused(wrong: float) -> None:
    label = BETTER.label.copy()
    label[0] = wrong
    with pytest.raises(ValueError, match="labels must be"):
        replace(BETTER, label=label)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="label has shape"):
        replace(BETTER, label=BETTER.label[:-1])
    with pytest.raises(ValueError, match="whole days"):
        replace(BETTER, day=cast("Days", BETTER.label))


_EDGES: dict[str, Callable[[int], Floats]] = {
    "zeros": np.zeros,
    "ones": np.ones,
    "constant": lambda n: np.full(n, 0.3),
    "spread": lambda n: np.linspace(0, 1, n),
}


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 200])
@pytest.mark.parametrize("champion", list(_EDGES))
@pytest.mark.parametrize("challenger", list(_EDGES))
def test_constants_one_class_and_tiny_samples_give_finite_figures(rows: int, champion: str, challenger: str) -> None:
    for label in (np.zeros(rows), np.ones(rows), (np.arange(rows) % 2).astype(float)):
        pair = PairedScores(
            day=np.arange(rows) // 3, label=label, champion=_EDGES[champion](rows), challenger=_EDGES[challenger](rows)
        )
        judgement = _judge(pair, pair)  # the contract itself refuses NaN and infinity
        assert judgement.verdict is not Verdict.PROMOTE or judgement.relative_gain > 0


_PAIRS = st.builds(
    _pair,
    st.integers(0, 10_000),
    champion=st.floats(0, 2),
    challenger=st.floats(0, 2),
    rows=st.integers(20, 300),
    days=st.integers(2, 20),
    day_noise=st.floats(0, 1),
)


@settings(max_examples=25)
@given(_PAIRS)
def test_swapping_the_models_flips_every_gain(pair: PairedScores) -> None:
    there, back = _judge(pair), _judge(_swapped(pair))
    assert there.t == pytest.approx(-back.t)
    for one, other in zip(there.comparisons, back.comparisons, strict=True):
        assert (one.champion, one.challenger) == pytest.approx((other.challenger, other.champion), abs=1e-12)
        assert (one.gain, one.low, one.high) == pytest.approx((-other.gain, -other.high, -other.low), abs=1e-12)


@settings(max_examples=25)
@given(_PAIRS, st.integers(0, 1000))
def test_the_order_of_rows_changes_nothing_to_the_last_bit(pair: PairedScores, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(pair))
    mixed = PairedScores(*(getattr(pair, name)[order] for name in ("day", "label", "champion", "challenger")))
    assert _judge(mixed, mixed) == _judge(pair, pair)


@settings(max_examples=40)
@given(_PAIRS, st.sampled_from([timedelta(0), timedelta(days=30), None]))
def test_nothing_is_promoted_without_a_gain_in_the_primary(pair: PairedScores, newer: timedelta | None) -> None:
    gate = GatePolicy(resamples=200, min_rows=1, min_days=2, min_class_rows=1, refresh=SLACK, strict=SLACK, urgency=0, margins={})
    judgement = _judge(pair, gate=gate, newer=newer)
    primary = judgement.metric("log_loss")
    assert primary is not None
    if primary.gain <= 0:
        assert judgement.verdict is not Verdict.PROMOTE


@settings(max_examples=20)
@given(_PAIRS)
def test_the_point_lies_within_its_interval_for_mean_metrics(pair: PairedScores) -> None:
    for compared in _judge(pair).comparisons:
        assert compared.low <= compared.high
        if compared.metric in {"log_loss", "brier", "accuracy"}:
            assert compared.low - 1e-9 <= compared.gain <= compared.high + 1e-9


def test_the_strict_gate_hardly_ever_promotes_an_equal_model_even_when_days_err_together() -> None:
    promoted = [
        _judge(_pair(seed, champion=0.8, challenger=0.8, rows=336, days=14, day_noise=0.5), newer=timedelta(0)).verdict
        for seed in range(100)
    ]
    assert promoted.count(Verdict.PROMOTE) <= 0.05 * len(promoted)


def test_the_interval_covers_no_difference_as_often_as_it_says_when_days_err_together() -> None:
    covered = 0
    for seed in range(150):
        pair = _pair(seed, champion=0.5, challenger=0.5, rows=336, days=14, day_noise=0.7).labelled()
        gain = gains(rows=pair, threshold=0.5, alpha=0.1, resamples=200, seed=seed)["brier"]
        covered += gain.low <= 0 <= gain.high
    assert 0.85 <= covered / 150 <= 0.96


def test_t_weighs_days_by_their_rows() -> None:
    one, many = np.array([0]), np.repeat([1, 2, 3], 100)
    day = np.concatenate([one, many])
    label = np.ones(301)
    champion = np.where(day == 0, 0.9, 0.6 + 0.01 * (day % 3))
    challenger = np.where(day == 0, 0.1, 0.7)
    assert day_t(PairedScores(day=day, label=label, champion=champion, challenger=challenger), row_log_loss) > 3


@pytest.mark.parametrize(("declared", "days", "least"), [(3.5, 14, 4.64), (3.5, 56, 3.72), (1.0, 14, 1.04), (0.0, 5, 0.0)])
def test_few_days_need_a_steeper_t(declared: float, days: int, least: float) -> None:
    assert least_t(declared, days) == pytest.approx(least, abs=0.01)


def test_a_champion_that_says_yes_to_all_does_not_keep_its_place_by_its_recall() -> None:
    """It learned from one class; whoever tells the classes apart has a lower recall."""
    rng = np.random.default_rng(3)
    label = rng.integers(0, 2, 2800) * 1.0
    told = np.where(rng.random(2800) < 0.85, label, 1 - label) * 0.7 + 0.15
    sided = PairedScores(day=np.arange(2800) // 100, label=label, champion=np.full(2800, 0.9), challenger=told)
    found = _judge(sided)
    recall = found.metric("recall")
    assert recall is not None
    assert (recall.champion, recall.margin) == (1.0, None)
    assert found.verdict is Verdict.PROMOTE
