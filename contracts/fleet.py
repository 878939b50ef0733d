"""The fleet file: every endpoint's policy as code. How it is read lies in `runtime/fleet_file.py`."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, ModelWrapValidatorHandler, StringConstraints, model_validator

from contracts.base import Declared, Duration, EndpointName
from contracts.bench import BenchPolicy, Judging, shadow_recipe
from contracts.compute import Compute
from contracts.evaluation import GatePolicy
from contracts.monitor import MonitorPolicy
from contracts.notices import Channel
from contracts.people import Issuer, Name, Person
from contracts.review import ReviewPolicy
from contracts.rollout import RolloutPolicy, ServingPolicy
from contracts.snapshot import DataPolicy
from contracts.task_rules import misfits
from contracts.training import Recipe


class MissingData(StrEnum):
    """What an alarm's detector means that has too little data to judge."""

    IGNORE = "ignore"
    ALARM = "alarm"
    """Data that stopped coming is an alarm of its own, of kind infrastructure."""


class IntakePolicy(Declared):
    """Which alarms become incidents."""

    alarms: tuple[Annotated[str, StringConstraints(min_length=1, max_length=255)], ...] = Field(default=(), max_length=100)
    """Names of CloudWatch alarms that are this endpoint's though neither tag nor dimension says so; `*` stands for anything."""
    missing_data: MissingData = MissingData.IGNORE
    """What CloudWatch's state INSUFFICIENT_DATA means."""

    debounce: Duration = timedelta(0)
    """Wait on the clock for more alarms before an incident opens."""
    cool_down: Duration = timedelta(days=30)
    """Data time after an incident in which further alarms open none.

    With `judging: shadow` it is one day unless declared: the bench's record, `gate.urgency` and the promotion budget hold
    back already. With `on_alarm`, below `gate.holdout` + `data.label_delay` + `gate.newer_data` the judged challenger has seen
    hardly more than the champion, so that only the strict gate could let it pass and people are asked.
    """
    promotions_start: float = Field(default=1.0, ge=0)
    """Promotion budget: automatic promotions at hand at the start ..."""
    promotions_per_week: float = Field(default=0.2, ge=0)
    """... how many a week of data time brings ..."""
    promotions_max: float = Field(default=3.0, ge=0)
    """... and how many can be saved up. Beyond it a person is asked."""


_LONG_WITHOUT_CHECKPOINTS = timedelta(hours=1)
"""As long SageMaker itself allows a spot job of its built-in algorithms that keep no checkpoints."""


class TrainingPolicy(Declared):
    """How challengers are made and what they may cost."""

    judging: Judging = Judging.ON_ALARM
    recipe: Recipe = Field(default_factory=Recipe)
    bench: BenchPolicy = Field(default_factory=BenchPolicy)
    max_runtime: Duration = timedelta(minutes=30)
    max_memory_mb: int = Field(default=4096, ge=256)
    price_per_hour: float = Field(default=0.0, ge=0)
    """Dollars per machine hour, for the record."""
    compute: Compute = Field(default_factory=Compute)

    @property
    def longest(self) -> timedelta:
        """How long a job may take with its waiting for a machine."""
        return self.compute.longest_wait(self.max_runtime)

    @model_validator(mode="after")
    def _spot_jobs_can_go_on(self) -> "TrainingPolicy":
        """A long job that loses its machine would begin anew each time."""
        spot, wait = self.compute.spot, self.compute.max_wait
        if spot and self.max_runtime > _LONG_WITHOUT_CHECKPOINTS and not self.compute.checkpoints:
            raise ValueError(
                f"compute.spot with a max_runtime of {self.max_runtime} and no checkpoints: an interrupted job would lose all it "
                "did. Say checkpoints: true, or shorten max_runtime to an hour, or leave spot out"
            )
        if wait is not None and wait < self.max_runtime:
            raise ValueError(f"compute.max_wait ({wait}) must not be shorter than max_runtime ({self.max_runtime})")
        return self

    @model_validator(mode="before")
    @classmethod
    def _shadow_recipe_unless_declared(cls, data: Any) -> Any:  # noqa: ANN401 - a pydantic before-validator sees raw input
        """The shadow bench has a recipe of its own; the learner's settings may be declared apart from it."""
        if not isinstance(data, dict) or data.get("judging") != Judging.SHADOW:
            return data
        recipe = data.get("recipe", {})
        if not isinstance(recipe, dict) or recipe.keys() & {"horizons", "members", "blends"}:
            return data
        shadow = shadow_recipe()
        members = [member.name for member in shadow.members]
        return data | {"recipe": {"members": members, "blends": {k: list(v) for k, v in shadow.blends.items()}, **recipe}}


