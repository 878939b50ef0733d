"""Take a recorded decision again: retrieve, train, score and judge anew, and say what is not the same as then.

Nothing that lasts is written: snapshots and training jobs run under a key and an incident of their own and are removed at
the end, evidence stays in memory. `offline` needs the record and the evidence files only.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from temporalio.exceptions import ApplicationError

from activities.bench_reproduction import NOT_MADE_AGAIN, evaluated_again, record_held
from activities.evaluation import EvaluationActivities
from activities.gate import judged
from activities.kept_evidence import InMemory, Kept, OnlyThese, kept, made_again, replayed, whole
from activities.predictions import decode
from activities.recorded import Recorded, compared
from contracts.audit import AuditRecord
from contracts.evaluation import Evidence, Judgement
from contracts.reproduction import Check, Reproduction, Standing
from contracts.snapshot import Snapshot
from contracts.training import Challenger, JobPhase, ModelCard, Purpose, Tags
from platforms.errors import Corrupt, NotFound, PlatformError, TrainingFailed, Unavailable
from platforms.ports import Platform
from platforms.versions import library_versions

Say = Callable[[str], None]
_OLDER = "the record was made by a release that did not keep it"
_SET_BY_THE_GATE = frozenset({"report_uri"})
_OF_ONE_RETRIEVAL = frozenset({"dataset.uri", "retrieval.query_id", "retrieval.scanned_bytes", "retrieval.cost_usd"})
"""Where the rows lie, and what fetching them took."""
_WEEKS = ("verdict", "sentence", "reasons")
"""What the weeks since the last promotion may change."""


async def reproduce(platform: Platform, record: AuditRecord, *, nonce: str, offline: bool, say: Say) -> Reproduction:
    """Every check, and what was temporary is gone again. `nonce` keeps two runs apart.

    Raises: Corrupt (the record's facts can't be read), Unavailable, Exhausted.
    """
    again = _Again(platform, Recorded(record), nonce, say)
    try:
        again.offline()
        if not offline:
            await again.anew()
    finally:
        again.clean_up()
    entry = record.entry
    return Reproduction(
        seq=record.seq,
        hash=record.hash,
        event=entry.event.value,
        endpoint=entry.endpoint,
        incident=entry.incident,
        checks=tuple(again.checks),
        notes=tuple(again.notes),
    )


@dataclass
class _Again:
    """One run: what was checked so far, and what has to be removed."""

    platform: Platform
    recorded: Recorded
    nonce: str
    say: Say
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)

    def offline(self) -> None:
        """The chain, the kept evidence, and the verdict recomputed from it."""
        self._chain()
        evidence = self.recorded.evidence
        if evidence is None:
            self._unchecked("evidence", "evidence", "the incident ended before anything was compared")
            return
        with self._named("evidence", "evidence files"):
            self.say("reading the kept evidence")
            found = kept(self.platform.evidence, evidence)
            self.checks.extend(whole(found))
            self._verdict(found)

    async def anew(self) -> None:
        """From the feature store to the evidence, as far as the record allows."""
        snapshot = self._retrieved()
        if snapshot is None:
            return
        made = {purpose: fitted async for purpose, fitted in self._trained(snapshot)}
        champion = self._champion()
        self._shipped()
        if self.recorded.evidence is not None:
            self._scored(snapshot, made, champion)

    def clean_up(self) -> None:
        """Stops what still trains and removes what carries this run's tags."""
        for key in self.jobs:
            self.platform.trainer.stop(key)
        removal = self.platform.inventory.remove(self.platform.inventory.list(self._tags))
        self.notes.extend(f"not removed: {failure}" for failure in removal.failed)

    @property
    def _tags(self) -> Tags:
        entry, facts = self.recorded.record.entry, self.recorded.facts
        return Tags(
            endpoint=entry.endpoint,
            incident=f"reproduce-{self.nonce}",
            team=str(facts.get("team", "unknown")),
            cost_center=str(facts.get("cost_center", "unknown")),
        )

    def _key(self, step: str) -> str:
        return f"reproduce/{self.recorded.record.hash[:16]}/{self.nonce}/{step}"

    def _chain(self) -> None:
        self.say("verifying the audit chain")
        found = self.platform.audit.verify()
        if found.verified:
            self._same("chain", "audit chain", f"{found.records:,} records hold")
        for fault in found.faults:
            what = f"record {fault.seq}: {fault.what}"
            self._add("chain", "audit chain", Standing.DIFFERS, recorded="whole", found=what)

    def _verdict(self, found: Kept) -> None:
        """From the predictions alone, to the last bit."""
        threshold = found.facts.get("threshold")
        request = self.recorded.judging(threshold if isinstance(threshold, float) else 0.5)
        if request is None:
            self._unchecked("verdict", "judgement", "the record holds no judgement")
            return
        self.say("judging the kept predictions again")
        self.checks.extend(self._without_weeks(self._judged(judged(request, decode(found.predictions, request.task)))))

    def _judged(self, judgement: Judgement) -> Iterator[Check]:
        return compared("verdict", "judgement", self.recorded.facts["judgement"], judgement, but=_SET_BY_THE_GATE)

    def _without_weeks(self, checks: Iterator[Check]) -> Iterator[Check]:
        """Where an older record doesn't say when the last promotion was, what depends on it is left open."""
        known = "judge" in self.recorded.requests
        for check in checks:
            rests = check.field.removeprefix("judgement.").partition("[")[0] in _WEEKS
            open_ = not known and rests and check.standing is Standing.DIFFERS
            why = f"it rests on the weeks since the last promotion: {_OLDER}"
            yield check.model_copy(update={"standing": Standing.UNCHECKED, "why": why}) if open_ else check

    def _retrieved(self) -> Snapshot | None:
        recorded = self.recorded.facts.get("snapshot")
        request = self.recorded.retrieval(self._key("snapshot"), self._tags)
        if request is None or not isinstance(recorded, dict):
            self._unchecked("retrieval", "snapshot", f"the request for the window is missing: {_OLDER}")
            return None
        self.say(f"retrieving table {request.data.table} as of {request.as_of:%Y-%m-%d %H:%M} UTC")
        with self._named("retrieval", "snapshot"):
            snapshot = self.platform.features.snapshot(request)
            self.checks.extend(compared("retrieval", "snapshot", recorded, snapshot, but=_OF_ONE_RETRIEVAL))
            return snapshot
        return None

    async def _trained(self, snapshot: Snapshot) -> AsyncIterator[tuple[Purpose, Challenger]]:
        """Both fits side by side, then one after the other is held against its record."""
        asked = {purpose: self.recorded.training(purpose, snapshot, self._key(purpose.value), self._tags) for purpose in Purpose}
        for job in asked.values():
            if job is not None:
                self.jobs.append(job.key)
                self.platform.trainer.start(job)
        for purpose, job in asked.items():
            then = self.recorded.challenger(purpose)
            if job is None or then is None:
                if then is not None:
                    self._unchecked("training", purpose.value, f"the request to train is missing: {_OLDER}")
                continue
            self.say(f"training again what was trained to {purpose.value}")
            with self._named("training", purpose.value):
                now = await self._finished(job.key, purpose)
                self._held_to(purpose, then, now)
                yield purpose, now

    async def _finished(self, key: str, purpose: Purpose) -> Challenger:
        """Raises: TrainingFailed, Unavailable."""
        state = self.platform.trainer.describe(key)
        while state.phase is JobPhase.RUNNING:
            await asyncio.sleep(self.platform.pace.pause(self.platform.pace.training_poll))
            state = self.platform.trainer.describe(key)
        if state.challenger is None:
            raise TrainingFailed(state.failure or f"the job to {purpose.value} was stopped from outside")
        return state.challenger

    def _held_to(self, purpose: Purpose, then: Challenger, now: Challenger) -> None:
        elsewhere = frozenset({"artifact_uri", "seconds", "cost_usd"})
        recorded = then.model_dump(mode="json", exclude_none=True, exclude={"versions"})
        bound = elsewhere | {f"versions.{name}" for name in library_versions()}
        self.checks.extend(compared("training", purpose.value, recorded, now, but=bound))
        versions: Mapping[str, str] = getattr(then, "versions", {})
        for name, version in library_versions().items():
            if versions.get(name, version) != version:
                self.notes.append(f"{purpose.value}: trained with {name} {versions[name]}, here is {version}")

    def _champion(self) -> ModelCard | None:
        """The registry's card of the recorded champion, whose artifact is checked on reading."""
        champion = self.recorded.champion
        if champion is None:
            return None
        with self._named("artifact", "champion"):
            card = self.platform.registry.get(champion.model)
            self._same("artifact", "champion", f"the registry holds {champion.model.digest[:12]} unchanged")
            return champion.model_copy(update={"artifact_uri": card.artifact_uri})
        return None

    def _shipped(self) -> None:
        """The promoted model, where there was a promotion, is still what was trained."""
        refit = self.recorded.challenger(Purpose.REFIT)
        if refit is None or "promotion" not in self.recorded.facts:
            return
        with self._named("artifact", "refit"):
            self.platform.registry.get(refit.model)
            self._same("artifact", "refit", f"the registry holds {refit.model.digest[:12]} unchanged")

    def _scored(self, snapshot: Snapshot, made: Mapping[Purpose, Challenger], champion: ModelCard | None) -> None:
        """The same rows through the same code; the evidence digest covers all of it."""
        evidence = self.recorded.evidence
        assert evidence is not None  # the caller asked
        if "evaluate" not in self.recorded.requests:
            self._scored_by_bench(snapshot, made.get(Purpose.REFIT), champion, evidence)
            return
        if set(made) != set(Purpose) or (champion is None and evidence.champion is not None):
            self._unchecked("scores", "evidence digest", "a model that it takes could not be had")
            return
        self.say("scoring the same rows again")
        with self._named("scores", "evidence digest"):
            before = kept(self.platform.evidence, evidence).predictions
            memory = InMemory(self.platform.evidence)
            traffic = OnlyThese(self.platform.traffic, replayed(before))
            anew = EvaluationActivities(replace(self.platform, evidence=memory, traffic=traffic))
            now = anew.evaluate_challenger(self.recorded.evaluation(snapshot, made, champion))
            self._evidence_held(evidence, now, list(made_again(before, memory.read(now.uri))))

    def _scored_by_bench(
        self, snapshot: Snapshot, refit: Challenger | None, champion: ModelCard | None, evidence: Evidence
    ) -> None:
        advice = self.recorded.advice
        if advice is None:
            self._unchecked("scores", "evidence digest", f"the request to evaluate is missing: {_OLDER}")
            return
        self.notes.append(NOT_MADE_AGAIN)
        with self._named("scores", "bench's pairs"):
            self.checks.extend(record_held(self.platform, advice))
        if (evidence.refit is None) != (refit is None) or (evidence.champion is None) != (champion is None):
            self._unchecked("scores", "evidence digest", "a model that it takes could not be had")
            return
        self.say("replaying the same requests again")
        with self._named("scores", "evidence digest"):
            request = self.recorded.refit_evaluation(snapshot, refit, champion)
            now, rows = evaluated_again(self.platform, request, evidence)
            self._evidence_held(evidence, now, rows)

    def _evidence_held(self, then: Evidence, now: Evidence, rows: list[Check]) -> None:
        """Expired traffic leaves the digest open; any other difference stands beside it by row and column."""
        self.checks.extend(rows)
        expired = any(check.standing is Standing.UNCHECKED for check in rows)
        if expired and now.digest != then.digest:
            self._unchecked("scores", "evidence digest", "some of the replayed requests are gone from the traffic log")
            return
        standing = Standing.SAME if now.digest == then.digest else Standing.DIFFERS
        self._add("scores", "evidence digest", standing, recorded=then.digest, found=now.digest)

    @contextmanager
    def _named(self, step: str, what: str) -> Iterator[None]:
        """What can't be had is named: gone is a gap, changed is a difference, and the rest ends the run."""
        try:
            yield
        except (PlatformError, ApplicationError) as error:
            kind = error.type if isinstance(error, ApplicationError) else type(error).__name__
            if kind in (Corrupt.__name__, TrainingFailed.__name__):
                self._add(step, what, Standing.DIFFERS, recorded="whole", found=str(error))
            elif kind in (NotFound.__name__, Unavailable.__name__):
                self._unchecked(step, what, str(error))
            else:
                raise

    def _same(self, step: str, what: str, why: str) -> None:
        self.checks.append(Check(step=step, field=what, standing=Standing.SAME, why=why))

    def _unchecked(self, step: str, what: str, why: str) -> None:
        self.checks.append(Check(step=step, field=what, standing=Standing.UNCHECKED, why=why))

    def _add(self, step: str, what: str, standing: Standing, *, recorded: str, found: str) -> None:
        self.checks.append(Check(step=step, field=what, standing=standing, recorded=recorded, found=found))
