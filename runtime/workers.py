"""Workers: which workflows and activities run on which queue, and how they end."""

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from activities.audit import AuditActivities, NoticeActivities
from activities.bake import BakeActivities
from activities.bench import BenchActivities
from activities.cleanup import CleanupActivities
from activities.evaluation import EvaluationActivities
from activities.following import FollowActivities
from activities.gate import GateActivities
from activities.promotion import PromotionActivities
from activities.recalibration import RecalibrationActivities
from activities.review import ReviewActivities
from activities.review_inputs import ReviewInputActivities
from activities.shadow_evaluation import ShadowEvaluationActivities
from activities.snapshot import SnapshotActivities
from activities.training import TrainingActivities
from platforms.ports import Platform
from runtime.sandbox import RUNNER
from runtime.settings import MAIN_QUEUE, Settings
from workflows.endpoint_lifecycle import EndpointLifecycle
from workflows.late_notice import LateNotice
from workflows.options import training_queue
from workflows.remediation import Remediation
from workflows.rollback import Rollback
from workflows.shadow_bench import ShadowBench

WORKFLOWS = (EndpointLifecycle, Remediation, Rollback, ShadowBench, LateNotice)
QUEUES = ("main", "training")
GRACE = timedelta(seconds=20)
"""How long a draining worker lets steps finish before it tells them to stop; a training job outlives it."""


def main_activities(platform: Platform, client: Client) -> list[Callable[..., Any]]:
    """Every step but training."""
    promotion, bake, bench = PromotionActivities(platform), BakeActivities(platform), BenchActivities(platform)
    recalibration, inputs = RecalibrationActivities(platform), ReviewInputActivities(platform, client)
    notices = NoticeActivities(platform)
    return [
        SnapshotActivities(platform).take_snapshot,
        EvaluationActivities(platform).evaluate_challenger,
        ShadowEvaluationActivities(platform).evaluate_refit,
        GateActivities(platform).judge_evidence,
        promotion.current_champion,
        promotion.promote_challenger,
        promotion.roll_back,
        promotion.restore_serving,
        recalibration.recalibrate_champion,
        recalibration.undo_recalibration,
        bake.bake,
        bake.watch_promotion,
        bench.plan_bench,
        bench.score_period,
        bench.advise_bench,
        bench.keep_turn,
        bench.raise_alarm,
        ReviewActivities(platform).verify_decision,
        AuditActivities(platform).record,
        notices.notify,
        notices.notify_late,
        CleanupActivities(platform).clean_up,
        FollowActivities(client).await_incident,
        inputs.read_inputs,
        inputs.watch_inputs,
    ]


def build_worker(
    client: Client,
    platform: Platform,
    settings: Settings,
    queue: str,
    *,
    task_queue: str = MAIN_QUEUE,
    threads: ThreadPoolExecutor,
) -> Worker:
    """`queue` is 'main' or 'training'; training slots times training workers is the fleet-wide cap."""
    if queue == "training":
        return Worker(
            client,
            task_queue=training_queue(task_queue),
            activities=[TrainingActivities(platform).train_challenger],
            max_concurrent_activities=settings.training_slots,
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            graceful_shutdown_timeout=GRACE,
        )
    return Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=main_activities(platform, client),
        activity_executor=threads,
        max_concurrent_activities=settings.main_slots,
        max_heartbeat_throttle_interval=timedelta(seconds=5),
        graceful_shutdown_timeout=GRACE,
        workflow_runner=RUNNER,
    )


def read_queues(text: str) -> Sequence[str]:
    """Raises: ArgumentTypeError."""
    chosen = [q.strip() for q in text.split(",") if q.strip()]
    unknown = sorted(set(chosen) - set(QUEUES))
    if unknown or not chosen:
        raise argparse.ArgumentTypeError(f"takes {' and '.join(QUEUES)}, separated by a comma; found {text!r}")
    return chosen
