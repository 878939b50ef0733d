"""How a challenger is made, and the job that makes it."""

import re
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from contracts.base import Contract, Declared, Duration, EndpointName, Horizon, Sha256, Utc
from contracts.compute import Compute


class Task(StrEnum):
    """What an endpoint predicts; it decides the loss, the metrics and the shape of a score."""

    BINARY = "binary"
    """Label 0 or 1; a score is the probability of 1, shape (n,)."""
    MULTICLASS = "multiclass"
    """Label 0 to k-1, the place in `classes`; a score is k probabilities, shape (n, k)."""
    REGRESSION = "regression"
    """Label any finite number; a score is the predicted number, shape (n,)."""


class LearnerSettings(Declared):
    """Settings of the gradient-boosted trees; fixed seed, so that the same rows give the same bytes."""

    rounds: int = Field(default=200, ge=1, le=5000)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    num_leaves: int = Field(default=15, ge=2, le=1024)
    min_rows_per_leaf: int = Field(default=40, ge=1)
    categorical: tuple[str, ...] = ()
    """Features that are codes, not quantities."""
    seed: int = 7
    boost_rounds: int = Field(default=40, ge=1, le=1000)
    """Rounds that a member with a boost gets on the newest rows, after its own."""
    max_rows: int = Field(default=400_000, ge=1000)
    """A member with more rows than this is fitted on a sample of them, the same each time."""


_MEMBER = re.compile(r"^(?P<horizon>all|[\d.]+[a-z])(?:/(?P<half_life>[\d.]+[a-z]))?(?:\+(?P<boost>[\d.]+[a-z]))?$")
_DAY = timedelta(days=1)


def _spelled_out(value: Any) -> Any:  # noqa: ANN401 - a pydantic before-validator sees raw input
    """Read '30d', 'all', 'all/90d' and 'all+30d'; a mapping is left as it is."""
    if not isinstance(value, str):
        return value
    found = _MEMBER.match(value.replace(" ", ""))
    if found is None:
        raise ValueError("a member is a horizon such as '30d' or 'all', with '/90d' for a half-life and '+30d' for a boost")
    return {name: text for name, text in found.groupdict().items() if text is not None}


class MemberRecipe(Declared):
    """One member of a blend: which rows it learns from, and what they weigh."""

    horizon: Horizon
    """Rows whose event lies so far back, counted from the end of the training rows; 'all' takes every row."""
    half_life: Duration | None = Field(default=None, gt=timedelta(0))
    """A row of this age weighs half as much as a new one; None weighs all alike."""
    boost: Duration | None = Field(default=None, gt=timedelta(0))
    """A few more rounds on the rows of this age at most, after all others."""

    @property
    def name(self) -> str:
        """'30d', 'all', 'all/90d' or 'all+30d', as the fleet file spells it."""
        half_life = f"/{_days(self.half_life)}" if self.half_life else ""
        boost = f"+{_days(self.boost)}" if self.boost else ""
        return f"{self.horizon if isinstance(self.horizon, str) else _days(self.horizon)}{half_life}{boost}"


def _days(span: timedelta) -> str:
    return f"{span / _DAY:g}d"


SpelledMember = Annotated[MemberRecipe, BeforeValidator(_spelled_out)]


