"""A decision that rested on the shadow bench, taken again as far as it can be.

The record's files are held to their digests and the live requests are replayed anew. What past fits said of the rows of their
periods is not made again: the fits are gone by then, and each would have to be trained on a table of its own.
"""

from collections.abc import Iterator
from dataclasses import replace

from activities.kept_evidence import InMemory, OnlyThese, kept, made_again, replayed, whole
from activities.shadow_evaluation import ShadowEvaluationActivities
from contracts.evaluation import Evidence
from contracts.reproduction import Check, Standing
from contracts.shadow import BenchAdvice
from contracts.shadow_evaluation import EvaluateRefit
from platforms.errors import Corrupt, NotFound
from platforms.ports import BenchStore, EvidenceStore, Platform

NOT_MADE_AGAIN = (
    "The paired scores are the shadow bench's, made period by period by fits that are not kept: they are held to their digests, "
    "not made again."
)


def record_held(platform: Platform, advice: BenchAdvice) -> Iterator[Check]:
    """The files of the bench's record, and the paired scores that were kept with its advice."""
    yield from _parts_held(platform.bench, advice)
    yield from _pairs_held(platform.evidence, advice)


def _parts_held(store: BenchStore, advice: BenchAdvice) -> Iterator[Check]:
    gone, same = [], 0
    for part in advice.parts:
        try:
            store.read_part(part.uri, part.sha256)
        except NotFound:
            gone.append(part.sha256)
        except Corrupt as error:
            yield _check("bench's record", Standing.DIFFERS, recorded=part.sha256, found=str(error))
        else:
            same += 1
    if same:
        yield _check("bench's record", Standing.SAME, why=f"{same} files are those of the decision")
    if gone:
        why = f"{len(gone)} files are pruned by now, the first is {gone[0][:12]}"
        yield _check("bench's record", Standing.UNCHECKED, why=why)


def _pairs_held(store: EvidenceStore, advice: BenchAdvice) -> Iterator[Check]:
    if advice.evidence is None:
        return
    for check in whole(kept(store, advice.evidence)):
        yield check.model_copy(update={"step": "scores", "field": f"bench's pairs: {check.field}"})


def evaluated_again(platform: Platform, request: EvaluateRefit, then: Evidence) -> tuple[Evidence, list[Check]]:
    """The live requests replayed by the same three models. Raises: Corrupt, NotFound, ApplicationError."""
    before = kept(platform.evidence, then).predictions
    memory = InMemory(platform.evidence)
    again = replace(platform, evidence=memory, traffic=OnlyThese(platform.traffic, replayed(before)))
    now = ShadowEvaluationActivities(again).evaluate_refit(request)
    return now, list(made_again(before, memory.read(now.uri)))


def _check(what: str, standing: Standing, *, recorded: str = "", found: str = "", why: str = "") -> Check:
    return Check(step="scores", field=what, standing=standing, recorded=recorded, found=found, why=why)
