"""The incidents as the audit chain tells them: what the page and the summary say, an auditor can read there too."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from pydantic import BaseModel

from contracts.alarm import Alarm, AlarmKind
from contracts.audit import AuditEvent
from contracts.evaluation import Judgement
from contracts.incident import Outcome
from contracts.review import Resolution, ReviewOutcome
from contracts.rollout import Manifest
from platforms.ports import AuditStore

_PROMOTED = (Outcome.PROMOTED, Outcome.ROLLED_BACK)


class Promoted(BaseModel):
    """What a promotion wrote."""

    manifest: Manifest


class Closed(BaseModel):
    """The facts of a record of kind 'closed' that the demo shows."""

    outcome: Outcome
    sentence: str
    alarms: tuple[Alarm, ...]
    judgement: Judgement | None = None
    review: ReviewOutcome | None = None
    promotion: Promoted | None = None
    asked_because: tuple[str, ...] = ()


@dataclass(frozen=True)
class Incident:
    """One incident from its alarm to its end."""

    id: str
    record: int
    """Number of its record in the audit chain."""
    facts: Closed

    @property
    def onboarding(self) -> bool:
        return any(alarm.kind is AlarmKind.ONBOARDING for alarm in self.facts.alarms)

    @property
    def as_of(self) -> datetime:
        """Time of the data at which it began."""
        return max(alarm.as_of for alarm in self.facts.alarms)

    @property
    def promoted(self) -> bool:
        return self.facts.promotion is not None and self.facts.outcome in _PROMOTED

    @property
    def automatic(self) -> bool:
        return self.promoted and self.facts.review is None

    @property
    def reviewed(self) -> Resolution | None:
        return self.facts.review.resolution if self.facts.review else None

    @property
    def champion(self) -> str:
        """Digest of the model that it put into service, or nothing."""
        return self.facts.promotion.manifest.champion.digest if self.facts.promotion else ""

    @property
    def report(self) -> str:
        """Its evidence, as a path under the home folder."""
        return urlsplit(self.facts.judgement.report_uri).path.lstrip("/") if self.facts.judgement else ""


def closed_incidents(audit: AuditStore, endpoint: str) -> list[Incident]:
    """Every incident that has closed, in that order."""
    return list(_closed(audit, endpoint))


def _closed(audit: AuditStore, endpoint: str) -> Iterator[Incident]:
    for record in audit.read(endpoint):
        if record.entry.event is AuditEvent.CLOSED:
            yield Incident(record.entry.incident, record.seq, Closed.model_validate(record.entry.facts))
