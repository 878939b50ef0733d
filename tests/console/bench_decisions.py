"""A decision that rested on the shadow bench, told on the real local platform up to its audit records."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.testing import WorkflowEnvironment

from contracts.fleet import EndpointPolicy
from contracts.incident import Outcome
from contracts.rollout import Manifest
from contracts.snapshot import Snapshot
from contracts.training import Challenger, ModelCard, ModelRef, ModelStatus, Purpose, Tags, TrainChallenger
from learning.artifact import Artifact
from platforms.local.feature_store import LocalFeatureStore
from platforms.ports import Platform
from platforms.tabular.artifact_file import write_model
from platforms.tabular.fit import train
from tests.benches import shadow_policy, snapshot_at, take_turn
from tests.console.recorded_decisions import ENDPOINT, POLICY, platform_at, serve
from tests.end_to_end.whole_system import DRIFT_DAY, ONBOARDED_DAY, day, hourly_rows
from tests.fakes import World
from tests.stories import an_alarm, running_loop

RECIPE: dict[str, Any] = {
    "members": ["15d", "all"],
    "blends": {"both": ["15d", "all"], "short": ["15d"]},
    "learner": {"rounds": 20},
}
TURNS = (2, 9, 16, 23)
"""Days after the drift."""


async def tell(env: WorkflowEnvironment, home: Path, queue: str) -> None:
    """Leaves records 1 and 2 (decided, closed) of a promotion."""
    world = World(endpoint=ENDPOINT)
    LocalFeatureStore(home).append("rows", hourly_rows())
    serve(home, DRIFT_DAY + 17, DRIFT_DAY + 30)
    policy = shadow_policy(**POLICY | {"training": {"recipe": RECIPE, "max_runtime": "5m"}})
    platform = platform_at(home, world)
    fit = Fitting(home)
    _onboard(platform, fit(platform, ENDPOINT, policy, snapshot_at(platform, ENDPOINT, policy, day(ONBOARDED_DAY))), policy)
    for turn in TURNS:
        take_turn(platform, ENDPOINT, policy, day(DRIFT_DAY + turn), fit)
    async with running_loop(env, world, queue, policy, platform) as loop:
        await loop.alarm(an_alarm(1, day(DRIFT_DAY + 30), kind="improvement"))
        state = (await loop.closed()).state
    assert state.history[0].outcome is Outcome.PROMOTED, state.history


class Fitting:
    """As the training process does it, in this one."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def __call__(self, platform: Platform, endpoint: str, policy: EndpointPolicy, snapshot: Snapshot) -> Challenger:
        job = TrainChallenger(
            key=f"bench/{snapshot.as_of}",
            endpoint=endpoint,
            purpose=Purpose.JUDGE,
            dataset=snapshot.dataset,
            features=policy.data.features,
            label=policy.data.label,
            recipe=policy.training.recipe,
            end=snapshot.as_of,
            tags=Tags(endpoint=endpoint, incident="shadow", team=policy.team, cost_center=policy.cost_center),
            max_runtime=timedelta(minutes=1),
            max_memory_mb=4096,
        )
        made = train(job, lambda _: None)
        folder = self._home / "made" / f"{snapshot.as_of:%Y%m%d}"
        path, digest = write_model(folder, Artifact(features=job.features, members=made.members))
        return Challenger(
            model=ModelRef(endpoint=endpoint, digest=digest),
            artifact_uri=str(path),
            purpose=Purpose.JUDGE,
            trained_through=snapshot.as_of,
            rows=made.rows,
            positives=made.positives,
            base_rate=made.positives / made.rows,
            dataset_sha256=snapshot.dataset.sha256,
        )


def _onboard(platform: Platform, fitted: Challenger, policy: EndpointPolicy) -> None:
    card = ModelCard(
        model=fitted.model,
        artifact_uri=fitted.artifact_uri,
        recipe=policy.training.recipe,
        features=policy.data.features,
        trained_through=fitted.trained_through,
        rows=fitted.rows,
        base_rate=fitted.base_rate,
        dataset_sha256=fitted.dataset_sha256,
        incident="first",
    )
    platform.registry.register(card)
    platform.registry.mark(fitted.model, ModelStatus.CHAMPION)
    as_of = fitted.trained_through
    platform.manifests.write(
        Manifest(endpoint=ENDPOINT, revision=1, champion=fitted.model, promoted_as_of=as_of, key="first/promote")
    )
