"""Training on SageMaker: the key names the job, so that a second start meets the first; where there is no machine, the next type.

Under `jobs/<mark of the key>/` in the bucket lie job.json (what was asked, written once), stopped.json (that nobody wants it any
more), checkpoints and the outputs. A key has several SageMaker jobs one after the other where the first got no machine: their
names carry the number of the attempt, and never two of them run.
"""

from json import dumps
from typing import Final

from contracts.base import Contract
from contracts.training import JobPhase, JobState, TrainChallenger
from platforms.aws.calls import Aws
from platforms.aws.failures import no_room
from platforms.aws.names import name_of
from platforms.aws.objects import Objects
from platforms.aws.packaging import Package
from platforms.aws.training_request import Attempt, job_folder, training_request
from platforms.errors import Conflict, Exhausted, Invalid, NotFound, PlatformError, Unavailable
from platforms.files import json_bytes, key_mark

MAX_ATTEMPTS: Final = 30
"""SageMaker jobs of one key; a person looks into it before there are more."""
_MOST_BROKEN: Final = 5
"""How often a job is started again that SageMaker itself broke off."""


class _Note(Contract):
    text: str


class AwsTrainer:
    """Any number of objects and processes may share the jobs of one account."""

    def __init__(self, aws: Aws, objects: Objects, package: Package | None = None) -> None:
        self._aws = aws
        self._objects = objects
        self._package = package or Package(aws, objects)
        self._jobs: dict[str, TrainChallenger] = {}

    def start(self, job: TrainChallenger) -> JobState:
        """Start the job, adopt the one that has this key, or begin another attempt where the last got no machine.

        Raises:
            Conflict: another job has this key.
            Exhausted: no capacity or no quota for any of its instance types.
            Invalid: SageMaker refuses the request.
        """
        self._keep(job)
        attempts = self._attempts(job)
        if attempts and not self._again(attempts):
            return self._state(job, attempts[-1])
        if self._stopped(job.key):
            return JobState(key=job.key, phase=JobPhase.STOPPED, progress="stopped on request")
        return self._launch(job, attempts)

    def describe(self, key: str) -> JobState:
        """How the job stands. One that got no machine goes on with the next instance type.

        Raises:
            NotFound: no job has this key.
            Exhausted: the last of its instance types has no capacity either; `start` begins with the first again.
            Unavailable: killed between its record and its start; `start` goes on.
        """
        job = self._job(key)
        attempts = self._attempts(job)
        if attempts and not self._again(attempts):
            return self._state(job, attempts[-1])
        if self._stopped(key):
            return JobState(key=key, phase=JobPhase.STOPPED, progress="stopped on request")
        if not attempts:
            raise Unavailable(f"the training job of {key} was recorded and not started. Start it again")
        if attempts[-1].starved and attempts[-1].instance_type == job.compute.instance_types[-1]:
            raise no_room(_no_machine(job, attempts[-1].reason or "spot capacity was waited for in vain"))
        return self._launch(job, attempts)

    def stop(self, key: str) -> None:
        """Stop the job if it runs; afterwards no attempt of it is started. Raises: Unavailable."""
        try:
            job = self._job(key)
        except NotFound:
            return
        attempts = self._attempts(job)
        if attempts and not attempts[-1].running and not self._again(attempts):
            return
        self._objects.put(self._stop_note(key), json_bytes(_Note(text="stopped on request")))
        for attempt in self._attempts(job):
            self._stop(attempt)

    def _launch(self, job: TrainChallenger, attempts: list[Attempt]) -> JobState:
        """Create the next attempt on the first type that SageMaker has room for. Raises: Exhausted, Conflict, Invalid."""
        if len(attempts) >= MAX_ATTEMPTS:
            raise Invalid(f"{job.key} was tried {len(attempts)} times, the last time: {attempts[-1].reason}. Use a new key")
        name = self._name(job, len(attempts))
        refused: PlatformError | None = None
        for instance_type in _candidates(job, attempts):
            try:
                self._create(job, name, instance_type)
            except Exhausted as error:
                refused = error
                continue
            return self._begun(job, name)
        raise no_room(_no_machine(job, str(refused)))

    def _create(self, job: TrainChallenger, name: str, instance_type: str) -> None:
        """One that is there already is nothing new: its name is this key's and this attempt's."""
        asked = training_request(
            job,
            name,
            instance_type,
            mark=key_mark(job.key),
            role=self._aws.settings.role,
            kms_key=self._aws.settings.kms_key,
            objects=self._objects,
            package=self._package,
        )
        try:
            self._aws.call("sagemaker", "create_training_job", **asked)
        except Conflict:
            return

    def _begun(self, job: TrainChallenger, name: str) -> JobState:
        """The attempt as it is now; stopped at once where that was asked while it was created."""
        attempt = self._attempt(name)
        if attempt is None:
            raise Unavailable(f"SageMaker does not know {name} yet, which was just created. Look again")
        _check_same(job, attempt)
        if self._stopped(job.key):
            self._stop(attempt)
        return self._state(job, attempt)

    def _state(self, job: TrainChallenger, attempt: Attempt) -> JobState:
        """One that is being stopped on our request counts as stopped: nobody waits for what it might still say."""
        if attempt.running and self._stopped(job.key):
            self._stop(attempt)
            return JobState(key=job.key, phase=JobPhase.STOPPED, progress="stopped on request")
        return attempt.state(job, self._objects)

    def _again(self, attempts: list[Attempt]) -> bool:
        """Whether the key needs another attempt: the last one got no machine, or broke there."""
        last = attempts[-1]
        return last.starved or (last.broken_there and sum(each.broken_there for each in attempts) < _MOST_BROKEN)

    def _stop(self, attempt: Attempt) -> None:
        if attempt.status != "InProgress":
            return
        try:
            self._aws.call("sagemaker", "stop_training_job", TrainingJobName=attempt.name)
        except Invalid:
            again = self._attempt(attempt.name)
            if again is not None and again.status == "InProgress":
                raise

    def _attempts(self, job: TrainChallenger) -> list[Attempt]:
        """Every SageMaker job of this key, the oldest first. Raises: Conflict."""
        found: list[Attempt] = []
        while (attempt := self._attempt(self._name(job, len(found)))) is not None:
            _check_same(job, attempt)
            found.append(attempt)
            if not (attempt.starved or attempt.broken_there):
                break
        return found

    def _attempt(self, name: str) -> Attempt | None:
        try:
            return Attempt(self._aws.call("sagemaker", "describe_training_job", TrainingJobName=name))
        except NotFound:
            return None

    def _name(self, job: TrainChallenger, attempt: int) -> str:
        return name_of(self._aws.settings.prefix, job.endpoint, "train", f"{job.key}#{attempt}")

    def _keep(self, job: TrainChallenger) -> None:
        """Raises: Conflict (another job has this key)."""
        if not self._objects.create(_job_key(job.key), json_bytes(job)) and self._job(job.key) != job:
            raise Conflict(f"the key {job.key!r} belongs to another training job in {self._objects.uri(_job_key(job.key))}")

    def _job(self, key: str) -> TrainChallenger:
        """What was asked under this key; it never changes, so it is read once. Raises: NotFound."""
        if key not in self._jobs:
            try:
                self._jobs[key] = self._objects.read(_job_key(key), TrainChallenger)
            except NotFound:
                raise NotFound(f"no training job has the key {key!r}: start it first") from None
        return self._jobs[key]

    def _stopped(self, key: str) -> bool:
        return self._objects.there(self._stop_note(key))

    def _stop_note(self, key: str) -> str:
        return f"{job_folder(key_mark(key))}/stopped.json"


def _job_key(key: str) -> str:
    return f"{job_folder(key_mark(key))}/job.json"


def _candidates(job: TrainChallenger, attempts: list[Attempt]) -> tuple[str, ...]:
    """Instance types to try now: from the one after the last that had no capacity; after the last type, all from the first."""
    types = job.compute.instance_types
    last = attempts[-1] if attempts else None
    if last is None or last.instance_type not in types:
        return types
    place = types.index(last.instance_type)
    return types[place:] if last.broken_there else types[place + 1 :] or types


def _check_same(job: TrainChallenger, attempt: Attempt) -> None:
    if attempt.is_of != dumps(job.key):
        raise Conflict(f"the key {job.key!r} belongs to another training job, {attempt.name}: use a key of its own")


def _no_machine(job: TrainChallenger, why: str) -> str:
    return (
        f"no machine for {job.key} among {', '.join(job.compute.instance_types)}: {why}. "
        "Name more instance types, wait, or ask for a higher quota"
    )
