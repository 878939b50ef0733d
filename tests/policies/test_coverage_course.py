"""What becomes of a look at the window: go on, wait so long, widen by so much, ask, or end."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.coverage import CoverageVerdict, Finding, FindingKind, Remedy
from contracts.snapshot import Coverage, CoveragePolicy, Shortfall
from contracts.training import Recipe
from policies.coverage import Course, course, wait_for, widened

DAY = timedelta(days=1)
NOW = datetime(2024, 6, 1, tzinfo=UTC)
WAIT, WIDEN, REPAIR = (Remedy.WAIT, Remedy.WIDEN), (Remedy.WIDEN,), (Remedy.REPAIR,)
RECORDED_BEFORE = Coverage(short=(Shortfall(what="rows", found=1, wanted=300),))


def coverage(verdict: CoverageVerdict, *remedies: tuple[Remedy, ...], **more: Any) -> Coverage:
    found = tuple(Finding(what=FindingKind.ROWS, weighs=verdict, found=1, wanted=2, remedies=one) for one in remedies)
    return Coverage(verdict=verdict, findings=found, **more)


IMMATURE = coverage(CoverageVerdict.IMMATURE, WAIT)
SHORT = coverage(CoverageVerdict.SHORT, WIDEN)
BOTH = coverage(CoverageVerdict.SHORT, WIDEN, WAIT)
BROKEN = coverage(CoverageVerdict.BROKEN, REPAIR)


@pytest.mark.parametrize(
    ("found", "on_short", "waits", "wider", "becomes"),
    [
        (coverage(CoverageVerdict.SUFFICIENT), "end", 0, False, Course.GO),
        (IMMATURE, "defer", 0, True, Course.WAIT),
        (IMMATURE, "defer", 7, True, Course.END),
        (SHORT, "defer", 0, True, Course.END),
        (BOTH, "defer", 0, True, Course.END),
        (IMMATURE, "widen", 0, True, Course.WIDEN),
        (IMMATURE, "widen", 0, False, Course.WAIT),
        (IMMATURE, "widen", 7, False, Course.ASK),
        (SHORT, "widen", 0, False, Course.ASK),
        (BOTH, "widen", 0, True, Course.WIDEN),
        (SHORT, "ask", 0, True, Course.ASK),
        (SHORT, "end", 0, True, Course.END),
        (BROKEN, "defer", 0, True, Course.END),
        (BROKEN, "ask", 0, True, Course.END),
        (RECORDED_BEFORE, "defer", 6, False, Course.WAIT),
        (RECORDED_BEFORE, "defer", 7, False, Course.END),
    ],
)
def test_the_policy_and_what_mends_it_decide(found: Coverage, on_short: str, waits: int, wider: bool, becomes: Course) -> None:
    policy = CoveragePolicy.model_validate({"on_short": on_short})
    assert course(coverage=found, policy=policy, waits=waits, wider=wider) is becomes


def test_broken_data_goes_on_only_where_a_person_is_asked() -> None:
    policy = CoveragePolicy.model_validate({"quality": {"on_broken": "ask"}})
    assert course(coverage=BROKEN, policy=policy, waits=0, wider=True) is Course.ASK


@pytest.mark.parametrize(
    ("mature", "waits"),
    [(None, 12 * timedelta(hours=1)), (3 * DAY, 3 * DAY), (90 * DAY, 5 * DAY), (0 * DAY, timedelta(minutes=5))],
)
def test_the_wait_is_as_long_as_labels_need_within_bounds(mature: timedelta | None, waits: timedelta) -> None:
    policy = CoveragePolicy(defer_for=timedelta(hours=12), defer_at_most=5 * DAY)
    found = IMMATURE.model_copy(update={"mature_at": None if mature is None else NOW + mature})
    assert wait_for(coverage=found, policy=policy, as_of=NOW) == waits


def names(recipe: Recipe | None) -> list[str] | None:
    return None if recipe is None else [member.name for member in recipe.blended]


@pytest.mark.parametrize(
    ("members", "limit", "wider"),
    [
        (["30d"], "365d", ["90d"]),
        (["30d", "45d", "all"], "365d", ["45d", "all"]),
        (["30d", "30d+7d", "90d/30d"], "365d", ["90d", "90d+7d", "90d/30d"]),
        (["365d"], "all", ["all"]),
        (["365d"], "365d", None),
        (["all", "all/90d"], "all", None),
    ],
)
def test_widening_takes_the_next_longer_horizon_and_keeps_weights(
    members: list[str], limit: str, wider: list[str] | None
) -> None:
    policy = CoveragePolicy.model_validate({"widen_to": limit})
    assert names(widened(Recipe.model_validate({"members": members}), limit=policy.widen_to)) == wider


def test_blends_name_the_widened_members() -> None:
    recipe = Recipe.model_validate({"members": ["30d", "90d", "all"], "blends": {"short": ["30d", "90d"], "long": ["all"]}})
    wider = widened(recipe, limit="all")
    assert wider is not None
    assert wider.blends == {"short": ("90d",), "long": ("all",)}
    assert names(wider) == ["90d", "all"]
