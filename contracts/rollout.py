"""Which model an endpoint runs, and how another one takes its place."""

from datetime import timedelta
from typing import Any

from pydantic import Field, model_validator

from contracts.base import Contract, Declared, Duration, EndpointName, Sha256, Utc
from contracts.snapshot import DataPolicy
from contracts.traffic_shift import ShiftKind, TrafficShift
from contracts.training import Challenger, ModelRef, Recipe, Tags


class Costs(Declared):
    """What a wrong answer costs, in any unit: only the ratio counts."""

    false_positive: float = Field(gt=0)
    """Cost of an answer 1 where the label is 0."""
    false_negative: float = Field(gt=0)
    """Cost of an answer 0 where the label is 1."""

    @property
    def threshold(self) -> float:
        """The score from which answering 1 costs less, given that scores are calibrated."""
        return self.false_positive / (self.false_positive + self.false_negative)


class ServingPolicy(Declared):
    """How the endpoint serves."""

    port: int = Field(default=0, ge=0, le=65535)
    """Port on loopback for the local platform; 0 lets the system choose."""
    instances: int = Field(default=1, ge=1, le=64)
    threshold: float = Field(default=0.5, gt=0, lt=1)
    """Score from which the answer is 1; from costs, never tuned."""
    costs: Costs | None = None
    """The other way to declare the threshold: false_positive / (false_positive + false_negative)."""
    instance_type: str = Field(default="ml.m5.large", pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")
    """Of the instances on AWS."""
    shift: TrafficShift = Field(default_factory=TrafficShift)
    """How traffic moves to another model, on AWS."""

    @model_validator(mode="after")
    def _enough_to_divide(self) -> "ServingPolicy":
        if self.shift.kind is not ShiftKind.ALL_AT_ONCE and self.instances == 1:
            raise ValueError(f"a {self.shift.kind.value} shift needs at least 2 instances: a step is at most half of the fleet")
        return self

    @model_validator(mode="before")
    @classmethod
    def _threshold_from_costs(cls, data: Any) -> Any:  # noqa: ANN401 - a pydantic before-validator sees raw input
        """One or the other; a policy that was written down with both, in agreement, is read again."""
        if not isinstance(data, dict) or data.get("costs") is None:
            return data
        wanted = Costs.model_validate(data["costs"]).threshold
        if data.get("threshold", wanted) != wanted:
            raise ValueError(f"declare threshold or costs, not both: these costs make the threshold {wanted:g}")
        return data | {"threshold": wanted}


class RolloutPolicy(Declared):
    """What happens after a promotion."""

    bake: Duration = timedelta(minutes=10)
    """Minutes on the clock during which the new champion has to answer without errors."""
    max_error_rate: float = Field(default=0.01, ge=0, le=1)
    watch: Duration = timedelta(days=14)
    """Days of the data's time during which late labels are compared with the former champion."""
    watch_check: Duration = timedelta(hours=6)
    """Pause between looks, on the clock."""
    watch_limit: Duration = timedelta(days=35)
    """When the watch ends on the clock even if the labels have not come."""
    watch_alpha: float = Field(default=0.01, gt=0, lt=0.5)
    """Chance of rolling back a champion that is not worse, over the whole watch."""
    watch_margin: float = Field(default=0.005, ge=0)
    """How much worse counts as not worse: in Brier score, absolute; of many classes, in half of it; of a regression, in
    squared error as a share of nine times the usual one, so that .005 is 4.5 % of it."""


class Manifest(Contract):
    """What an endpoint should run. Each promotion or rollback writes the next revision."""

    endpoint: EndpointName
    revision: int = Field(ge=1)
    champion: ModelRef
    lineage: tuple[Sha256, ...] = Field(default=(), max_length=20)
    """Former champions, the newest first: what a rollback goes back to."""
    incident: str = ""
    promoted_as_of: Utc
    served_from: Utc | None = None
    """Data time from which this revision has served, where that is not `promoted_as_of`: a recalibration doesn't promote anew."""
    recalibration: bool = False
    """Only the shift changed: same members as the revision before; the card's `derived_from` names the model they come from."""
    key: str
    """Idempotency key of the write that made this revision."""


class DeployModel(Contract):
    """Put a model into service on every instance, with no request lost."""

    key: str
    model: ModelRef
    serving: ServingPolicy
    urgent: bool = False
    """Going back: all traffic at once, and no alarm may stop it."""


class Deployment(Contract):
    """What is really in service."""

    endpoint: EndpointName
    wanted: Sha256 | None
    url: str = ""
    instances: int = 0
    ready: int = 0
    """Instances that answer with the wanted model."""
    digests: dict[str, int] = Field(default_factory=dict)
    """Instances per digest."""
    failure: str | None = None
    """Why the wanted model is not in service: instances could not load it, or the platform went back by itself."""
    notes: tuple[str, ...] = ()
    """What people should know of this deployment, such as an alarm that could not guard it."""

    @property
    def landed(self) -> bool:
        return self.wanted is not None and self.instances > 0 and self.ready == self.instances


class PromoteChallenger(Contract):
    """Deploy, verify, rewrite manifest and registry. Killed anywhere, done again, it ends the same."""

    key: str
    challenger: Challenger
    """The refit that ships."""
    incident: str
    as_of: Utc
    serving: ServingPolicy
    reference: dict[str, float]
    expected: Sha256 | None
    """The champion that the evidence was made against; another one by now is a conflict."""
    recipe: Recipe
    features: tuple[str, ...]


class RecalibrateChampion(Contract):
    """Put the champion into service with another shift. Killed anywhere, done again, it ends the same."""

    key: str
    champion: ModelRef
    """For which the shift was found; another one by now is a conflict."""
    shift: tuple[float, ...]
    """Instead of the present one: one number, or one for each class."""
    incident: str
    as_of: Utc
    serving: ServingPolicy


class UndoRecalibration(Contract):
    """Take a recalibration back that broke off, however far it had come."""

    key: str
    recalibration: str
    """Its key."""
    endpoint: EndpointName
    incident: str
    serving: ServingPolicy


class Promotion(Contract):
    """A landed promotion, or a landed recalibration."""

    manifest: Manifest
    deployment: Deployment
    former: ModelRef | None = None
    """Champion before; None at the first promotion."""


class RollBack(Contract):
    """Go back to the newest former champion, or to `to`."""

    key: str
    endpoint: EndpointName
    incident: str
    as_of: Utc | None = None
    serving: ServingPolicy
    bad: Sha256 | None = None
    """Only if this model is still the champion; None rolls back whatever is."""
    reason: str = ""


class BakeChampion(Contract):
    """Watch how the new champion answers for `bake` on the clock."""

    endpoint: EndpointName
    digest: Sha256
    bake: Duration
    max_error_rate: float


class CheckBake(Contract):
    """Ask serving how the new champion has answered since `since`."""

    endpoint: EndpointName
    digest: Sha256
    since: Utc
    max_error_rate: float


class BakeReport(Contract):
    """What the minutes after a promotion showed."""

    healthy: bool
    requests: int
    errors: int
    sentence: str


class CheckWatch(Contract):
    """Hold the new champion against the former one on live requests whose labels have come."""

    key: str
    endpoint: EndpointName
    champion: ModelRef
    former: ModelRef
    since: Utc
    """Data time of the promotion."""
    until: Utc
    """Data time at which the watch is complete."""
    alpha: float
    margin: float
    data: DataPolicy
    check_every: Duration
    """Pause before the next look, on the clock."""
    tags: Tags | None = None


class WatchReport(Contract):
    """An any-time-valid look at the promotion."""

    complete: bool
    """Labels up to the end of the watch have arrived."""
    worse: bool
    """The bound says that the new champion is worse by more than the margin."""
    rows: int
    evidence: float
    """The e-value against 'not worse by more than the margin'; worse at 1 / alpha."""
    brier_champion: float | None = None
    brier_former: float | None = None
    metric: str = "brier"
    """What the two losses are: the Brier score, or the RMSE of a regression."""
    loss_champion: float | None = None
    loss_former: float | None = None
    sentence: str
