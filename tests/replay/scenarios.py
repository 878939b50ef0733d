"""The stories whose histories are kept: each runs one endpoint's loop and says which workflow runs tell it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from contracts.fleet import EndpointPolicy, Tier
from contracts.ids import bench_id, late_notice_id, lifecycle_id
from contracts.incident import Accepted, LifecycleStatus, Stage
from contracts.shadow import BenchRequest
from platforms.errors import Corrupt, TrainingFailed, Unavailable
from tests.benches import keep_a_record, shadow_policy
from tests.fakes import AS_OF, World, fake_platform, fake_token, kept_token
from tests.stories import Loop, a_policy, an_alarm, start_lifecycle, until, workers
from workflows.shadow_bench import ShadowBench

REVIEWED = a_policy(review={"reviewers": ["ada"], "timeout": "24h", "remind_after": "8h"})
REACHED = a_policy(
    review={
        "reach": {"slack": {"url": "slack://${SLACK}/#alerts"}, "mail": {"url": "mailto://mail.example.com?to=a@example.com"}},
        "channels": ["mail", "slack"],
    }
)
TWO = a_policy(review={"reviewers": ["ada", "grace"], "quorum": {"count": 2}})
VOUCHED = a_policy(review={"reviewers": ["ada"], "unverified": "refuse"})
BENCH = shadow_policy()
SHADOW_MODE = a_policy(mode="shadow")
UNWATCHED = a_policy(rollout={"watch": "0s"})


def drifted(**changes: object) -> World:
    """A champion that guesses worse than the challenger will."""
    world = World(**changes)  # type: ignore[arg-type]
    world.champion(quality=0.6)
    return world


@dataclass(frozen=True)
class Run:
    """One run of a workflow. `run_id` None is the newest."""

    name: str
    workflow_id: str
    run_id: str | None = None


Story = Callable[[Loop], Awaitable[list[Run]]]


@dataclass(frozen=True)
class Scenario:
    """`tell` plays the story and names its runs, the lifecycle's apart. `renews` wants a server that soon suggests a renewal."""

    tell: Story
    world: Callable[[], World] = drifted
    policy: EndpointPolicy = field(default_factory=a_policy)
    renews: bool = False


def regressing(**changes: Any) -> World:
    world = World(challenger_quality=0.3, **changes)
    world.champion(quality=0.9)
    return world


def benched(champion: float, bias: float = 0.0, **changes: Any) -> World:
    """A champion of this quality, and nine weeks of a shadow bench whose fits are good."""
    world = World(**changes)
    world.bias[world.champion(quality=champion).digest] = bias
    keep_a_record(world, BENCH)
    return world


async def _incident(loop: Loop) -> list[Run]:
    """The remediation of the newest incident, once it has closed."""
    status = await loop.closed()
    await _settled(loop)
    incident = status.state.history[-1].incident
    return [Run("remediation", f"{loop.lifecycle.id}/incident/{incident}")]


async def _settled(loop: Loop) -> None:
    async def idle() -> bool:
        return (await loop.status()).stage == "idle"

    await until(idle, "an idle lifecycle")


async def promotion_and_rollback(loop: Loop) -> list[Run]:
    """Drift, promoted by itself, watched; then an operator goes back."""
    await loop.alarm()
    runs = await _incident(loop)
    why = {"by": "ada", "reason": "complaints from support"}
    accepted: Accepted = await loop.lifecycle.execute_update("rollback", why, result_type=Accepted)
    await loop.client.get_workflow_handle(accepted.workflow_id).result()
    await _settled(loop)
    return [*runs, Run("rollback", accepted.workflow_id)]


async def rejected(loop: Loop) -> list[Run]:
    """A regression goes to a person, who rejects it by the update, with the evidence."""
    await loop.alarm()
    handle = await loop.in_stage(Stage.REVIEW)
    digest = (await loop.incident_status(handle)).evidence
    await handle.execute_update("decide", {"approve": False, "reviewer": "ada", "note": "worse", "evidence": digest})
    return await _incident(loop)


async def approved_by_signal(loop: Loop) -> list[Run]:
    """A plain signal to the lifecycle, forwarded to the remediation, lets the challenger in."""
    await loop.alarm()
    await loop.in_stage(Stage.REVIEW)
    await loop.lifecycle.signal("approve", {"reviewer": "ada", "note": "fresh data"})
    return await _incident(loop)


