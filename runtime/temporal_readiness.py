"""Does the Temporal server serve, does a worker poll? The answer is False for 'not yet'. In an event loop, ask in a thread."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from runtime import search_attributes

CHECK_SECONDS = 2.0
_KINDS = (TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)


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
