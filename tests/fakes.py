"""A platform in memory: it keeps what it is given, behaves as the ports promise, and fails where a test says so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from contracts.alarm import Alarm
from contracts.audit import AuditEntry, AuditRecord, Verification
from contracts.inventory import Removal, Resource
from contracts.review import Notice, NotVouched, Verified, VerifyDecision, Vouched, VouchedBy
from contracts.rollout import BakeReport, CheckBake, Deployment, DeployModel, Manifest
from contracts.shadow import BenchState
from contracts.snapshot import Coverage, DataPolicy, Shortfall, Snapshot, TakeSnapshot, Window
from contracts.training import (
    Challenger,
    DatasetRef,
    JobPhase,
    JobState,
    ModelCard,
    ModelRef,
    ModelStatus,
    Recipe,
    Tags,
    TrainChallenger,
)
from platforms.errors import Conflict, NotFound
from platforms.pace import Pace
from platforms.ports import Labels, Margins, Platform, Rows, Served

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
LABEL_DELAY = np.timedelta64(1, "h")
STRENGTH = 3.0
"""How strongly the first feature drives the label, in log-odds per standard deviation."""


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@dataclass
class World:
    """What the fakes share. `quality` is a model's correlation with what drives the label: 0 guesses, 0.9 is good, below 0 is wrong.

    Scores are calibrated for their quality, so that only what a test wants to differ does.
    """

    endpoint: str = field(default_factory=lambda: f"bikes-{uuid4().hex[:8]}")
    """Its own for each test, since all tests share one server."""
    quality: dict[str, float] = field(default_factory=dict)
    bias: dict[str, float] = field(default_factory=dict)
    """By how much a model's margins run high, by digest; 0 where nothing is said."""
    recipes: dict[str, Recipe] = field(default_factory=dict)
    """Of everything trained, by digest."""
    shifts: dict[str, float] = field(default_factory=dict)
    """Of everything trained with one, by digest."""
    challenger_quality: float = 0.9
    refit_quality: float | None = None
    fixed_refit: str | None = None
    """Digest of every refit from now on, where set."""
    coverage_short: int = 0
    """So many snapshots fall short before one suffices."""
    coverages: list[dict[str, Any]] = field(default_factory=list)
    """What the next looks find, as changes of a whole coverage ..."""
    looks: list[TakeSnapshot] = field(default_factory=list)
    """... and what was asked for."""
    failures: dict[str, list[Exception | None]] = field(default_factory=dict)
    """By port method: raised one after the other (None works), then it works."""
    calls: list[str] = field(default_factory=list)
    jobs: dict[str, TrainChallenger] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    training_holds: bool = False
    cards: dict[str, ModelCard] = field(default_factory=dict)
    serving: dict[str, DeployModel] = field(default_factory=dict)
    deployed: list[str] = field(default_factory=list)
    healthy: bool = True
    manifests: list[Manifest] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    """By which channel, and the notice's kind, in order ..."""
    heard: set[tuple[str, str]] = field(default_factory=set)
    """... and the states that each has heard of."""
    records: list[AuditRecord] = field(default_factory=list)
    resources: dict[str, Resource] = field(default_factory=dict)
    taken: dict[str, datetime] = field(default_factory=dict)
    """Moment of each snapshot, by its dataset's uri."""
    bench: list[BenchState] = field(default_factory=list)
    raised: list[Alarm] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    """The decision vault, by ticket."""
    label_lead: timedelta = timedelta(days=60)
    """How far after AS_OF labels have arrived."""

    def step(self, name: str) -> None:
        self.calls.append(name)
        waiting = self.failures.get(name)
        failure = waiting.pop(0) if waiting else None
        if failure is not None:
            raise failure

    def keep(self, kind: str, key: str, tags: Tags) -> None:
        self.resources[key] = Resource(id=key, kind=kind, tags=tags, created=AS_OF)

    def champion(self, name: str = "champion", quality: float = 0.6, trained_through: datetime | None = None) -> ModelRef:
        """Put a first champion into service, as an earlier incident would have."""
        model = ModelRef(endpoint=self.endpoint, digest=digest(name))
        self.quality[model.digest] = quality
        self.cards[model.digest] = ModelCard(
            model=model,
            artifact_uri=f"mem:{name}",
            recipe=Recipe(),
            features=("truth", "noise"),
            trained_through=trained_through or AS_OF - timedelta(days=100),
            rows=1000,
            base_rate=0.4,
            dataset_sha256=digest("dataset"),
            incident="first",
            status=ModelStatus.CHAMPION,
        )
        self.manifests.append(
            Manifest(
                endpoint=self.endpoint,
                revision=len(self.manifests) + 1,
                champion=model,
                lineage=tuple(m.champion.digest for m in reversed(self.manifests)),
                promoted_as_of=AS_OF - timedelta(days=100),
                key=f"first/{name}",
            )
        )
        return model

    def events(self) -> list[str]:
        return [r.entry.event.value for r in self.records]


