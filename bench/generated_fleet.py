"""A fleet of any size for the review page: lifecycles that answer at once, and an audit chain as the loop writes it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np

from contracts.alarm import Alarm, AlarmKind, Reading, Severity
from contracts.audit import Anchor, AuditEntry, AuditEvent
from contracts.evaluation import GatePolicy, Judgement
from contracts.fleet import EndpointPolicy
from contracts.ids import incident_id, lifecycle_id, remediation_id
from contracts.incident import (
    IncidentSummary,
    LifecycleState,
    LifecycleStatus,
    OpenIncident,
    Outcome,
    RemediationRequest,
    RemediationStatus,
    Stage,
    WaitingOn,
)
from contracts.rollout import Manifest
from contracts.training import ModelRef
from platforms.files import json_bytes, write_atomic
from platforms.local.audit import LocalAudit
from platforms.local.manifests import LocalManifests
from policies import audit_chain
from policies.gate import judge
from policies.paired import PairedScores
from review.loop import Gone, Loop, Seen

NOW = datetime.now(UTC).replace(microsecond=0)
_DAYS = 28
_ROWS = 4000


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@cache
def judgement(seed: int) -> Judgement:
    """A real one: better, worse or neither, as the seed falls."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.integers(0, _DAYS, _ROWS))
    truth = rng.normal(0, 1.5, _ROWS)
    label = (rng.random(_ROWS) < 1 / (1 + np.exp(-truth))).astype(np.float64)
    noise = (0.9, 0.35) if seed % 3 == 0 else (0.35, 0.9) if seed % 3 == 1 else (0.5, 0.49)
    champion, challenger = (1 / (1 + np.exp(-(truth + rng.normal(0, scale, _ROWS)))) for scale in noise)
    trained = NOW - timedelta(days=60)
    pair = PairedScores(day=day + 20000, champion=champion, challenger=challenger, label=label)
    return judge(
        holdout=pair,
        replay=pair,
        gate=GatePolicy(),
        threshold=0.5,
        champion_trained_through=trained,
        challenger_trained_through=trained + timedelta(days=30),
        weeks_since_promotion=4.0,
        evidence_digest=digest(f"evidence {seed}"),
    )


def policy(team: str, **review: object) -> EndpointPolicy:
    return EndpointPolicy.model_validate(
        {
            "team": team,
            "cost_center": "cc-7",
            "data": {"table": "rows", "features": ["x"], "label": "y"},
            "review": {"unverified": "accept", **review},
        }
    )


def alarm(endpoint: str, n: int, as_of: datetime) -> Alarm:
    return Alarm(
        id=f"drift-{endpoint}-{n}",
        endpoint=endpoint,
        kind=AlarmKind.MODEL_QUALITY,
        as_of=as_of,
        severity=(Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)[n % 3],
        source="homeostat monitor",
        message="Brier score of the last seven days is above its reference by more than the margin.",
        metrics=(Reading(name="brier", value=0.171, threshold=0.155, reference=0.148),),
    )


