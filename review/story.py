"""One incident as people read it: what happened, in order, and what it rests on. From the record where it closed, else live."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from contracts.alarm import Alarm
from contracts.audit import AuditRecord
from contracts.base import Utc
from contracts.delivery import Untold
from contracts.evaluation import Comparison, Judgement
from contracts.incident import RemediationStatus
from contracts.notices import NoticeKind, Told
from contracts.review import Counted, RefusedDecision, ReviewOutcome, Vouched
from review.book import Incident

Facts = Mapping[str, Any]
M = TypeVar("M", bound=BaseModel)
_MOMENT: Final[TypeAdapter[datetime]] = TypeAdapter(Utc)
_ALARMS: Final = 20


@dataclass(frozen=True)
class Moment:
    """One entry of the timeline. `tone` is 'good', 'bad', 'open' or ''."""

    title: str
    text: str = ""
    at: datetime | None = None
    data_time: bool = False
    """`at` is a time of the data, not of the clock."""
    tone: str = ""
    link: str = ""
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Story:
    moments: tuple[Moment, ...]
    judgement: Judgement | None
    review: ReviewOutcome | None
    refused: tuple[RefusedDecision, ...]
    asked_because: tuple[str, ...]
    cost_usd: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Bar:
    """A gain with its interval, for a small drawing: percent of the width, the middle is no difference."""

    left: float
    width: float
    dot: float


def tell(row: Incident, records: list[AuditRecord]) -> Story:
    """`records` are the incident's own, the oldest first."""
    facts = _facts(row, records)
    judgement = _read(Judgement, facts.get("judgement"))
    review = _read(ReviewOutcome, facts.get("review"))
    refused = _all(RefusedDecision, facts.get("refused"))
    moments = (
        *_alarms(facts),
        *_work(facts, judgement),
        *_asked(row, facts, review),
        *_untold(facts),
        *_recorded(records),
        *_standing(row),
    )
    return Story(
        moments=tuple(moments),
        judgement=judgement,
        review=review,
        refused=refused,
        asked_because=_texts(facts.get("asked_because")),
        cost_usd=_number(facts.get("cost_usd")),
        notes=_texts(facts.get("notes")),
    )


def bar(comparison: Comparison) -> Bar:
    reach = max(abs(comparison.low), abs(comparison.high), abs(comparison.gain)) or 1.0
    place = [50 + 46 * value / reach for value in (comparison.low, comparison.high, comparison.gain)]
    return Bar(round(place[0], 2), round(max(place[1] - place[0], 0.5), 2), round(place[2], 2))


def _facts(row: Incident, records: list[AuditRecord]) -> Facts:
    """The newest record's facts; of an open incident, what it says of itself."""
    found: dict[str, Any] = {}
    for record in records:
        found |= record.entry.facts
    if row.request is not None and "alarms" not in found:
        found["alarms"] = [alarm.model_dump(mode="json") for alarm in row.request.alarms]
    return found | (_live(row.status) if row.status is not None and row.open else {})


def _live(status: RemediationStatus) -> dict[str, Any]:
    said = status.model_dump(mode="json")
    found = {key: said[key] for key in ("judgement", "review", "refused", "decisions", "told", "untold", "missing") if said[key]}
    if status.asked is not None:
        found["asked_because"] = list(status.asked.reasons)
    if status.challenger is not None:
        found |= {"refit": said["challenger"], "cost_usd": status.challenger.cost_usd}
    return found


def _alarms(facts: Facts) -> Iterator[Moment]:
    alarms = _all(Alarm, facts.get("alarms"))
    for alarm in alarms[:_ALARMS]:
        readings = tuple((one.name, _reading(one.value, one.threshold)) for one in alarm.metrics)
        yield Moment(
            title=f"Alarm: {alarm.kind.value.replace('_', ' ')}, {alarm.severity.value}",
            text=alarm.message,
            at=alarm.as_of,
            data_time=True,
            tone="open",
            details=(("source", alarm.source), ("id", alarm.id), *readings),
        )
    if len(alarms) > _ALARMS:
        yield Moment(title=f"{len(alarms) - _ALARMS} more alarms joined")


def _reading(value: float | None, threshold: float | None) -> str:
    said = "-" if value is None else f"{value:.4g}"
    return said if threshold is None else f"{said} (threshold {threshold:.4g})"


def _work(facts: Facts, judgement: Judgement | None) -> Iterator[Moment]:
    snapshot = facts.get("snapshot")
    if isinstance(snapshot, dict):
        coverage = _room(snapshot, "coverage")
        shown = tuple((name.replace("_", " "), str(coverage[name])) for name in ("rows", "labelled", "days") if name in coverage)
        said = f"Data: {coverage.get('verdict') or 'taken'}"
        yield Moment(title=said, text=_findings(coverage), at=_moment(snapshot.get("as_of")), data_time=True, details=shown)
    refit = facts.get("refit")
    if isinstance(refit, dict):
        details = (
            ("model", str(_room(refit, "model").get("digest", ""))[:12]),
            ("rows", str(refit.get("rows", ""))),
            ("training", _cost(refit)),
        )
        through = _moment(refit.get("trained_through"))
        yield Moment(title="Challenger trained", at=through, data_time=True, details=details)
    if judgement is not None:
        tone = {"promote": "good", "regress": "bad"}.get(judgement.verdict.value, "open")
        details = (("gate", judgement.kind.value), ("rows", str(judgement.rows)), ("days", str(judgement.days)))
        yield Moment(title=f"Verdict: {judgement.verdict.value}", text=judgement.sentence, tone=tone, details=details)


