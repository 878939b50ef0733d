"""Champion and challenger score the same holdout rows and the same replayed live requests."""

import json
from hashlib import sha256

import numpy as np
from temporalio import activity

from activities.failures import translated
from activities.predictions import Part, Scores, encode
from contracts.evaluation import EvaluateChallenger, Evidence
from contracts.snapshot import DataPolicy, Window
from contracts.training import Challenger, ModelCard, Task
from platforms.errors import Invalid
from platforms.ports import Platform, Rows


class EvaluationActivities:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @activity.defn
    @translated
    def evaluate_challenger(self, request: EvaluateChallenger) -> Evidence:
        """Files are named by their content: a repeat that sees more traffic leaves the first one's evidence alone."""
        window = compared_window(request)
        holdout, replay = self._holdout(request, window), self._replay(request, window)
        predictions = encode(holdout, replay, _slices(request, holdout.rows))
        manifest = _evidence_manifest(request, predictions)
        digest = sha256(manifest).hexdigest()
        uri = self._keep(request, f"predictions-{digest[:16]}.parquet", predictions)
        self._keep(request, f"evidence-{digest[:16]}.json", manifest)
        return Evidence(
            uri=uri,
            digest=digest,
            holdout_rows=len(holdout.rows),
            replay_rows=len(replay.rows),
            replay_labelled=int(np.isfinite(replay.rows.label).sum()),
            compared=window,
            champion=request.champion.model.digest if request.champion else None,
            challenger=request.challenger.model.digest,
            refit=request.refit.model.digest,
        )

    def _keep(self, request: EvaluateChallenger, name: str, content: bytes) -> str:
        return self._platform.evidence.write(request.endpoint, request.incident, name, content)

    def _holdout(self, request: EvaluateChallenger, window: Window) -> Part:
        """The refit was trained on these rows, so it isn't scored here."""
        rows = self._platform.features.rows(request.snapshot.dataset, request.data, window)
        return Part(rows, self._champion_scores(request, rows), self._scores(request, request.challenger, rows), None)

    def _replay(self, request: EvaluateChallenger, window: Window) -> Part:
        rows = self._platform.traffic.replay(request.endpoint, request.data, window, known_at=request.snapshot.as_of)
        refit = self._scores(request, request.refit, rows)
        return Part(rows, self._champion_scores(request, rows), self._scores(request, request.challenger, rows), refit)

    def _scores(self, request: EvaluateChallenger, fitted: Challenger, rows: Rows) -> Scores:
        return self._platform.scorer.score(fitted.artifact_uri, fitted.model, request.data.features, rows)

    def _champion_scores(self, request: EvaluateChallenger, rows: Rows) -> Scores:
        """With no champion yet, what the challenger's training labels alone would answer stands in for it."""
        card = request.champion
        if card is None:
            return _constant(request.challenger, request.data, len(rows))
        _check_task(card, request.data)
        return self._platform.scorer.score(card.artifact_uri, card.model, request.data.features, rows)


def _constant(challenger: Challenger, data: DataPolicy, rows: int) -> Scores:
    """The base rate, the shares of the classes or the mean, the same for every row."""
    if data.task is Task.MULTICLASS:
        return np.tile(np.array(challenger.baseline), (rows, 1))
    return np.full(rows, challenger.base_rate if data.task is Task.BINARY else challenger.baseline[0])


def _check_task(card: ModelCard, data: DataPolicy) -> None:
    """Raises: Invalid (the fleet file asks another question now than the champion answers)."""
    if (card.task, card.classes) != (data.task, data.classes):
        before, now = (
            f"{task.value} {list(classes) or ''}".strip()
            for task, classes in ((card.task, card.classes), (data.task, data.classes))
        )
        raise Invalid(
            f"the champion {card.model.digest[:12]} was trained for {before}, the fleet file says {now}: they can't be compared; "
            "give the new task an endpoint of its own, or take the old one back"
        )


def _slices(request: EvaluateChallenger, rows: Rows) -> dict[str, Scores]:
    """The values of the slicing features, beside the scores of the same rows."""
    return {name: rows.features[:, request.data.features.index(name)] for name in request.data.slices}


def compared_window(request: EvaluateChallenger) -> Window:
    """The part of the holdout that the champion, too, was not trained on; empty where it has seen all of it."""
    holdout = request.snapshot.holdout
    if request.champion is None:
        return holdout
    fresh = request.champion.trained_through + request.data.label_delay
    return Window(start=min(max(holdout.start, fresh), holdout.end), end=holdout.end)


def _evidence_manifest(request: EvaluateChallenger, predictions: bytes) -> bytes:
    """What the verdict rests on, by digest. The SHA-256 of these bytes is the evidence digest that a decision names."""
    facts: dict[str, object] = {
        "endpoint": request.endpoint,
        "incident": request.incident,
        "predictions_sha256": sha256(predictions).hexdigest(),
        "dataset_sha256": request.snapshot.dataset.sha256,
        "champion": request.champion.model.digest if request.champion else None,
        "challenger": request.challenger.model.digest,
        "refit": request.refit.model.digest,
        "threshold": request.threshold,
    }
    if request.data.task is not Task.BINARY:
        facts |= {"task": request.data.task.value, "classes": list(request.data.classes)}
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
