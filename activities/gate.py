"""The gate's verdict, computed by the pure policy from the kept predictions, so that history records it."""

from temporalio import activity

from activities import diagnostics
from activities.diagnostic_rows import BenchPeriod, ReportRows, by_period, gathered
from activities.failures import translated
from activities.predictions import Predictions, Scores, decode
from contracts.evaluation import JudgeEvidence, Judgement, Verdict
from platforms.errors import Corrupt
from platforms.ports import Platform
from policies import gate, refit


class GateActivities:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._evidence = platform.evidence

    @activity.defn
    @translated
    def judge_evidence(self, request: JudgeEvidence) -> Judgement:
        content = self._evidence.read(request.evidence.uri)
        predictions = decode(content, request.task)
        judgement = judged(request, predictions)
        return judgement.model_copy(update={"report_uri": self._report(request, judgement, predictions, content)})

    def _report(self, request: JudgeEvidence, judgement: Judgement, predictions: Predictions, content: bytes) -> str:
        rows, bench = self._beside(request, judgement, predictions, content)
        pages = diagnostics.render(
            judgement=judgement,
            evidence=request.evidence,
            snapshot=request.snapshot,
            holdout=predictions.holdout,
            replay=predictions.replay,
            endpoint=request.endpoint,
            incident=request.incident,
            alarms=request.alarms,
            threshold=request.threshold,
            classes=request.classes,
            notes=request.notes,
            rows=rows,
            bench=bench,
            lineage=request.report.lineage if request.report else None,
        )
        mark = request.evidence.digest[:16]
        uris = {
            name: self._evidence.write(request.endpoint, request.incident, f"{mark}-{name}", content)
            for name, content in pages.items()
        }
        return self._evidence.link(uris["report.html"])

    def _beside(
        self, request: JudgeEvidence, judgement: Judgement, predictions: Predictions, content: bytes
    ) -> tuple[ReportRows | None, list[BenchPeriod]]:
        """The rows' features, and the bench's record where it judged."""
        on = request.report
        if on is None:
            return None, []
        rows = gathered(
            self._platform,
            endpoint=request.endpoint,
            data=on.data,
            snapshot=request.snapshot,
            evidence=request.evidence,
            predictions=content,
            categorical=on.categorical,
        )
        if on.period is None:
            return rows, []
        return rows, by_period(predictions.holdout, judgement.primary, on.period, request.snapshot.as_of)


def judged(request: JudgeEvidence, predictions: Predictions) -> Judgement:
    """The judgement without its report: it depends on these two alone, so that it can be computed again from a record."""
    return _with_refit(_verdict(request, predictions), request, predictions)


def _verdict(request: JudgeEvidence, predictions: Predictions) -> Judgement:
    return gate.judge(
        holdout=predictions.holdout,
        replay=predictions.replay,
        gate=request.gate,
        threshold=request.threshold,
        champion_trained_through=request.champion_trained_through,
        challenger_trained_through=request.challenger_trained_through,
        weeks_since_promotion=request.weeks_since_promotion,
        evidence_digest=request.evidence.digest,
        slices=_slices(request, predictions),
        family=request.family,
    )


def _slices(request: JudgeEvidence, predictions: Predictions) -> dict[str, Scores]:
    """Raises: Corrupt (the evidence lacks the values of a declared slice)."""
    if missing := [name for name in request.slices if name not in predictions.slices]:
        raise Corrupt(f"the evidence file holds no values of the slices {', '.join(missing)}: evaluate again")
    return {name: predictions.slices[name] for name in request.slices}


def _with_refit(judgement: Judgement, request: JudgeEvidence, predictions: Predictions) -> Judgement:
    """What ships has to decide like what was judged; where it doesn't, a good verdict becomes inconclusive."""
    report = refit.compare(
        judged=predictions.judged_on_replay,
        refit=predictions.refit_on_replay,
        threshold=request.threshold,
        max_disagreement=request.gate.max_refit_disagreement,
        task=request.task,
        max_score_shift=request.gate.max_score_shift,
        min_rows=request.gate.min_rows,
    )
    if report.agrees or judgement.verdict is not Verdict.PROMOTE:
        return judgement.model_copy(update={"refit": report})
    return judgement.model_copy(
        update={
            "refit": report,
            "verdict": Verdict.INCONCLUSIVE,
            "reasons": (*judgement.reasons, report.sentence),
            "sentence": f"{judgement.sentence} But what would ship differs from what was judged: {report.sentence}",
        }
    )
