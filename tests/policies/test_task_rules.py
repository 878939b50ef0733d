"""What a fleet file may say for a task is what the task's family of metrics knows."""

from typing import get_args

import pytest

from contracts.evaluation import GatePolicy, GuardedMetric
from contracts.rollout import ServingPolicy
from contracts.task_rules import METRICS, misfits
from contracts.training import Task
from policies.families import FAMILIES


@pytest.mark.parametrize("task", Task)
def test_the_metrics_of_a_task_are_those_of_its_family(task: Task) -> None:
    assert METRICS[task] == tuple(FAMILIES[task].higher_is_better)
    assert set(METRICS[task]) <= set(get_args(GuardedMetric))


@pytest.mark.parametrize("task", Task)
def test_defaults_fit_every_task(task: Task) -> None:
    assert list(misfits(task, GatePolicy(), ServingPolicy())) == []


def test_every_misfit_is_named_not_the_first_alone() -> None:
    gate = GatePolicy(primary="brier", dry=("recall",), margins={"auc": 0.2})
    assert len(list(misfits(Task.REGRESSION, gate, ServingPolicy(threshold=0.2)))) == 4