@cache
def _all_rows() -> Rows:
    """Two years by the hour around AS_OF."""
    begin = np.datetime64((AS_OF - timedelta(days=500)).replace(tzinfo=None), "us")
    moments = begin + np.arange(730 * 24) * np.timedelta64(1, "h")
    chance = np.random.default_rng(1)
    features = chance.normal(size=(len(moments), 2))
    label = (chance.random(len(moments)) < 1 / (1 + np.exp(-STRENGTH * features[:, 0]))).astype(float)
    return Rows(ids=moments.astype(str), event_time=moments, features=features, label=label)


def make_rows(window: Window, known_at: datetime | None = None) -> Rows:
    """A row an hour, the same ones for every window; column 0 of the features drives the label, column 1 is noise.

    Labels arrive an hour after their event; with `known_at` only rows whose label had arrived by then.
    """
    rows, start, end = _all_rows(), _moment(window.start), _moment(window.end)
    if known_at is not None:
        end = min(end, _moment(known_at) - LABEL_DELAY + np.timedelta64(1, "us"))
    inside = (rows.event_time >= start) & (rows.event_time < end)
    return Rows(rows.ids[inside], rows.event_time[inside], rows.features[inside], rows.label[inside])


def _moment(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.replace(tzinfo=None), "us")


@dataclass
class FakeFeatures:
    world: World

    def snapshot(self, request: TakeSnapshot) -> Snapshot:
        self.world.step("snapshot")
        self.world.keep("snapshot", request.key, request.tags)
        self.world.taken[f"mem:{request.key}"] = request.as_of
        content = digest(f"dataset as of {request.as_of}")
        coverage = self.coverage(request)
        cut = request.as_of - request.holdout - request.data.label_delay
        window = Window(start=cut - timedelta(days=30), end=request.as_of)
        return Snapshot(
            dataset=DatasetRef(uri=f"mem:{request.key}", sha256=content, rows=1000),
            query="select * from rows",
            as_of=request.as_of,
            window=window,
            cut=cut,
            holdout=Window(start=request.as_of - request.holdout, end=request.as_of),
            coverage=coverage,
            fingerprint=content,
        )

    def coverage(self, request: TakeSnapshot) -> Coverage:
        """Whole, unless the world has something else in store: looks of its own, then so many that fall short."""
        whole = Coverage(rows=1000, labelled=1000, days=30, label_rate=1, positives=400, negatives=600)
        self.world.looks.append(request)
        if self.world.coverages:
            return whole.model_copy(update=self.world.coverages.pop(0))
        if self.world.coverage_short > 0:
            self.world.coverage_short -= 1
            return whole.model_copy(update={"short": (Shortfall(what="positives", found=0, wanted=20),)})
        return whole

    def rows(self, dataset: DatasetRef, data: DataPolicy, window: Window) -> Rows:
        return make_rows(window, self.world.taken.get(dataset.uri))

    def labels(self, dataset: DatasetRef, data: DataPolicy, window: Window) -> Labels:
        self.world.step("labels")
        rows = make_rows(window, self.world.taken.get(dataset.uri))
        return Labels(rows.ids, rows.event_time, rows.event_time + LABEL_DELAY, rows.label)

    def watermark(self, data: DataPolicy) -> datetime | None:
        self.world.step("watermark")
        return AS_OF + self.world.label_lead


