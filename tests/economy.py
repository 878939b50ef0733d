"""What the whole test run would otherwise pay hundreds of times, and the order that keeps all workers at work to the end."""

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from runtime.sandbox import RUNNER

MEMORY = Path("/dev/shm")  # where Linux keeps files in memory
ENOUGH_BYTES = 3_000_000_000
PROCESSES, WORKFLOWS, PLAIN = 4.0, 2.0, 0.1
"""About how many seconds a test takes that starts processes, drives workflows, or does neither."""


def pytest_configure(config: pytest.Config) -> None:
    """Tests' files lie in memory where there is room: no test asks what a power cut would leave, and each fsync waits for a disk."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole files, the longest first: one that begins last would run while the other workers wait."""
    seconds: dict[Path, float] = defaultdict(float)
    for item in items:
        seconds[item.path] += _about(item)
    items.sort(key=lambda item: -seconds[item.path])


def _about(item: pytest.Item) -> float:
    processes = item.get_closest_marker("processes")
    if processes:
        return float(processes.kwargs.get("seconds", PROCESSES))
    return WORKFLOWS if {"temporal_env", "client"} & set(getattr(item, "fixturenames", ())) else PLAIN


@pytest.fixture(autouse=True, scope="session")
def _workflows_are_prepared_once() -> Iterator[None]:
    """Every worker and every replay first loads each workflow in the sandbox, only to see that it can: here hundreds do."""
    prepare, seen = SandboxedWorkflowRunner.prepare_workflow, set[type]()

    def once(self: SandboxedWorkflowRunner, definition: Any) -> None:
        if self is not RUNNER or definition.cls not in seen:
            prepare(self, definition)
            seen.add(definition.cls)

    patch = pytest.MonkeyPatch()
    patch.setattr(SandboxedWorkflowRunner, "prepare_workflow", once)
    yield
    patch.undo()
