"""One serving process: `python -m platforms.local.instance`, started by the supervisor with a listening socket.

It loads the wanted model, accepts calls, swaps to another model without losing one, and drains when it is told to end or when its
supervisor has died.
"""

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import structlog
import uvicorn

from platforms.errors import PlatformError
from platforms.files import read_json, write_contract
from platforms.local.capture import CaptureWriter
from platforms.local.predict import InService, PredictService
from platforms.local.process_log import log_to_stderr
from platforms.local.serving_counts import Count, append_count
from platforms.local.serving_state import Desired, InstanceState, Layout, SupervisorState, read_or_none, stamp, write_volatile
from platforms.tabular.artifact_file import load_model

_TICK = 0.05
_FLUSH_SECONDS = 0.5
_RETRY_SECONDS = 2.0
_QUIET_SECONDS = 0.5
"""A draining instance leaves when no call has come for so long ..."""
_DRAIN_SECONDS = 10.0
"""... or at the latest now."""
_log = structlog.get_logger()


class ModelSwitch:
    """Keeps the model in service in step with what is wanted; what can't be loaded never replaces what works."""

    def __init__(self, layout: Layout, service: PredictService) -> None:
        self._layout = layout
        self._service = service
        self._seen: tuple[int, int, int] | None = None
        self._retry_at = 0.0
        self.failure: str | None = None
        self.wanted: str | None = None

    async def begin(self) -> None:
        """Load the wanted model, or else the last one that worked here."""
        await self.follow()
        if self._service.in_service is None and self._layout.good.exists():
            with contextlib.suppress(PlatformError):
                await self._load(read_json(self._layout.good, Desired))

    async def follow(self) -> bool:
        """Look whether something else is wanted and put it into service; says whether anything changed."""
        found = stamp(self._layout.desired)
        again = self.failure is not None and monotonic() >= self._retry_at
        if found is None or (found == self._seen and not again):
            return False
        self._seen, self._retry_at = found, monotonic() + _RETRY_SECONDS
        before = self.failure
        try:
            desired = read_json(self._layout.desired, Desired)
            self.wanted = desired.digest
            await self._load(desired)
            await asyncio.to_thread(self._remember, desired)
            self.failure = None
        except PlatformError as error:
            self.failure = str(error)
        if self.failure and self.failure != before:
            _log.error("model_not_loaded", endpoint=self._layout.folder.name, wanted=self.wanted, reason=self.failure)
        return True

    async def _load(self, desired: Desired) -> None:
        present = self._service.in_service
        if present is None or present.model.digest != desired.digest:
            model = await asyncio.to_thread(load_model, Path(desired.artifact), desired.digest)
        else:
            model = present.model
        self._service.in_service = InService.of(model, desired.threshold)
        _log.info("model_in_service", endpoint=desired.endpoint, digest=desired.digest)

    def _remember(self, desired: Desired) -> None:
        good = read_or_none(self._layout.good, Desired)
        if good != desired:
            write_contract(self._layout.good, desired)


class InstanceServer(uvicorn.Server):
    """uvicorn without its own signal handling: the instance drains before it lets go."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Instance:
    """The process: its service, its status file, its life."""

    def __init__(self, home: Path, endpoint: str) -> None:
        self._layout = Layout(home, endpoint)
        self._capture = CaptureWriter(self._layout.capture)
        self._service = PredictService(endpoint, self._capture, self.status)
        self._service.peers = self._peers
        self._switch = ModelSwitch(self._layout, self._service)
        self._ready = False
        self._stop = asyncio.Event()
        self._flush_at = 0.0

    def status(self) -> InstanceState:
        """What this instance says of itself now."""
        tally, serving = self._service.tally, self._service.in_service
        return InstanceState(
            pid=os.getpid(),
            digest=serving.model.digest if serving else None,
            ready=self._ready,
            failure=self._switch.failure,
            wanted=self._switch.wanted,
            requests=tally.requests,
            rows=tally.rows,
            rejected=tally.rejected,
            errors=tally.errors,
            uncaptured=tally.uncaptured,
            latency=tally.histogram(),
            heartbeat=datetime.now(UTC),
        )

    async def run(self, listener: socket.socket, lifeline: int) -> None:
        """Serve until told to end, or until the other end of `lifeline` is gone; then drain."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_reader(lifeline, self._stop.set)
        await self._switch.begin()
        gc.freeze()
        server = InstanceServer(_server_config(self._service))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await self._work(server, serving)
        loop.remove_reader(lifeline)
        await self._drain(server, listener)
        await serving
        self._capture.close()
        self._flush()

    async def _work(self, server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
        while not self._stop.is_set() and not serving.done():
            self._ready = server.started
            await self._tick()

    async def _tick(self) -> None:
        changed = await self._switch.follow()
        self._capture.close_if_due()
        if changed or monotonic() >= self._flush_at:
            self._flush()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), _TICK)

    async def _drain(self, server: uvicorn.Server, listener: socket.socket) -> None:
        """Take no new connection, answer what is open with 'connect anew', leave when it is quiet."""
        self._service.draining = True
        asyncio.get_running_loop().remove_reader(listener)
        await asyncio.sleep(_TICK)
        end = monotonic() + _DRAIN_SECONDS
        quiet_at, answered = monotonic() + _QUIET_SECONDS, -1
        while server.server_state.connections and monotonic() < min(end, quiet_at):
            if answered != self._service.tally.requests:
                answered, quiet_at = self._service.tally.requests, monotonic() + _QUIET_SECONDS
            await self._switch.follow()
            self._flush()
            await asyncio.sleep(_TICK)
        server.should_exit = True

    def _flush(self) -> None:
        """Write the status file and what was counted since the last time."""
        self._flush_at = monotonic() + _FLUSH_SECONDS
        try:
            write_volatile(self._layout.instance(os.getpid()), self.status())
            for digest, (requests, errors) in self._service.tally.take_fresh().items():
                count = Count(at=datetime.now(UTC), pid=os.getpid(), digest=digest, requests=requests, errors=errors)
                append_count(self._layout.counts, count)
        except (PlatformError, OSError) as error:
            _log.error("status_not_written", endpoint=self._layout.folder.name, reason=str(error))

    def _peers(self) -> list[InstanceState]:
        """What the other instances wrote last."""
        state = read_or_none(self._layout.state, SupervisorState)
        pids = [pid for pid in (*state.instances, *state.draining) if pid != os.getpid()] if state else []
        found = (read_or_none(self._layout.instance(pid), InstanceState) for pid in pids)
        return [instance for instance in found if instance is not None]


def _server_config(service: PredictService) -> uvicorn.Config:
    """Keep-alive outlasts the usual client pools, so that it is the client who lets go of an idle connection."""
    return uvicorn.Config(
        service.app(),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        http="h11",
        loop="asyncio",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        limit_concurrency=1000,
        backlog=2048,
    )


def main() -> None:
    """Serve one endpoint on the inherited socket."""
    parser = argparse.ArgumentParser(prog="python -m platforms.local.instance", description=main.__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--socket", type=int, required=True, help="number of the inherited listening socket")
    parser.add_argument("--lifeline", type=int, required=True, help="number of a pipe whose other end the supervisor holds")
    given = parser.parse_args()
    log_to_stderr("instance")
    listener = socket.socket(fileno=given.socket)
    asyncio.run(_serve(given.home, given.endpoint, listener, given.lifeline))


async def _serve(home: Path, endpoint: str, listener: socket.socket, lifeline: int) -> None:
    await Instance(home, endpoint).run(listener, lifeline)


if __name__ == "__main__":
    main()
