"""What an audit record holds of a decision, read back into contracts so that it can be taken again."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from contracts.audit import AuditRecord
from contracts.base import Contract
from contracts.evaluation import EvaluateChallenger, Evidence, JudgeEvidence
from contracts.reproduction import Check, Standing
from contracts.shadow import BenchAdvice
from contracts.shadow_evaluation import EvaluateRefit
from contracts.snapshot import Snapshot, TakeSnapshot
from contracts.training import Challenger, ModelCard, Purpose, Tags, TrainChallenger
from platforms.errors import Corrupt

M = TypeVar("M", bound=Contract)
_SHOWN = 300
_NAMED_BY = ("metric", "name", "slice", "value", "what")
"""Fields by which an entry of a list is told apart, so that a difference names it."""


@dataclass(frozen=True)
class Recorded:
    """One `decided` or `closed` record. Methods give None where the record lacks what they need."""

    record: AuditRecord

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.record.entry.facts

    @property
    def requests(self) -> Mapping[str, Any]:
        """What the steps were asked; empty in records of releases that did not keep it."""
        found = self.facts.get("requests")
        return found if isinstance(found, dict) else {}

    def fact(self, name: str, model: type[M]) -> M | None:
        """Raises: Corrupt (the fact is there and can't be read)."""
        return self._read(name, model, self.facts.get(name))

    @property
    def snapshot(self) -> Snapshot | None:
        return self.fact("snapshot", Snapshot)

    @property
    def evidence(self) -> Evidence | None:
        return self.fact("evidence", Evidence)

    @property
    def champion(self) -> ModelCard | None:
        return self.fact("champion", ModelCard)

    def challenger(self, purpose: Purpose) -> Challenger | None:
        return self.fact("judged" if purpose is Purpose.JUDGE else "refit", Challenger)

    def retrieval(self, key: str, tags: Tags) -> TakeSnapshot | None:
        """As of the moment at which the window was taken in the end, which may be later than first asked for."""
        snapshot = self.snapshot
        if snapshot is None:
            return None
        now = {"key": key, "tags": tags, "as_of": snapshot.as_of, "catch_up": False}
        return self._request("snapshot", TakeSnapshot, now)

    def training(self, purpose: Purpose, snapshot: Snapshot, key: str, tags: Tags) -> TrainChallenger | None:
        return self._request(f"train-{purpose.value}", TrainChallenger, {"dataset": snapshot.dataset, "key": key, "tags": tags})

    def evaluation(
        self, snapshot: Snapshot, made: Mapping[Purpose, Challenger], champion: ModelCard | None
    ) -> EvaluateChallenger:
        """Raises: Corrupt (the record holds no such request, or not what it takes)."""
        data = self.requests.get("snapshot", {}).get("data")
        again = {
            "snapshot": snapshot,
            "champion": champion,
            "challenger": made[Purpose.JUDGE],
            "refit": made[Purpose.REFIT],
            "data": data,
        }
        request = self._request("evaluate", EvaluateChallenger, again)
        if request is None:
            raise Corrupt(f"record {self.record.seq}: it holds no request to evaluate")
        return request

    @property
    def advice(self) -> BenchAdvice | None:
        """What the shadow bench said; None where training waited for the alarm, or the record held too little."""
        return self.fact("advice", BenchAdvice) if "evaluate-refit" in self.requests else None

    def refit_evaluation(self, snapshot: Snapshot, refit: Challenger | None, champion: ModelCard | None) -> EvaluateRefit:
        """Raises: Corrupt (the record holds no such request, or not what it takes)."""
        data = self.requests.get("snapshot", {}).get("data")
        again = {"snapshot": snapshot, "advice": self.advice, "champion": champion, "refit": refit, "data": data}
        request = self._request("evaluate-refit", EvaluateRefit, again)
        if request is None:
            raise Corrupt(f"record {self.record.seq}: it holds no request to evaluate the refit")
        return request

    def judging(self, threshold: float) -> JudgeEvidence | None:
        """What the gate was asked. An older release kept it piecemeal, and not how long ago the last promotion was."""
        judgement, apart = self.facts.get("judgement"), {"snapshot": self.snapshot, "evidence": self.evidence}
        if not isinstance(judgement, dict) or None in apart.values():
            return None
        if "judge" in self.requests:
            return self._request("judge", JudgeEvidence, apart)
        judged, champion = self.challenger(Purpose.JUDGE), self.champion
        if judged is None:
            return None
        pieces = {
            "key": "recorded",
            "endpoint": self.record.entry.endpoint,
            "incident": self.record.entry.incident,
            "gate": judgement.get("policy"),
            "threshold": threshold,
            "champion_trained_through": champion.trained_through if champion else None,
            "challenger_trained_through": judged.trained_through,
            "weeks_since_promotion": None,
        }
        return self._read("judgement", JudgeEvidence, {**pieces, **apart})

    def _request(self, step: str, model: type[M], now: Mapping[str, Any]) -> M | None:
        asked = self.requests.get(step)
        return self._read(f"requests.{step}", model, {**asked, **now}) if isinstance(asked, dict) else None

    def _read(self, name: str, model: type[M], value: object) -> M | None:
        if not isinstance(value, dict):
            return None
        required = {field: None for field, info in model.model_fields.items() if info.is_required()}
        try:
            return model.model_validate({**required, **value})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in (name, *first["loc"]))
            raise Corrupt(f"record {self.record.seq}: {where}: {first['msg']}") from None


