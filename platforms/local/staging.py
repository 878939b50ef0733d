"""A folder that appears whole or not at all."""

import errno
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

from platforms.local.files import TEMPORARY, fsync_folder, make_folder, platform_errors

_ABANDONED_AFTER: Final = 86_400.0
"""Seconds after which an unfinished folder can only be what a crash left."""


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, which takes its name when the block ends well.

    Whoever is faster wins: a folder that has the name by then stays as it is.

    Raises:
        Exhausted, Invalid, Unavailable: the disk.
    """
    make_folder(folder.parent)
    _sweep_abandoned(folder.parent)
    staging = folder.parent / f"{TEMPORARY}{token_hex(8)}"
    with platform_errors(folder):
        staging.mkdir()
        try:
            yield staging
            _publish(staging, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _publish(staging: Path, folder: Path) -> None:
    fsync_folder(staging)
    try:
        staging.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    fsync_folder(folder.parent)


def _sweep_abandoned(root: Path) -> None:
    for folder in root.glob(f"{TEMPORARY}*"):
        with suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > _ABANDONED_AFTER:
                shutil.rmtree(folder, ignore_errors=True)
