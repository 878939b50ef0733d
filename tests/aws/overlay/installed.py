"""Every overlay: the modules of this folder that have `install`, in the order of their names."""

import importlib
import pkgutil
from collections.abc import Callable

from tests.aws import overlay
from tests.aws.world import World

_MODULES = [importlib.import_module(f"{overlay.__name__}.{found.name}") for found in pkgutil.iter_modules(overlay.__path__)]
INSTALL: list[Callable[[World], None]] = [module.install for module in _MODULES if hasattr(module, "install")]

PASSED = {"s3", "sqs", "sns", "events", "iam", "kms", "sts", "cloudformation", "glue", "logs"}
"""Services that moto simulates well enough: what no overlay answers goes to it. Of all others only overlays answer."""
