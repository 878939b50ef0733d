"""The bench's judgement from its record."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from contracts.bench import BenchPolicy, shadow_recipe
from contracts.evaluation import GateKind, GatePolicy, Verdict
from contracts.training import Task
from policies.bench_record import BenchRecord, microseconds
from policies.blend import linked
from policies.prequential import Advice, Bench, Champion, advise

NOW = datetime(2024, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = 3_600_000_000
BENCH = Bench(shadow_recipe(), BenchPolicy(), GatePolicy(resamples=200))
MEMBERS = tuple(member.name for member in BENCH.recipe.blended)


def record(*, noise: dict[str, float], champion: float, days: int = 120, seed: int = 0) -> BenchRecord:
    """Members whose margins are the truth with so much noise; 24 rows a day, known an hour later."""
    rng = np.random.default_rng(seed)
    n = 24 * days
    event_time = microseconds(NOW) - HOUR * np.arange(n + 1, 1, -1, dtype=np.int64)
    truth = rng.normal(size=n) * 2
    label = (rng.random(n) < linked(truth, task=Task.BINARY)).astype(np.float64)
    common = rng.normal(size=n)
    margins = np.stack([truth + noise.get(name, 0.0) * (common + rng.normal(size=n) / 4) for name in MEMBERS], axis=1)
    return BenchRecord(MEMBERS, event_time, event_time + HOUR, label, margins, truth + champion * rng.normal(size=n), np.zeros(n))


def champion(weeks: float = 10, members: tuple[str, ...] = MEMBERS) -> Champion:
    then = NOW - weeks * 7 * DAY
    return Champion(members, then, then, (0.0,))


def advice(past: BenchRecord, holder: Champion | None, blend: str = "full") -> Advice:
    return advise(record=past, now=NOW, champion=holder, blend=blend, bench=BENCH)


def verdict(found: Advice) -> Verdict:
    assert found.judgement is not None
    return found.judgement.verdict


def test_a_stale_champion_is_to_be_replaced() -> None:
    found = advice(record(noise={}, champion=1.5), champion())
    assert verdict(found) is Verdict.PROMOTE
    assert found.judgement is not None
    assert found.judgement.kind is GateKind.REFRESH


def test_a_champion_as_good_as_the_blend_stays() -> None:
    assert verdict(advice(record(noise={}, champion=0.0), champion())) is not Verdict.PROMOTE


def test_only_rows_since_the_promotion_speak_about_the_champion() -> None:
    found = advice(record(noise={}, champion=1.5), champion(weeks=1))
    assert verdict(found) is Verdict.INCONCLUSIVE
    assert found.scores is not None
    assert len(found.scores) <= 24 * 7
    assert advice(record(noise={}, champion=1.5), champion(weeks=0)).judgement is None


def test_short_horizons_that_do_not_earn_their_place_are_dropped() -> None:
    short = {"30d": 3.0, "90d": 3.0, "all+30d": 3.0}
    found = advice(record(noise=short, champion=0.0), champion())
    assert found.blend != "full"
    assert not set(short) & set(found.members)


def test_few_rows_a_week_widen_the_evidence() -> None:
    """Seven rows a week never make 100 in 8 weeks; half a year does."""
    past = record(noise={}, champion=3.0, days=182)
    daily = past.chosen(np.arange(len(past)) % 24 == 0)
    found = advice(daily, champion(weeks=40))
    assert found.scores is not None
    assert len(found.scores) > 150
    assert verdict(found) is Verdict.PROMOTE


def test_a_label_that_has_not_arrived_says_nothing() -> None:
    past = record(noise={}, champion=1.5)
    late = past.event_time >= microseconds(NOW - 30 * DAY)
    known_at = np.where(late, microseconds(NOW) + 1, past.known_at)
    one, other = (advice(replace(past, known_at=known_at, label=np.where(late, x, past.label)), champion()) for x in (0.0, 1.0))
    assert one.judgement == other.judgement
    assert (one.losses, one.refit, one.recalibration) == (other.losses, other.refit, other.recalibration)


def test_a_member_without_a_fit_is_left_out_of_the_blend_and_a_blend_without_any_out_of_the_rows() -> None:
    past = record(noise={}, champion=1.5)
    past.margins[:, 0] = np.nan
    assert verdict(advice(past, champion())) is Verdict.PROMOTE
    past.margins[:] = np.nan
    assert advice(past, champion()).judgement is None


def test_without_a_champion_the_blend_is_held_against_the_base_rate() -> None:
    found = advice(record(noise={}, champion=0.0), None)
    assert verdict(found) is Verdict.PROMOTE
    assert found.recalibration is None


def test_the_order_of_the_record_does_not_matter_to_the_verdict() -> None:
    past = record(noise={}, champion=1.5)
    order = np.random.default_rng(5).permutation(len(past))
    shuffled = BenchRecord(
        MEMBERS, *(getattr(past, name)[order] for name in ("event_time", "known_at", "label", "margins", "champion", "shift"))
    )
    assert advice(past, champion()).judgement == advice(shuffled, champion()).judgement


def test_arrays_of_several_lengths_are_refused() -> None:
    past = record(noise={}, champion=0.0)
    with pytest.raises(ValueError, match="label has 3 rows"):
        replace(past, label=np.zeros(3))