async def expired(loop: Loop) -> list[Run]:
    """Reminded, then the deadline passes."""
    await loop.alarm()
    handle = await loop.in_stage(Stage.REVIEW)
    await loop.env.fast_forward(handle, timedelta(hours=9))

    async def reminded() -> bool:
        return len(loop.world.notices) == 2

    await until(reminded, "the reminder")
    await loop.env.fast_forward(handle, timedelta(hours=16))
    return await _incident(loop)


async def quorum(loop: Loop) -> list[Run]:
    """Two have to approve: by update, by signal; in between another policy reaches the open review."""
    await loop.alarm()
    handle = await loop.in_stage(Stage.REVIEW)
    digest = (await loop.incident_status(handle)).evidence
    decision = {"approve": True, "reviewer": "ada", "note": "fresh data", "evidence": digest, "only_if": ["no_new_alarm"]}
    await handle.execute_update("decide", decision)
    await loop.lifecycle.execute_update("configure", TWO.model_copy(update={"tier": Tier.CRITICAL}))
    await loop.lifecycle.signal("approve", {"reviewer": "grace", "note": "seen"})
    return await _incident(loop)


async def vouched(loop: Loop) -> list[Run]:
    """A ticket that stands for a forged token is refused; the next one counts."""
    await loop.alarm()
    handle = await loop.in_stage(Stage.REVIEW)
    forged, good = (kept_token(loop.world, token) for token in ("a forged token", fake_token("ada")))
    decision = {"approve": True, "reviewer": "ada", "note": "fresh data"}
    await loop.lifecycle.signal("approve", {**decision, "ticket": forged})

    async def refused() -> bool:
        return bool((await loop.incident_status(handle)).refused)

    await until(refused, "the refusal of a forged token")
    digest = (await loop.incident_status(handle)).evidence
    await handle.execute_update("decide", {**decision, "evidence": digest, "ticket": good})
    return await _incident(loop)


async def voided(loop: Loop) -> list[Run]:
    """Another champion while people think."""
    await loop.alarm()
    await loop.in_stage(Stage.REVIEW)
    loop.world.champion("put there by hand", quality=0.9)
    return await _incident(loop)


async def healed(loop: Loop) -> list[Run]:
    """The alarm clears while people think."""
    await loop.alarm()
    await loop.in_stage(Stage.REVIEW)
    await loop.lifecycle.signal("cleared", {"id": "alarm-1", "endpoint": loop.world.endpoint})
    return await _incident(loop)


async def deferred(loop: Loop) -> list[Run]:
    """Short of labels: a day's wait, then another look."""
    await loop.alarm()
    handle = await loop.in_stage(Stage.DEFERRED)
    await loop.env.fast_forward(handle, timedelta(days=1, minutes=1))
    return await _incident(loop)


async def cancelled(loop: Loop) -> list[Run]:
    """Cancelled while both jobs train."""
    await loop.alarm()
    handle = await loop.in_stage(Stage.TRAIN)

    async def running() -> bool:
        return len(loop.world.jobs) == 2

    await until(running, "two jobs")
    await handle.cancel()
    return await _incident(loop)


async def one_incident(loop: Loop) -> list[Run]:
    """Nothing but an alarm: the world decides how it ends."""
    await loop.alarm()
    return await _incident(loop)


async def improvement(loop: Loop) -> list[Run]:
    """The shadow bench raises it: its verdict is ready, and the refit ships."""
    await loop.alarm(an_alarm(kind="improvement"))
    return await _incident(loop)


async def calibration(loop: Loop) -> list[Run]:
    """The champion serves on with another shift."""
    await loop.alarm(an_alarm(kind="calibration"))
    return await _incident(loop)


async def renewal(loop: Loop) -> list[Run]:
    """Continue-as-new under an open incident, which the next run follows, decides on and settles."""
    await loop.alarm()
    await loop.in_stage(Stage.REVIEW)
    first = (await loop.lifecycle.describe()).run_id
    n = 2
    while (await loop.lifecycle.describe()).run_id == first:
        await loop.alarm(an_alarm(n, AS_OF + timedelta(minutes=n)))
        await loop.status()
        n += 1
    await loop.lifecycle.signal("reject", {"reviewer": "ada", "note": "after the renewal"})
    return [*await _incident(loop), Run("lifecycle-renewed", loop.lifecycle.id, first)]


BENCHED = a_policy(training={"judging": "shadow", "bench": {"warm_up": 1}}, gate={"resamples": 200})


