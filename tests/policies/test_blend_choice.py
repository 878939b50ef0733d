"""Which blend is chosen: by half a year, unless the newest weeks say clearly otherwise."""

from datetime import UTC, datetime, timedelta

import numpy as np

from contracts.bench import BenchPolicy, shadow_recipe
from contracts.evaluation import GatePolicy
from contracts.training import Recipe
from policies.bench_record import microseconds
from policies.blend_choice import BlendLosses, Choice, choose

NOW = datetime(2024, 6, 3, tzinfo=UTC)
RECIPE = shadow_recipe()
DAYS = 182
POLICY = BenchPolicy()


def losses(*, last: int = 0, days: int = DAYS, noise: float = 0.02, **means: tuple[float, float] | float) -> BlendLosses:
    """Mean losses by blend, the second number in the last days; blends without a number lose 1. 24 rows a day."""
    rng = np.random.default_rng(0)
    day = microseconds(NOW) // 86_400_000_000 - np.arange(days, 0, -1)
    recent = np.arange(days) >= days - last
    total = {}
    for name in RECIPE.blends:
        told = means.get(name, 1.0)
        before, after = told if isinstance(told, tuple) else (told, told)
        total[name] = 24 * (np.where(recent, after, before) + noise * rng.normal(size=days))
    return BlendLosses(day, np.full(days, 24.0), total)


def choice(found: BlendLosses, present: str = "full", recipe: Recipe = RECIPE) -> Choice:
    return choose(losses=found, present=present, now=NOW, recipe=recipe, policy=POLICY, gate=GatePolicy())


def test_the_first_blend_is_left_for_a_real_gain_only() -> None:
    assert choice(losses(noise=0, long=0.996)).blend == "full"
    assert choice(losses(noise=0, long=0.994)).blend == "long"


def test_a_choice_stays_while_it_is_near_the_best_and_goes_when_it_is_not() -> None:
    assert choice(losses(noise=0, long=0.990, all=0.992), "all").blend == "all"
    assert choice(losses(noise=0, long=0.990, all=0.999), "all").blend == "long"


def test_too_few_rows_choose_nothing_new() -> None:
    assert choice(losses(days=3, long=0.5), "all").blend == "all"
    assert choice(losses(days=3, long=0.5), "of an older recipe").blend == "full"


def test_short_horizons_alone_are_not_chosen_by_a_long_record() -> None:
    """Refitted each week they look best; in service for a month they would not be."""
    assert choice(losses(noise=0, month=0.99)).blend == "full"


def test_two_weeks_after_an_inversion_the_newest_rows_overrule_and_are_the_evidence() -> None:
    assert choice(_turned()) == Choice("newest", timedelta(weeks=2))


def _turned() -> BlendLosses:
    """All blends but the newest lose five times as much in the last two weeks, and half a year lay behind them."""
    found = losses(last=14, full=(0.4, 2.0), long=(0.4, 2.0), all=(0.4, 2.0), weighted=(0.4, 2.0), recent=(0.4, 2.0))
    total = dict(found.total) | {"month": found.total["full"] + 0.1, "newest": 24 * np.full(DAYS, 0.9)}
    return BlendLosses(found.day, found.rows, total)


def test_a_lucky_week_overrules_nothing() -> None:
    noisy = losses(last=14, noise=0.3, long=(1.0, 0.95))
    assert choice(noisy).evidence == POLICY.evidence


def test_a_large_gain_is_wanted_of_a_short_stretch() -> None:
    """1 % over two weeks is less than half a percent times the root of thirteen."""
    assert choice(losses(last=14, noise=1e-4, long=(1.0, 0.99))).blend == "full"
    assert choice(losses(last=14, noise=1e-4, long=(1.0, 0.97))).blend == "long"
