"""Does a window of labelled rows hold enough to learn from, can it be right, and what to do where not."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from contracts.base import Horizon
from contracts.coverage import CoverageVerdict, OnBrokenData, Remedy
from contracts.snapshot import Coverage, CoveragePolicy, DataPolicy, OnShortCoverage, Shortfall
from contracts.training import MemberRecipe, Recipe, Task
from policies.data_facts import WindowFacts
from policies.data_quality import findings
from policies.gaps import gaps
from policies.label_delay import described
from policies.label_outlook import LabelOutlook

MOST_FINDINGS: Final = 40
LADDER: Final[tuple[Horizon, ...]] = (timedelta(days=90), timedelta(days=365), "all")
"""Horizons that widening takes beside those of the recipe."""
SOON: Final = timedelta(minutes=5)
"""The shortest wait: labels come in batches, and a look costs a query."""


def shortfalls(*, coverage: Coverage, policy: CoveragePolicy, task: Task = Task.BINARY) -> tuple[Shortfall, ...]:
    """Every way in which `coverage` falls short of `policy`, in a fixed order; empty means enough.

    A minimum of positives holds for both classes: a window without negatives teaches as little as one without positives. Of
    many classes the second largest counts, since rare ones may be missing; a regression's labels may not all be the same.
    """
    checks: tuple[tuple[str, float, float], ...] = (
        ("rows", coverage.labelled, policy.min_rows),
        ("days", coverage.days, policy.min_days),
        ("label_rate", coverage.label_rate, policy.min_label_rate),
        *_of_task(coverage, policy, task),
    )
    return tuple(Shortfall(what=what, found=found, wanted=wanted) for what, found, wanted in checks if found < wanted)


def _of_task(coverage: Coverage, policy: CoveragePolicy, task: Task) -> Iterator[tuple[str, float, float]]:
    """What the labels have to tell apart."""
    if task is Task.BINARY:
        yield from (
            ("positives", coverage.positives, policy.min_positives),
            ("negatives", coverage.negatives, policy.min_positives),
        )
    elif task is Task.MULTICLASS:
        yield "second_class", sorted((0, 0, *coverage.classes.values()))[-2], policy.min_positives
    else:
        yield "distinct_labels", coverage.distinct, 2


def assessed(*, coverage: Coverage, facts: WindowFacts, data: DataPolicy, as_of: datetime) -> Coverage:
    """The counts with their verdict: shortfalls, what can't be right, and when enough labels are expected."""
    policy = data.coverage
    short = shortfalls(coverage=coverage, policy=policy, task=data.task)
    outlook = LabelOutlook(facts, coverage, short, as_of)
    found = [
        *map(outlook.finding, short),
        *outlook.news(data.label_delay),
        *findings(facts, policy.quality),
        *gaps(hours=facts.hours, window=facts.window, longest=policy.quality.gap),
    ]
    found.sort(key=lambda finding: -finding.weighs.rank)
    return coverage.model_copy(
        update={
            "short": short,
            "findings": tuple(found[:MOST_FINDINGS]),
            "verdict": max((one.weighs for one in found), key=lambda weight: weight.rank, default=CoverageVerdict.SUFFICIENT),
            "maturity": outlook.maturity,
            "mature_at": outlook.mature_at,
            "label_delay": described(facts.delays, facts.newest_label) if facts.delays is not None else None,
            "window": facts.window,
        }
    )


class Course(StrEnum):
    """What becomes of a look at the window."""

    GO = "go"
    ASK = "ask"
    """Go on, and let a person decide."""
    WAIT = "wait"
    WIDEN = "widen"
    END = "end"


def course(*, coverage: Coverage, policy: CoveragePolicy, waits: int, wider: bool) -> Course:
    """`waits`: how often was waited already; `wider`: whether a longer horizon is left."""
    if coverage.sufficient:
        return Course.GO
    if coverage.broken:
        return Course.ASK if policy.quality.on_broken is OnBrokenData.ASK else Course.END
    if policy.on_short is OnShortCoverage.WIDEN and wider and _mends(coverage, Remedy.WIDEN):
        return Course.WIDEN
    waits_on = policy.on_short in (OnShortCoverage.DEFER, OnShortCoverage.WIDEN)
    if waits_on and waits < policy.max_defers and _mends(coverage, Remedy.WAIT):
        return Course.WAIT
    return Course.ASK if policy.on_short in (OnShortCoverage.ASK, OnShortCoverage.WIDEN) else Course.END


def _mends(coverage: Coverage, remedy: Remedy) -> bool:
    """Whether it mends all that is short; a record of an earlier release doesn't say, and then it may."""
    short = [one for one in coverage.findings if one.weighs is not CoverageVerdict.SUFFICIENT]
    return coverage.verdict is None or all(remedy in one.remedies for one in short)


def wait_for(*, coverage: Coverage, policy: CoveragePolicy, as_of: datetime) -> timedelta:
    """Until enough labels are expected, within the policy's bounds; its own pause where nothing tells."""
    if coverage.mature_at is None:
        return policy.defer_for
    return min(max(coverage.mature_at - as_of, SOON), policy.defer_at_most)


def widened(recipe: Recipe, *, limit: Horizon) -> Recipe | None:
    """The recipe whose shortest horizon is the next longer one; None where that is beyond `limit`.

    Members with a shorter horizon take the next one, keep their weights, and are dropped where another is the same then.
    """
    members = recipe.blended
    shortest = min(members, key=lambda member: _length(member.horizon)).horizon
    steps = sorted({*LADDER, *(member.horizon for member in members)}, key=_length)
    wider = next((step for step in steps if _length(shortest) < _length(step) <= _length(limit)), None)
    if wider is None:
        return None
    renamed = {member.name: _at_least(member, wider) for member in members}
    unique = {member.name: member for member in renamed.values()}
    blends = {
        blend: tuple(dict.fromkeys(renamed[name].name for name in names if name in renamed))
        for blend, names in recipe.blends.items()
    }
    return Recipe(**(dict(recipe) | {"members": tuple(unique.values()), "blends": blends}))


def _at_least(member: MemberRecipe, horizon: Horizon) -> MemberRecipe:
    return member if _length(member.horizon) >= _length(horizon) else member.model_copy(update={"horizon": horizon})


def _length(horizon: Horizon) -> timedelta:
    return horizon if isinstance(horizon, timedelta) else timedelta.max
