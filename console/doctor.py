"""`doctor`: is everything there that the loop needs?"""

import asyncio
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.service import RPCError

from console.call import Call, translated
from console.exits import Exit, Halt
from console.screen import Answer, safe
from platforms.checkup import Finding
from platforms.errors import PlatformError
from platforms.identity.keys import too_open
from runtime import identity
from runtime.settings import MAIN_QUEUE, TRAINING_QUEUE, Settings
from runtime.wiring import checkup_from

_WORKFLOWS: Final = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
_ACTIVITIES: Final = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
_POLLED: Final = ((MAIN_QUEUE, _WORKFLOWS), (MAIN_QUEUE, _ACTIVITIES), (TRAINING_QUEUE, _ACTIVITIES))
_NEEDED_BYTES: Final = 1 << 30
_WEB_SECONDS: Final = 3.0


async def doctor(call: Call) -> Answer:
    own = call.settings
    checks = [
        *await _temporal(call),
        _web("bridge", own.bridge_url, "python -m bridge", "HOMEOSTAT_BRIDGE_URL"),
        _web("review page", own.review_url, "python -m review", "HOMEOSTAT_REVIEW_URL"),
        _home(own.home),
        _disk(own.home),
    ]
    checks.append(_keys(own))
    with translated():
        checkup = checkup_from(own)
    if checkup is not None:
        checks += await asyncio.to_thread(checkup.findings)
    data = {"ok": all(check.ok for check in checks), "checks": [asdict(check) for check in checks]}

    def show(console: Console) -> None:
        for check in checks:
            tail = f". {check.remedy}" if check.remedy else ""
            line = f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<34}{check.found}{tail}"
            console.print(safe(line, "" if check.ok else "red"), soft_wrap=True)

    return Answer(data, show, Exit.DONE if data["ok"] else Exit.REFUSED)


async def _temporal(call: Call) -> list[Finding]:
    try:
        with translated():
            client = await call.client()
    except Halt as halt:
        return [Finding("Temporal", ok=False, found=halt.message, remedy=halt.remedy)]
    found = f"{client.service_client.config.target_host}, namespace {client.namespace}"
    return [Finding("Temporal", ok=True, found=found), *[await _pollers(call, queue, kind) for queue, kind in _POLLED]]


async def _pollers(call: Call, queue: str, kind: "TaskQueueType.ValueType") -> Finding:
    name = f"{'workflows' if kind == _WORKFLOWS else 'activities'} on {queue}"
    client = await call.client()
    request = DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind)
    try:
        answer = await client.workflow_service.describe_task_queue(request, timeout=call.timeout)
    except RPCError as error:
        return Finding(name, ok=False, found=error.message, remedy="Check the namespace and the server's log")
    count = len(answer.pollers)
    remedy = "" if count else "Start one with `python worker.py`"
    return Finding(name, ok=count > 0, found=f"{count} workers in the last minutes", remedy=remedy)


def _web(name: str, url: str, command: str, setting: str) -> Finding:
    """Whether a door of ours answers."""
    health = f"{url.rstrip('/')}/health"
    try:
        answer = httpx.get(health, timeout=_WEB_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding(name, ok=False, found=f"{health}: {error}", remedy=f"Start it with `{command}`, or set {setting}")
    remedy = "" if answer.is_success else "Look at its log"
    return Finding(name, ok=answer.is_success, found=f"{health}: HTTP {answer.status_code}", remedy=remedy)


def _home(home: Path) -> Finding:
    """Really writes there, and takes it away again; a home that isn't there yet needs a parent to write in."""
    place = home if home.exists() else _nearest(home)
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"homeostat")
            os.fsync(probe.fileno())
    except OSError as error:
        remedy = "Correct its rights, or set HOMEOSTAT_HOME"
        return Finding("home", ok=False, found=f"{place} can't be written: {error.strerror}", remedy=remedy)
    return Finding("home", ok=True, found=f"{home} can be written" + ("" if home.is_dir() else " (not there yet)"))


def _disk(home: Path) -> Finding:
    free = shutil.disk_usage(_nearest(home)).free
    remedy = "" if free >= _NEEDED_BYTES else "Free some space: snapshots and training need at least 1 GiB"
    return Finding("disk", ok=free >= _NEEDED_BYTES, found=f"{free / (1 << 30):.1f} GiB free at {home}", remedy=remedy)


def _keys(settings: Settings) -> Finding:
    """Private keys that others may read are known to them, and no longer say who decided."""
    own = [settings.key_file.expanduser()] if settings.key_file else []
    files = [*identity.key_files(settings), *own]
    try:
        remedies = [remedy for file in files if (remedy := too_open(file))]
    except PlatformError as error:
        return Finding("keys", ok=False, found=str(error), remedy="Correct HOMEOSTAT_KEY_FILE, or make a key there")
    found = f"{len(remedies)} of {len(files)} private keys can be read by others" if remedies else f"{len(files)} private keys"
    return Finding("keys", ok=not remedies, found=found, remedy="; ".join(remedies))


def _nearest(path: Path) -> Path:
    """The folder itself or its nearest ancestor that is there."""
    return next((place for place in (path, *path.absolute().parents) if place.is_dir()), Path.cwd())
