"""Short sentences that people read in status, notices and records."""

from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

from contracts.coverage import CoverageVerdict, FindingKind
from contracts.review import Resolution, ReviewOutcome
from contracts.shadow import Shift
from contracts.snapshot import Coverage

MOST = 5
"""So many findings are told in a sentence; the record has all."""
_COUNTED = (
    FindingKind.ROWS,
    FindingKind.DAYS,
    FindingKind.LABEL_RATE,
    FindingKind.POSITIVES,
    FindingKind.NEGATIVES,
    FindingKind.SECOND_CLASS,
    FindingKind.DISTINCT_LABELS,
)
"""They stand among the shortfalls already."""


def shortfall(coverage: Coverage) -> str:
    return ", ".join(f"{s.what}: found {s.found:g}, wanted {s.wanted:g}" for s in coverage.short)


def insufficient(coverage: Coverage) -> str:
    """What is wrong with a window, the gravest first."""
    if coverage.broken:
        grave = [one.sentence for one in coverage.findings if one.weighs is CoverageVerdict.BROKEN]
        return f"Broken data: {' '.join(grave[:MOST])}{_more(len(grave))}"
    other = [one.sentence for one in coverage.findings if one.weighs is CoverageVerdict.SHORT and one.what not in _COUNTED]
    return f"Short of data: {'; '.join(filter(None, [shortfall(coverage), *(text.rstrip('.') for text in other[:MOST])]))}."


def _more(findings: int) -> str:
    return f" And {findings - MOST} more." if findings > MOST else ""


def decided_by(review: ReviewOutcome | None) -> str:
    if review is None:
        return "no review was needed"
    if review.resolution is Resolution.VOIDED:
        return f"what it was asked on no longer holds: {review.reason.rstrip('. ')}"
    if review.resolution is Resolution.HEALED:
        return review.reason.rstrip(". ")
    if review.resolution is Resolution.EXPIRED or review.decision is None:
        short = f" ({review.reason})" if review.reason else ""
        return f"nobody answered in time{short} and the declared default applies"
    what = "approval" if review.decision.approve else "rejection"
    note = f": {review.decision.note.rstrip('. ')}" if review.decision.note else ""
    but = f", but not all of its conditions hold: {review.reason.rstrip('. ')}" if review.resolution is Resolution.UNMET else ""
    return f"{what} by {_reviewers(review)} ({review.identity}){note}{but}"


def _reviewers(review: ReviewOutcome) -> str:
    """Those who decided it together, the one who decided it last at the end."""
    assert review.decision is not None  # the caller has asked
    alike = [one.decision.reviewer for one in review.decisions if one.decision.approve == review.decision.approve]
    return " and ".join(dict.fromkeys(alike)) or review.decision.reviewer


def shift(wanted: Shift) -> str:
    """As the end of a sentence such as 'the champion serves with ...'."""
    record = f"on its own record it gains {wanted.gain:.1%}" if wanted.on else f"a shift no longer gains: {wanted.gain:+.1%}"
    if not any(wanted.shift):
        return f"no shift ({record})"
    return f"the shift {', '.join(f'{number:+.3f}' for number in wanted.shift)} ({record})"


def cause(error: BaseException) -> str:
    """The innermost reason, with its type: what somebody at night has to know."""
    inner = _innermost(error)
    if isinstance(inner, ApplicationError):
        return f"{inner.type or 'error'}: {inner.message}"
    return f"{type(inner).__name__}: {inner}"


def kind(error: BaseException) -> str:
    """The innermost reason's type alone, such as 'NotFound'."""
    inner = _innermost(error)
    return (inner.type or "error") if isinstance(inner, ApplicationError) else type(inner).__name__


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, ActivityError | ChildWorkflowError) and error.cause is not None:
        error = error.cause
    return error
