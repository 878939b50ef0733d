"""Does a window of labelled rows hold enough to learn from?"""

from collections.abc import Iterator

from contracts.snapshot import Coverage, CoveragePolicy, Shortfall
from contracts.training import Task


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
