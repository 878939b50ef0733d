"""A whole review told through a real web hook: its secret reaches the hook, and stands in no history, record or file."""

import logging
import re
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from contracts.ids import late_notice_id, lifecycle_id
from contracts.incident import Stage
from platforms.apprise_post import ApprisePost
from platforms.channels import Channels
from platforms.local.notifier import LocalNotifier
from tests.fakes import World, fake_platform
from tests.platforms.receivers import hook
from tests.stories import a_policy, running_loop, until

SECRET = "hunter2-Tr0ub4dor"


async def _history(client: Client, workflow_id: str) -> str:
    """As it is kept, and all payloads in the clear."""
    kept = (await client.get_workflow_handle(workflow_id).fetch_history()).to_json()
    return kept + "".join(b64decode(data).decode() for data in re.findall(r'"data": "([^"]+)"', kept))


def _files(home: Path) -> list[str]:
    return [path.read_text() for path in home.rglob("*") if path.is_file()]


async def test_a_channels_secret_reaches_the_hook_and_nothing_else(
    temporal_env: WorkflowEnvironment, task_queue: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(challenger_quality=0.3)
    world.champion(quality=0.9)
    caplog.set_level(logging.DEBUG)
    channels = Channels({"": ApprisePost}, {"OPS": SECRET})
    platform = replace(fake_platform(world), notifier=LocalNotifier(tmp_path, "http://127.0.0.1:8233", channels=channels))
    with hook(500, 500) as web:
        url = f"json://loop:${{OPS}}@127.0.0.1:{web.port}/${{OPS}}"
        policy = a_policy(review={"reach": {"ops": {"url": url}}, "channels": ["ops"]})
        async with running_loop(temporal_env, world, task_queue, policy, platform) as loop:
            await loop.alarm()
            handle = await loop.in_stage(Stage.REVIEW)

            async def told() -> bool:
                return len(web.got) == 1 and not (await loop.incident_status(handle)).untold

            await until(told, "the hook")
            ids = (handle.id, lifecycle_id(world.endpoint), late_notice_id(f"{handle.id}/review/1"))
            histories = [await _history(loop.client, one) for one in ids]
            status = (await loop.incident_status(handle)).model_dump_json()
    kept = _files(tmp_path)
    records = [record.model_dump_json() for record in world.records]
    for place in (*histories, status, *kept, *records, caplog.text):
        assert SECRET not in place
    assert "HTTP 500" in histories[0]
    assert all("${OPS}" in place for place in histories)
    assert any("${OPS}" in place for place in kept)
    assert web.asked == 3
