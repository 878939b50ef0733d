"""sagemaker-runtime InvokeEndpoint: the model that the configuration names answers; what passes is counted and captured.

Sources: SageMaker runtime APIReference InvokeEndpoint; "Amazon SageMaker metrics in Amazon CloudWatch" (endpoint invocation metrics;
a metric with the dimension EndpointConfigName is in "Auto-Rollback Configuration and Monitoring"); "Capture data from real-time
endpoint" for the files; amazon-sagemaker-examples#293 for the refusal of an unknown endpoint.
"""

import json
import threading
import time
from base64 import b64encode
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import httpx

from tests.aws import bucket
from tests.aws.calls import Call, Refusal
from tests.aws.metrics import METRICS
from tests.aws.overlay.fleets import Endpoint, Fleet, Params, Server, Variant
from tests.aws.overlay.hosting import hosting
from tests.aws.world import ACCOUNT, World

NAMESPACE: Final = "AWS/SageMaker"
_FLUSH_SECONDS: Final = 30.0


def install(world: World) -> None:
    captures = Captures(world)

    @world.operation("sagemaker-runtime", "InvokeEndpoint")
    def invoke_endpoint(call: Call) -> Params:
        return _invoke(world, captures, call)


@dataclass(frozen=True)
class Exchange:
    """One call and its answer: content types and bodies."""

    endpoint: Endpoint
    fleet: Fleet
    variant: Variant
    asked: tuple[str, bytes]
    answered: tuple[str, bytes]
    inference: str | None


def _invoke(world: World, captures: "Captures", call: Call) -> Params:
    endpoint = _found(call.params["EndpointName"])
    kind, accept = call.params.get("ContentType") or "application/json", call.params.get("Accept") or "application/json"
    began = time.perf_counter()
    with ExitStack() as held:
        with endpoint.lock:
            number, endpoint.calls = endpoint.calls, endpoint.calls + 1
            fleet = endpoint.fleet_for(number)
            variant = _chosen(fleet, number, call.params.get("TargetVariant"))
            server = variant.server
            if server is None:
                raise Refusal(
                    "ValidationError", f"Variant {variant.name} of endpoint {endpoint.name} has no instance in service."
                )
            held.enter_context(server.drained())
        status, body, answered = _asked(server, call.params["Body"], kind, accept)
    asked, said = (kind, call.params["Body"]), (answered, body)
    exchange = Exchange(endpoint, fleet, variant, asked, said, call.params.get("InferenceId"))
    _count(exchange, world.now(), status, (time.perf_counter() - began) * 1e6)
    if status >= 400:
        side = "client" if status < 500 else "server"
        words = body.decode(errors="replace")[:1000]
        message = f'Received {side} error ({status}) from primary with message "{words}".'
        raise Refusal("ModelError", message, 424, OriginalStatusCode=status, OriginalMessage=words)
    captures.take(exchange)
    return {"Body": body, "ContentType": answered, "InvokedProductionVariant": variant.name}


def _asked(server: Server, body: bytes, kind: str, accept: str) -> tuple[int, bytes, str]:
    try:
        answer = server.invoke(body, kind, accept)
    except httpx.HTTPError as error:
        return 500, repr(error).encode(), "text/plain"
    return answer.status_code, answer.content, answer.headers.get("content-type", accept)


def _found(name: str) -> Endpoint:
    endpoint = hosting().endpoints.get(name)
    if endpoint is None or endpoint.status in {"Creating", "Failed"}:
        raise Refusal("ValidationError", f"Endpoint {name} of account {ACCOUNT} not found.")
    return endpoint


def _chosen(fleet: Fleet, number: int, wanted: str | None) -> Variant:
    """By weight, evenly: of n calls each variant gets its share."""
    if wanted is not None:
        found = [variant for variant in fleet.variants if variant.name == wanted]
        if not found:
            raise Refusal("ValidationError", f"Variant {wanted} is not in the endpoint.")
        return found[0]
    total = sum(variant.weight for variant in fleet.variants) or 1.0
    place = (number * 0.618034 % 1.0) * total
    for variant in fleet.variants:
        place -= variant.weight
        if place < 0:
            return variant
    return fleet.variants[-1]


def _count(exchange: Exchange, at: datetime, status: int, microseconds: float) -> None:
    variant = exchange.variant
    by_variant = {"EndpointName": exchange.endpoint.name, "VariantName": variant.name}
    values = {
        "Invocations": 1.0,
        "InvocationsPerInstance": 1.0 / max(1, variant.count),
        "Invocation4XXErrors": float(400 <= status < 500),
        "Invocation5XXErrors": float(status >= 500),
        "ModelLatency": microseconds,
    }
    for dimensions in (by_variant, by_variant | {"EndpointConfigName": exchange.fleet.config.name}):
        for name, value in values.items():
            METRICS.put(NAMESPACE, name, dimensions, value, at)


class Captures:
    """Lines that wait to be written, a file per variant and half minute."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: dict[str, list[tuple[datetime, Params]]] = defaultdict(list)
        self._seen: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        world.every(_FLUSH_SECONDS, self.flush)

    def take(self, exchange: Exchange) -> None:
        how, name = exchange.fleet.capture, exchange.endpoint.name
        if not how.get("EnableCapture"):
            return
        with self._lock:
            number = self._seen[name]
            self._seen[name] = number + 1
            percent = how["InitialSamplingPercentage"]
            if (number + 1) * percent // 100 == number * percent // 100:
                return
            folder = f"{how['DestinationS3Uri'].rstrip('/')}/{name}/{exchange.variant.name}"
            now = self._world.now()
            self._waiting[folder].append((now, _line(exchange, now)))

    def flush(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, defaultdict(list)
        for folder, lines in waiting.items():
            first = lines[0][0]
            name = f"{first:%Y/%m/%d/%H/%M-%S}-{first.microsecond // 1000:03d}-{uuid4()}.jsonl"
            content = "".join(json.dumps(line, separators=(",", ":")) + "\n" for _, line in lines)
            bucket.write(f"{folder}/{name}", content.encode())


def _line(exchange: Exchange, now: datetime) -> Params:
    how = exchange.fleet.capture
    modes = {option["CaptureMode"] for option in how["CaptureOptions"]}
    data: dict[str, Any] = {}
    if modes & {"Input", "InputAndOutput"}:
        data["endpointInput"] = _side(how, "INPUT", *exchange.asked)
    if modes & {"Output", "InputAndOutput"}:
        data["endpointOutput"] = _side(how, "OUTPUT", *exchange.answered)
    event = {"eventId": str(uuid4()), "inferenceTime": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    if exchange.inference is not None:
        event["inferenceId"] = exchange.inference
    return {"captureData": data, "eventMetadata": event, "eventVersion": "0"}


def _side(how: Params, mode: str, kind: str, content: bytes) -> Params:
    """APIReference CaptureContentTypeHeader: what no list names is captured in base64."""
    known = how.get("CaptureContentTypeHeader") or {}
    plain = kind.partition(";")[0].strip()
    for encoding, field in (("JSON", "JsonContentTypes"), ("CSV", "CsvContentTypes")):
        if plain in (known.get(field) or ()):
            return {"observedContentType": kind, "mode": mode, "data": content.decode(), "encoding": encoding}
    return {"observedContentType": kind, "mode": mode, "data": b64encode(content).decode(), "encoding": "BASE64"}
