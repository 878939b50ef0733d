"""The sandbox that workflows run in. One runner for workers, replays and tests, or they would not judge alike."""

from typing import Final

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

PASSED_THROUGH: Final = (
    "contracts",  # frozen data: one class object per process, or isinstance and pydantic's caches disagree
    "policies",  # pure functions that touch no clock; import-linter and their tests hold that
    "activities",  # workflows name them and never call them; loading them again would load numpy again, which refuses
    "platforms",  # reached only through the names of activities
    "opentelemetry",  # its context variable has to be the one that the tracing plugin set outside
)

RUNNER: Final = SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))
"""`workflows` itself is not passed: it is the room whose clock and chance the sandbox has to watch."""
