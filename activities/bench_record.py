"""The bench's record of an endpoint: parts that were kept, rows that wait for a score, and labels as they were known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from activities.bench_champion import Champions, chosen
from activities.bench_part import ScoredRows, decode, joined
from contracts.fleet import EndpointPolicy
from contracts.shadow import BenchFit, BenchPart, BenchState
from contracts.snapshot import Snapshot, Window
from contracts.training import Task
from platforms.errors import Corrupt
from platforms.ports import Platform, Rows
from policies.bench_record import BenchRecord, microseconds
from policies.bench_turns import settings_digest
from policies.prequential import reach

_NEVER = int(np.iinfo(np.int64).max)
_INSTANT = timedelta(microseconds=1)
_EPOCH = np.datetime64(0, "us")


@dataclass(frozen=True)
class Recorded:
    """One endpoint's record, read as of a snapshot."""

    platform: Platform
    policy: EndpointPolicy
    snapshot: Snapshot
    state: BenchState

    @property
    def members(self) -> tuple[str, ...]:
        return tuple(member.name for member in self.policy.training.recipe.blended)

    @property
    def outputs(self) -> int:
        data = self.policy.data
        return len(data.classes) if data.task is Task.MULTICLASS else 1

    def kept(self, since: datetime) -> ScoredRows:
        """Rows that were scored before, of events from `since` up to the snapshot's moment. Raises: NotFound, Corrupt."""
        until = self.snapshot.as_of
        parts = [part for part in self.state.parts if part.window.end > since and part.window.start < until]
        rows = joined([self._read(part) for part in parts], len(self.members), self.outputs)
        return rows.chosen((rows.event_time >= _naive(since)) & (rows.event_time < _naive(until)))

    def everything(self, champions: Champions) -> ScoredRows:
        """Rows that were kept, and those that only now get their score."""
        waiting = [rows for _, rows in self.unscored(champions)]
        return joined([self.kept(self.since), *waiting], len(self.members), self.outputs)

    def _read(self, part: BenchPart) -> ScoredRows:
        rows, members = decode(self.platform.bench.read_part(part.uri, part.sha256))
        if members != self.members:
            raise Corrupt(f"{part.uri} holds members {', '.join(members)}; the record has {', '.join(self.members)}")
        return rows

    def unscored(self, champions: Champions) -> Iterator[tuple[BenchFit, ScoredRows]]:
        """Labelled rows without a score, each scored by the fit of its period."""
        if not self.state.fits:
            return
        known = self.kept(self.state.fits[0].as_of).ids
        for fit, window in self._periods():
            labels = self.platform.features.labels(self.snapshot.dataset, self.policy.data, window)
            if np.isin(labels.ids, known).all():
                continue
            rows = self.platform.features.rows(self.snapshot.dataset, self.policy.data, window)
            yield fit, self._scored(fit, chosen(rows, ~np.isin(rows.ids, known)), champions)

    def _periods(self) -> Iterator[tuple[BenchFit, Window]]:
        ends = [*(fit.as_of for fit in self.state.fits[1:]), self.snapshot.as_of]
        for fit, end in zip(self.state.fits, ends, strict=True):
            if fit.as_of < min(end, self.snapshot.as_of):
                yield fit, Window(start=fit.as_of, end=min(end, self.snapshot.as_of))

    def _scored(self, fit: BenchFit, rows: Rows, champions: Champions) -> ScoredRows:
        tail = (self.outputs,) if self.outputs > 1 else ()
        margins = np.full((len(rows), len(self.members), *tail), np.nan)
        if fit.challenger is not None:
            model = fit.challenger.model
            found = self.platform.scorer.margins(fit.challenger.artifact_uri, model, self.policy.data.features, rows)
            for place, name in enumerate(found.members):
                margins[:, self.members.index(name)] = found.of_members[:, place]
        margin, shift, by = champions.said(rows, np.empty((len(rows), *tail)))
        return ScoredRows(rows.ids, rows.event_time, margins, margin, shift, by)

    def record(self, rows: ScoredRows, champion: str | None, promoted_at: datetime | None) -> tuple[BenchRecord, ScoredRows]:
        """The record with the labels that the snapshot knows, in the order of time; and the rows in the same order.

        Where another model than today's champion served after its promotion, which was decided late, it has no say.
        """
        rows = rows.chosen(np.lexsort((rows.ids, rows.event_time)))
        label, known_at = self._labels(rows)
        own = rows.champion.copy()
        if champion is not None and promoted_at is not None:
            own[(rows.event_time >= _naive(promoted_at)) & (rows.by != champion)] = np.nan
        shift = np.where(np.isnan(own), 0.0, rows.shift)
        return BenchRecord(self.members, _micro(rows.event_time), known_at, label, rows.margins, own, shift), rows

    def _labels(self, rows: ScoredRows) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        label, known_at = np.full(len(rows), np.nan), np.full(len(rows), _NEVER, dtype=np.int64)
        window = Window(start=self.since, end=self.snapshot.as_of)
        found = self.platform.features.labels(self.snapshot.dataset, self.policy.data, window)
        if not len(found) or not len(rows):
            return label, known_at
        order = np.argsort(found.ids)
        place = order[np.minimum(np.searchsorted(found.ids[order], rows.ids), len(found) - 1)]
        there = found.ids[place] == rows.ids
        label[there], known_at[there] = found.label[place][there], _micro(found.known_at[place][there])
        return label, known_at

    @property
    def since(self) -> datetime:
        """How far back a judgement looks."""
        return self.snapshot.as_of - reach(self.policy.training.bench)


def state_of(platform: Platform, endpoint: str, policy: EndpointPolicy) -> BenchState:
    """The present state; a new record where there is none of these settings. Revisions go on. Raises: Corrupt."""
    settings, found = settings_digest(policy), platform.bench.read(endpoint)
    if found is not None and found.settings == settings:
        return found
    return BenchState(endpoint=endpoint, revision=found.revision if found else 0, settings=settings)


def part_of(uri: str, digest: str, rows: ScoredRows, fit: BenchFit, added: datetime) -> BenchPart:
    moments = _micro(rows.event_time)
    epoch = fit.as_of - microseconds(fit.as_of) * _INSTANT
    return BenchPart(
        uri=uri,
        sha256=digest,
        window=Window(start=epoch + int(moments.min()) * _INSTANT, end=epoch + (int(moments.max()) + 1) * _INSTANT),
        rows=len(rows),
        fitted_as_of=fit.as_of,
        fit=fit.challenger.model.digest if fit.challenger else None,
        added=added,
    )


def added_at(parts: Sequence[BenchPart], turn: datetime) -> int:
    """Rows that this turn added."""
    return sum(part.rows for part in parts if part.added == turn)


def _naive(moment: datetime) -> np.datetime64:
    return _EPOCH + np.timedelta64(microseconds(moment), "us")


def _micro(moments: NDArray[np.datetime64]) -> NDArray[np.int64]:
    return moments.astype("datetime64[us]").astype(np.int64)
