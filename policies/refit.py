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
    task: Task = Task.BINARY,
    noise: float = NUMBER_DIFFERS,
) -> RefitReport:
    """Scores of both on the same replayed requests, of the shape that the task gives them, n may be 0.

    Numbers of a regression count as decided differently beyond `noise` standard deviations of the judged model's.

    They disagree where more requests are decided differently than chance explains at the allowed share: 1 of 3 is 33 %
    and proves nothing. With no request the report says that nothing was checked, and agrees: an endpoint without traffic
    has to be able to get its first model. Raises ValueError for other shapes and for scores that are no probabilities.
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
    agrees = share <= max_disagreement or tail(count=round(share * rows), of=rows, rate=max_disagreement) >= _CHANCE
    return RefitReport(
        agrees=agrees,
        rows=rows,
        disagreement=share,
        score_shift=score_shift(judged, refit),
        sentence=_sentence(rows, share, max_disagreement, agrees),
    )


def _sentence(rows: int, share: float, most: float, agrees: bool) -> str:
    seen = f"the refit decides {share:.1%} of {rows:,} replayed requests differently from the judged model (allowed {most:.1%})"
    if not agrees:
        return f"{seen}, so the verdict does not speak for it."
    return f"{seen}; so few requests prove nothing." if share > most else f"{seen}."
