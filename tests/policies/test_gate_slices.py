"""Slices at the gate: a harmed one is found, a small one is listed, luck is corrected for."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.evaluation import GatePolicy, Judgement, Verdict
from policies.gate import judge
from policies.metrics import Floats
from policies.paired import PairedScores
from policies.slices import Values

NOW = datetime(2026, 3, 1, tzinfo=UTC)
QUICK = GatePolicy(resamples=200)


def _pair(seed: int, rows: int = 4000, days: int = 28, champion: float = 1.0, challenger: float = 0.4) -> PairedScores:
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 2, rows)

    def scores(noise: float) -> Floats:
        return 1 / (1 + np.exp(-(truth + noise * rng.normal(0, 1, rows))))

    label = (rng.random(rows) < 1 / (1 + np.exp(-truth))).astype(np.float64)
    return PairedScores(day=np.arange(rows) % days, label=label, champion=scores(champion), challenger=scores(challenger))


def _judge(pair: PairedScores, slices: dict[str, Values], gate: GatePolicy = QUICK) -> Judgement:
    return judge(
        holdout=pair,
        replay=PairedScores.empty(),
        gate=gate,
        threshold=0.5,
        champion_trained_through=NOW - timedelta(days=30),
        challenger_trained_through=NOW,
        weeks_since_promotion=4.0,
        evidence_digest="0" * 64,
        slices=slices,
    )


def _harmed(pair: PairedScores, there: Values) -> PairedScores:
    """The challenger says the opposite where `there`."""
    return replace(pair, challenger=np.where(there, 1 - pair.challenger, pair.challenger))


def test_a_gain_on_average_that_harms_a_slice_goes_to_a_person_who_is_told_which() -> None:
    place = np.arange(4000) % 20
    pair = _harmed(_pair(1, champion=2.5), place == 7)
    assert _judge(pair, {}).verdict is Verdict.PROMOTE
    judgement = _judge(pair, {"place": place})
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert any("harms the slice place = 7" in reason for reason in judgement.reasons)
    worst = judgement.slices[0]
    assert (worst.feature, worst.value, worst.held) == ("place", "7", False)
    assert judgement.worst_slice_low is not None
    assert judgement.worst_slice_low < worst.gain < 0


def test_slices_of_a_better_model_hold_nothing_back() -> None:
    judgement = _judge(_pair(2), {"place": np.arange(4000) % 20})
    assert judgement.verdict is Verdict.PROMOTE
    assert len(judgement.slices) == 20
    assert all(s.held and s.evaluable for s in judgement.slices)


def test_sixty_slices_of_two_equal_models_hardly_ever_show_a_harmed_one() -> None:
    gate = GatePolicy(resamples=200, slice_margin=1e-9)
    found = [
        any(not s.held for s in _judge(_pair(seed, 12_000, challenger=1.0), {"place": np.arange(12_000) % 60}, gate).slices)
        for seed in range(40)
    ]
    assert sum(found) <= 6


def test_a_slice_that_is_too_small_is_listed_with_what_it_lacks_and_never_dropped() -> None:
    place = np.where(np.arange(4000) < 30, "rare", "common").astype(object)
    place[40:160] = None
    pair = _pair(3)
    pair = replace(pair, day=np.where(np.arange(4000) < 160, 3, pair.day))
    judgement = _judge(pair, {"place": place})
    listed = {s.value: s for s in judgement.slices}
    assert set(listed) == {"rare", "common", "missing"}
    assert (listed["rare"].evaluable, listed["rare"].why_not) == (False, "30 rows of at least 100")
    assert listed["missing"].why_not == "1 days of at least 5"
    assert judgement.slices_not_evaluable == 2
    assert any("2 slices are too small" in reason for reason in judgement.reasons)


def test_every_slice_is_listed_or_counted() -> None:
    judgement = _judge(_pair(4), {"a": np.arange(4000), "b": np.arange(4000) % 25})
    assert len(judgement.slices) + judgement.slices_unlisted == 4025
    assert len(judgement.slices) == QUICK.max_slices
    assert sum(s.feature == "b" for s in judgement.slices) == 25
    assert judgement.slices_not_evaluable == 4000


def test_harm_beyond_the_list_still_counts() -> None:
    place = np.arange(4000) % 20
    judgement = _judge(_harmed(_pair(1, champion=2.5), place == 7), {"place": place}, GatePolicy(resamples=200, max_slices=1))
    assert (len(judgement.slices), judgement.slices_unlisted, judgement.slices[0].value) == (1, 19, "7")


def test_values_of_another_length_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="slice place has shape"):
        _judge(_pair(5), {"place": np.arange(3)})


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.booleans())
def test_the_order_of_rows_changes_no_slice(seed: int, ties: bool) -> None:
    pair = _pair(seed, 1000)
    if ties:
        pair = replace(pair, champion=np.round(pair.champion, 1), challenger=np.round(pair.challenger, 1))
    place = np.random.default_rng(seed).integers(0, 5, 1000).astype(np.float64)
    place[::50] = np.nan
    order = np.random.default_rng(seed + 1).permutation(1000)
    assert _judge(pair.chosen(order), {"place": place[order]}) == _judge(pair, {"place": place})


def test_the_figures_of_a_slice_are_those_of_its_rows_alone() -> None:
    pair, place = _pair(6), np.arange(4000) % 4
    whole = _judge(pair, {"place": place})
    alone = _judge(pair.chosen(place == 2), {}).metric("log_loss")
    assert alone is not None
    found = next(s for s in whole.slices if s.value == "2")
    assert (found.champion, found.challenger, found.gain) == pytest.approx((alone.champion, alone.challenger, alone.gain))


def test_a_hundred_thousand_rows_with_sixty_slices_are_judged_in_seconds_of_processor_time() -> None:
    rows = 100_000
    slices: dict[str, Values] = {"place": np.arange(rows) % 40, "kind": (np.arange(rows) // 7) % 20}
    pair = _pair(7, rows, days=56)
    before = time.process_time()
    judgement = _judge(pair, slices, GatePolicy())
    assert time.process_time() - before < 6
    assert len(judgement.slices) == 60