class Mode(StrEnum):
    """Whether the loop may change what the endpoint runs."""

    ACT = "act"
    SHADOW = "shadow"
    """Decided and recorded, and nothing done: nobody is asked, nothing is deployed. A rollback by hand still acts."""


class Tier(StrEnum):
    """What a wrong change of the endpoint would mean."""

    STANDARD = "standard"
    CRITICAL = "critical"
    """A person is asked before every promotion, unless `review.also_ask` says otherwise."""


_COOL_DOWN_WITH_THE_BENCH = timedelta(days=1)


class EndpointPolicy(Declared):
    """Everything the loop needs to know about one endpoint."""

    team: str = Field(min_length=1, max_length=100)
    cost_center: str = Field(min_length=1, max_length=100)
    mode: Mode = Mode.ACT
    tier: Tier = Tier.STANDARD
    data: DataPolicy
    training: TrainingPolicy = Field(default_factory=TrainingPolicy)
    gate: GatePolicy = Field(default_factory=GatePolicy)
    review: ReviewPolicy = Field(default_factory=ReviewPolicy)
    rollout: RolloutPolicy = Field(default_factory=RolloutPolicy)
    intake: IntakePolicy = Field(default_factory=IntakePolicy)
    serving: ServingPolicy = Field(default_factory=ServingPolicy)
    monitor: MonitorPolicy = Field(default_factory=MonitorPolicy)

    @model_validator(mode="before")
    @classmethod
    def _short_cool_down_with_the_bench(cls, data: Any) -> Any:  # noqa: ANN401 - a pydantic before-validator sees raw input
        """Only where none is declared."""
        if not isinstance(data, dict):
            return data
        training, intake = data.get("training"), data.get("intake", {})
        judging = training.get("judging") if isinstance(training, dict) else getattr(training, "judging", None)
        if judging != Judging.SHADOW or not isinstance(intake, dict) or "cool_down" in intake:
            return data
        return data | {"intake": {**intake, "cool_down": _COOL_DOWN_WITH_THE_BENCH}}

    @model_validator(mode="after")
    def _features_exist(self) -> "EndpointPolicy":
        unknown = set(self.training.recipe.learner.categorical) - set(self.data.features)
        if unknown:
            raise ValueError(f"categorical names {sorted(unknown)}, which data.features doesn't list")
        if self.data.label in self.data.features:
            raise ValueError(f"the label {self.data.label!r} can't be one of data.features")
        if wrong := "; ".join(misfits(self.data.task, self.gate, self.serving)):
            raise ValueError(wrong)
        return self


class Directory(Declared):
    """What the file says once for all endpoints: the people, and the ways to know and to reach them."""

    people: dict[Name, Person] = Field(default_factory=dict, max_length=500)
    """By the name under which they decide."""
    groups: dict[Name, tuple[Name, ...]] = Field(default_factory=dict, max_length=200)
    """Names of people; listed elsewhere as `group:NAME`."""
    issuers: dict[Name, Issuer] = Field(default_factory=dict, max_length=20)
    channels: dict[Name, Channel] = Field(default_factory=dict, max_length=50)

    def laid_into(self, review: ReviewPolicy) -> ReviewPolicy:
        """The policy of one endpoint with all that is declared for all; what it says itself wins."""
        return review.model_copy(
            update={
                "people": {**self.people, **review.people},
                "groups": {**self.groups, **review.groups},
                "issuers": {**self.issuers, **review.issuers},
                "reach": {**self.channels, **review.reach},
            }
        )


class Fleet(Directory):
    """The whole file."""

    version: Literal[1]
    endpoints: dict[EndpointName, EndpointPolicy] = Field(min_length=1)

    @model_validator(mode="wrap")
    @classmethod
    def _directory_in_every_review(cls, data: Any, read: ModelWrapValidatorHandler["Fleet"]) -> "Fleet":  # noqa: ANN401 - a pydantic wrap-validator sees raw input
        """A running loop knows its endpoint's policy alone."""
        fleet = read(data)
        policies = {
            name: policy.model_copy(update={"review": fleet.laid_into(policy.review)}) for name, policy in fleet.endpoints.items()
        }
        return fleet.model_copy(update={"endpoints": policies})
