"""What the gate's report is told beside what it judges."""

from contracts.bench import Judging
from contracts.evaluation import ReportOn
from contracts.fleet import EndpointPolicy
from contracts.training import Recipe


def report_on(policy: EndpointPolicy, recipe: Recipe) -> ReportOn:
    """`recipe` is the one of this incident: widening its window changes it."""
    bench, learner = policy.training.judging is Judging.SHADOW, recipe.learner
    return ReportOn(
        data=policy.data,
        categorical=learner.categorical,
        period=policy.training.bench.period if bench else None,
        lineage={
            "judged by": "the shadow bench's record" if bench else "a holdout, on the alarm",
            "members of the recipe": ", ".join(member.name for member in recipe.blended),
            "learner": f"{learner.rounds} rounds at {learner.learning_rate:g}, {learner.num_leaves} leaves, seed {learner.seed}",
        },
    )
