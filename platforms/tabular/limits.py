"""How much memory a training process may take; light, since it is wanted before the slow imports and after a failed one."""

import resource
from contextlib import suppress
from typing import Final

from contracts.training import TrainChallenger

_MEMORY_SLACK_MB: Final = 256


def limit_memory(megabytes: int) -> None:
    """Let one huge allocation fail at once; the watch ends whatever grows past its limit step by step.

    Well above that limit, since LightGBM crashes without a word where a small allocation fails. Set after the imports, which
    don't survive it cleanly either.
    """
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    with suppress(ValueError, OSError):  # a system without this limit still has the watch
        resource.setrlimit(resource.RLIMIT_DATA, ((megabytes + megabytes // 4 + _MEMORY_SLACK_MB) << 20, most))


def lift_memory_limit() -> None:
    """Leave room to write down what happened."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    with suppress(ValueError, OSError):  # as above
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def too_much_memory(job: TrainChallenger) -> str:
    return f"training needed more than {job.max_memory_mb} MB of memory: raise max_memory_mb, or shorten the horizons"