@dataclass
class FakeTrainer:
    world: World

    def start(self, job: TrainChallenger) -> JobState:
        self.world.step("train")
        if job.key not in self.world.jobs:
            self.world.jobs[job.key] = job
            self.world.keep("training", job.key, job.tags)
        return self.describe(job.key)

    def describe(self, key: str) -> JobState:
        job = self.world.jobs[key]
        if key in self.world.stopped:
            return JobState(key=key, phase=JobPhase.STOPPED)
        if self.world.training_holds:
            return JobState(key=key, phase=JobPhase.RUNNING, progress="still training")
        return JobState(key=key, phase=JobPhase.COMPLETED, challenger=self._challenger(job))

    def _challenger(self, job: TrainChallenger) -> Challenger:
        fixed = self.world.fixed_refit if job.purpose.value == "refit" else None
        model = ModelRef(endpoint=job.endpoint, digest=fixed or digest(job.key))
        refit = self.world.refit_quality if job.purpose.value == "refit" else None
        self.world.quality[model.digest] = self.world.challenger_quality if refit is None else refit
        self.world.recipes[model.digest] = job.recipe
        self.world.shifts[model.digest] = job.shift[0] if job.shift else 0.0
        return Challenger(
            model=model,
            artifact_uri=f"mem:{job.key}",
            purpose=job.purpose,
            trained_through=job.end,
            rows=1000,
            positives=400,
            base_rate=0.4,
            cost_usd=0.5,
            dataset_sha256=job.dataset.sha256,
            shift=job.shift,
        )

    def stop(self, key: str) -> None:
        self.world.step("stop")
        if key in self.world.jobs and self.world.training_holds:
            self.world.stopped.add(key)


@dataclass
class FakeRegistry:
    world: World

    def register(self, card: ModelCard) -> ModelCard:
        self.world.step("register")
        return self.world.cards.setdefault(card.model.digest, card)

    def get(self, model: ModelRef) -> ModelCard:
        if model.digest not in self.world.cards:
            raise NotFound(f"no model {model.digest}")
        return self.world.cards[model.digest]

    def mark(self, model: ModelRef, status: ModelStatus) -> ModelCard:
        self.world.step("mark")
        for key, card in self.world.cards.items():
            if status is ModelStatus.CHAMPION and card.status is ModelStatus.CHAMPION:
                self.world.cards[key] = card.model_copy(update={"status": ModelStatus.RETIRED})
        self.world.cards[model.digest] = self.get(model).model_copy(update={"status": status})
        return self.world.cards[model.digest]

    def recalibrated(self, model: ModelRef, shift: tuple[float, ...], key: str) -> ModelCard:
        self.world.step("recalibrated")
        base = self.get(model)
        made = ModelRef(endpoint=model.endpoint, digest=digest(f"{base.derived_from or model.digest} {shift}"))
        self.world.quality.setdefault(made.digest, self.world.quality[model.digest])
        self.world.bias.setdefault(made.digest, self.world.bias.get(model.digest, 0.0))
        changed = {"model": made, "status": ModelStatus.PENDING, "shift": shift, "derived_from": model.digest, "key": key}
        return self.world.cards.setdefault(made.digest, base.model_copy(update=changed))


@dataclass
class FakeScorer:
    world: World

    def score(self, artifact_uri: str, model: ModelRef, features: Sequence[str], rows: Rows) -> NDArray[np.float64]:
        self.world.step("score")
        return 1 / (1 + np.exp(-self._signal(model, rows) - self._shift(model)))

    def margins(self, artifact_uri: str, model: ModelRef, features: Sequence[str], rows: Rows) -> Margins:
        """Every member says the same."""
        self.world.step("margins")
        card = self.world.cards.get(model.digest)
        recipe = card.recipe if card else self.world.recipes[model.digest]
        members = tuple(member.name for member in recipe.blended)
        return Margins(members, np.repeat(self._signal(model, rows)[:, None], len(members), axis=1), (self._shift(model),))

    def _shift(self, model: ModelRef) -> float:
        card = self.world.cards.get(model.digest)
        return card.shift[0] if card and card.shift else self.world.shifts.get(model.digest, 0.0)

    def _signal(self, model: ModelRef, rows: Rows) -> NDArray[np.float64]:
        quality = self.world.quality[model.digest]
        seen = abs(quality) * rows.features[:, 0] + np.sqrt(1 - quality**2) * rows.features[:, 1]
        unseen = STRENGTH**2 * (1 - quality**2)
        signal = STRENGTH * quality * seen / np.sqrt(1 + unseen * np.pi / 8)
        return np.asarray(signal + self.world.bias.get(model.digest, 0.0))


