"""A shadow bench that has kept its record for some weeks, over the fakes and by the activities of production."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from activities.bench import BenchActivities
from contracts.fleet import EndpointPolicy
from contracts.shadow import BenchFit, KeepTurn, ScorePeriod
from contracts.snapshot import Snapshot, TakeSnapshot
from contracts.training import Challenger, Purpose, Tags, TrainChallenger
from platforms.ports import Platform
from policies.bench_turns import horizons
from tests.fakes import AS_OF, World, fake_platform
from tests.stories import a_policy

WEEK = timedelta(days=7)
Fit = Callable[[Platform, str, EndpointPolicy, Snapshot], Challenger]


def shadow_policy(**changes: Any) -> EndpointPolicy:
    """Judged by the shadow bench; `changes` as in `a_policy`."""
    return a_policy(**{**changes, "training": {"judging": "shadow", **changes.get("training", {})}})


def keep_a_record(world: World, policy: EndpointPolicy, *, quality: float = 0.9, turns: int = 9) -> None:
    """Weekly turns up to AS_OF, with fits of this quality; afterwards the world trains as it did before."""
    present, world.challenger_quality = world.challenger_quality, quality
    platform = fake_platform(world)
    for n in range(turns):
        take_turn(platform, world.endpoint, policy, AS_OF - (turns - 1 - n) * WEEK, fitted)
    world.challenger_quality = present
    world.calls.clear()
    world.jobs.clear()
    world.resources.clear()


def take_turn(platform: Platform, endpoint: str, policy: EndpointPolicy, moment: datetime, fit: Fit) -> None:
    bench = BenchActivities(platform)
    snapshot = snapshot_at(platform, endpoint, policy, moment)
    scored = bench.score_period(ScorePeriod(key=f"{moment}/scored", endpoint=endpoint, policy=policy, snapshot=snapshot))
    bench.keep_turn(
        KeepTurn(
            key=f"{moment}/kept",
            endpoint=endpoint,
            policy=policy,
            as_of=moment,
            dataset=snapshot.dataset.sha256,
            fit=BenchFit(as_of=moment, challenger=fit(platform, endpoint, policy, snapshot)),
            advice=None,
            rows=scored.rows,
            advised_from=AS_OF,
            final=moment == AS_OF,
        )
    )


def snapshot_at(platform: Platform, endpoint: str, policy: EndpointPolicy, moment: datetime) -> Snapshot:
    """As far back as the bench looks."""
    request = TakeSnapshot(
        key=f"bench/{moment}",
        endpoint=endpoint,
        data=policy.data,
        as_of=moment,
        horizons=horizons(policy),
        holdout=policy.gate.holdout,
        tags=_tags(endpoint, policy),
    )
    return platform.features.snapshot(request)


def fitted(platform: Platform, endpoint: str, policy: EndpointPolicy, snapshot: Snapshot, key: str = "bench") -> Challenger:
    """All members of the recipe, as the fakes fit them."""
    job = TrainChallenger(
        key=f"{key}/{snapshot.as_of}",
        endpoint=endpoint,
        purpose=Purpose.JUDGE,
        dataset=snapshot.dataset,
        features=policy.data.features,
        label=policy.data.label,
        recipe=policy.training.recipe,
        end=snapshot.as_of,
        tags=_tags(endpoint, policy),
        max_runtime=timedelta(minutes=1),
        max_memory_mb=256,
    )
    made = platform.trainer.start(job).challenger
    assert made is not None
    return made


def _tags(endpoint: str, policy: EndpointPolicy) -> Tags:
    return Tags(endpoint=endpoint, incident="shadow", team=policy.team, cost_center=policy.cost_center)
