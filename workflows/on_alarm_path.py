"""The way to a verdict where training waits for an alarm: fit before a holdout and on everything, then score and judge."""

from contracts.evaluation import Judgement
from contracts.incident import Stage, WaitingOn
from contracts.snapshot import Snapshot
from workflows.progress import Progress
from workflows.steps import Steps


class OnAlarmPath:
    def __init__(self, steps: Steps, progress: Progress) -> None:
        self._steps = steps
        self._progress = progress

    async def judged(self, snapshot: Snapshot) -> Judgement:
        await self._train(snapshot)
        return await self._judge(snapshot)

    async def _train(self, snapshot: Snapshot) -> None:
        self._progress.enter(Stage.TRAIN, "Training, or waiting for a training slot.", WaitingOn.TRAINING)
        judged, refit = await self._steps.train(snapshot)
        self._progress.learn(judged=judged, refit=refit)

    async def _judge(self, snapshot: Snapshot) -> Judgement:
        facts = self._progress.facts
        assert facts.judged is not None
        assert facts.refit is not None
        self._progress.enter(Stage.EVALUATE, "Champion and challenger score the same rows.")
        champion = await self._steps.champion()
        evidence = await self._steps.evaluate(snapshot, champion, facts.judged, facts.refit)
        self._progress.learn(champion=champion, evidence=evidence)
        self._progress.enter(Stage.GATE, "The gate compares them.")
        judgement = await self._steps.judge(snapshot, evidence, self._steps.standing(champion, facts.judged))
        self._progress.learn(judgement=judgement)
        return judgement