@dataclass
class FakeTraffic:
    world: World

    def replay(self, endpoint: str, data: DataPolicy, window: Window, known_at: datetime) -> Served:
        self.world.step("replay")
        rows = make_rows(window)
        n = len(rows)
        return Served(
            ids=rows.ids,
            event_time=rows.event_time,
            features=rows.features,
            label=rows.label,
            score=np.full(n, 0.5),
            digest=np.array(["0" * 64] * n),
        )


@dataclass
class FakeServing:
    world: World

    def deploy(self, request: DeployModel) -> Deployment:
        self.world.step("deploy")
        self.world.serving[request.model.endpoint] = request
        self.world.deployed.append(request.model.digest)
        return self.describe(request.model.endpoint)

    def describe(self, endpoint: str) -> Deployment:
        wanted = self.world.serving[endpoint].model.digest if endpoint in self.world.serving else None
        return Deployment(endpoint=endpoint, wanted=wanted, instances=1, ready=1)

    def health(self, request: CheckBake) -> BakeReport:
        self.world.step("health")
        healthy = self.world.healthy
        sentence = "no errors" if healthy else "40 of 50 requests failed"
        return BakeReport(healthy=healthy, requests=50, errors=0 if healthy else 40, sentence=sentence)


@dataclass
class FakeManifests:
    world: World

    def read(self, endpoint: str) -> Manifest | None:
        return self.world.manifests[-1] if self.world.manifests else None

    def write(self, manifest: Manifest) -> Manifest:
        self.world.step("manifest")
        self.world.manifests.append(manifest)
        return manifest

    def history(self, endpoint: str) -> Sequence[Manifest]:
        return tuple(self.world.manifests)


@dataclass
class FakeEvidence:
    world: World

    def write(self, endpoint: str, incident: str, name: str, content: bytes) -> str:
        uri = f"mem:{endpoint}/{incident}/{name}"
        self.world.files[uri] = content
        return uri

    def read(self, uri: str) -> bytes:
        return self.world.files[uri]

    def link(self, uri: str) -> str:
        return f"http://127.0.0.1/evidence/{uri.removeprefix('mem:')}"

    def names(self, endpoint: str, incident: str) -> Sequence[str]:
        folder = f"mem:{endpoint}/{incident}/"
        return sorted(uri.removeprefix(folder) for uri in self.world.files if uri.startswith(folder))

    def content(self, endpoint: str, incident: str, name: str) -> bytes:
        uri = f"mem:{endpoint}/{incident}/{name}"
        if uri not in self.world.files:
            raise NotFound(uri)
        return self.world.files[uri]


@dataclass
class FakeNotifier:
    world: World

    def send(self, notice: Notice) -> bool:
        self.world.step("notify")
        fresh = all(n.key != notice.key for n in self.world.notices)
        if fresh:
            self.world.notices.append(notice)
        return fresh

    def tell(self, notice: Notice, channel: str) -> bool:
        """Fails as the world says for 'tell:CHANNEL'."""
        self.world.step(f"tell:{channel}")
        fresh = (channel, notice.tells_of) not in self.world.heard
        if fresh:
            self.world.heard.add((channel, notice.tells_of))
            self.world.told.append((channel, notice.kind.value))
        return fresh


@dataclass
class FakeAudit:
    world: World

    def append(self, entry: AuditEntry) -> AuditRecord:
        self.world.step(f"audit:{entry.event.value}")
        known = next((r for r in self.world.records if r.entry.key == entry.key), None)
        if known is None:
            known = AuditRecord(seq=len(self.world.records) + 1, entry=entry, previous="0" * 64, hash=digest(entry.key))
            self.world.records.append(known)
        return known

    def read(self, endpoint: str | None = None) -> Iterator[AuditRecord]:
        yield from self.world.records

    def after(self, position: int) -> Iterator[AuditRecord]:
        yield from self.world.records[position:]

    def get(self, seq: int) -> AuditRecord:
        if not 1 <= seq <= len(self.world.records):
            raise NotFound(f"no record {seq}")
        return self.world.records[seq - 1]

    def verify(self) -> Verification:
        return Verification(records=len(self.world.records), verified=True)


