"""The worker: `python worker.py [--queues main,training]`. SIGTERM or Ctrl-C drains it; a running training job outlives it."""

import argparse
import asyncio
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

import structlog

from runtime import search_attributes, telemetry
from runtime.client import connect
from runtime.entry import enter
from runtime.leaving import leave
from runtime.settings import Settings
from runtime.wakeups import listening
from runtime.wiring import platform_from
from runtime.workers import build_worker, read_queues

log = structlog.get_logger("worker")


async def serve(settings: Settings, queues: Sequence[str]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with telemetry.tracing(settings, service="homeostat-worker") as traces, ThreadPoolExecutor(settings.main_slots) as threads:
        client = await connect(settings, telemetry=traces)
        await search_attributes.ensure(client)
        platform = platform_from(settings)
        async with AsyncExitStack() as workers:
            await workers.enter_async_context(listening(settings))
            for queue in queues:
                await workers.enter_async_context(build_worker(client, platform, settings, queue, threads=threads))
            log.info("worker_ready", queues=",".join(queues))
            await stop.wait()
            log.info("worker_draining", queues=",".join(queues))
    log.info("worker_stopped")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--queues", type=read_queues, default="main,training", help="which queues to serve, by commas (default: %(default)s)"
    )
    queues = parser.parse_args().queues
    return enter(lambda settings: asyncio.run(serve(settings, queues)) or 0)


if __name__ == "__main__":
    leave(main())
