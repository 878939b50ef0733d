"""A folder that appears whole or not at all. What a crash leaves under a temporary name, the inventory sweeps."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from platforms.files import TEMPORARY, fsync_folder, make_folder, platform_errors


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, which takes its name when the block ends well.

    Whoever is faster wins: a folder that has the name by then stays as it is.

    Raises:
        Exhausted, Invalid, Unavailable: the disk.
    """
    make_folder(folder.parent)
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
