"""What the shadow bench asks of a snapshot."""

from datetime import timedelta

from contracts.snapshot import CoveragePolicy
from policies.bench_turns import horizons
from policies.prequential import reach
from tests.stories import a_policy


def test_a_window_is_not_asked_for_more_days_than_it_has() -> None:
    policy = a_policy(training={"judging": "shadow"})
    members = [member.horizon for member in policy.training.recipe.blended]
    assert timedelta(days=7) in members
    least = timedelta(days=CoveragePolicy().min_days)
    assert min(one for one in horizons(policy) if one != "all") >= least
    assert reach(policy.training.bench) in horizons(policy)


def test_short_members_are_asked_for_their_rows_where_that_can_hold() -> None:
    data = a_policy().data.model_dump(mode="json") | {"coverage": {"min_days": 5}}
    assert timedelta(days=7) in horizons(a_policy(data=data, training={"judging": "shadow"}))
