"""On which machines a challenger is trained, where the platform has machines to choose from."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from contracts.base import Declared, Duration

InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$", max_length=40)]


class Compute(Declared):
    """SageMaker's machines; the local platform has one machine and reads nothing of this."""

    instance_types: tuple[InstanceType, ...] = Field(default=("ml.m5.xlarge",), min_length=1, max_length=5)
    """Tried in this order, where there is no capacity or no quota for one."""
    spot: bool = False
    """Spare capacity at a lower price, which may be taken away in the middle."""
    max_wait: Duration | None = None
    """With spot: how long the job may take with all its waiting for capacity; twice `max_runtime` unless declared."""
    checkpoints: bool = False
    """Keep fitted members in the bucket, so that an interrupted job goes on from them."""
    volume_gb: int = Field(default=30, ge=1, le=16384)

    def longest_wait(self, max_runtime: timedelta) -> timedelta:
        """How long a job may take with its waiting for capacity."""
        return (self.max_wait or 2 * max_runtime) if self.spot else max_runtime

    @model_validator(mode="after")
    def _waits_with_spot_alone(self) -> Self:
        if self.max_wait is not None and not self.spot:
            raise ValueError("max_wait is how long a spot job may wait for capacity: say spot: true, or leave it out")
        return self
