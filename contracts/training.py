"""How a challenger is made, and the job that makes it."""

from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from contracts.base import Contract, Declared, Duration, EndpointName, Horizon, Sha256, Utc


class LearnerSettings(Declared):
    """Settings of the gradient-boosted trees; fixed seed, so that the same rows give the same bytes."""

    rounds: int = Field(default=200, ge=1, le=5000)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    num_leaves: int = Field(default=15, ge=2, le=1024)
    min_rows_per_leaf: int = Field(default=40, ge=1)
    categorical: tuple[str, ...] = ()
    """Features that are codes, not quantities."""
    seed: int = 7


class Recipe(Declared):
    """What the gate judges: horizons and learner. One model per horizon; they are served as the mean of their logits."""

    horizons: tuple[Horizon, ...] = Field(default=(timedelta(days=30),), min_length=1)
    learner: LearnerSettings = Field(default_factory=LearnerSettings)


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
    end: Utc
    """Rows with event time before this, whose label had arrived by then, are used; nothing later is read."""
    tags: Tags
    max_runtime: Duration
    max_memory_mb: int = Field(ge=64)
    price_per_hour: float = 0.0


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
    base_rate: float = Field(ge=0, le=1)
    seconds: float = 0.0
    cost_usd: float = 0.0
    dataset_sha256: Sha256


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
    dataset_sha256: Sha256
    incident: str
    status: ModelStatus = ModelStatus.PENDING
    reference: dict[str, float] = Field(default_factory=dict)
    """The metrics its recipe reached at the gate: what the monitor holds live quality against."""
