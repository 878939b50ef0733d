"""What a remediation creates and must not leave behind."""

from contracts.base import Contract, Utc
from contracts.training import Tags


class Resource(Contract):
    """One temporary thing: a training job's folder, a snapshot."""

    id: str
    kind: str
    tags: Tags
    created: Utc
    bytes: int = 0


class Removal(Contract):
    """What a clean-up took away and what it could not."""

    removed: tuple[Resource, ...] = ()
    failed: tuple[str, ...] = ()


class CleanUp(Contract):
    """Everything that carries `tags` goes; the jobs are stopped first."""

    tags: Tags
    job_keys: tuple[str, ...]
