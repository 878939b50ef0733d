"""What serves behind an endpoint: a configuration, its variants, and for each model a real process of its container."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from tests.aws import bucket
from tests.aws.containers import Container, NotRunnable, unpack
from tests.aws.world import World

Params = dict[str, Any]


@dataclass
class Config:
    """An endpoint configuration, which never changes."""

    name: str
    arn: str
    asked: Params
    created: datetime

    @property
    def variants(self) -> list[Params]:
        found: list[Params] = self.asked["ProductionVariants"]
        return found

    @property
    def capture(self) -> Params:
        found: Params = self.asked.get("DataCaptureConfig") or {}
        return found


class Server:
    """The process that serves one model; all instances of it are this one."""

    def __init__(self, world: World, number: int, model: str) -> None:
        """Raises: NotRunnable (no such model, nothing to run, or it doesn't become healthy)."""
        self.model = model
        self.users = 0
        described = world.client("sagemaker").describe_model(ModelName=model)
        container = described.get("PrimaryContainer") or described["Containers"][0]
        environment = dict(container.get("Environment") or {})
        self.image = container.get("Image", "")
        self._container = Container(
            world,
            world.home / "endpoints" / f"{number}-{model}",
            environment.get("SAGEMAKER_SUBMIT_DIRECTORY"),
            environment.get("SAGEMAKER_PROGRAM"),
        )
        if url := container.get("ModelDataUrl"):
            content = bucket.read(url)
            if content is None:
                raise NotRunnable(f"could not find the model data at {url}")
            unpack(content, self._container.root / "model")
        self._url = self._container.serve(environment)
        self._client = httpx.Client(timeout=60)
        self._busy = 0
        self._idle = threading.Condition()

    @contextmanager
    def drained(self) -> Iterator[None]:
        """Around a call, from when it was sent here: the server is not ended before its answer."""
        with self._idle:
            self._busy += 1
        try:
            yield
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def invoke(self, body: bytes, content_type: str, accept: str) -> httpx.Response:
        headers = {"Content-Type": content_type, "Accept": accept}
        return self._client.post(f"{self._url}/invocations", content=body, headers=headers)

    def end(self) -> None:
        with self._idle:
            self._idle.wait_for(lambda: not self._busy, 60)
        self._client.close()
        self._container.kill()


class Servers:
    """Models in service; two fleets with the same model share its process."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = itertools.count()
        self._running: dict[str, Server] = {}
        self._lock = threading.Lock()

    def take(self, model: str) -> Server:
        """Raises: NotRunnable."""
        with self._lock:
            if model not in self._running:
                self._running[model] = Server(self._world, next(self._numbers), model)
            server = self._running[model]
            server.users += 1
            return server

    def release(self, server: Server) -> None:
        with self._lock:
            server.users -= 1
            if not server.users:
                self._running.pop(server.model, None)
                server.end()


@dataclass
class Variant:
    """A production variant as it is now."""

    name: str
    model: str
    instance_type: str
    count: int
    desired: int
    weight: float
    status: str | None = None
    message: str = ""
    since: datetime | None = None
    server: Server | None = None


@dataclass
class Fleet:
    """The instances of one configuration."""

    config: Config
    variants: list[Variant]
    capture: Params
    share: float = 0.0
    """Of the endpoint's traffic."""

    def become(self, status: str | None, now: datetime, message: str = "") -> None:
        for variant in self.variants:
            variant.status, variant.since, variant.message = status, now, message

    def start(self, servers: Servers) -> None:
        """Raises: NotRunnable, with the words that DescribeEndpoint has for it."""
        for variant in self.variants:
            try:
                variant.server = servers.take(variant.model)
            except NotRunnable as error:
                self.stop(servers)
                raise NotRunnable(
                    f"The primary container for production variant {variant.name} did not pass the ping health check. "
                    f"Please check CloudWatch logs for this endpoint. [{str(error)[-300:]}]"
                ) from None

    def stop(self, servers: Servers) -> None:
        for variant in self.variants:
            if variant.server is not None:
                servers.release(variant.server)
                variant.server = None


@dataclass
class Endpoint:
    """An endpoint as DescribeEndpoint tells it."""

    name: str
    arn: str
    created: datetime
    modified: datetime
    live: Fleet
    status: str = "Creating"
    pending: Fleet | None = None
    pending_since: datetime | None = None
    failure: str | None = None
    last_deployment: Params | None = None
    calls: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def busy(self) -> bool:
        return self.status in {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}

    def fleet_for(self, call: int) -> Fleet:
        """Of every hundred calls exactly the share goes to the new fleet."""
        pending = self.pending
        if pending is not None and int((call + 1) * pending.share) > int(call * pending.share):
            return pending
        return self.live


def fleet_of(config: Config, capture: Params | None = None) -> Fleet:
    """As the configuration has it, with nothing running."""
    variants = [
        Variant(
            name=asked["VariantName"],
            model=asked["ModelName"],
            instance_type=asked["InstanceType"],
            count=0,
            desired=asked.get("InitialInstanceCount", 1),
            weight=asked.get("InitialVariantWeight", 1.0),
        )
        for asked in config.variants
    ]
    return Fleet(config, variants, config.capture if capture is None else capture)


def told(fleet: Fleet, *, current: bool = True) -> list[Params]:
    """ProductionVariantSummary, or PendingProductionVariantSummary."""
    return [
        {
            "VariantName": variant.name,
            "DeployedImages": [{"SpecifiedImage": variant.server.image, "ResolvedImage": variant.server.image}]
            if variant.server
            else [],
            "CurrentWeight": variant.weight,
            "DesiredWeight": variant.weight,
            "CurrentInstanceCount": variant.count,
            "DesiredInstanceCount": variant.desired,
            **({} if current else {"InstanceType": variant.instance_type}),
            "VariantStatus": [{"Status": variant.status, "StartTime": variant.since, "StatusMessage": variant.message}]
            if variant.status
            else [],
        }
        for variant in fleet.variants
    ]
