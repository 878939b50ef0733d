"""The way to a verdict where the shadow bench has it ready: its advice, the refit that would ship, and the same gate."""

from contracts.evaluation import Judgement
from contracts.incident import RemediationRequest, Stage, WaitingOn
from contracts.shadow import BenchAdvice
from contracts.snapshot import Snapshot
from policies.review import Route
from workflows.bench_steps import BenchSteps
from workflows.deciding import Deciding
from workflows.progress import Progress
from workflows.steps import Standing, Steps


class ShadowPath:
    def __init__(self, request: RemediationRequest, steps: Steps, progress: Progress, deciding: Deciding) -> None:
        self._steps = steps
        self._bench = BenchSteps(request, steps)
        self._progress = progress
        self._deciding = deciding

    async def judged(self, snapshot: Snapshot) -> Judgement | None:
        """None where the record holds too little to judge, which the incident's record then says."""
        advice = await self._advised(snapshot)
        if not _ready(advice):
            then = "" if self.only_recalibrates else ", so it is judged as on_alarm"
            self._progress.note(f"The shadow bench has no verdict{then}: {advice.reason or 'no fit is kept yet'}")
            return None
        await self._refit(snapshot, advice)
        return await self._judge(snapshot, advice)

    @property
    def only_recalibrates(self) -> bool:
        """Whether the bench alone asks, and another shift is all that it asks for: that takes no verdict."""
        return self._deciding.by_bench and self._deciding.recalibration_wanted

    async def _advised(self, snapshot: Snapshot) -> BenchAdvice:
        self._progress.enter(Stage.EVALUATE, "The shadow bench brings its record up to the moment.")
        champion = await self._steps.champion()
        advice = await self._bench.advice(snapshot)
        self._progress.learn(champion=champion, advice=advice)
        return advice

    async def _refit(self, snapshot: Snapshot, advice: BenchAdvice) -> None:
        """Only where it may be promoted: a recalibration, or a bench that has to wait, trains nothing."""
        assert advice.judgement is not None
        if self._deciding.route(advice.judgement.verdict, snapshot).route not in (Route.PROMOTE, Route.ASK):
            return
        self._progress.enter(Stage.TRAIN, f"Fitting the blend {advice.blend} on all labels.", WaitingOn.TRAINING)
        self._progress.learn(refit=await self._bench.refit(snapshot, advice))

    async def _judge(self, snapshot: Snapshot, advice: BenchAdvice) -> Judgement:
        self._progress.enter(Stage.EVALUATE, "The refit answers replayed requests beside the fit that was judged.")
        facts = self._progress.facts
        evidence = await self._bench.evaluate(snapshot, advice, facts.champion, facts.refit)
        self._progress.learn(evidence=evidence)
        self._progress.enter(Stage.GATE, "The gate compares champion and blend on the bench's rows.")
        standing = Standing(advice.champion_trained_through, advice.as_of, advice.weeks_since_promotion)
        judgement = await self._steps.judge(snapshot, evidence, standing)
        self._progress.learn(judgement=judgement)
        return judgement


def _ready(advice: BenchAdvice) -> bool:
    fit = advice.judged.challenger if advice.judged else None
    return advice.judgement is not None and advice.evidence is not None and fit is not None
