"""What an endpoint answers for a row, by its task, and how that is told."""

from dataclasses import dataclass

from contracts.training import Task
from learning.artifact import Model
from learning.rows import Floats


@dataclass(frozen=True)
class Answer:
    """One row's answer."""

    score: float
    """Probability of label 1, of the answered class, or the number of a regression."""
    label: int | None = None
    """0 or 1, the number of the likeliest class; None for a regression."""
    scores: tuple[float, ...] | None = None
    """Probability of each class, for a multiclass task."""


def answers(model: Model, matrix: Floats, threshold: float) -> list[Answer]:
    """One for each row. Of classes that are alike likely the first is answered."""
    scores = model.score(matrix)
    if model.task is Task.BINARY:
        return [Answer(score, int(score >= threshold)) for score in scores.tolist()]
    if model.task is Task.REGRESSION:
        return [Answer(score) for score in scores.tolist()]
    best = scores.argmax(axis=1).tolist()
    return [Answer(row[label], label, tuple(row)) for row, label in zip(scores.tolist(), best, strict=True)]


def told(row: str, answer: Answer, classes: tuple[str, ...]) -> dict[str, object]:
    """The answer as JSON: score and label; for a multiclass task also the class by name and the scores of all."""
    if answer.label is None:
        return {"id": row, "score": answer.score}
    known: dict[str, object] = {"id": row, "score": answer.score, "label": answer.label}
    if answer.scores is None:
        return known
    return known | {"class": classes[answer.label], "scores": dict(zip(classes, answer.scores, strict=True))}
