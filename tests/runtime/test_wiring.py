"""The composition root gives every port its adapter, the workers know every step that a workflow names, and no more."""

import argparse
import inspect
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from temporalio import activity
from temporalio.client import Client

from activities.training import TrainingActivities
from contracts.notices import Channel
from contracts.vouching import Link
from platforms import ports
from platforms.ports import Platform
from runtime import identity
from runtime.errors import Misconfigured
from runtime.settings import MAIN_QUEUE, TRAINING_QUEUE, Settings
from runtime.wiring import platform_from
from runtime.workers import build_worker, main_activities, read_queues
from tests.fakes import World, fake_platform
from tests.platforms.receivers import hook
from tests.platforms.records_fixtures import INCIDENT, notice
from tests.replay.fingerprints import committed
from workflows.options import training_queue

PORTS = {
    name: port
    for name, port in inspect.getmembers(ports, inspect.isclass)
    if Protocol in port.__mro__ and port.__module__ == ports.__name__
}


def _port_of(platform: Platform) -> dict[str, tuple[type, Any]]:
    kinds = {field.name: str(getattr(field.type, "__name__", field.type)) for field in fields(Platform) if field.name != "pace"}
    return {name: (PORTS[kind], getattr(platform, name)) for name, kind in kinds.items()}


@pytest.fixture
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough to make the ports of AWS; none of them is reached."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("HOMEOSTAT_AWS_BUCKET", "a-bucket")


@pytest.mark.parametrize("made_by", ["local", "aws", "fakes"])
@pytest.mark.usefixtures("_account")
def test_every_port_has_an_adapter_with_the_ports_own_methods_and_arguments(tmp_path: Path, made_by: str) -> None:
    made = fake_platform(World()) if made_by == "fakes" else platform_from(Settings(home=tmp_path, platform=made_by))
    platform: Platform = made
    for name, (port, adapter) in _port_of(platform).items():
        for method, wanted in inspect.getmembers(port, inspect.isfunction):
            if method.startswith("_"):
                continue
            found = inspect.signature(getattr(adapter, method)).parameters
            names = [parameter for parameter in inspect.signature(wanted).parameters if parameter != "self"]
            assert list(found) == names, f"{name}.{method}"


def test_every_port_is_part_of_the_platform() -> None:
    assert {port for port, _ in _port_of(fake_platform(World())).values()} == set(PORTS.values())


def test_making_the_platform_writes_nothing(tmp_path: Path) -> None:
    platform_from(Settings(home=tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []


def test_the_aws_platform_names_the_setting_that_is_missing() -> None:
    with pytest.raises(Misconfigured, match="set HOMEOSTAT_AWS_BUCKET"):
        platform_from(Settings(platform="aws"))


def _registered(client: Client) -> dict[str, Any]:
    steps = [
        *main_activities(fake_platform(World()), client),
        TrainingActivities(fake_platform(World())).train_challenger,
    ]
    definitions = [activity._Definition.must_from_callable(step) for step in steps]
    return {str(definition.name): definition for definition in definitions}


async def test_every_step_that_a_recorded_workflow_asked_for_is_registered_and_none_besides(client: Client) -> None:
    asked = {line.removeprefix("activity ") for lines in committed().values() for line in lines if line.startswith("activity ")}
    assert asked == _registered(client).keys()


async def test_every_activity_takes_one_contract_and_its_hints_can_be_read(client: Client) -> None:
    for name, definition in _registered(client).items():
        assert definition.arg_types is not None, name
        assert len(definition.arg_types) == 1, name
        assert definition.ret_type is not None, name


@pytest.mark.parametrize(("queue", "task_queue"), [("main", MAIN_QUEUE), ("training", TRAINING_QUEUE)])
async def test_a_worker_polls_the_queue_that_workflows_name(client: Client, queue: str, task_queue: str) -> None:
    settings = Settings(training_slots=3)
    with ThreadPoolExecutor(settings.main_slots) as threads:
        worker = build_worker(client, fake_platform(World()), settings, queue, threads=threads)
    assert worker.task_queue == task_queue
    assert training_queue(MAIN_QUEUE) == TRAINING_QUEUE
    slots = worker.config()["max_concurrent_activities"]
    assert slots == (3 if queue == "training" else settings.main_slots)


def test_queues_are_read_as_people_write_them() -> None:
    assert read_queues("main, training") == ["main", "training"]
    for wrong in ("", ",", "main,trainin"):
        with pytest.raises(argparse.ArgumentTypeError, match="main and training"):
            read_queues(wrong)


def test_a_person_is_sent_a_link_that_the_review_page_reads(tmp_path: Path) -> None:
    """Through a channel that reaches that person alone."""
    settings = Settings(home=tmp_path, review_url="https://review.example.com/")
    with hook() as web:
        given = notice(
            channels={"ada": Channel(url=web.address())}, personal={"ada": "ada"}, deadline=datetime.now(UTC) + timedelta(hours=1)
        )
        assert platform_from(settings).notifier.tell(given, "ada")
    (token,) = re.findall(r"Decide as ada: https://review\.example\.com/link\?token=(\S+)", web.got[0]["message"])
    link = identity.read_link(settings, token, now=datetime.now(UTC))
    assert isinstance(link, Link)
    assert (link.person, link.endpoint, link.incident, link.evidence) == ("ada", "bikes", INCIDENT, given.evidence)
