"""The four functions by which SageMaker's inference toolkit serves a model: `serve.py` of the source package names them.

Two forms are understood. `application/json` is the body of a call as an endpoint's callers send it, and is answered alike on
every platform. `application/jsonlines` is for batch transform: in each line a list with the row's features in the model's order
(null is a missing value), out a line with its score, its scores, or what each member says.

Source: sagemaker.readthedocs.io "Deploy a scikit-learn model": model_fn, input_fn, predict_fn, output_fn.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from json import JSONDecodeError, dumps, loads
from pathlib import Path
from typing import Any, Final

import numpy as np

from learning.artifact import FILE_NAME, Model
from learning.rows import Floats
from platforms.aws.container.layout import LINES, OUTPUT, THRESHOLD
from platforms.tabular.answer import answers, told
from platforms.tabular.artifact_file import load_model
from platforms.tabular.predict_request import MAX_BODY_BYTES, PredictRow, Refused, parse_body, to_matrix

_THRESHOLD: Final = 0.5
_UNREADABLE: Final = "the lines are not lists of numbers, one for each feature of the model"


@dataclass(frozen=True)
class Lines:
    """Rows to be scored in bulk."""

    text: str


@dataclass(frozen=True)
class Said:
    """An answer, with its status."""

    status: int
    body: str


def model_fn(model_dir: str) -> Model:
    """Raises: NotFound, Corrupt."""
    return load_model(Path(model_dir) / FILE_NAME, None)


def input_fn(body: str | bytes, content_type: str) -> "list[PredictRow] | Lines | Refused":
    """A call that can't be answered becomes the refusal, which `output_fn` tells."""
    content = body.encode() if isinstance(body, str) else body
    if content_type.partition(";")[0].strip() == LINES:
        return Lines(content.decode())
    if len(content) > MAX_BODY_BYTES:
        return Refused(413, f"the body is over {MAX_BODY_BYTES} bytes: send fewer rows in a call")
    try:
        return parse_body(content)
    except Refused as refused:
        return refused


def predict_fn(asked: "list[PredictRow] | Lines | Refused", model: Model) -> Said:
    try:
        if isinstance(asked, Refused):
            raise asked
        return Said(200, _lines(asked, model) if isinstance(asked, Lines) else _answer(asked, model))
    except Refused as refused:
        fields = [asdict(fault) for fault in refused.faults]
        return Said(refused.status, _json({"error": refused.error, "fields": fields}))


def output_fn(said: Said, accept: str) -> Any:  # noqa: ANN401 - the toolkit's own: a tuple, or a response with a status
    """The body with its type; a refusal as the response of the web framework that the toolkit runs on."""
    if said.status == 200:  # noqa: PLR2004 - OK
        return said.body, accept
    from flask import Response

    return Response(said.body, status=said.status, mimetype="application/json")


def _answer(rows: Sequence[PredictRow], model: Model) -> str:
    """Raises: Refused."""
    threshold = float(os.environ.get(THRESHOLD, _THRESHOLD)) if model.threshold is None else model.threshold
    found = answers(model, to_matrix(rows, model.features), threshold)
    said = [told(row.id, answer, model.classes) for row, answer in zip(rows, found, strict=True)]
    return _json({"model": model.digest, "answers": said})


def _lines(lines: Lines, model: Model) -> str:
    """Raises: Refused."""
    matrix = _matrix(lines.text, len(model.features))
    found = np.stack(model.margins(matrix), axis=1) if os.environ.get(OUTPUT) == "margins" else model.score(matrix)
    return "\n".join(map(_json, found.tolist()))


def _matrix(text: str, features: int) -> Floats:
    """Shape (n, k). Raises: Refused."""
    try:
        rows = [loads(line) for line in text.splitlines() if line.strip()]
        matrix = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
    except (JSONDecodeError, ValueError, TypeError):
        raise Refused(422, _UNREADABLE) from None
    if matrix.shape != (len(rows), features):
        raise Refused(422, _UNREADABLE)
    return matrix


def _json(value: object) -> str:
    return dumps(value, separators=(",", ":"))
