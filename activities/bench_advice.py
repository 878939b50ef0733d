"""The record's advice as of a moment, by the pure judgement; the paired scores it rests on become evidence."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np

from activities.bench_champion import Champions
from activities.bench_part import ScoredRows
from activities.bench_record import Recorded, state_of
from activities.predictions import Part, encode
from contracts.evaluation import Evidence, Judgement
from contracts.shadow import AdviseBench, BenchAdvice, BenchFit, BenchState, Shift
from contracts.snapshot import Window
from contracts.training import Challenger, ModelCard
from platforms.ports import Platform, Rows
from policies import prequential
from policies.bench_turns import bench_of
from policies.intake import weeks_between
from policies.paired import PairedScores
from policies.prequential import Advice, Champion
from policies.recalibration import Recalibration


def advise(platform: Platform, request: AdviseBench) -> BenchAdvice:
    """Raises: NotFound, Corrupt, Invalid, Exhausted."""
    asked = _asked(platform, request)
    return _answer(asked, _evidence(platform, asked))


@dataclass(frozen=True)
class _Asked:
    """The judgement with all that it was made of."""

    request: AdviseBench
    state: BenchState
    card: ModelCard | None
    champion: Champion | None
    rows: ScoredRows
    advice: Advice

    @property
    def digest(self) -> str | None:
        return self.card.model.digest if self.card else None


def _asked(platform: Platform, request: AdviseBench) -> _Asked:
    """A turn is judged against who served by then, an incident against who serves now."""
    state = state_of(platform, request.endpoint, request.policy)
    recorded = Recorded(platform, request.policy, request.snapshot, state)
    until = None if request.incident else request.snapshot.as_of
    champions = Champions.of(platform, request.endpoint, request.policy.data, until)
    card = champions.present
    root = champions.root(card.model) if card else None
    champion = champions.judged(recorded.members, is_on(state, root, champions)) if card else None
    rows = recorded.everything(champions)
    record, rows = recorded.record(rows, root, champion.promoted_at if champion else None)
    bench = bench_of(request.policy)
    blend = state.blend or next(iter(bench.blends))
    advice = prequential.advise(record=record, now=request.snapshot.as_of, champion=champion, blend=blend, bench=bench)
    return _Asked(request, state, card, champion, rows, advice)


def is_on(state: BenchState, root: str | None, champions: Champions) -> bool:
    """Whether the champion's recalibration is on: as the record noted, or, for one promoted since, as its refit was."""
    if root is None:
        return False
    if state.champion == root:
        return state.recalibrating
    present = champions.present
    assert present is not None  # it has a root
    return state.refit_recalibrating or any(champions.shift_of(present.model))


def newest_fit(state: BenchState) -> BenchFit | None:
    return next((fit for fit in reversed(state.fits) if fit.challenger is not None), None)


def _answer(asked: _Asked, evidence: Evidence | None) -> BenchAdvice:
    advice, champion, moment = asked.advice, asked.champion, asked.request.snapshot.as_of
    promoted = None if champion is None or champion.first else champion.promoted_at
    return BenchAdvice(
        endpoint=asked.request.endpoint,
        as_of=moment,
        blend=advice.blend,
        members=advice.members,
        losses=dict(advice.losses),
        judgement=_named(advice.judgement, evidence),
        reason=advice.reason,
        refit=_shift(advice.refit),
        recalibration=None if advice.recalibration is None else _shift(advice.recalibration),
        champion=asked.digest,
        champion_trained_through=champion.trained_through if champion else None,
        weeks_since_promotion=weeks_between(promoted, moment),
        judged=newest_fit(asked.state),
        evidence=evidence,
        rows=len(asked.rows),
        parts=tuple(part for part in asked.state.parts if part.window.start < moment),
    )


def _named(judgement: Judgement | None, evidence: Evidence | None) -> Judgement | None:
    """A decision names the digest of the evidence that was kept."""
    if judgement is None or evidence is None:
        return judgement
    return judgement.model_copy(update={"evidence": evidence.digest})


def _shift(found: Recalibration) -> Shift:
    return Shift(on=found.on, shift=found.shift, gain=found.gain, changed=found.changed)


def _evidence(platform: Platform, asked: _Asked) -> Evidence | None:
    """Named by their content, so that a repeat writes nothing new. None where nothing is judged or nobody asked."""
    request, fit = asked.request, newest_fit(asked.state)
    if not request.incident or asked.advice.scores is None or fit is None or fit.challenger is None:
        return None
    part = _paired(asked.advice.scores, asked)
    predictions = encode(part, _nothing(part))
    manifest = _manifest(asked, fit.challenger, predictions)
    digest = sha256(manifest).hexdigest()
    uri = platform.evidence.write(request.endpoint, request.incident, f"predictions-{digest[:16]}.parquet", predictions)
    platform.evidence.write(request.endpoint, request.incident, f"evidence-{digest[:16]}.json", manifest)
    return Evidence(
        uri=uri,
        digest=digest,
        holdout_rows=len(part.rows),
        replay_rows=0,
        replay_labelled=0,
        compared=_window(part.rows, request.snapshot.as_of),
        champion=asked.digest,
        challenger=fit.challenger.model.digest,
    )


def _manifest(asked: _Asked, fit: Challenger, predictions: bytes) -> bytes:
    """What the verdict rests on, by digest."""
    request = asked.request
    facts = {
        "endpoint": request.endpoint,
        "incident": request.incident,
        "predictions_sha256": sha256(predictions).hexdigest(),
        "dataset_sha256": request.snapshot.dataset.sha256,
        "champion": asked.digest,
        "challenger": fit.model.digest,
        "refit": None,
        "threshold": request.policy.serving.threshold,
        "blend": asked.advice.blend,
        "members": list(asked.advice.members),
        "parts": [part.sha256 for part in asked.state.parts],
    }
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


def _paired(scores: PairedScores, asked: _Asked) -> Part:
    """The rows that were judged, in the form of the evidence file's holdout."""
    ids, moments = asked.rows.ids[asked.advice.places], asked.rows.event_time[asked.advice.places]
    return Part(Rows(ids, moments, np.empty((len(ids), 0)), scores.label), scores.champion, scores.challenger, None)


def _nothing(part: Part) -> Part:
    """No request was replayed yet: that is for the refit."""
    rows = part.rows
    none = Rows(rows.ids[:0], rows.event_time[:0], rows.features[:0], rows.label[:0])
    return Part(none, part.champion[:0], part.challenger[:0], part.challenger[:0])


def _window(rows: Rows, end: datetime) -> Window:
    return Window(start=rows.event_time.min().item().replace(tzinfo=UTC), end=end)
