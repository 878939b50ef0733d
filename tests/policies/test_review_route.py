"""Where a verdict leads: by itself, to a person, to another shift, or nowhere."""

from typing import Any

import pytest

from contracts.evaluation import Verdict
from contracts.review import ReviewPolicy
from policies.review import Route, route

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
