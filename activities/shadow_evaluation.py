"""The evidence of a verdict that the shadow bench had ready.

The labelled rows are the bench's: each scored by the fit of the period before it. Live requests are replayed without their
labels, since the newest fit was trained on them: they tell how alike the judged fit and the refit answer, and the champion.
"""

import json
from hashlib import sha256

import numpy as np
from temporalio import activity

from activities.failures import translated
from activities.predictions import Part, Scores, encode, kept_part
from contracts.evaluation import Evidence
from contracts.shadow import BenchAdvice
from contracts.shadow_evaluation import EvaluateRefit
from contracts.training import Challenger, Task
from platforms.errors import Invalid
from platforms.ports import Platform, Rows
from policies.blend import blend


class ShadowEvaluationActivities:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @activity.defn
    @translated
    def evaluate_refit(self, request: EvaluateRefit) -> Evidence:
        """Files are named by their content: a repeat that sees more traffic leaves the first one's evidence alone."""
        found, fit = _ready(request.advice)
        paired = kept_part(self._platform.evidence.read(found.uri), "holdout")
        replay = self._replay(request, fit)
        predictions = encode(paired, replay, self._slices(request, paired.rows))
        manifest = _evidence_manifest(request, fit, predictions)
        digest = sha256(manifest).hexdigest()
        uri = self._keep(request, f"predictions-{digest[:16]}.parquet", predictions)
        self._keep(request, f"evidence-{digest[:16]}.json", manifest)
        return Evidence(
            uri=uri,
            digest=digest,
            holdout_rows=len(paired.rows),
            replay_rows=len(replay.rows),
            replay_labelled=0,
            compared=found.compared,
            champion=request.champion.model.digest if request.champion else None,
            challenger=fit.model.digest,
            refit=request.refit.model.digest if request.refit else None,
        )

    def _keep(self, request: EvaluateRefit, name: str, content: bytes) -> str:
        return self._platform.evidence.write(request.endpoint, request.incident, name, content)

    def _replay(self, request: EvaluateRefit, fit: Challenger) -> Part:
        """Nothing is replayed where nothing would ship, or where no champion has served yet."""
        window = request.snapshot.holdout
        if request.refit is None or request.champion is None:
            window = window.model_copy(update={"end": window.start})
        served = self._platform.traffic.replay(request.endpoint, request.data, window, known_at=request.snapshot.as_of)
        rows = Rows(served.ids, served.event_time, served.features, np.full(len(served), np.nan))
        judged = self._judged(request, fit, rows)
        if request.refit is None or request.champion is None:
            return Part(rows, judged, judged, judged)
        card = request.champion
        champion = self._platform.scorer.score(card.artifact_uri, card.model, request.data.features, rows)
        refit = self._platform.scorer.score(request.refit.artifact_uri, request.refit.model, request.data.features, rows)
        return Part(rows, champion, judged, refit)

    def _judged(self, request: EvaluateRefit, fit: Challenger, rows: Rows) -> Scores:
        """The advised blend of the newest fit, with the shift that the refit ships with."""
        said = self._platform.scorer.margins(fit.artifact_uri, fit.model, request.data.features, rows)
        chosen = [n for n, name in enumerate(said.members) if name in request.advice.members]
        if not chosen:
            raise Invalid(
                f"the bench's newest fit has no member of the blend {request.advice.blend}: judge anew at its next turn"
            )
        shift = np.asarray(request.advice.refit.shift)
        return blend([said.of_members[:, n] for n in chosen], task=request.data.task, shift=shift)

    def _slices(self, request: EvaluateRefit, rows: Rows) -> dict[str, Scores]:
        """The bench keeps no features: the values come from the snapshot, found by the rows' ids; NaN where one is gone."""
        if not request.data.slices:
            return {}
        window = request.advice.evidence.compared if request.advice.evidence else request.snapshot.window
        there = self._platform.features.rows(request.snapshot.dataset, request.data, window)
        place = {name: n for n, name in enumerate(there.ids.tolist())}
        found = np.array([place.get(name, -1) for name in rows.ids.tolist()], dtype=np.int64)
        features = np.vstack([there.features, np.full((1, len(request.data.features)), np.nan)])
        return {name: features[found, request.data.features.index(name)] for name in request.data.slices}


def _ready(advice: BenchAdvice) -> tuple[Evidence, Challenger]:
    """Raises: Invalid (the advice has no verdict)."""
    if advice.evidence is None or advice.judged is None or advice.judged.challenger is None:
        raise Invalid(f"the bench has no verdict as of {advice.as_of:%Y-%m-%d %H:%M}: {advice.reason or 'no fit is kept'}")
    return advice.evidence, advice.judged.challenger


def _evidence_manifest(request: EvaluateRefit, fit: Challenger, predictions: bytes) -> bytes:
    """What the verdict rests on, by digest. The SHA-256 of these bytes is the evidence digest that a decision names."""
    advice = request.advice
    facts: dict[str, object] = {
        "endpoint": request.endpoint,
        "incident": request.incident,
        "predictions_sha256": sha256(predictions).hexdigest(),
        "dataset_sha256": request.snapshot.dataset.sha256,
        "champion": request.champion.model.digest if request.champion else None,
        "challenger": fit.model.digest,
        "refit": request.refit.model.digest if request.refit else None,
        "threshold": request.threshold,
        "bench": {
            "evidence": advice.evidence.digest if advice.evidence else None,
            "parts": [part.sha256 for part in advice.parts],
            "members": list(advice.members),
            "shift": list(advice.refit.shift),
        },
    }
    if request.data.task is not Task.BINARY:
        facts |= {"task": request.data.task.value, "classes": list(request.data.classes)}
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