@dataclass
class GeneratedLoop(Loop):
    """Answers as `size` lifecycles do, of which every tenth has an incident that waits for a person."""

    client: None = None  # type: ignore[assignment]
    size: int = 12
    statuses: dict[str, LifecycleStatus] = field(default_factory=dict)
    open: dict[str, tuple[RemediationRequest, RemediationStatus]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for n in range(self.size):
            self._make(f"{_NAMES[n % len(_NAMES)]}-{n:03d}", n)

    def _make(self, name: str, n: int) -> None:
        as_of, given = NOW - timedelta(hours=n % 40 + 2), policy(f"team-{n % 9}")
        opened = None
        if n % 10 == 0:
            first = alarm(name, n, as_of)
            incident = incident_id(first.id, as_of)
            request = RemediationRequest(
                endpoint=name, incident=incident, alarms=(first,), policy=given, promotion_tokens=0.0, weeks_since_promotion=3.0
            )
            self.open[f"{name}/{incident}"] = (request, _status(request, judgement(n // 10 % 6)))
            opened = OpenIncident(
                incident=incident,
                workflow_id=remediation_id(name, incident),
                as_of=as_of,
                severity=first.severity,
                started=as_of,
            )
        summary = IncidentSummary(incident="earlier", outcome=Outcome.PROMOTED, as_of=as_of, sentence="Promoted by itself.")
        state = LifecycleState(endpoint=name, policy=given, open=opened, tokens=1.4, history=(summary,), counts={"opened": n % 7})
        self.statuses[name] = LifecycleStatus(state=state, stage="incident" if opened else "idle")

    async def running(self) -> AsyncIterator[Seen]:
        for name, status in self.statuses.items():
            yield Seen(lifecycle_id(name), "run", "EndpointLifecycle", NOW, status.stage, "nothing", "", "")
        for request, work in self.open.values():
            workflow_id = remediation_id(request.endpoint, request.incident)
            stage, waiting = work.stage.value, work.waiting_on.value
            yield Seen(workflow_id, "run", "Remediation", NOW, stage, waiting, request.incident, request.severity.value)

    async def lifecycle(self, endpoint: str) -> LifecycleStatus:
        if endpoint not in self.statuses:
            raise Gone(endpoint)
        return self.statuses[endpoint]

    async def remediation(self, endpoint: str, incident: str) -> RemediationStatus:
        return self._open(endpoint, incident)[1]

    async def request(self, endpoint: str, incident: str) -> RemediationRequest:
        return self._open(endpoint, incident)[0]

    def _open(self, endpoint: str, incident: str) -> tuple[RemediationRequest, RemediationStatus]:
        try:
            return self.open[f"{endpoint}/{incident}"]
        except KeyError:
            raise Gone(incident) from None


def _status(request: RemediationRequest, judged: Judgement) -> RemediationStatus:
    return RemediationStatus(
        endpoint=request.endpoint,
        incident=request.incident,
        stage=Stage.REVIEW,
        waiting_on=WaitingOn.PERSON,
        since=NOW - timedelta(hours=1),
        alarms=tuple(one.id for one in request.alarms),
        evidence=judged.evidence,
        judgement=judged,
        review_deadline=NOW + timedelta(hours=20),
        sentence=f"Waiting for a reviewer: {judged.sentence}",
    )


def write_chain(home: Path, anchors: Path, endpoints: list[str], incidents: int) -> LocalAudit:
    """Two records for each incident, written at once: what the loop makes durable one by one takes longer."""
    path, chance = home / "audit" / "audit.jsonl", Random(7)  # noqa: S311 - no secret
    head, lines = audit_chain.GENESIS, list[bytes]()
    for n in range(incidents):
        name, at = endpoints[n % len(endpoints)], NOW - timedelta(hours=3 * (incidents - n))
        for entry in _entries(name, n, at, chance.choice(list(Outcome))):
            record = audit_chain.seal(entry, seq=len(lines) + 1, previous=head)
            head = record.hash
            lines.append(audit_chain.to_line(record))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(lines))
    anchors.mkdir(parents=True, exist_ok=True)
    write_atomic(anchors / "audit.json", json_bytes(Anchor(records=len(lines), head=head)))
    return LocalAudit(home, anchors)


def _entries(name: str, n: int, at: datetime, outcome: Outcome) -> list[AuditEntry]:
    first, judged = alarm(name, n, at), judgement(n % 6)
    incident = incident_id(first.id, at)
    facts = {
        "alarms": [first.model_dump(mode="json", exclude_none=True)],
        "judgement": judged.model_dump(mode="json"),
        "cost_usd": 0.0123,
        "notes": ["the gate's conditions all hold"],
    }
    workflow = remediation_id(name, incident)
    ended = {**facts, "outcome": outcome.value, "sentence": f"{outcome.value.replace('_', ' ').capitalize()}: {judged.sentence}"}
    return [
        AuditEntry(key=f"{workflow}/audit/1", endpoint=name, incident=incident, event=AuditEvent.DECIDED, at=at, facts=facts),
        AuditEntry(
            key=f"{workflow}/audit/2",
            endpoint=name,
            incident=incident,
            event=AuditEvent.CLOSED,
            at=at + timedelta(hours=2),
            facts=ended,
        ),
    ]


def write_manifests(home: Path, endpoints: list[str]) -> None:
    store = LocalManifests(home)
    for n, name in enumerate(endpoints):
        former = digest(f"former {name}")
        store.write(
            Manifest(
                endpoint=name,
                revision=1,
                champion=ModelRef(endpoint=name, digest=digest(f"champion {name}")),
                lineage=(former,),
                promoted_as_of=NOW - timedelta(days=n % 60),
                key=f"first/{name}",
            )
        )


_NAMES = ("bikes", "churn", "credit", "delays", "demand", "fraud", "rentals", "returns")
