"""Where a verdict leads: by itself, to a person, to another shift, or nowhere."""

from typing import Any

import pytest

from contracts.comparison import SliceComparison
from contracts.evaluation import Judgement, Verdict
from contracts.review import Ground, ReviewPolicy
from policies.review import Route, grounds, route

PROMOTE, REGRESS, INCONCLUSIVE = Verdict.PROMOTE, Verdict.REGRESS, Verdict.INCONCLUSIVE


def leads(verdict: Verdict | None, **circumstances: Any) -> Route:
    usual: dict[str, Any] = {"review": ReviewPolicy(), "tokens": 1.0, "short_of_data": False}
    return route(verdict=verdict, **{**usual, **circumstances}).route


@pytest.mark.parametrize(
    ("verdict", "circumstances", "wanted"),
    [
        (PROMOTE, {}, Route.PROMOTE),
        (PROMOTE, {"tokens": 0.9}, Route.ASK),
        (PROMOTE, {"short_of_data": True}, Route.ASK),
        (REGRESS, {}, Route.ASK),
        (INCONCLUSIVE, {"review": ReviewPolicy(ask_on=())}, Route.HOLD),
    ],
)
def test_a_verdict_leads_where_policy_and_budget_let_it(verdict: Verdict, circumstances: dict[str, Any], wanted: Route) -> None:
    assert leads(verdict, **circumstances) is wanted


@pytest.mark.parametrize("verdict", [REGRESS, INCONCLUSIVE, None])
@pytest.mark.parametrize("circumstances", [{}, {"by_bench": True}, {"tokens": 0.0}, {"short_of_data": True}])
def test_a_wanted_recalibration_goes_before_asking(verdict: Verdict | None, circumstances: dict[str, Any]) -> None:
    assert leads(verdict, recalibration=True, **circumstances) is Route.RECALIBRATE


@pytest.mark.parametrize("circumstances", [{}, {"by_bench": True}])
def test_a_promotion_goes_before_a_recalibration(circumstances: dict[str, Any]) -> None:
    assert leads(PROMOTE, recalibration=True, **circumstances) is Route.PROMOTE


@pytest.mark.parametrize("verdict", [REGRESS, INCONCLUSIVE])
def test_nobody_is_asked_about_an_alarm_of_the_bench_that_came_to_nothing(verdict: Verdict) -> None:
    assert leads(verdict, by_bench=True) is Route.HOLD


def test_a_promotion_beyond_the_budget_asks_whoever_raised_the_alarm() -> None:
    assert leads(PROMOTE, by_bench=True, tokens=0.2) is Route.ASK


@pytest.mark.parametrize(
    ("also_ask", "holds", "wanted"),
    [
        (None, (), Route.PROMOTE),
        (None, (Ground.CRITICAL_TIER,), Route.ASK),
        (None, (Ground.FIRST_PROMOTION, Ground.SLICE_HURT), Route.PROMOTE),
        (("first_promotion",), (Ground.FIRST_PROMOTION,), Route.ASK),
        (("first_promotion",), (Ground.CRITICAL_TIER,), Route.PROMOTE),
        (("slice_hurt",), (Ground.SLICE_HURT,), Route.ASK),
    ],
)
def test_what_else_wants_a_person_is_what_the_policy_says(
    also_ask: tuple[str, ...] | None, holds: tuple[Ground, ...], wanted: Route
) -> None:
    review = ReviewPolicy.model_validate({"also_ask": also_ask} if also_ask is not None else {})
    assert leads(PROMOTE, review=review, grounds=holds) is wanted
    assert leads(INCONCLUSIVE, review=review, grounds=holds) is Route.ASK, "asked about already"


def test_a_slice_is_hurt_where_its_whole_interval_lies_below_zero() -> None:
    def found(high: float, *, evaluable: bool = True) -> tuple[Ground, ...]:
        one = SliceComparison(feature="f", value="1", rows=500, days=9, gain=-0.1, high=high, evaluable=evaluable)
        judgement = Judgement.model_construct(slices=(one,))
        return grounds(critical=False, first=False, judgement=judgement)

    assert found(-0.01) == (Ground.SLICE_HURT,)
    assert found(0.01) == ()
    assert found(-0.01, evaluable=False) == ()
    assert grounds(critical=True, first=True, judgement=None) == (Ground.CRITICAL_TIER, Ground.FIRST_PROMOTION)
