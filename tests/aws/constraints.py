"""What an API's model allows a text or number to be, which boto3 doesn't check: SageMaker does, and refuses the whole call.

Source: the patterns, bounds and lists in botocore's own service models.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from moto.core.utils import get_service_model

from tests.aws.calls import Call, Refusal

CHECKED = frozenset({"sagemaker"})


def hold(call: Call) -> None:
    """Raises: Refusal (ValidationException, with each constraint that is broken)."""
    shape = get_service_model(call.service).operation_model(call.operation).input_shape if call.service in CHECKED else None
    broken = list(_broken(shape, call.params, "")) if shape else []
    if broken:
        count = f"{len(broken)} validation error{'s' if len(broken) > 1 else ''} detected"
        raise Refusal("ValidationException", f"{count}: {'; '.join(broken)}")


def _broken(shape: Any, value: Any, at: str) -> Iterator[str]:
    if value is None:
        return
    if shape.type_name == "structure":
        for name, inner in value.items():
            if name in shape.members:
                yield from _broken(shape.members[name], inner, f"{at}.{name[0].lower()}{name[1:]}".lstrip("."))
    elif shape.type_name == "list":
        for number, inner in enumerate(value, start=1):
            yield from _broken(shape.member, inner, f"{at}.{number}.member")
    elif shape.type_name == "map":
        for key, inner in value.items():
            yield from _broken(shape.value, inner, f"{at}.{key}.member")
    elif shape.type_name == "string" and (wanted := _wanted(shape.metadata, value)):
        yield f"Value '{value}' at '{at}' failed to satisfy constraint: Member must {wanted}"


def _wanted(limits: dict[str, Any], value: str) -> str:
    if len(value) > limits.get("max", len(value)):
        return f"have length less than or equal to {limits['max']}"
    if limits.get("enum") and value not in limits["enum"]:
        return f"satisfy enum value set: {limits['enum']}"
    pattern = limits.get("pattern")
    return "" if not pattern or _compiled(pattern).fullmatch(value) else f"satisfy regular expression pattern: {pattern}"


_CLASSES = {"L": r"\w", "N": r"\w", "M": r"\w", "Z": r"\s", "S": r"\W", "P": r"\W", "Alnum": "a-zA-Z0-9"}


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Java's classes in Python's words. Some end in a slip, `${1,256}`; a few of calls that nobody makes say what Python can't."""
    ours = re.sub(r"\\p\{(\w+)\}", lambda found: _CLASSES[found[1]], re.sub(r"\$\{1,\d+\}$", "", pattern))
    try:
        return re.compile(ours)
    except re.error:
        return re.compile(r"[\s\S]*")