def _findings(coverage: Facts) -> str:
    findings = coverage.get("findings")
    said = [str(one.get("sentence", "")) for one in findings[:3] if isinstance(one, dict)] if isinstance(findings, list) else []
    return " ".join(said)[:600]


def _cost(trained: Facts) -> str:
    cost = _number(trained.get("cost_usd")) or 0.0
    seconds = _number(trained.get("seconds")) or 0.0
    return f"{seconds:.1f} s" + (f", ${cost:.4f}" if cost else "")


def _asked(row: Incident, facts: Facts, review: ReviewOutcome | None) -> Iterator[Moment]:
    """What people were told and what they said, in the order of the clock."""
    because = "; ".join(_texts(facts.get("asked_because")))
    found = [_told(one, because) for one in _all(Told, facts.get("told"))]
    if not found and (because or row.deadline or review):
        found.append(Moment(title="People were asked", text=because and f"Because {because}.", tone="open"))
    found += [
        Moment(title=f"A decision of {one.reviewer} did not count", text=one.reason, at=one.at, tone="bad")
        for one in _all(RefusedDecision, facts.get("refused"))
    ]
    found += [_counted(one) for one in (review.decisions if review else _all(Counted, facts.get("decisions")))]
    if review is not None:
        found.append(_resolved(review))
    yield from sorted(found, key=lambda moment: moment.at.timestamp() if moment.at else 0.0)
    if missing := str(facts.get("missing") or ""):
        yield Moment(title="Still missing", text=missing, tone="open")


def _told(told: Told, because: str) -> Moment:
    title = "People were asked" if told.kind is NoticeKind.REVIEW else f"People were told: {told.kind.value}"
    text = f"Because {because}." if because and told.kind is NoticeKind.REVIEW else ""
    return Moment(title=title, text=text, at=told.at, tone="open", details=(("to", ", ".join(told.to)),))


def _untold(facts: Facts) -> Iterator[Moment]:
    """Channels that a notice hasn't come through."""
    for one in _all(Untold, facts.get("untold")):
        until = one.trying_until.strftime("%Y-%m-%d %H:%M UTC") if one.trying_until else ""
        yield Moment(
            title=f"Not told by {one.channel}: {one.kind.value}", text=one.reason, tone="bad", details=(("tried until", until),)
        )


def _counted(one: Counted) -> Moment:
    said = "Approved" if one.decision.approve else "Rejected"
    place = f" in {one.instead_of}'s place" if one.instead_of else ""
    return Moment(
        title=f"{said} by {one.decision.reviewer}{place}",
        text=one.decision.note,
        at=one.at,
        tone="good" if one.decision.approve else "bad",
        details=(("vouched for by", _vouched(one.vouched)), ("only if", ", ".join(one.decision.only_if))),
    )


def _vouched(vouched: Vouched | None) -> str:
    if vouched is None:
        return "nobody (unverified)"
    return f"{vouched.how.value}{f', {vouched.login}' if vouched.login else ''}"


def _resolved(review: ReviewOutcome) -> Moment:
    tone = "good" if review.promote else "bad" if review.resolution.value == "rejected" else "open"
    who = f" by {review.decision.reviewer}" if review.decision else ""
    note = review.decision.note if review.decision and not review.decisions else review.reason
    title = f"Review {review.resolution.value}{who}"
    return Moment(title=title, text=note, at=review.decided_at, tone=tone, details=(("identity", review.identity),))


def _recorded(records: list[AuditRecord]) -> Iterator[Moment]:
    for record in records:
        facts = record.entry.facts
        outcome = str(facts.get("outcome") or "").replace("_", " ")
        title = f"Closed: {outcome}" if record.entry.event.value == "closed" else f"Recorded: {record.entry.event.value}"
        text = str(facts.get("sentence") or "") if record.entry.event.value == "closed" else ""
        yield Moment(title=title, text=text, at=record.entry.at, link=f"/audit/{record.seq}", tone=_end(outcome))


def _end(outcome: str) -> str:
    return {"promoted": "good", "recalibrated": "good", "failed": "bad", "rolled back": "bad"}.get(outcome, "")


def _standing(row: Incident) -> Iterator[Moment]:
    if row.open:
        yield Moment(title=f"Now: {row.stage.replace('_', ' ') or 'opened'}", text=row.sentence, at=row.at, tone="open")


def _room(facts: Facts, name: str) -> Facts:
    found = facts.get(name)
    return found if isinstance(found, dict) else {}


def _read(model: type[M], value: Any) -> M | None:  # noqa: ANN401 - whatever a record holds
    """None where the record holds none, or one of a shape that this version can't read."""
    if not isinstance(value, dict):
        return None
    try:
        return model.model_validate(value)
    except ValidationError:
        return None


def _all(model: type[M], values: Any) -> tuple[M, ...]:  # noqa: ANN401 - whatever a record holds
    found = [_read(model, value) for value in values] if isinstance(values, list) else []
    return tuple(one for one in found if one is not None)


def _texts(values: Any) -> tuple[str, ...]:  # noqa: ANN401 - whatever a record holds
    return tuple(str(one) for one in values) if isinstance(values, list | tuple) else ()


def _number(value: Any) -> float | None:  # noqa: ANN401 - whatever a record holds
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _moment(value: Any) -> datetime | None:  # noqa: ANN401 - whatever a record holds
    try:
        return _MOMENT.validate_python(value)
    except ValidationError:
        return None
