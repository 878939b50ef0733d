"""What voids an open review, and which conditions of an approval hold."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.comparison import SliceComparison
from contracts.conditions import read
from contracts.evaluation import Comparison, Judgement
from contracts.live_inputs import LiveInputs
from contracts.review import Decision
from policies.review_inputs import changes, unmet

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
A, B = "a" * 64, "b" * 64
WEEK = timedelta(days=7)


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        ({"champion": A}, {"champion": A}, ""),
        ({"champion": A}, {"champion": B}, f"The champion is now {B[:12]}; the evidence holds against {A[:12]}."),
        ({"champion": None}, {"champion": B}, f"The champion is now {B[:12]}; the evidence holds against none."),
        ({"bench_turn": NOW}, {"bench_turn": NOW}, ""),
        (
            {"bench_turn": NOW},
            {"bench_turn": NOW + WEEK},
            "The shadow bench has newer evidence, of its turn of 2026-03-09 09:00 UTC.",
        ),
        ({"known_until": NOW}, {"known_until": NOW + WEEK}, ""),
        ({"known_until": NOW}, {"known_until": NOW + 2 * WEEK}, "14.0 days of newer data have come since it was asked."),
    ],
)
def test_a_change_of_what_the_evidence_rests_on_is_said_in_a_sentence(
    then: dict[str, Any], now: dict[str, Any], said: str
) -> None:
    found = changes(then=LiveInputs(**then), now=LiveInputs(**now), stale_after=WEEK)
    assert " ".join(found) == said


def test_newer_data_alone_voids_nothing_unless_the_policy_says_how_much() -> None:
    then, now = LiveInputs(known_until=NOW), LiveInputs(known_until=NOW + 99 * WEEK)
    assert changes(then=then, now=now, stale_after=None) == ()


def a_judgement(*slices: SliceComparison) -> Judgement:
    primary = Comparison(metric="log_loss", champion=0.5, challenger=0.4, gain=0.1, low=0.0, high=0.2)
    return Judgement.model_construct(primary="log_loss", comparisons=(primary,), slices=slices)


def a_slice(gain: float, *, evaluable: bool = True) -> SliceComparison:
    return SliceComparison(feature="weekday", value="6", rows=500, days=20, gain=gain, evaluable=evaluable)


@pytest.mark.parametrize(
    ("condition", "inputs", "why"),
    [
        ("champion_unchanged", {"champion": A}, ""),
        ("champion_unchanged", {"champion": B}, f"the champion is now {B[:12]}"),
        ("no_new_alarm", {}, ""),
        ("no_new_alarm", {"waiting_alarms": ("x", "y")}, "2 newer alarms wait, the first is x"),
        ("before:2026-03-02T09:01Z", {}, ""),
        ("before:2026-03-02T10:00+01:00", {}, "it is 2026-03-02 09:00 UTC by now"),
        ("error_rate_below:0.05", {"requests": 100, "errors": 4}, ""),
        ("error_rate_below:0.05", {"requests": 100, "errors": 5}, "5 of 100 requests failed"),
        ("error_rate_below:0.05", {}, ""),
        ("no_slice_worse_than:0.1", {}, ""),
        ("no_slice_worse_than:0.05", {}, "where weekday = 6 it is worse by 8.0% of the champion's log_loss"),
    ],
)
def test_a_condition_that_fails_says_why(condition: str, inputs: dict[str, Any], why: str) -> None:
    judgement = a_judgement(a_slice(0.2), a_slice(-0.04), a_slice(-0.4, evaluable=False))
    live = LiveInputs.model_validate({"champion": A, **inputs})
    found = unmet(conditions=[condition], now=NOW, then=LiveInputs(champion=A), inputs=live, judgement=judgement)
    assert found == ((f"{condition}: {why}",) if why else ())


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("no_new_alarms", "is no condition; there is champion_unchanged, no_new_alarm, before:..."),
        ("no_new_alarm:3", "no_new_alarm takes no value"),
        ("before:tomorrow", "write a time with its zone"),
        ("before:2026-03-02T09:00", "write a time with its zone"),
        ("error_rate_below", "write a share above 0 and up to 1"),
        ("error_rate_below:nan", "write a share above 0 and up to 1"),
        ("error_rate_below:5", "write a share above 0 and up to 1"),
        ("", "is no condition"),
    ],
)
def test_what_is_no_condition_is_refused_with_what_there_is(condition: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read(condition)
    with pytest.raises(ValueError, match=says):
        Decision(approve=True, reviewer="ada", only_if=(condition,))


def test_a_rejection_has_no_conditions() -> None:
    with pytest.raises(ValueError, match="a rejection has no conditions"):
        Decision(approve=False, reviewer="ada", only_if=("no_new_alarm",))