class Recipe(Declared):
    """What the gate judges: the members of a blend, and their learner. The blend is the mean of the members' logits."""

    horizons: tuple[Horizon, ...] = Field(default=(timedelta(days=30),), min_length=1)
    """One member for each; read only where `members` is empty."""
    members: tuple[SpelledMember, ...] = ()
    """Members with half-life or boost, spelled '30d', 'all', 'all/90d' (half-life) or 'all+30d' (boost)."""
    blends: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Sets of members by name, among which the shadow bench chooses; empty: one blend of all members."""
    learner: LearnerSettings = Field(default_factory=LearnerSettings)

    @cached_property
    def blended(self) -> tuple[MemberRecipe, ...]:
        """The members, whichever way they were declared."""
        return self.members or tuple(MemberRecipe(horizon=horizon) for horizon in self.horizons)

    def narrowed(self, names: Sequence[str]) -> "Recipe":
        """The same recipe with these members only, and no blends to choose among."""
        return Recipe(members=tuple(member for member in self.blended if member.name in names), learner=self.learner)

    @model_validator(mode="after")
    def _blends_name_members(self) -> "Recipe":
        there = [member.name for member in self.blended]
        if len(set(there)) < len(there):
            raise ValueError(f"members names one twice: {', '.join(there)}")
        for blend, names in self.blends.items():
            if not names or (unknown := [name for name in names if name not in there]):
                raise ValueError(f"blends.{blend} names {unknown if names else 'nobody'}; the members are {', '.join(there)}")
        return self


class Purpose(StrEnum):
    JUDGE = "judge"
    """Fitted on rows before the holdout, to be compared with the champion."""
    REFIT = "refit"
    """The judged recipe on all labels that have arrived: this is what ships."""


class Tags(Contract):
    """Carried by everything temporary, for chargeback and for the sweeper."""

    endpoint: EndpointName
    incident: str
    team: str
    cost_center: str


class DatasetRef(Contract):
    """A frozen table: where it lies, what it holds, its content hash (order and file layout don't matter)."""

    uri: str
    sha256: Sha256
    rows: int = Field(ge=0)


class TrainChallenger(Contract):
    """A training job to start or to adopt. Two jobs never run under one key."""

    key: str
    endpoint: EndpointName
    purpose: Purpose
    dataset: DatasetRef
    features: tuple[str, ...]
    label: str
    recipe: Recipe
    task: Task = Task.BINARY
    classes: tuple[str, ...] = ()
    """Names of the classes of a multiclass task, in the order of their numbers."""
    threshold: float | None = Field(default=None, gt=0, lt=1)
    """Score from which a binary answer is 1, kept in the artifact; None leaves it to the deployment."""
    shift: tuple[float, ...] = ()
    """Kept in the artifact and added to its margins: one number, or one for each class; empty for none."""
    end: Utc
    """Rows with event time before this, whose label had arrived by then, are used; nothing later is read."""
    tags: Tags
    max_runtime: Duration
    max_memory_mb: int = Field(ge=64)
    price_per_hour: float = 0.0
    compute: Compute = Field(default_factory=Compute)


class ModelRef(Contract):
    """One artifact by its digest."""

    endpoint: EndpointName
    digest: Sha256


class Challenger(Contract):
    """A finished training job."""

    model: ModelRef
    artifact_uri: str
    purpose: Purpose
    trained_through: Utc
    """No row at or after this moment was used."""
    rows: int
    positives: int
    """Rows with label 1; 0 unless the task is binary."""
    base_rate: float = Field(ge=0, le=1)
    """Their share; 0 unless the task is binary."""
    seconds: float = 0.0
    cost_usd: float = 0.0
    dataset_sha256: Sha256
    task: Task = Task.BINARY
    classes: tuple[str, ...] = ()
    threshold: float | None = None
    """The artifact's own."""
    baseline: tuple[float, ...] = ()
    """What a model would answer that knows its training labels alone: the share of each class, or their mean. Empty for a
    binary task, whose `base_rate` says it."""
    shift: tuple[float, ...] = ()
    """As the job asked; empty for none."""


class JobPhase(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


class JobState(Contract):
    """What the platform says of a job."""

    key: str
    phase: JobPhase
    progress: str = ""
    challenger: Challenger | None = None
    failure: str | None = None
    """Why it failed, in a sentence, for phase FAILED."""


class ModelStatus(StrEnum):
    PENDING = "pending"
    CHAMPION = "champion"
    RETIRED = "retired"
    ROLLED_BACK = "rolled_back"
    REJECTED = "rejected"


class ModelCard(Contract):
    """A registered model: what it is made of and where it stands."""

    model: ModelRef
    artifact_uri: str
    recipe: Recipe
    features: tuple[str, ...]
    trained_through: Utc
    rows: int
    base_rate: float
    """Share of label 1 among its training rows; 0 unless the task is binary."""
    dataset_sha256: Sha256
    incident: str
    task: Task = Task.BINARY
    classes: tuple[str, ...] = ()
    threshold: float | None = None
    """Score from which its binary answer is 1; None leaves it to the deployment."""
    status: ModelStatus = ModelStatus.PENDING
    reference: dict[str, float] = Field(default_factory=dict)
    """The metrics its recipe reached at the gate: what the monitor holds live quality against."""
    shift: tuple[float, ...] = ()
    """What is added to its margins before the link, one number or one for each class; empty for none."""
    derived_from: Sha256 | None = None
    """For a recalibrated model: the model whose members it has."""
    key: str = ""
    """Idempotency key of the recalibration that made it."""
