"""What the loop needs from the world, in our words.

Methods block; activities call them in a thread. Every method that changes something carries a key and is
idempotent under it. All of them raise only `platforms.errors`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.alarm import Alarm
from contracts.audit import AuditEntry, AuditRecord, Verification
from contracts.base import Sha256, Utc
from contracts.inventory import Removal, Resource
from contracts.review import Notice, Verified, VerifyDecision
from contracts.rollout import BakeReport, CheckBake, Deployment, DeployModel, Manifest
from contracts.shadow import BenchState
from contracts.snapshot import Coverage, DataPolicy, Snapshot, TakeSnapshot, Window
from contracts.training import Challenger, DatasetRef, JobState, ModelCard, ModelRef, ModelStatus, Tags, TrainChallenger
from platforms.pace import Pace
from platforms.tables import Labels as Labels
from platforms.tables import Margins as Margins
from platforms.tables import Rows as Rows
from platforms.tables import Served as Served


class FeatureStore(Protocol):
    def snapshot(self, request: TakeSnapshot) -> Snapshot:
        """Freeze the window as it was known at `as_of`; the same key gives the same snapshot.

        Raises: NotFound (no such table or column), Corrupt (a partition can't be read), Exhausted (disk full).
        """
        ...

    def coverage(self, request: TakeSnapshot) -> Coverage:
        """What a snapshot would say of its window; nothing is kept. Raises: as `snapshot`."""
        ...

    def rows(self, dataset: DatasetRef, data: DataPolicy, window: Window) -> Rows:
        """The labelled rows of a frozen dataset with event time in `window`. Raises: NotFound, Corrupt."""
        ...

    def labels(self, dataset: DatasetRef, data: DataPolicy, window: Window) -> Labels:
        """The same rows without their features, with the moments at which their labels arrived. Raises: NotFound, Corrupt."""
        ...

    def watermark(self, data: DataPolicy) -> Utc | None:
        """Data time up to which labels have arrived; None for an empty table."""
        ...


class Trainer(Protocol):
    def start(self, job: TrainChallenger) -> JobState:
        """Start the job, or adopt the one that has this key. Raises: Conflict (same key, other job), Exhausted."""
        ...

    def describe(self, key: str) -> JobState:
        """Raises: NotFound."""
        ...

    def stop(self, key: str) -> None:
        """Stop the job if it runs; stopping twice, or a job that never was, is nothing."""
        ...


class ModelRegistry(Protocol):
    def register(self, card: ModelCard) -> ModelCard:
        """Keep the artifact that `card.artifact_uri` names, under its digest; returns the card with its lasting uri.

        Raises: Corrupt (the artifact's digest is not the card's), NotFound, Exhausted.
        """
        ...

    def get(self, model: ModelRef) -> ModelCard:
        """Raises: NotFound."""
        ...

    def mark(self, model: ModelRef, status: ModelStatus) -> ModelCard:
        """Set the status; making one CHAMPION retires the endpoint's former one."""
        ...

    def recalibrated(self, model: ModelRef, shift: tuple[float, ...], key: str) -> ModelCard:
        """Register the model with this shift *instead of* its own (shifts never pile up); nothing else of it changes.

        One number, or one for each class of a multiclass task. The same call gives the same card, PENDING when it is new; a shift
        that the model has, or had before, gives the card of that model.

        Raises: NotFound, Corrupt, Invalid (the shift doesn't fit), Conflict (the key made another one before), Exhausted.
        """
        ...


class Scorer(Protocol):
    def score(self, artifact_uri: str, model: ModelRef, features: Sequence[str], rows: Rows) -> NDArray[np.float64]:
        """Scores in the order of `rows`: probability of label 1 (n,), of each class (n, K), or the number (n,) of a regression.

        `features` names the columns of `rows.features`.

        Raises: Corrupt (wrong digest), NotFound, Invalid (the model wants other features).
        """
        ...

    def margins(self, artifact_uri: str, model: ModelRef, features: Sequence[str], rows: Rows) -> Margins:
        """What each member says of `rows`, which may be none; otherwise as `score`."""
        ...


class TrafficLog(Protocol):
    def replay(self, endpoint: str, data: DataPolicy, window: Window, known_at: Utc) -> Served:
        """Captured requests with event time in `window`, joined with labels that had arrived at `known_at`.

        A capture file that can't be read is set aside and reported, the rest is used.
        """
        ...


class Serving(Protocol):
    def deploy(self, request: DeployModel) -> Deployment:
        """Ask for the model on every instance; returns at once, `describe` tells when it has landed.

        Raises: Corrupt (wrong digest), NotFound, Exhausted, Unavailable (another deployment has to end first).
        """
        ...

    def describe(self, endpoint: str) -> Deployment:
        """What is in service now. Raises: NotFound (nothing was ever deployed), Unavailable."""
        ...

    def health(self, request: CheckBake) -> BakeReport:
        """Requests and errors since `since`. Raises: Unavailable."""
        ...


class ManifestStore(Protocol):
    def read(self, endpoint: str) -> Manifest | None: ...

    def write(self, manifest: Manifest) -> Manifest:
        """Write `manifest.revision`, which must be the present one plus 1; the same key again returns what it wrote.

        Raises: Conflict (another revision came between), Exhausted.
        """
        ...

    def history(self, endpoint: str) -> Sequence[Manifest]:
        """Every revision, the oldest first."""
        ...


class EvidenceStore(Protocol):
    def write(self, endpoint: str, incident: str, name: str, content: bytes) -> str:
        """Keep a file; returns its uri. The same name with the same content is nothing new.

        Raises: Conflict (same name, other content), Exhausted.
        """
        ...

    def read(self, uri: str) -> bytes:
        """Raises: NotFound."""
        ...

    def link(self, uri: str) -> str:
        """A link that a person can open."""
        ...

    def names(self, endpoint: str, incident: str) -> Sequence[str]:
        """What is kept of an incident, in the order of the alphabet; nothing for one that isn't known. Raises: Invalid."""
        ...

    def content(self, endpoint: str, incident: str, name: str) -> bytes:
        """A file by its name. Raises: NotFound, Invalid."""
        ...


class BenchStore(Protocol):
    """What the shadow bench keeps of an endpoint: a state that changes, and files that don't."""

    def read(self, endpoint: str) -> BenchState | None:
        """The newest revision. Raises: Corrupt."""
        ...

    def write(self, state: BenchState) -> BenchState:
        """Write `state.revision`, the present one plus 1; the same key again returns what it wrote, while that is kept.

        Raises: Conflict (another revision came between), Exhausted.
        """
        ...

    def keep_fit(self, fit: Challenger) -> str:
        """Keep the artifact that `fit.artifact_uri` names, under its digest; returns its lasting uri, which a scorer reads.

        Raises: Corrupt (another digest), NotFound, Exhausted.
        """
        ...

    def keep_part(self, endpoint: str, content: bytes) -> str:
        """Keep a file, known by its content; returns its uri. The same content is nothing new. Raises: Exhausted."""
        ...

    def read_part(self, uri: str, sha256: str) -> bytes:
        """Raises: NotFound, Corrupt (another digest)."""
        ...

    def prune(self, endpoint: str) -> int:
        """Remove files that no kept revision names, unless they are new; returns how many."""
        ...


class AlarmSink(Protocol):
    def send(self, alarm: Alarm) -> bool:
        """Hand an alarm of our own to the bridge, as any detector would; False where it is refused for good.

        Raises: Unavailable (the bridge can't be reached, or wants it again later).
        """
        ...


class Notifier(Protocol):
    def send(self, notice: Notice) -> bool:
        """Keep the notice where people look; False when this key was sent before. Raises: Unavailable."""
        ...

    def tell(self, notice: Notice, channel: str) -> bool:
        """Through one of its channels; False when that has heard of this state. Raises: Unavailable, Invalid, Exhausted."""
        ...


class DecisionVault(Protocol):
    """Where the signed tokens of decisions lie; only their tickets travel."""

    def keep(self, token: str) -> Sha256:
        """Keep a token for some days; returns its ticket, the SHA-256 of it. The same token is nothing new.

        Raises: Invalid (too large to be one), Exhausted.
        """
        ...

    def read(self, ticket: Sha256) -> str:
        """Raises: NotFound, Corrupt (it is not what was kept)."""
        ...


class DecisionVerifier(Protocol):
    """Knows by whose keys a decision's token counts."""

    def verify(self, request: VerifyDecision, token: str) -> Verified:
        """Raises: Unavailable (an issuer's keys can't be had now, so that nothing is known), Invalid."""
        ...


class AuditStore(Protocol):
    def append(self, entry: AuditEntry) -> AuditRecord:
        """Add a link, durably, or return the one with this key. Raises: Exhausted, Corrupt, Conflict."""
        ...

    def read(self, endpoint: str | None = None) -> Iterator[AuditRecord]: ...

    def after(self, position: int) -> Iterator[AuditRecord]:
        """What follows the first `position` records, at the cost of what is new. Raises: Corrupt."""
        ...

    def get(self, seq: int) -> AuditRecord:
        """One record. Raises: NotFound, Corrupt."""
        ...

    def verify(self) -> Verification: ...


class Inventory(Protocol):
    def list(self, tags: Tags | None = None) -> Sequence[Resource]:
        """Temporary things, all or those of one incident."""
        ...

    def remove(self, resources: Sequence[Resource]) -> Removal:
        """Remove; what is gone already counts as removed."""
        ...


@dataclass(frozen=True)
class Platform:
    """All ports of one platform; made only by `runtime/wiring.py`."""

    features: FeatureStore
    trainer: Trainer
    registry: ModelRegistry
    scorer: Scorer
    traffic: TrafficLog
    serving: Serving
    manifests: ManifestStore
    evidence: EvidenceStore
    notifier: Notifier
    audit: AuditStore
    inventory: Inventory
    bench: BenchStore
    alarms: AlarmSink
    vault: DecisionVault
    identity: DecisionVerifier
    pace: Pace = field(default_factory=Pace)
