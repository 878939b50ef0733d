"""Does a window of labelled rows hold enough to learn from?"""

from contracts.snapshot import Coverage, CoveragePolicy, Shortfall


def shortfalls(*, coverage: Coverage, policy: CoveragePolicy) -> tuple[Shortfall, ...]:
    """Every way in which `coverage` falls short of `policy`, in a fixed order; empty means enough.

    A minimum of positives holds for both classes: a window without negatives teaches as little as one without positives.
    """
    checks: tuple[tuple[str, float, float], ...] = (
        ("rows", coverage.labelled, policy.min_rows),
        ("days", coverage.days, policy.min_days),
        ("label_rate", coverage.label_rate, policy.min_label_rate),
        ("positives", coverage.positives, policy.min_positives),
        ("negatives", coverage.negatives, policy.min_positives),
    )
    return tuple(Shortfall(what=what, found=found, wanted=wanted) for what, found, wanted in checks if found < wanted)
