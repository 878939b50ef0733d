"""A window that holds too little, or what can't be right: waited for, widened, or left alone, and people are told."""

from datetime import timedelta
from typing import Any

from temporalio.testing import WorkflowEnvironment

from contracts.coverage import CoverageVerdict, Finding, FindingKind, Remedy
from contracts.incident import LifecycleStatus, Outcome, Stage
from contracts.notices import NoticeKind
from contracts.snapshot import Shortfall
from contracts.training import Recipe
from tests.fakes import AS_OF, World
from tests.stories import Loop, a_policy, running_loop


def finding(what: FindingKind, weighs: CoverageVerdict, *remedies: Remedy, sentence: str = "") -> Finding:
    return Finding(what=what, weighs=weighs, found=0.4, wanted=0.8, remedies=remedies, sentence=sentence)


def immature(after: timedelta) -> dict[str, Any]:
    """Labels are on their way, and enough are expected after so long."""
    waits = finding(FindingKind.LABEL_RATE, CoverageVerdict.IMMATURE, Remedy.WAIT, Remedy.WIDEN)
    short = (Shortfall(what="label_rate", found=0.4, wanted=0.8),)
    return {"verdict": CoverageVerdict.IMMATURE, "findings": (waits,), "short": short, "mature_at": AS_OF + after}


def short() -> dict[str, Any]:
    widens = finding(FindingKind.ROWS, CoverageVerdict.SHORT, Remedy.WIDEN)
    return {
        "verdict": CoverageVerdict.SHORT,
        "findings": (widens,),
        "short": (Shortfall(what="rows", found=100, wanted=300),),
    }


def broken() -> dict[str, Any]:
    said = "temp is empty since 2024-05-20, in the worst week before in 0%: mend what delivers it, and append the rows anew."
    return {
        "verdict": CoverageVerdict.BROKEN,
        "findings": (finding(FindingKind.EMPTY, CoverageVerdict.BROKEN, Remedy.REPAIR, sentence=said),),
    }


def world(*coverages: dict[str, Any]) -> World:
    made = World(coverages=list(coverages))
    made.champion(quality=0.6)
    return made


def policy(**coverage: Any) -> Any:
    return a_policy(rollout={"watch": "0s"}, data={"coverage": coverage})


async def _ended(loop: Loop) -> LifecycleStatus:
    await loop.alarm()
    return await loop.closed()


async def test_the_wait_lasts_until_enough_labels_are_expected_and_holds_the_windows_end(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    made = world(immature(timedelta(days=3)))
    async with running_loop(temporal_env, made, task_queue, policy(defer_for="30d")) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.DEFERRED)
        said = (await loop.incident_status(handle)).sentence
        await temporal_env.fast_forward(handle, timedelta(days=3, minutes=1))
        closed = await loop.closed()
    assert "Enough labels are expected by 2024-06-04 00:00 of the data's time." in said
    assert closed.state.history[0].outcome is Outcome.PROMOTED
    first, second = made.looks
    assert (first.until, second.until) == (None, AS_OF)
    assert second.as_of > first.as_of


async def test_no_wait_is_longer_than_the_policy_allows(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    made = world(immature(timedelta(days=90)))
    async with running_loop(temporal_env, made, task_queue, policy(defer_at_most="2d")) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.DEFERRED)
        await temporal_env.fast_forward(handle, timedelta(days=2, minutes=1))
        closed = await loop.closed()
    assert closed.state.history[0].outcome is Outcome.PROMOTED


async def test_what_waiting_does_not_mend_is_not_waited_for(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    made = world(short())
    async with running_loop(temporal_env, made, task_queue, policy()) as loop:
        closed = await _ended(loop)
    assert closed.state.history[0].outcome is Outcome.SHORT_OF_DATA
    assert "rows: found 100, wanted 300" in closed.state.history[0].sentence
    assert made.jobs == {}


async def test_a_short_window_is_widened_and_the_record_says_so(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    made = world(short(), short())
    async with running_loop(temporal_env, made, task_queue, policy(on_short="widen")) as loop:
        closed = await _ended(loop)
    assert closed.state.history[0].outcome is Outcome.PROMOTED
    assert [look.horizons for look in made.looks] == [(timedelta(days=n),) for n in (30, 90, 365)]
    assert {job.recipe.members[0].name for job in made.jobs.values()} == {"365d"}
    facts = made.records[-1].entry.facts
    assert Recipe.model_validate(facts["recipe"]).blended[0].name == "365d"
    assert any("widened to the members 365d" in note for note in facts["notes"])
    assert facts["requests"]["judge"]["notes"]


async def test_a_window_that_stays_short_at_its_widest_asks_a_person(temporal_env: WorkflowEnvironment, task_queue: str) -> None:
    made = world(short(), short())
    async with running_loop(temporal_env, made, task_queue, policy(on_short="widen", widen_to="90d")) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        await handle.signal("reject", {"reviewer": "ada"})
        closed = await loop.closed()
    assert closed.state.history[0].outcome is Outcome.HELD
    assert "holds less data than its policy wants" in made.notices[0].sentence


async def test_nothing_is_trained_on_broken_data_and_people_are_told_what_to_mend(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    made = world(broken())
    async with running_loop(temporal_env, made, task_queue, policy()) as loop:
        closed = await _ended(loop)
    incident = closed.state.history[0]
    assert incident.outcome is Outcome.BROKEN_DATA
    assert made.jobs == {}
    assert made.resources == {}
    assert closed.state.cool_until is None
    for told in (incident.sentence, made.notices[-1].sentence, made.records[-1].entry.facts["sentence"]):
        assert "Broken data: temp is empty since 2024-05-20" in told
    assert made.records[-1].entry.facts["snapshot"]["coverage"]["findings"][0]["what"] == "empty"


async def test_silence_never_promotes_what_was_learned_from_broken_data(
    temporal_env: WorkflowEnvironment, task_queue: str
) -> None:
    made = world(broken())
    asks = a_policy(data={"coverage": {"quality": {"on_broken": "ask"}}}, review={"default": "promote"})
    async with running_loop(temporal_env, made, task_queue, asks) as loop:
        await loop.alarm()
        handle = await loop.in_stage(Stage.REVIEW)
        await temporal_env.fast_forward(handle, timedelta(hours=25))
        closed = await loop.closed()
    assert closed.state.history[0].outcome is Outcome.EXPIRED
    asked = next(notice for notice in made.notices if notice.kind is NoticeKind.REVIEW)
    assert "the window's rows can't be right" in asked.sentence
    assert len(made.manifests) == 1
