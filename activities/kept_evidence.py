"""Evidence that was kept, held against evidence that was made again."""

import dataclasses
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contracts.base import Utc
from contracts.evaluation import Evidence
from contracts.reproduction import Check, Standing
from contracts.snapshot import DataPolicy, Window
from platforms.errors import Corrupt
from platforms.ports import EvidenceStore, Served, TrafficLog

_STEP = "evidence"
_Rows = dict[tuple[str, str], dict[str, Any]]


@dataclass
class InMemory:
    """An evidence store of which nothing stays: what is written can be read again, the rest comes from the real one."""

    real: EvidenceStore
    written: dict[str, bytes] = field(default_factory=dict)

    def write(self, endpoint: str, incident: str, name: str, content: bytes) -> str:
        uri = f"memory://{endpoint}/{incident}/{name}"
        self.written[uri] = content
        return uri

    def read(self, uri: str) -> bytes:
        return self.written[uri] if uri in self.written else self.real.read(uri)

    def link(self, uri: str) -> str:
        return uri

    def names(self, endpoint: str, incident: str) -> Sequence[str]:
        folder = f"memory://{endpoint}/{incident}/"
        mine = {uri.removeprefix(folder) for uri in self.written if uri.startswith(folder)}
        return sorted(mine.union(self.real.names(endpoint, incident)))

    def content(self, endpoint: str, incident: str, name: str) -> bytes:
        uri = f"memory://{endpoint}/{incident}/{name}"
        return self.written[uri] if uri in self.written else self.real.content(endpoint, incident, name)


@dataclass(frozen=True)
class OnlyThese:
    """The traffic log as it was: a request that came in since the evaluation is left out."""

    real: TrafficLog
    ids: frozenset[str]

    def replay(self, endpoint: str, data: DataPolicy, window: Window, known_at: Utc) -> Served:
        served = self.real.replay(endpoint, data, window, known_at)
        mask = np.fromiter((name in self.ids for name in served.ids.tolist()), dtype=bool, count=len(served))
        arrays = {f.name: getattr(served, f.name) for f in dataclasses.fields(served)}
        return dataclasses.replace(
            served, **{name: value[mask] for name, value in arrays.items() if isinstance(value, np.ndarray)}
        )


@dataclass(frozen=True)
class Kept:
    """What lies in the evidence store of one decision."""

    evidence: Evidence
    manifest: bytes
    predictions: bytes

    @property
    def facts(self) -> dict[str, Any]:
        """Raises: Corrupt."""
        try:
            found = json.loads(self.manifest)
        except ValueError as error:
            raise Corrupt(f"the evidence manifest is no JSON ({error}): restore it from a backup") from error
        if not isinstance(found, dict):
            raise Corrupt("the evidence manifest is no JSON object: restore it from a backup")
        return found


def kept(store: EvidenceStore, evidence: Evidence) -> Kept:
    """Raises: NotFound (one of the two files is gone)."""
    folder, mark = evidence.uri.rpartition("/")[0], evidence.digest[:16]
    return Kept(evidence, store.read(f"{folder}/evidence-{mark}.json"), store.read(evidence.uri))


def whole(found: Kept) -> Iterator[Check]:
    """The chain of digests: record, manifest, predictions."""
    yield _digest("manifest's SHA-256, which the decision names", found.evidence.digest, found.manifest)
    said = str(found.facts.get("predictions_sha256", ""))
    yield _digest("predictions' SHA-256", said, found.predictions)
    for name in ("champion", "challenger", "refit"):
        recorded, manifest = getattr(found.evidence, name), found.facts.get(name)
        if recorded != manifest:
            yield Check(step=_STEP, field=name, standing=Standing.DIFFERS, recorded=str(recorded), found=str(manifest))


def _digest(name: str, recorded: str, content: bytes) -> Check:
    found = sha256(content).hexdigest()
    standing = Standing.SAME if found == recorded else Standing.DIFFERS
    return Check(step=_STEP, field=name, standing=standing, recorded=recorded, found=found)


def replayed(predictions: bytes) -> frozenset[str]:
    """Ids of the live requests that were replayed."""
    return frozenset(name for part, name in _rows(predictions) if part == "replay")


def made_again(before: bytes, after: bytes) -> Iterator[Check]:
    """Row by row and column by column: what the predictions said then, and what they say now."""
    then, now = _rows(before), _rows(after)
    for part in sorted({part for part, _ in (*then, *now)}):
        yield from _rows_of(part, then, now)
        yield from _columns_of(part, then, now)


def _rows_of(part: str, then: _Rows, now: _Rows) -> Iterator[Check]:
    """Rows of the holdout come from the frozen table; captured traffic may simply have expired."""
    gone = sorted(name for of, name in then.keys() - now.keys() if of == part)
    new = sorted(name for of, name in now.keys() - then.keys() if of == part)
    expired = part == "replay"
    if gone:
        why = "captured traffic expires" if expired else "the rows are no longer among those retrieved"
        standing = Standing.UNCHECKED if expired else Standing.DIFFERS
        count = f"{len(gone):,} rows, the first {gone[0]}"
        yield Check(step="scores", field=f"{part} rows", standing=standing, recorded=count, found="gone", why=why)
    if new:
        count = f"{len(new):,} rows, the first {new[0]}"
        yield Check(step="scores", field=f"{part} rows", standing=Standing.DIFFERS, recorded="not there", found=count)


def _columns_of(part: str, then: _Rows, now: _Rows) -> Iterator[Check]:
    both = [key for key in then if key in now and key[0] == part]
    columns = dict.fromkeys(name for key in both[:1] for name in (*then[key], *now[key]))
    for column in columns:
        changed = [key for key in both if not _same(then[key].get(column), now[key].get(column))]
        if changed:
            first = changed[0]
            yield Check(
                step="scores",
                field=f"{part} {column}",
                standing=Standing.DIFFERS,
                recorded=repr(then[first].get(column)),
                found=repr(now[first].get(column)),
                why=f"{len(changed):,} of {len(both):,} rows differ, the first is {first[1]}",
            )


def _same(one: object, other: object) -> bool:
    """NaN is the same as NaN: both say that nothing is known."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (one != one and other != other)  # noqa: PLR0124 - only NaN is unlike itself
    return one == other


def _rows(content: bytes) -> _Rows:
    """Rows by part and id. Raises: Corrupt."""
    try:
        rows = pq.read_table(io.BytesIO(content)).to_pylist()
        return {(str(row.pop("part")), str(row.pop("id"))): row for row in rows}
    except (pa.ArrowException, KeyError) as error:
        raise Corrupt(f"the evidence file can't be read ({error}): restore it from a backup") from error
