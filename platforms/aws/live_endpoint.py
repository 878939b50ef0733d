"""What SageMaker says of an endpoint, read once."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from platforms.aws.calls import Answer, Aws
from platforms.errors import Invalid, NotFound

BUSY: Final = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
_USUAL: Final = "AllTraffic"


@dataclass(frozen=True)
class LiveEndpoint:
    name: str
    status: str
    config: str
    variant: str
    current: int
    desired: int
    modified: datetime
    reason: str
    pending: str | None = None
    """The configuration that a running deployment goes to."""
    arriving: int = 0
    """Instances of it that are there."""

    @property
    def busy(self) -> bool:
        return self.status in BUSY

    @property
    def serving(self) -> bool:
        """Its configuration is in service and no deployment runs; scaling alone is none."""
        return self.status == "InService" or (self.status in {"Updating", "SystemUpdating"} and self.pending is None)

    def instances(self) -> Counter[str]:
        """By configuration."""
        found = Counter({self.config: self.current})
        if self.pending is not None:
            found[self.pending] += self.arriving
        return found


def read(aws: Aws, name: str) -> LiveEndpoint | None:
    """None where there is none. Raises: Invalid (several variants: which of them is the champion?), Unavailable."""
    try:
        answer = aws.call("sagemaker", "describe_endpoint", EndpointName=name)
    except NotFound:
        return None
    variants: list[Answer] = answer.get("ProductionVariants") or [{"VariantName": _USUAL}]
    if len(variants) > 1:
        names = ", ".join(str(variant["VariantName"]) for variant in variants)
        raise Invalid(f"endpoint {name} has several variants ({names}): one champion serves one variant; make it one of them")
    pending = answer.get("PendingDeploymentSummary") or {}
    return LiveEndpoint(
        name=name,
        status=answer["EndpointStatus"],
        config=answer.get("EndpointConfigName", ""),
        variant=variants[0]["VariantName"],
        current=_total(variants, "CurrentInstanceCount"),
        desired=_total(variants, "DesiredInstanceCount"),
        modified=answer["LastModifiedTime"],
        reason=answer.get("FailureReason", ""),
        pending=pending.get("EndpointConfigName"),
        arriving=_total(pending.get("ProductionVariants") or [], "CurrentInstanceCount"),
    )


def _total(variants: list[dict[str, Any]], what: str) -> int:
    return sum(int(variant.get(what) or 0) for variant in variants)
