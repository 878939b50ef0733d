"""What the overlays of endpoints share: the account's endpoints and configurations, names, refusals, pages."""

import re
from dataclasses import dataclass, field
from typing import Final

from tests.aws.calls import Call, Refusal
from tests.aws.overlay.fleets import Config, Endpoint, Params, Servers
from tests.aws.world import ACCOUNT, REGION, World

_NAME: Final = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


@dataclass
class Hosting:
    """All endpoints and configurations of the account."""

    world: World
    servers: Servers
    configs: dict[str, Config] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def config(self, name: str) -> Config:
        if name not in self.configs:
            raise invalid(f'Could not find endpoint configuration "{arn("endpoint-config", name)}".')
        return self.configs[name]

    def endpoint(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise invalid(f'Could not find endpoint "{arn("endpoint", name)}".')
        return self.endpoints[name]

    def idle(self, name: str) -> Endpoint:
        """One that no operation runs on."""
        endpoint = self.endpoint(name)
        if endpoint.busy:
            raise invalid(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        return endpoint


_HOSTING: list[Hosting] = []


def hosting() -> Hosting:
    """The one of this process."""
    return _HOSTING[-1]


def install(world: World) -> None:
    _HOSTING.append(Hosting(world, Servers(world)))


def invalid(message: str) -> Refusal:
    return Refusal("ValidationException", message)


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name.lower()}"


def named(name: str, field_name: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > 63:
        raise invalid(
            f"1 validation error detected: Value '{name}' at '{field_name}' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
        )
    return name


def page(call: Call, name: str, rows: list[Params]) -> Params:
    start, size = int(call.params.get("NextToken") or 0), int(call.params.get("MaxResults") or 100)
    more = {"NextToken": str(start + size)} if start + size < len(rows) else {}
    return {name: rows[start : start + size], **more}


def tags_of(asked: Params) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in asked.get("Tags") or ()}
