"""Batch transform of one table of rows with one model: the same rows and the same model are transformed once.

Under `transforms/<mark>/` lie rows.jsonl, which goes in, and rows.jsonl.out, which comes out and is kept for whoever asks again
until the bucket's lifecycle rule for `transforms/` removes it. The SageMaker model exists only while its job runs.
"""

import random
import time
from hashlib import sha256
from json import JSONDecodeError, dumps, loads
from typing import Any, Final

import numpy as np

from contracts.training import ModelRef, Tags
from learning.rows import Floats
from platforms.aws.calls import Aws
from platforms.aws.container.layout import LINES, OUTPUT
from platforms.aws.failures import no_room
from platforms.aws.names import TEMPORARY, name_of, tags_of
from platforms.aws.objects import Objects
from platforms.aws.packaging import Package
from platforms.errors import Conflict, Corrupt, Invalid, NotFound, Unavailable
from platforms.patience import tick, working_for
from platforms.wakeups import WAKE_UPS

_ATTEMPTS: Final = 5
"""Jobs for the same rows, where SageMaker had no machine, broke, or somebody stopped them."""
_THEIRS: Final = ("CapacityError", "InternalServerError", "Unable to provision")
_INPUT: Final = "rows.jsonl"


class Transform:
    """One question: what does this model answer to these rows?"""

    def __init__(
        self, aws: Aws, objects: Objects, package: Package, *, model: ModelRef, artifact_uri: str, output: str, matrix: Floats
    ) -> None:
        self._aws, self._objects, self._package = aws, objects, package
        self._model, self._artifact, self._output = model, artifact_uri, output
        self._lines = rows_as_lines(matrix)
        self._rows = len(matrix)
        mark = sha256(f"{model.digest}\n{output}\n".encode() + self._lines).hexdigest()
        self._key = f"{mark}\n{package.uri()}\n{artifact_uri}"
        self._folder = f"transforms/{mark[:32]}"

    def answers(self) -> Floats:
        """A number or a list of numbers for each row.

        Raises:
            Unavailable, Exhausted: SageMaker has no machine, or no quota; later it may.
            Invalid: the model can't answer, with the container's words.
        """
        found = self._kept()
        if found is None:
            self._objects.put(f"{self._folder}/{_INPUT}", self._lines, tags={TEMPORARY: "yes"})
            with WAKE_UPS.waiting(self._folder):
                self._run()
            found = self._kept()
        self._remove_model()
        if found is None:
            raise Unavailable(f"the transform job is over, but {self._objects.uri(self._result)} is not there. Try again")
        return found

    @property
    def _result(self) -> str:
        return f"{self._folder}/{_INPUT}.out"

    def _kept(self) -> Floats | None:
        """What an earlier job left, if it is whole."""
        try:
            content = self._objects.get(self._result)
        except NotFound:
            return None
        try:
            answers = [loads(line) for line in content.splitlines() if line.strip()]
            found = np.array(answers, dtype=np.float64)
        except (JSONDecodeError, ValueError, TypeError):
            raise Corrupt(f"{self._objects.uri(self._result)} is no list of answers: remove it, then score again") from None
        if len(found) != self._rows:
            raise Corrupt(
                f"{self._objects.uri(self._result)} has {len(found)} answers to {self._rows} rows: remove it, score again"
            )
        return found

    def _run(self) -> None:
        """A job that ends well, the one that runs already or the next. Raises: as `answers`."""
        reason = ""
        for attempt in range(_ATTEMPTS):
            told, followed = self._ended(self._name("score", attempt))
            if told["TransformJobStatus"] == "Completed":
                if followed or self._objects.there(self._result):
                    return
                reason = "its answers are not kept any more"  # the job's name stays taken for ever: another one
                continue
            reason = str(told.get("FailureReason", told["TransformJobStatus"]))
            if told["TransformJobStatus"] == "Failed" and not reason.startswith(_THEIRS):
                self._remove_model()
                raise Invalid(f"model {self._model.digest[:12]} can't score in batch transform: {reason}")
            if told["TransformJobStatus"] == "Stopped" and followed:
                raise Unavailable(f"{self._name('score', attempt)} was stopped from outside. If it is still wanted, ask again")
        raise no_room(f"batch transform was tried {_ATTEMPTS} times: {reason}. Choose another HOMEOSTAT_AWS_SCORING_INSTANCE")

    def _ended(self, name: str) -> tuple[dict[str, Any], bool]:
        """The job's description once it is over, and whether it was seen to run; it is created if it isn't there."""
        created, followed = 0, False
        while True:
            try:
                told = self._aws.call("sagemaker", "describe_transform_job", TransformJobName=name)
            except NotFound as error:
                if created == _ATTEMPTS:
                    raise Unavailable(f"{name} was created {created} times and is not there: {error}") from None
                self._create(name)
                created += 1
                continue
            if told["TransformJobStatus"] not in {"InProgress", "Stopping"}:
                return told, followed
            followed = True
            self._pause()

    def _pause(self) -> None:
        """Until the next look, or until SageMaker has told of the job; in slices, so that a cancelled step ends soon."""
        tick()
        shortest = self._aws.settings.poll_seconds
        end = time.monotonic() + random.uniform(shortest, 2 * shortest)  # noqa: S311 - jitter
        while (left := end - time.monotonic()) > 0 and not WAKE_UPS.woken(self._folder):
            time.sleep(min(left, 1.0))

    def _create(self, name: str) -> None:
        model = self._ensured_model()
        tags = self._tags()
        asked: dict[str, Any] = {
            "TransformJobName": name,
            "ModelName": model,
            "BatchStrategy": "MultiRecord",
            "MaxPayloadInMB": 6,
            "TransformInput": {
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": self._objects.uri(f"{self._folder}/{_INPUT}")}
                },
                "ContentType": LINES,
                "SplitType": "Line",
            },
            "TransformOutput": {"S3OutputPath": self._objects.uri(self._folder), "AssembleWith": "Line", "Accept": LINES},
            "TransformResources": {"InstanceType": self._aws.settings.scoring_instance, "InstanceCount": 1},
            "Tags": tags,
        }
        if self._aws.settings.kms_key:
            asked["TransformOutput"]["KmsKeyId"] = self._aws.settings.kms_key
            asked["TransformResources"]["VolumeKmsKeyId"] = self._aws.settings.kms_key
        try:
            self._aws.call("sagemaker", "create_transform_job", **asked)
        except (Conflict, NotFound):  # somebody else made it, or took the model away when his job was over: look again
            return

    def _ensured_model(self) -> str:
        """Its name is made from all that it is, so that one which is there is the same."""
        name = self._name("score", None)
        try:
            self._aws.call(
                "sagemaker",
                "create_model",
                ModelName=name,
                ExecutionRoleArn=self._aws.settings.role,
                PrimaryContainer=self._package.container(self._artifact, **{OUTPUT: self._output}),
                Tags=self._tags(),
            )
        except Conflict:
            return name
        return name

    def _remove_model(self) -> None:
        try:
            self._aws.call("sagemaker", "delete_model", ModelName=self._name("score", None))
        except NotFound:
            return

    def _name(self, what: str, attempt: int | None) -> str:
        return name_of(self._aws.settings.prefix, self._model.endpoint, what, f"{self._key}#{attempt}")

    def _tags(self) -> list[dict[str, str]]:
        """Those of the incident that is worked for; without one, of nobody's, which the sweeper takes at once."""
        worked_for = working_for() or Tags(endpoint=self._model.endpoint, incident="scoring", team="", cost_center="")
        return [{"Key": tag, "Value": value} for tag, value in tags_of(worked_for, self._folder).items()]


def rows_as_lines(matrix: Floats) -> bytes:
    """A list of numbers a line, NaN as null. Numbers are written so that reading them gives the same bits."""
    rows = ([None if value != value else value for value in row] for row in matrix.tolist())  # noqa: PLR0124 - NaN
    return "".join(f"{dumps(row, separators=(',', ':'))}\n" for row in rows).encode()
