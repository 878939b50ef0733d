"""Every overlay, in the order in which it is installed."""

from collections.abc import Callable

from tests.aws.overlay import training_jobs
from tests.aws.world import World

INSTALL: list[Callable[[World], None]] = [training_jobs.install]

PASSED = {"s3", "sqs", "sns", "events", "iam", "kms", "sts", "cloudformation", "glue", "logs"}
"""Services that moto simulates well enough: what no overlay answers goes to it. Of all others only overlays answer."""