@dataclass
class FakeInventory:
    world: World

    def list(self, tags: Tags | None = None) -> Sequence[Resource]:
        return tuple(r for r in self.world.resources.values() if tags is None or r.tags == tags)

    def remove(self, resources: Sequence[Resource]) -> Removal:
        self.world.step("remove")
        for resource in resources:
            self.world.resources.pop(resource.id, None)
        return Removal(removed=tuple(resources))


@dataclass
class FakeBench:
    world: World

    def read(self, endpoint: str) -> BenchState | None:
        self.world.step("bench:read")
        return self.world.bench[-1] if self.world.bench else None

    def write(self, state: BenchState) -> BenchState:
        self.world.step("bench:write")
        written = next((one for one in self.world.bench if one.key == state.key), None)
        if written is not None:
            return written
        if state.revision != len(self.world.bench) + 1:
            raise Conflict(f"revision {state.revision} after {len(self.world.bench)}")
        self.world.bench.append(state)
        return state

    def keep_fit(self, fit: Challenger) -> str:
        self.world.step("bench:fit")
        return f"{fit.artifact_uri}#kept"

    def keep_part(self, endpoint: str, content: bytes) -> str:
        self.world.step("bench:part")
        uri = f"mem:{endpoint}/parts/{sha256(content).hexdigest()}"
        self.world.files[uri] = content
        return uri

    def read_part(self, uri: str, sha256: str) -> bytes:
        return self.world.files[uri]

    def prune(self, endpoint: str) -> int:
        self.world.step("bench:prune")
        return 0


@dataclass
class FakeAlarms:
    world: World

    def send(self, alarm: Alarm) -> bool:
        self.world.step("alarm")
        if all(one.id != alarm.id for one in self.world.raised):
            self.world.raised.append(alarm)
        return True


def kept_token(world: World, token: str) -> str:
    """Puts a token into the vault; gives its ticket."""
    world.tokens[digest(token)] = token
    return digest(token)


@dataclass
class FakeVault:
    world: World

    def keep(self, token: str) -> str:
        return kept_token(self.world, token)

    def read(self, ticket: str) -> str:
        if ticket not in self.world.tokens:
            raise NotFound(f"nothing lies under {ticket}")
        return self.world.tokens[ticket]


def fake_token(person: str, n: int = 1) -> str:
    """A token that the fake verifier takes as signed by this person."""
    return f"signed-by:{person}:{n}"


@dataclass
class FakeVerifier:
    """Believes `fake_token`; real ones are verified by the real adapter."""

    world: World

    def verify(self, request: VerifyDecision, token: str) -> Verified:
        self.world.step("verify")
        said, _, rest = token.partition(":")
        if said != "signed-by":
            return Verified(refusal=NotVouched.FORGED, reason="its token doesn't hold: sign the decision again")
        ticket = sha256(token.encode()).hexdigest()
        return Verified(
            vouched=Vouched(person=rest.rpartition(":")[0], how=VouchedBy.OWN_KEY, ticket=ticket, token_id=ticket[:16])
        )


def fake_platform(world: World, **replaced: Any) -> Platform:
    """All ports in memory; `replaced` puts a real adapter in the place of one."""
    ports: dict[str, Any] = {
        "features": FakeFeatures(world),
        "trainer": FakeTrainer(world),
        "registry": FakeRegistry(world),
        "scorer": FakeScorer(world),
        "traffic": FakeTraffic(world),
        "serving": FakeServing(world),
        "manifests": FakeManifests(world),
        "evidence": FakeEvidence(world),
        "notifier": FakeNotifier(world),
        "audit": FakeAudit(world),
        "inventory": FakeInventory(world),
        "bench": FakeBench(world),
        "alarms": FakeAlarms(world),
        "vault": FakeVault(world),
        "identity": FakeVerifier(world),
    }
    pace = Pace(land_seconds=5.0, land_poll=0.01, training_poll=0.01, bake_poll=0.01)
    return Platform(**{**ports, "pace": pace, **replaced})
