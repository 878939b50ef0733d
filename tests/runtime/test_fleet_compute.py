"""On which machines to train: what the fleet file may say, and what it refuses with the remedy."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.fleet import TrainingPolicy


def _training(**compute: Any) -> TrainingPolicy:
    return TrainingPolicy.model_validate({"max_runtime": "2h", "compute": compute})


def test_a_long_spot_job_without_checkpoints_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValidationError, match=r"lose all it did\. Say checkpoints: true, or shorten max_runtime to an hour"):
        _training(spot=True)
    assert _training(spot=True, checkpoints=True).longest == timedelta(hours=4)
    assert TrainingPolicy.model_validate({"max_runtime": "1h", "compute": {"spot": True}}).longest == timedelta(hours=2)


def test_a_spot_job_may_wait_as_long_as_declared_and_no_other_job_waits() -> None:
    assert _training(spot=True, checkpoints=True, max_wait="3h").longest == timedelta(hours=3)
    assert _training().longest == timedelta(hours=2)
    with pytest.raises(ValidationError, match="must not be shorter than max_runtime"):
        _training(spot=True, checkpoints=True, max_wait="1h")
    with pytest.raises(ValidationError, match="say spot: true, or leave it out"):
        _training(max_wait="3h")


def test_instance_types_are_sagemaker_s() -> None:
    with pytest.raises(ValidationError, match="instance_types"):
        _training(instance_types=["m5.xlarge"])
    with pytest.raises(ValidationError, match="instance_types"):
        _training(instance_types=[])
