"""One call that came in over HTTP: which service, which operation, what was asked; and how it is answered."""

import io
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.exceptions import NotFound

ALIASES = {"monitoring": "cloudwatch", "tagging": "resourcegroupstaggingapi", "servicequotas": "service-quotas"}
"""Services that sign under another name than boto3 calls them."""


class Refusal(ServiceException):
    """An answer that is an AWS error: `raise Refusal("ResourceInUse", "Training job names must be unique ...")`."""

    def __init__(self, code: str, message: str, status: int = 400, **attributes: Any) -> None:
        super().__init__(code, message)
        self.status = status
        for name, value in attributes.items():
            setattr(self, name, value)


@dataclass
class Call:
    """What was asked. `params` has the API's own names; blobs are bytes, times are datetimes."""

    service: str
    """boto3's name: sagemaker, sagemaker-runtime, s3, cloudwatch ..."""
    operation: str
    """The API's name: CreateTrainingJob."""
    params: dict[str, Any]
    region: str
    request: Request = field(repr=False)
    body: bytes = field(repr=False, default=b"")
    account: str = "123456789012"

    @property
    def key(self) -> tuple[str, str]:
        return self.service, self.operation


@dataclass(frozen=True)
class Logged:
    """A line of the call log."""

    at: datetime
    service: str
    operation: str
    params: dict[str, Any]
    outcome: str
    """'ok', the error's code, or the fault that struck."""


def service_of(environ: dict[str, Any]) -> tuple[str, str] | None:
    """boto3's service name and the region, from the signature; None for an unsigned call."""
    try:
        _, _, region, signed, _ = environ["HTTP_AUTHORIZATION"].split(",")[0].split()[1].split("/")
    except (KeyError, ValueError, IndexError):
        return None
    path = environ.get("PATH_INFO", "")
    if signed == "sagemaker" and path.endswith("invocations"):
        return "sagemaker-runtime", region
    if signed == "sagemaker" and path.startswith(("/FeatureGroup/", "/BatchGetRecord")):
        return "sagemaker-featurestore-runtime", region
    return ALIASES.get(signed, signed), region


def read_call(environ: dict[str, Any]) -> Call | None:
    """The call, or None where it isn't one that botocore's models know."""
    found = service_of(environ)
    if found is None:
        return None
    service, region = found
    content = Request(environ).get_data()
    environ |= {"wsgi.input": io.BytesIO(content), "CONTENT_LENGTH": str(len(content))}
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    request = Request(dict(environ))
    try:
        model = get_service_model(service)
        name, in_path = _operation(service, request)
        operation = model.operation_model(name)
        if service == "s3":  # bodies of objects are not ours to parse
            return Call(service, name, dict(in_path), region, request, content)
        parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)](operation, map_type=dict)
        asked = {"method": request.method, "values": request.values, "headers": request.headers, "body": content}
        parsed = parser.parse({**asked, "url_path": request.path, "url_params": in_path})
    except (NotFound, RuntimeError, KeyError):
        return None
    return Call(service, name, dict(parsed), region, request, content)


def _operation(service: str, request: Request) -> tuple[str, dict[str, Any]]:
    target = request.headers.get("X-Amz-Target")
    if target:
        return target.split(".")[-1], {}
    action = request.values.get("Action")
    if action:
        return action, {}
    operation, in_path = get_service_router(service).match(request)
    return operation.name, dict(in_path)


def answer(call: Call, result: dict[str, Any] | Exception | None) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body as this service's protocol has them."""
    model = get_service_model(call.service)
    operation = model.operation_model(call.operation)
    protocol = determine_request_protocol(model, call.request.content_type)
    serializer = get_serializer_class(call.service, protocol)(operation, value_picker=XFormedAttributePicker())
    made = serializer.serialize(result)
    body = made["body"]
    content = body.encode() if isinstance(body, str) else bytes(body or b"")
    status = result.status if isinstance(result, Refusal) else made["status_code"]
    headers = {name: str(value) for name, value in made["headers"].items()}
    if isinstance(result, ServiceException) and protocol in ("json", "rest-json"):
        headers.setdefault("x-amzn-errortype", result.code)
    return status, headers, content