def compared(
    step: str, name: str, recorded: Mapping[str, Any], found: Contract, *, but: frozenset[str] = frozenset()
) -> Iterator[Check]:
    """Every value that was recorded, against what was found now; `but` are paths below `name` that are bound to differ."""
    before = _below(recorded, name, but)
    after = _below(found.model_dump(mode="json"), name, but)
    changed = [path for path, value in before.items() if after.get(path) != value]
    for path in changed:
        yield Check(step=step, field=path, standing=Standing.DIFFERS, recorded=before[path], found=after.get(path, "nothing"))
    same = len(before) - len(changed)
    if same:
        yield Check(step=step, field=name, standing=Standing.SAME, why=f"{same} values are the same to the last bit")
    new = [path for path, value in after.items() if path not in before and value not in _EMPTY]
    if new:
        why = f"the record holds nothing of {_listed(new)}: empty then, or made by a release that did not keep it"
        yield Check(step=step, field=name, standing=Standing.UNCHECKED, found=f"{len(new)} values", why=why)


_EMPTY = ("null", "[]", "{}", '""')
_NAMED = 5


def _listed(paths: list[str]) -> str:
    return ", ".join(paths[:_NAMED]) + (f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else "")


def _below(value: object, name: str, but: frozenset[str]) -> dict[str, str]:
    return {path: text for path, text in _leaves(value, name) if path.removeprefix(f"{name}.") not in but}


def _leaves(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Every value below, as JSON text under its path; None counts as absent, since records leave it out."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}")
    elif isinstance(value, list) and value:
        for name, inner in _entries(value):
            yield from _leaves(inner, f"{path}[{name}]")
    elif value is not None:
        yield path, json_text(value)


def _entries(values: list[Any]) -> Iterator[tuple[str, Any]]:
    """The entries by their own names where these tell them apart, else by their places."""
    for key in _NAMED_BY:
        names = [value.get(key) if isinstance(value, dict) else None for value in values]
        if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
            yield from zip([str(name) for name in names], values, strict=True)
            return
    yield from ((str(place), value) for place, value in enumerate(values))


def json_text(value: object) -> str:
    """Floats as the shortest text that reads back as the same number; long texts whole, since they are compared."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def shown(text: str) -> str:
    """As much of a value as a reader wants to see."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text):,} characters)"
