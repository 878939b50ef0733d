"""The policy that a backtest tries, in the words of the fleet file: an endpoint's policy, or a fleet file with one endpoint."""

from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from backtest.data.card import Card
from backtest.data.reading import Material
from backtest.engine import Policy
from contracts.base import Declared, EndpointName
from contracts.bench import shadow_recipe
from contracts.evaluation import PROPER_SCORES, GatePolicy
from contracts.fleet import Directory, IntakePolicy, Tier, TrainingPolicy
from contracts.monitor import MonitorPolicy
from contracts.review import ReviewPolicy
from contracts.rollout import RolloutPolicy, ServingPolicy
from contracts.snapshot import DataPolicy
from contracts.training import Recipe, Task
from runtime.declared_file import DeclaredFileError, Mistaken, document_of, parsed
from runtime.fleet_yaml import Document, Problem, Unreadable

_KEYS: Final = "an endpoint's policy (`training`, `gate`, `intake`, `serving`) or a whole fleet file"


class PolicyFileError(DeclaredFileError):
    """Everything that is wrong with the policy file, a line each."""


class TriedTraining(TrainingPolicy):
    """As in the fleet file, with the shadow bench's members unless it names its own."""

    recipe: Recipe = Field(default_factory=shadow_recipe)

    @model_validator(mode="after")
    def _members_of_the_bench(self) -> "TriedTraining":
        if self.recipe.model_fields_set & {"horizons", "members"}:
            return self
        recipe = shadow_recipe().model_copy(update={"learner": self.recipe.learner})
        return self.model_copy(update={"recipe": recipe})


class TriedPolicy(Declared):
    """An endpoint's policy; a backtest reads training, gate, intake and serving, and takes the rest as it is."""

    training: TriedTraining = Field(default_factory=TriedTraining)
    gate: GatePolicy = Field(default_factory=GatePolicy)
    intake: IntakePolicy = Field(default_factory=IntakePolicy)
    serving: ServingPolicy = Field(default_factory=ServingPolicy)
    team: str | None = None
    tier: Tier | None = None
    cost_center: str | None = None
    data: DataPolicy | None = None
    review: ReviewPolicy | None = None
    rollout: RolloutPolicy | None = None
    monitor: MonitorPolicy | None = None


class _TriedFleet(Directory):
    version: Literal[1] = 1
    endpoints: dict[EndpointName, TriedPolicy] = Field(min_length=1, max_length=1)


def load(path: Path) -> TriedPolicy:
    """Raises: PolicyFileError, with all problems and their lines."""
    try:
        document = document_of(path, "policy file", _KEYS)
        if any(key.value == "endpoints" for key, _ in document.root.value):
            return _the_only_one(path, document)
        return parsed(document, TriedPolicy)
    except Unreadable as error:
        raise PolicyFileError(path, [error.problem]) from None
    except Mistaken as error:
        raise PolicyFileError(path, error.problems) from None


def _the_only_one(path: Path, document: Document) -> TriedPolicy:
    document.fold_defaults()
    raw: Any = document.data()
    named = raw["endpoints"] if isinstance(raw["endpoints"], dict) else {}
    if len(named) > 1:
        line = document.locate(("endpoints",))[2]
        said = f"has {len(named)} endpoints ({', '.join(list(named)[:5])}); a backtest tries one, so leave the others out"
        raise PolicyFileError(path, [Problem(line, "endpoints", said)])
    return next(iter(parsed(document, _TriedFleet).endpoints.values()))


def policy_for(tried: TriedPolicy, material: Material) -> Policy:
    """The policy on this material: the card has the last word on task, period and categories."""
    card, features = material.card, material.columns.features
    learner = tried.training.recipe.learner
    codes = [*material.columns.categorical, *(name for name in learner.categorical if name in features)]
    learner = learner.model_copy(update={"categorical": tuple(dict.fromkeys(codes))})
    return Policy(
        recipe=tried.training.recipe.model_copy(update={"learner": learner}),
        bench=tried.training.bench.model_copy(update={"period": card.period}),
        gate=tried.gate,
        intake=tried.intake,
        threshold=tried.serving.threshold,
        task=card.task,
        classes=len(material.classes) if card.task is Task.MULTICLASS else 2,
        features=features,
        slices=tuple(material.columns.slices),
    )


def unsuitable(tried: TriedPolicy, card: Card) -> str:
    """Why the policy can't be tried on this card's task, or empty."""
    proper = PROPER_SCORES[card.task]
    if tried.gate.primary in (*proper, GatePolicy().primary):
        return ""
    return f"gate.primary of a {card.task.value} task is one of {', '.join(proper)}, and the policy says {tried.gate.primary}"
