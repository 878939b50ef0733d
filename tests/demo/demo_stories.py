"""Made-up hours, replays and incidents for the demo's own tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from contracts.alarm import Alarm, AlarmKind
from contracts.audit import Verification
from contracts.evaluation import Comparison, GateKind, GatePolicy, Judgement, Verdict
from contracts.incident import Outcome
from contracts.review import Decision, Resolution, ReviewOutcome
from contracts.rollout import Manifest
from contracts.training import ModelRef
from demo.baselines import Baselines
from demo.data import Hours
from demo.drive import Replay
from demo.incidents import Closed, Incident, Promoted
from demo.summary import Summary, summarise
from demo.traffic import Served

START = datetime(2020, 1, 6, tzinfo=UTC)
EVIDENCE = "e" * 64


def hours(count: int, *, start: datetime = START, seed: int = 3) -> Hours:
    """Hours of which those from 8 to 17 o'clock are mostly busy."""
    rng = np.random.default_rng(seed)
    times = tuple(start + timedelta(hours=i) for i in range(count))
    of_day = np.array([float(t.hour) for t in times])
    busy = (((of_day >= 8) & (of_day < 18)) ^ (rng.random(count) < 0.1)).astype(float)
    features = np.column_stack([of_day, [float(t.weekday()) for t in times], rng.normal(size=(count, 3))])
    return Hours(tuple(f"bikes-{t:%Y%m%d%H}" for t in times), times, features, busy)


def judgement(
    verdict: Verdict = Verdict.PROMOTE, *, gain: float = 0.1, t: float = 2.0, broken: tuple[str, ...] = ()
) -> Judgement:
    compared = ("log_loss", "accuracy", "recall")
    return Judgement(
        verdict=verdict,
        kind=GateKind.REFRESH,
        sentence=f"The verdict is {verdict.value} <b>",
        reasons=(),
        primary="log_loss",
        t=t,
        relative_gain=gain,
        rows=300,
        days=14,
        comparisons=tuple(
            Comparison(metric=m, champion=0.5, challenger=0.4, gain=0.1, low=0.0, high=0.2, margin=0.05, held=m not in broken)
            for m in compared
        ),
        evidence=EVIDENCE,
        report_uri="http://127.0.0.1:1/evidence/bikes/one/report.html",
        policy=GatePolicy(),
    )


def incident(
    week: int = 2,
    *,
    outcome: Outcome = Outcome.PROMOTED,
    review: Resolution | None = None,
    kind: AlarmKind = AlarmKind.MODEL_QUALITY,
) -> Incident:
    as_of = START + timedelta(weeks=week)
    promoted = outcome in (Outcome.PROMOTED, Outcome.ROLLED_BACK)
    facts = Closed(
        outcome=outcome,
        sentence=f"It ended as {outcome.value} <script>.",
        alarms=(Alarm(id=f"a{week}", endpoint="bikes", kind=kind, as_of=as_of),),
        judgement=judgement(),
        review=_review(review) if review else None,
        promotion=_promotion(as_of) if promoted else None,
    )
    return Incident(id=f"incident-{week}", record=week, facts=facts)


def _review(how: Resolution) -> ReviewOutcome:
    decision = Decision(approve=how is Resolution.APPROVED, reviewer="somebody", note="<script>", evidence=EVIDENCE)
    return ReviewOutcome(resolution=how, promote=decision.approve, decision=decision, decided_at=START)


def _promotion(as_of: datetime) -> Promoted:
    champion = ModelRef(endpoint="bikes", digest="c" * 64)
    manifest = Manifest(endpoint="bikes", revision=1, champion=champion, promoted_as_of=as_of, key="k")
    return Promoted(manifest=manifest)


def replay(weeks: int = 3, *, failed: int = 0) -> Replay:
    """A replay whose answers are nearly right."""
    asked = hours(168 * weeks)
    score = np.where(asked.busy == 1, 0.9, 0.1)
    return Replay(START, weeks, asked, Served(score, np.full(len(asked), "c" * 64), ()), (), failed)


def others(played: Replay) -> Baselines:
    """Two ways that know less."""
    busy = played.hours.busy
    return Baselines(never=np.full(len(busy), 0.4), weekly=np.where(busy == 1, 0.7, 0.3))


def summary(**changes: Any) -> Summary:
    """A run in which every claim holds, but for the changes."""
    played = replay(failed=changes.pop("failed", 0))
    facts: dict[str, Any] = {
        "endpoint": "bikes",
        "replay": played,
        "baselines": others(played),
        "incidents": [
            incident(0, kind=AlarmKind.ONBOARDING),
            incident(1),
            incident(2, outcome=Outcome.HELD, review=Resolution.REJECTED),
        ],
        "fates": {},
        "reviewer": "somebody",
        "verification": Verification(records=3, verified=True),
        "left": 0,
        "wall_seconds": 12.0,
    }
    return summarise(**{**facts, **changes})
