"""A loop on the real local platform, told up to its audit records: a first champion, then drift and a promotion."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.testing import WorkflowEnvironment

from platforms.local.audit import LocalAudit
from platforms.local.bench_store import LocalBenchStore
from platforms.local.capture import CapturedRow, CaptureWriter
from platforms.local.evidence import LocalEvidence
from platforms.local.feature_store import LocalFeatureStore
from platforms.local.inventory import LocalInventory
from platforms.local.manifests import LocalManifests
from platforms.local.registry import LocalRegistry
from platforms.local.scorer import LocalScorer
from platforms.local.traffic import LocalTrafficLog
from platforms.local.trainer import LocalTrainer
from platforms.ports import Platform
from tests.end_to_end.whole_system import DRIFT_DAY, ONBOARDED_DAY, day, hourly_rows
from tests.fakes import World, fake_platform
from tests.stories import a_policy, an_alarm, running_loop

ENDPOINT = "bikes"
POLICY: dict[str, Any] = {
    "data": {
        "table": "rows",
        "features": ["x", "noise"],
        "label": "label",
        "label_delay": "1h",
        "coverage": {"min_days": 10},
    },
    "training": {"recipe": {"horizons": ["15d"], "learner": {"rounds": 20}}, "max_runtime": "5m"},
    "gate": {"resamples": 200, "max_score_shift": 9.0},
    "intake": {"cool_down": "0s", "promotions_start": 3},
    "rollout": {"bake": "0s", "watch": "0s"},
}


def platform_at(home: Path, world: World) -> Platform:
    """Everything real but the serving processes and the notices."""
    return fake_platform(
        world,
        features=LocalFeatureStore(home),
        trainer=LocalTrainer(home),
        registry=LocalRegistry(home),
        scorer=LocalScorer(),
        traffic=LocalTrafficLog(home),
        manifests=LocalManifests(home),
        evidence=LocalEvidence(home, "http://127.0.0.1"),
        audit=LocalAudit(home, home / "anchors"),
        inventory=LocalInventory(home),
        bench=LocalBenchStore(home),
    )


def serve(home: Path, first: float, last: float) -> None:
    """Requests of these days, answered by whichever model and captured."""
    rows = hourly_rows().slice(int(first * 24), int((last - first) * 24)).to_pylist()
    writer = CaptureWriter(home / "capture" / ENDPOINT)
    writer.append(
        [
            CapturedRow(
                id=row["id"],
                event_time=row["event_time"],
                served_at=row["event_time"] + timedelta(seconds=1),
                digest="0" * 64,
                score=0.5,
                answer=1,
                features={"x": row["x"], "noise": row["noise"]},
            )
            for row in rows
        ]
    )
    writer.close()


async def tell(env: WorkflowEnvironment, home: Path, queue: str) -> None:
    """Leaves records 1 and 2 (decided, closed) of the first champion, 3 and 4 of the promotion after the drift."""
    world = World(endpoint=ENDPOINT)
    LocalFeatureStore(home).append("rows", hourly_rows())
    serve(home, DRIFT_DAY + 17, DRIFT_DAY + 30)
    async with running_loop(env, world, queue, a_policy(**POLICY), platform_at(home, world)) as loop:
        await loop.alarm(an_alarm(1, day(ONBOARDED_DAY), kind="onboarding"))
        await loop.closed(1)
        await loop.alarm(an_alarm(2, day(DRIFT_DAY + 30)))
        status = await loop.closed(2)
    assert [incident.promoted for incident in status.state.history] == [True, True], status.state.history
