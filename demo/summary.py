"""What the demo claims, in figures, and whether the claims hold."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from contracts.audit import Verification
from contracts.incident import Outcome
from contracts.review import Resolution
from demo.baselines import Baselines
from demo.drive import Replay
from demo.incidents import Incident
from demo.quality import Quality


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True)


class Promotions(_Figures):
    auto: int
    approved: int


class Audit(_Figures):
    records: int
    verified: bool


class Onboarding(_Figures):
    """The first champion; its promotion is not counted among the others."""

    incident: str
    champion: str
    outcome: Outcome


class Summary(_Figures):
    """`summary.json`. Every count leaves the onboarding incident out."""

    endpoint: str
    data_from: datetime
    data_to: datetime
    weeks: int
    requests: int
    alarms: int
    alarms_by_fate: dict[str, int]
    incidents: int
    outcomes: dict[str, int]
    verdicts: dict[str, int]
    promotions: Promotions
    reviews: dict[str, int]
    """Reviews by how they were decided."""
    reviewer: str
    held: int
    expired: int
    rollbacks: int
    failed_requests: int
    metrics: dict[str, Quality]
    onboarding_not_counted: Onboarding | None
    audit: Audit
    temporary_resources_left: int
    wall_seconds: float


@dataclass(frozen=True)
class Claim:
    """One thing that the demo promises."""

    name: str
    holds: bool
    found: str


def summarise(
    *,
    endpoint: str,
    replay: Replay,
    baselines: Baselines,
    incidents: Sequence[Incident],
    fates: dict[str, int],
    reviewer: str,
    verification: Verification,
    left: int,
    wall_seconds: float,
) -> Summary:
    """`fates` are the lifecycle's own counts of alarms; `left` is what is temporary and still there."""
    counted = [each for each in incidents if not each.onboarding]
    outcomes = _count(each.facts.outcome.value for each in counted)
    label = replay.hours.busy
    return Summary(
        endpoint=endpoint,
        data_from=replay.hours.event_time[0],
        data_to=replay.hours.event_time[-1],
        weeks=replay.weeks,
        requests=len(replay.hours),
        alarms=sum(1 for period in replay.periods if period.alarm),
        alarms_by_fate=fates,
        incidents=len(counted),
        outcomes=outcomes,
        verdicts=_count(each.facts.judgement.verdict.value for each in counted if each.facts.judgement),
        promotions=Promotions(auto=sum(each.automatic for each in counted), approved=_resolved(counted, Resolution.APPROVED)),
        reviews=_count(each.reviewed.value for each in counted if each.reviewed),
        reviewer=reviewer,
        held=outcomes.get(Outcome.HELD.value, 0),
        expired=outcomes.get(Outcome.EXPIRED.value, 0),
        rollbacks=outcomes.get(Outcome.ROLLED_BACK.value, 0),
        failed_requests=replay.failed_requests,
        metrics={
            "never": Quality.of(label, baselines.never),
            "weekly": Quality.of(label, baselines.weekly),
            "homeostat": Quality.of(label, replay.served.score),
        },
        onboarding_not_counted=_onboarding(incidents),
        audit=Audit(records=verification.records, verified=verification.verified),
        temporary_resources_left=left,
        wall_seconds=round(wall_seconds, 1),
    )


def claims(summary: Summary) -> list[Claim]:
    """What has to hold for the demo to have worked."""
    ours, never = summary.metrics["homeostat"], summary.metrics["never"]
    promoted, decided = summary.promotions, sum(summary.reviews.values()) - summary.reviews.get(Resolution.EXPIRED.value, 0)
    audit = summary.audit
    return [
        Claim(
            "more accurate than never retrained",
            ours.accuracy > never.accuracy,
            f"{ours.accuracy:.3f} against {never.accuracy:.3f}",
        ),
        Claim(
            "lower log loss than never retrained",
            ours.log_loss < never.log_loss,
            f"{ours.log_loss:.3f} against {never.log_loss:.3f}",
        ),
        Claim("promoted by itself at least once", promoted.auto >= 1, _some(promoted.auto, "promotion")),
        Claim("a review was decided", decided >= 1, _some(decided, "review")),
        Claim("no request failed", summary.failed_requests == 0, f"{summary.failed_requests} of {summary.requests:,}"),
        Claim(
            "nothing temporary is left", summary.temporary_resources_left == 0, _some(summary.temporary_resources_left, "thing")
        ),
        Claim("the audit chain holds", audit.verified, _some(audit.records, "record")),
    ]


def _some(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names))


def _resolved(incidents: Sequence[Incident], how: Resolution) -> int:
    return sum(each.promoted and each.reviewed is how for each in incidents)


def _onboarding(incidents: Sequence[Incident]) -> Onboarding | None:
    first = next((each for each in incidents if each.onboarding), None)
    return None if first is None else Onboarding(incident=first.id, champion=first.champion, outcome=first.facts.outcome)
