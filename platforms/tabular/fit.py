"""Fit a challenger's members on the rows of a frozen dataset: the same bytes for the same rows."""

from collections.abc import Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contracts.training import MemberRecipe, Task, TrainChallenger
from learning.artifact import Member
from learning.fit import Unfit, fit_member
from learning.rows import Floats, LabelledRows
from platforms.errors import TrainingFailed
from platforms.tabular.columns import EVENT_TIME, LABEL_TIME
from platforms.tabular.dataset import doubles, matrix, read_dataset

_SIDE_BY_SIDE: Final = 2
_DAY: Final = "%Y-%m-%d %H:%M"


@dataclass(frozen=True)
class Trained:
    """The members, and what the widest of them was trained on."""

    members: tuple[Member, ...]
    rows: int
    positives: int
    """0 unless the task is binary."""
    baseline: tuple[float, ...]
    """Share of each class, or mean of the labels; empty where the task is binary."""
    skipped: tuple[str, ...]
    """A sentence for each member that could not be trained."""


Kept = MutableMapping[str, str]
"""Members that an interrupted run of the same job had fitted already, by name; those that are fitted now are added."""


def train(job: TrainChallenger, say: Callable[[str], None], kept: Kept | None = None) -> Trained:
    """Train every member of the recipe that has rows to learn from.

    Raises:
        NotFound, Corrupt: the dataset isn't what the job names.
        TrainingFailed: no member can be trained, with the reasons.
    """
    rows = _labelled(job)
    texts, unfit = _fitted(rows, job, say, {} if kept is None else kept)
    skipped = [f"{member.name} skipped: {reason} {_span(member, job)}" for member, reason in unfit.items()]
    if not texts:
        raise TrainingFailed(f"nothing to train on: {'; '.join(skipped)}")
    widest = max((rows.within(member.horizon, job.end) for member in texts), key=len)
    members = tuple(Member(name=member.name, trees=trees) for member, trees in texts.items())
    positives = int(widest.label.sum()) if job.task is Task.BINARY else 0
    return Trained(members, len(widest), positives, _baseline(widest.label, job), tuple(skipped))


def _baseline(label: Floats, job: TrainChallenger) -> tuple[float, ...]:
    """What a model would answer that knows these labels and no feature."""
    if job.task is Task.BINARY:
        return ()
    if job.task is Task.REGRESSION:
        return (float(label.mean()),)
    counts = np.bincount(label.astype(np.int64), minlength=len(job.classes))
    return tuple((counts / len(label)).tolist())


def _fitted(
    rows: LabelledRows, job: TrainChallenger, say: Callable[[str], None], kept: Kept
) -> tuple[dict[MemberRecipe, str], dict[MemberRecipe, Unfit]]:
    """The members' trees, and why others have none, in the recipe's order; two are fitted side by side, boosts after the rest."""
    found: dict[MemberRecipe, str | Unfit] = {}

    def attempt(member: MemberRecipe) -> str | Unfit:
        if member.name in kept:
            return kept[member.name]
        say(f"training member {member.name} on {len(rows.within(member.horizon, job.end))} rows")
        try:
            text = _fit(member, rows, job, {done: text for done, text in found.items() if isinstance(text, str)})
        except Unfit as reason:
            return reason
        kept[member.name] = text
        return text

    for boosted in (False, True):
        wave = [member for member in job.recipe.blended if (member.boost is not None) is boosted]
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            results = list(pool.map(attempt, wave))
        found |= dict(zip(wave, results, strict=True))
    ordered = {member: found[member] for member in job.recipe.blended}
    texts = {member: text for member, text in ordered.items() if isinstance(text, str)}
    return texts, {member: reason for member, reason in ordered.items() if isinstance(reason, Unfit)}


def _fit(member: MemberRecipe, rows: LabelledRows, job: TrainChallenger, done: Mapping[MemberRecipe, str]) -> str:
    """A boost goes on from the same member without it, where that is there already. Raises: Unfit."""
    learner = job.recipe.learner
    return fit_member(
        member,
        rows,
        end=job.end,
        learner=learner,
        categorical=[job.features.index(name) for name in learner.categorical if name in job.features],
        task=job.task,
        classes=max(2, len(job.classes)),
        begun=done.get(member.model_copy(update={"boost": None})),
    )


def _span(member: MemberRecipe, job: TrainChallenger) -> str:
    start = "the beginning" if isinstance(member.horizon, str) else f"{job.end - member.horizon:{_DAY}}"
    return f"between {start} and {job.end:{_DAY}}"


def _labelled(job: TrainChallenger) -> LabelledRows:
    """Rows whose event and label lie before the job's end."""
    table = read_dataset(job.dataset, [EVENT_TIME, LABEL_TIME, job.label, *job.features])
    end = pa.scalar(job.end, pa.timestamp("us", tz="UTC"))
    known = pc.and_(pc.less(table[EVENT_TIME], end), pc.less_equal(table[LABEL_TIME], end))
    labelled = table.filter(pc.and_(known, pc.is_valid(table[job.label])))
    return LabelledRows(
        event_time=labelled[EVENT_TIME].cast(pa.int64()).to_numpy(),
        features=matrix(labelled, job.features),
        label=doubles(labelled[job.label]),
    )