async def bench_turns(loop: Loop) -> list[Run]:
    """The shadow bench's first run, with too little evidence for a verdict, and the next, which raises an alarm of improvement."""
    for name in ("first", "next"):
        await loop.client.execute_workflow(
            ShadowBench.run,
            BenchRequest(endpoint=loop.world.endpoint, policy=BENCHED),
            id=f"{bench_id(loop.world.endpoint)}-{name}",
            task_queue=loop.queue,
        )
        loop.world.label_lead += timedelta(days=7)
    assert len(loop.world.raised) == 1
    return [Run(f"bench-{name}", f"{bench_id(loop.world.endpoint)}-{name}") for name in ("first", "next")]


async def channel_down(loop: Loop) -> list[Run]:
    """One of two channels misses the review's notice, and a workflow of its own tells it."""
    await loop.alarm()
    handle = await loop.in_stage(Stage.REVIEW)

    async def told() -> bool:
        return loop.world.told == [("mail", "review"), ("slack", "review")] and not (await loop.incident_status(handle)).untold

    await until(told, "the channel that was down")
    await loop.client.get_workflow_handle(late_notice_id(f"{handle.id}/review/1")).result()
    digest = (await loop.incident_status(handle)).evidence
    await handle.execute_update("decide", {"approve": False, "reviewer": "ada", "note": "worse", "evidence": digest})
    return [*await _incident(loop), Run("late-notice", late_notice_id(f"{handle.id}/review/1"))]


SCENARIOS = {
    "promotion-and-rollback": Scenario(promotion_and_rollback),
    "rejected": Scenario(rejected, regressing, REVIEWED),
    "approved-by-signal": Scenario(approved_by_signal, regressing, REVIEWED),
    "expired": Scenario(expired, regressing, REVIEWED),
    "quorum": Scenario(quorum, regressing, TWO),
    "vouched": Scenario(vouched, regressing, VOUCHED),
    "voided": Scenario(voided, regressing, a_policy(review={"recheck_every": "0.2s"})),
    "healed": Scenario(healed, regressing),
    "channel-down": Scenario(
        channel_down, lambda: regressing(failures={"tell:slack": [Unavailable("slack://...: HTTP 500")] * 2}), REACHED
    ),
    "deferred": Scenario(deferred, lambda: drifted(coverage_short=1), UNWATCHED),
    "short-of-data": Scenario(one_incident, lambda: drifted(coverage_short=9), a_policy(data={"coverage": {"on_short": "end"}})),
    "cancelled": Scenario(cancelled, lambda: drifted(training_holds=True)),
    "training-failed": Scenario(one_incident, lambda: drifted(failures={"train": [TrainingFailed("out of memory")] * 2})),
    "promotion-broken-off": Scenario(one_incident, lambda: drifted(failures={"manifest": [Corrupt("not readable")]})),
    "bake-rollback": Scenario(one_incident, lambda: drifted(healthy=False)),
    "bench-promotion": Scenario(improvement, lambda: benched(0.6), BENCH),
    "bench-recalibration": Scenario(calibration, lambda: benched(0.9, bias=0.8), BENCH),
    "bench-recalibration-broken-off": Scenario(
        calibration, lambda: benched(0.9, bias=0.8, failures={"manifest": [Corrupt("not readable")]}), BENCH
    ),
    "bench-asks": Scenario(rejected, lambda: benched(0.9), BENCH),
    "bench-without-a-record": Scenario(improvement, drifted, BENCH),
    "shadow-mode": Scenario(one_incident, policy=SHADOW_MODE),
    "bench-turns": Scenario(bench_turns, lambda: drifted(label_lead=timedelta(0))),
    "renewal": Scenario(renewal, regressing, REVIEWED, renews=True),
}


async def play(scenario: Scenario, env: WorkflowEnvironment, queue: str) -> list[tuple[str, str]]:
    """The histories that a scenario leaves, as (name, JSON), the lifecycle's first."""
    world = scenario.world()
    async with workers(env.client, fake_platform(world), queue):
        await start_lifecycle(env.client, queue, world.endpoint)
        lifecycle = env.client.get_workflow_handle(lifecycle_id(world.endpoint))
        await lifecycle.query("status", result_type=LifecycleStatus)  # its first task is over: what follows has one order
        await lifecycle.execute_update("configure", scenario.policy)
        runs = await scenario.tell(Loop(env, env.client, world, lifecycle, queue))
        histories = [(run.name, await _history(env.client, run)) for run in (Run("lifecycle", lifecycle.id), *runs)]
        await lifecycle.terminate("the story is told")
    return histories


async def _history(client: Client, run: Run) -> str:
    return (await client.get_workflow_handle(run.workflow_id, run_id=run.run_id).fetch_history()).to_json()
