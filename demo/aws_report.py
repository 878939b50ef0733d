"""What `make demo PLATFORM=aws-sim` claims, in figures, taken from the audit chain and from the account's own log of calls."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict

from contracts.incident import IncidentSummary, Outcome
from demo.reviewer import starter
from demo.summary import Audit, Claim


@dataclass(frozen=True)
class Weekly:
    """One week of answers."""

    accuracy: float
    models: frozenset[str]


class AwsSummary(BaseModel):
    """`summary.json` of the run against the simulated account."""

    model_config = ConfigDict(frozen=True)

    weeks: int
    requests: int
    accuracy_before: float
    """Of the week that set the alarm off."""
    accuracy_after: float
    """Of the weeks that the promoted challenger answered."""
    outcomes: tuple[str, ...]
    """Of each incident in turn; the first one is the onboarding."""
    training_jobs: int
    transform_jobs: int
    endpoint_updates: int
    messages_deleted: int
    dead_letters: int
    api_calls: dict[str, int]
    """Calls of homeostat and of the demo by service and operation."""
    audit: Audit
    temporary_resources_left: int
    wall_seconds: float = 0.0


async def summarise(
    *,
    weeks: Sequence[Weekly],
    incidents: Sequence[IncidentSummary],
    requests: int,
    environment: Mapping[str, str | None],
    dead_letters: int,
) -> AwsSummary:
    """Asks while everything still runs."""
    calls = await asyncio.to_thread(_calls, str(environment["AWS_ENDPOINT_URL"]))
    done = Counter((call["service"], call["operation"]) for call in calls if call["outcome"] == "ok")
    verified = json.loads(await starter(environment, "audit", "verify", "--json"))
    left = json.loads(await starter(environment, "sweep", "--dry-run", "--json"))
    last = weeks[-1].models
    return AwsSummary(
        weeks=len(weeks),
        requests=requests,
        accuracy_before=_mean(week.accuracy for week in [last_before(weeks)] if week is not None),
        accuracy_after=_mean(week.accuracy for week in weeks if week.models == last),
        outcomes=tuple(each.outcome.value for each in incidents),
        training_jobs=done["sagemaker", "CreateTrainingJob"],
        transform_jobs=done["sagemaker", "CreateTransformJob"],
        endpoint_updates=done["sagemaker", "CreateEndpoint"] + done["sagemaker", "UpdateEndpoint"],
        messages_deleted=done["sqs", "DeleteMessage"] + done["sqs", "DeleteMessageBatch"],
        dead_letters=dead_letters,
        api_calls={f"{service} {operation}": n for (service, operation), n in sorted(Counter(map(_key, calls)).items())},
        audit=Audit(records=verified["records"], verified=verified["verified"]),
        temporary_resources_left=len(left["resources"]),
    )


def claims(summary: AwsSummary) -> list[Claim]:
    """What has to hold for the demo to have worked."""
    promoted = summary.outcomes.count(Outcome.PROMOTED.value)
    return [
        Claim(
            "a CloudWatch alarm came through EventBridge and SQS",
            summary.messages_deleted >= 1,
            f"{summary.messages_deleted} messages taken",
        ),
        Claim("no alarm was lost", summary.dead_letters == 0, f"{summary.dead_letters} in the dead-letter queue"),
        Claim(
            "the first champion and a challenger were promoted",
            promoted >= 2,  # noqa: PLR2004 - two of them
            ", ".join(summary.outcomes),
        ),
        Claim(
            "more accurate than before the alarm",
            summary.accuracy_after > summary.accuracy_before,
            f"{summary.accuracy_after:.3f} against {summary.accuracy_before:.3f}",
        ),
        Claim(
            "each incident trained its two models and no more",
            summary.training_jobs == 2 * len(summary.outcomes),
            f"{summary.training_jobs} training jobs for {len(summary.outcomes)} incidents",
        ),
        Claim("nothing temporary is left", summary.temporary_resources_left == 0, f"{summary.temporary_resources_left} things"),
        Claim("the audit chain in S3 holds", summary.audit.verified, f"{summary.audit.records} records"),
    ]


def last_before(weeks: Sequence[Weekly]) -> Weekly | None:
    """The newest week that the last champion did not answer."""
    return next((week for week in reversed(weeks) if not week.models & weeks[-1].models), None)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0


def _calls(url: str) -> list[dict[str, Any]]:
    """The account's log."""
    found: list[dict[str, Any]] = httpx.get(f"{url}/_sim/calls", timeout=30, trust_env=False).json()
    return found


def _key(call: dict[str, Any]) -> tuple[str, str]:
    return call["service"], call["operation"]
