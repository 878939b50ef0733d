"""Is it up yet? Small checks that answer False for 'not yet'. They block; in an event loop call them in a thread."""

import asyncio
import fcntl
import os
import socket
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path

import httpx
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from runtime import search_attributes

CHECK_SECONDS = 2.0
_KINDS = (TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)


def free_port() -> int:
    """A TCP port on loopback that nobody uses at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def port_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True


def lock_held(path: Path) -> bool:
    """True when a process holds the lock file, which it does until it dies."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def http_ready(url: str) -> bool:
    """True when the address answers 2xx."""
    try:
        return httpx.get(url, timeout=CHECK_SECONDS, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def temporal_ready(address: str) -> bool:
    """True when the server serves and has our search attributes, which is later than its port opens."""

    async def ask() -> bool:
        return await search_attributes.ensure(await Client.connect(address)) == ()

    return _answers(ask())


def queue_ready(address: str, queue: str, since: datetime, host: str = "") -> bool:
    """True when a worker, of this host if one is named, has polled the queue since then for workflows or for activities."""

    async def ask() -> bool:
        client = await Client.connect(address)
        answers = [await client.workflow_service.describe_task_queue(_pollers(client, queue, kind)) for kind in _KINDS]
        pollers = [poller for answer in answers for poller in answer.pollers if poller.identity.endswith(host)]
        return any(poller.last_access_time.ToDatetime(tzinfo=UTC) >= since for poller in pollers)

    return _answers(ask())


def _pollers(client: Client, queue: str, kind: TaskQueueType.ValueType) -> DescribeTaskQueueRequest:
    return DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind)


def _answers(question: Coroutine[None, None, bool]) -> bool:
    async def within_limit() -> bool:
        async with asyncio.timeout(CHECK_SECONDS):
            return await question

    try:
        return asyncio.run(within_limit())
    except (RuntimeError, RPCError, TimeoutError):
        return False
