"""The minutes after a promotion survive a worker's death, and the days after it end only with labels or with proof."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import bake as bake_module
from activities.bake import BakeActivities
from contracts.rollout import BakeChampion, BakeReport, CheckWatch, WatchReport
from contracts.snapshot import DataPolicy
from platforms.errors import Unavailable
from platforms.pace import Pace
from platforms.ports import Platform, Served
from tests.fakes import AS_OF, FakeFeatures, FakeTraffic, World, digest, fake_platform

SECONDS = 20
DATA = DataPolicy(table="bikes", features=("truth", "noise"), label="busy", label_delay=timedelta(days=1))


def _request(**changes: Any) -> BakeChampion:
    content: dict[str, Any] = {"endpoint": "bikes", "digest": digest("new"), "bake": "10m", "max_error_rate": 0.01}
    return BakeChampion.model_validate({**content, **changes})


async def _bake(world: World, request: BakeChampion, began: datetime | None = None) -> tuple[BakeReport, list[str]]:
    """The report, and the heartbeats; `began` is what an earlier attempt's last one said."""
    environment, beats = ActivityEnvironment(), list[str]()
    if began is not None:
        environment.info = dataclasses.replace(environment.info, heartbeat_details=[began.isoformat()])
    environment.on_heartbeat = lambda *details: beats.append(details[0])
    bake = BakeActivities(fake_platform(world)).bake
    async with asyncio.timeout(SECONDS):
        return await environment.run(bake, request), beats


async def test_a_bake_lasts_as_long_as_declared_and_looks_again_and_again() -> None:
    world = World()
    report, beats = await _bake(world, _request(bake="0.2s"))
    assert report.healthy
    assert len(world.calls) > 3
    assert len(set(beats)) == 1, "every heartbeat carries the start, for whoever takes over"


async def test_looks_far_apart_are_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bake_module, "_BEAT_SECONDS", 0.02)
    world, environment, beats = World(), ActivityEnvironment(), list[str]()
    environment.on_heartbeat = lambda *details: beats.append(details[0])
    platform = dataclasses.replace(fake_platform(world), pace=Pace(bake_poll=0.2))
    await environment.run(BakeActivities(platform).bake, _request(bake="0.2s"))
    assert len(world.calls) <= 3
    assert len(beats) > len(world.calls) + 3


async def test_a_second_attempt_goes_on_where_the_first_one_began() -> None:
    began = datetime.now(UTC) - timedelta(minutes=11)
    report, beats = await _bake(World(), _request(), began)
    assert report.healthy
    assert beats == [began.isoformat()]


async def test_a_champion_that_fails_ends_the_bake_at_once() -> None:
    world = World(healthy=False)
    report, _ = await _bake(world, _request())
    assert not report.healthy
    assert world.calls == ["health"]


async def test_a_serving_that_does_not_answer_is_asked_again_by_the_retry_policy() -> None:
    with pytest.raises(ApplicationError) as seen:
        await _bake(World(failures={"health": [Unavailable("no instance answers")]}), _request())
    assert (seen.value.type, seen.value.non_retryable) == ("Unavailable", False)


def _watch(world: World, new: float, old: float, platform: Platform | None = None) -> WatchReport:
    former, champion = world.champion("old", quality=old), world.champion("new", quality=new)
    request = CheckWatch(
        key="watch/1",
        endpoint=world.endpoint,
        champion=champion,
        former=former,
        since=AS_OF,
        until=AS_OF + timedelta(days=7),
        alpha=0.01,
        margin=0.005,
        data=DATA,
        check_every=timedelta(hours=6),
    )
    activities = BakeActivities(platform or fake_platform(world))
    report: WatchReport = ActivityEnvironment().run(activities.watch_promotion, request)
    return report


def test_a_better_champion_passes_the_watch_once_its_labels_are_there() -> None:
    report = _watch(World(label_lead=timedelta(days=8)), new=0.9, old=0.6)
    assert (report.complete, report.worse) == (True, False)
    assert report.rows == 7 * 24


def test_labels_of_the_last_day_that_may_still_come_are_waited_for() -> None:
    with pytest.raises(ApplicationError) as seen:
        _watch(World(label_lead=timedelta(days=7, hours=23)), new=0.9, old=0.6)
    assert seen.value.type == "NotYet"
    assert seen.value.next_retry_delay == timedelta(hours=6)


def test_a_worse_champion_is_found_before_all_labels_are_there() -> None:
    report = _watch(World(label_lead=timedelta(days=5)), new=-0.9, old=0.9)
    assert (report.complete, report.worse) == (False, True)
    assert report.evidence >= 100


class NoLabels(FakeFeatures):
    def watermark(self, data: DataPolicy) -> datetime | None:
        return None


def test_without_any_label_the_watch_asks_to_be_called_again() -> None:
    world = World()
    with pytest.raises(ApplicationError, match="no label has arrived yet"):
        _watch(world, 0.9, 0.6, dataclasses.replace(fake_platform(world), features=NoLabels(world)))


class OddLabels(FakeTraffic):
    """Every second label is none that the task has."""

    def replay(self, *args: Any, **kwargs: Any) -> Served:
        served = FakeTraffic.replay(self, *args, **kwargs)
        return dataclasses.replace(served, label=np.where(np.arange(len(served)) % 2, 7.0, served.label))


def test_a_late_label_that_the_task_does_not_have_is_not_counted() -> None:
    world = World(label_lead=timedelta(days=8))
    platform = dataclasses.replace(fake_platform(world), traffic=OddLabels(world))
    assert _watch(world, 0.9, 0.6, platform).rows == _watch(World(label_lead=timedelta(days=8)), 0.9, 0.6).rows // 2
