"""Whether a process is alive, told by the lock that it holds: a process that dies lets go of it, so it can't lie."""

import fcntl
import os
from pathlib import Path


def lock_held(path: Path) -> bool:
    """True when a process holds the lock file, which it does until it dies."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
