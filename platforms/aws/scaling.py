"""Application Auto Scaling of an endpoint: bounds that a deployment must leave as they were, and what scaling did meanwhile.

Source: docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html; a deployment must not lose the scalable target, its
policies or its scheduled actions, so the target is never deregistered, only registered again with its own bounds.
"""

from datetime import datetime
from typing import Final

from pydantic import Field

from contracts.base import Contract
from platforms.aws.calls import Answer, Aws

_NAMESPACE: Final = "sagemaker"
_DIMENSION: Final = "sagemaker:variant:DesiredInstanceCount"
_MOST: Final = 20


class Bounds(Contract):
    """Of a scalable target."""

    least: int
    most: int
    suspended: dict[str, bool] = Field(default_factory=dict)
    """Which kinds of scaling are suspended, by AWS's names."""


class AwsScaling:
    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def bounds(self, endpoint: str, variant: str) -> Bounds | None:
        """None where nothing scales the variant."""
        asked = {"ResourceIds": [_resource(endpoint, variant)], "ScalableDimension": _DIMENSION}
        answer = self._aws.call("application-autoscaling", "describe_scalable_targets", ServiceNamespace=_NAMESPACE, **asked)
        for target in answer.get("ScalableTargets", ()):
            return Bounds(least=target["MinCapacity"], most=target["MaxCapacity"], suspended=target.get("SuspendedState") or {})
        return None

    def hold(self, endpoint: str, variant: str, bounds: Bounds) -> None:
        """Assert the bounds again: policies and scheduled actions stay, and a count outside of them is brought back."""
        asked = {"ResourceId": _resource(endpoint, variant), "ScalableDimension": _DIMENSION}
        suspended = {"SuspendedState": bounds.suspended} if bounds.suspended else {}
        self._aws.call(
            "application-autoscaling",
            "register_scalable_target",
            ServiceNamespace=_NAMESPACE,
            MinCapacity=bounds.least,
            MaxCapacity=bounds.most,
            **asked,
            **suspended,
        )

    def troubles(self, endpoint: str, variant: str, since: datetime) -> tuple[str, ...]:
        """Scaling that failed or didn't happen since then, in words, the newest first."""
        found = (_words(activity) for activity in self._activities(endpoint, variant, since))
        return tuple(dict.fromkeys(words for words in found if words))[:_MOST]

    def _activities(self, endpoint: str, variant: str, since: datetime) -> list[Answer]:
        """The newest come first, so that reading stops where the last look began."""
        found: list[Answer] = []
        pages = self._aws.pages(
            "application-autoscaling",
            "describe_scaling_activities",
            ServiceNamespace=_NAMESPACE,
            ResourceId=_resource(endpoint, variant),
            ScalableDimension=_DIMENSION,
            IncludeNotScaledActivities=True,
        )
        for page in pages:
            fresh = [activity for activity in page.get("ScalingActivities", ()) if activity["StartTime"] >= since]
            found += fresh
            if len(fresh) < len(page.get("ScalingActivities", ())):
                break
        return found


def _resource(endpoint: str, variant: str) -> str:
    return f"endpoint/{endpoint}/variant/{variant}"


def _words(activity: Answer) -> str | None:
    if activity.get("NotScaledReasons"):
        reasons = ", ".join(str(reason["Code"]) for reason in activity["NotScaledReasons"])
        return f"did not scale ({reasons}): {activity.get('Cause', '')[:200]}"
    if activity["StatusCode"] in {"Failed", "Unfulfilled", "Overridden"}:
        return f"scaling {activity['StatusCode'].lower()}: {activity.get('StatusMessage') or activity.get('Description', '')}"[
            :300
        ]
    return None
