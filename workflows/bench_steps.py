"""The side effects of a remediation that rests on the shadow bench: which activity, with what request, under which key."""

from temporalio import workflow

from activities.bench import BenchActivities
from activities.shadow_evaluation import ShadowEvaluationActivities
from contracts.evaluation import Evidence
from contracts.incident import RemediationRequest
from contracts.shadow import AdviseBench, BenchAdvice
from contracts.shadow_evaluation import EvaluateRefit
from contracts.snapshot import Snapshot
from contracts.training import Challenger, ModelCard, Purpose
from workflows import options
from workflows.steps import Steps


class BenchSteps:
    def __init__(self, request: RemediationRequest, steps: Steps) -> None:
        self._request = request
        self._policy = request.policy
        self._steps = steps

    async def advice(self, snapshot: Snapshot) -> BenchAdvice:
        request = AdviseBench(
            endpoint=self._request.endpoint, policy=self._policy, snapshot=snapshot, incident=self._request.incident
        )
        return await workflow.execute_activity_method(
            BenchActivities.advise_bench, request, summary="what the record says", **options.DATA
        )

    async def refit(self, snapshot: Snapshot, advice: BenchAdvice) -> Challenger:
        """The advised members on all labels, with the shift that their record asks for: one job."""
        recipe = self._policy.training.recipe.narrowed(advice.members)
        return await self._steps.trained(snapshot, Purpose.REFIT, recipe, advice.refit.shift)

    async def evaluate(
        self, snapshot: Snapshot, advice: BenchAdvice, champion: ModelCard | None, refit: Challenger | None
    ) -> Evidence:
        request = EvaluateRefit(
            key=self._steps.key("evaluate"),
            endpoint=self._request.endpoint,
            incident=self._request.incident,
            snapshot=snapshot,
            advice=advice,
            champion=champion,
            refit=refit,
            threshold=self._policy.serving.threshold,
            data=self._policy.data,
            tags=self._steps.tags,
        )
        self._steps.keep("evaluate-refit", request, apart={"snapshot", "advice", "champion", "refit", "data", "tags"})
        return await workflow.execute_activity_method(
            ShadowEvaluationActivities.evaluate_refit, request, summary="the refit beside what was judged", **options.DATA
        )
