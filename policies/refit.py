"""What ships is the judged recipe fitted again on all labels: does it still decide like the model that was judged?"""

from contracts.evaluation import RefitReport
from contracts.training import Task
from policies.chance import tail
from policies.metrics import Floats
from policies.paired import checked_scores
from policies.stability import disagreement, score_shift

_CHANCE = 0.05
NUMBER_DIFFERS = 0.5
"""Two good fits on half the same rows often differ by a tenth of a deviation. Where a quarter of the numbers differ by half a
one, the two correlate by .9 only; a quarter of binary answers stands for .7."""


def compare(
    *,
    judged: Floats,
    refit: Floats,
    threshold: float,
    max_disagreement: float,
    max_score_shift: float,
    min_rows: int,
    task: Task = Task.BINARY,
    noise: float = NUMBER_DIFFERS,
) -> RefitReport:
    """Scores of both on the same replayed requests, of the shape that the task gives them, n may be 0.

    Numbers of a regression count as decided differently beyond `noise` standard deviations of the judged model's.

    They disagree where more requests are decided differently than chance explains at the allowed share: 1 of 3 is 33 %
    and proves nothing; or where, on at least `min_rows` requests, the refit's scores are shifted by more than `max_score_shift`
    (population stability index on the judged model's bins). With no request the report says that nothing was checked, and
    agrees: an endpoint without traffic has to be able to get its first model. Raises ValueError for other shapes and for
    scores that are no probabilities.
    """
    checked_scores("judged model", judged, judged.shape[:1], task)
    checked_scores("refit", refit, judged.shape[:1], task)
    if judged.shape != refit.shape:
        raise ValueError(f"scores of the refit have shape {refit.shape}, those of the judged model {judged.shape}")
    rows = len(judged)
    if not rows:
        return RefitReport(
            agrees=True, rows=0, disagreement=0.0, score_shift=0.0, sentence="No request was replayed: the refit is unchecked."
        )
    share = disagreement(judged, refit, threshold, task, noise)
    decides = share <= max_disagreement or tail(count=round(share * rows), of=rows, rate=max_disagreement) >= _CHANCE
    shift = score_shift(judged, refit)
    scores = shift <= max_score_shift or rows < min_rows
    said = (
        _sentence(rows, share, max_disagreement, agrees=decides, task=task) if scores else _shifted(rows, shift, max_score_shift)
    )
    return RefitReport(agrees=decides and scores, rows=rows, disagreement=share, score_shift=shift, sentence=said)


def _sentence(rows: int, share: float, most: float, *, agrees: bool, task: Task) -> str:
    what = "answers clearly other numbers than the judged model on" if task is Task.REGRESSION else "decides"
    how = "" if task is Task.REGRESSION else " differently from the judged model"
    seen = f"the refit {what} {share:.1%} of {rows:,} replayed requests{how} (allowed {most:.1%})"
    if not agrees:
        return f"{seen}, so the verdict does not speak for it."
    return f"{seen}; so few requests prove nothing." if share > most else f"{seen}."


def _shifted(rows: int, shift: float, most: float) -> str:
    seen = f"the refit's scores on {rows:,} replayed requests are distributed otherwise than the judged model's"
    return f"{seen}: stability index {shift:.2f} (allowed {most:.2f}), so the verdict does not speak for it."
