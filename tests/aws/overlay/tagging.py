"""The Resource Groups Tagging API over everything that carries tags in the simulated account.

Source: https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html: tag filters are joined by AND,
values of one by OR, a filter without values asks for the key alone; resource types are 'service' or 'service:type'.
"""

from typing import Any

from tests.aws.calls import Call, Refusal
from tests.aws.world import World

_MOST = 100


def install(world: World) -> None:
    @world.operation("resourcegroupstaggingapi", "GetResources")
    def get(call: Call) -> dict[str, Any]:
        size = int(call.params.get("ResourcesPerPage") or _MOST)
        if not 1 <= size <= _MOST:
            raise Refusal("InvalidParameterException", f"ResourcesPerPage must be between 1 and {_MOST}")
        found = sorted(arn for arn, tags in list(world.tags.items()) if _wanted(call, arn, tags))
        start = int(call.params.get("PaginationToken") or 0)
        page = found[start : start + size]
        listed = [{"ResourceARN": arn, "Tags": [{"Key": k, "Value": v} for k, v in world.tags[arn].items()]} for arn in page]
        more = str(start + size) if start + size < len(found) else ""
        return {"ResourceTagMappingList": listed, "PaginationToken": more}


def _wanted(call: Call, arn: str, tags: dict[str, str]) -> bool:
    for each in call.params.get("TagFilters") or ():
        values = each.get("Values")
        if each["Key"] not in tags or (values and tags[each["Key"]] not in values):
            return False
    types = call.params.get("ResourceTypeFilters")
    return not types or any(_is_of(arn, kind) for kind in types)


def _is_of(arn: str, kind: str) -> bool:
    service, _, wanted = kind.partition(":")
    parts = arn.split(":", 5)
    return parts[2] == service and (not wanted or parts[5].partition("/")[0] == wanted)
