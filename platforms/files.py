"""Writing files so that a crash, a second writer or a full disk leaves the old content or the new one, never a half.

Every path segment that comes from outside goes through `checked_name`; every key becomes a folder by `key_folder`.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from platforms.errors import Corrupt, Exhausted, Invalid, NotFound, Unavailable

TEMPORARY = ".tmp-"
"""How every unfinished file or folder is named; what a crash leaves under it is never read."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EEXIST, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}

M = TypeVar("M", bound=BaseModel)


def checked_name(name: str, what: str = "name") -> str:
    """The name, if it is one safe path segment: letters, digits, '.', '_' and '-', at most 128.

    Raises:
        Invalid: anything else, so that no path is ever built from it.
    """
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{what} {name[:80]!r} is not allowed: use up to 128 letters, digits, '.', '_', '-', beginning with a letter or digit"
        )
    return name


def key_folder(root: Path, key: str) -> Path:
    """The folder that belongs to an idempotency key: `root/<16 hex digits of its sha256>`."""
    return root / key_mark(key)


def key_mark(key: str) -> str:
    """16 hex digits that stand for an idempotency key in a file name."""
    return sha256(key.encode(errors="surrogatepass")).hexdigest()[:16]


@contextmanager
def exhausted_on_full_disk(path: Path | None = None) -> Iterator[None]:
    """Turn 'no space', 'over quota' and 'file too large' into Exhausted; every other error passes."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Exhausted(
                f"{path or error.filename or 'the disk'}: {error.strerror}. Free some space, then try again"
            ) from error
        raise


@contextmanager
def platform_errors(path: Path) -> Iterator[None]:
    """Turn every OSError into ours: full disk is Exhausted, no right to write is Invalid, the rest is Unavailable."""
    try:
        with exhausted_on_full_disk(path):
            yield
    except OSError as error:
        if error.errno in _FORBIDDEN:
            raise Invalid(f"{path}: {error.strerror}. Check the folder and its permissions") from error
        raise Unavailable(f"{path}: {error.strerror or error}. Try again") from error


def fsync_folder(folder: Path) -> None:
    """Make a rename or a new name in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> Path:
    """Create the folder and its parents durably; one that is there is nothing new."""
    if folder.is_dir():
        return folder
    with platform_errors(folder):
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        fsync_folder(folder.parent)
    return folder


@contextmanager
def _written(path: Path, content: bytes, mode: int | None = None) -> Iterator[Path]:
    """A finished, fsynced temporary file beside `path`; gone afterwards unless it was renamed."""
    make_folder(path.parent)
    temporary = path.parent / f"{TEMPORARY}{token_hex(8)}"
    with platform_errors(path):
        try:
            with temporary.open("xb") as file:
                if mode is not None:
                    os.fchmod(file.fileno(), mode)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()


def write_atomic(path: Path, content: bytes) -> None:
    """Replace the file's content in one step, durably. Raises: Exhausted, Invalid, Unavailable."""
    with _written(path, content) as temporary:
        temporary.replace(path)
        fsync_folder(path.parent)


def create_exclusive(path: Path, content: bytes, mode: int | None = None) -> bool:
    """Create the file with this content in one step, durably; False if the name was taken, and nothing changed.

    Of two writers exactly one gets True. `mode` is set before anything is written, for what others may not read.

    Raises: Exhausted, Invalid, Unavailable.
    """
    with _written(path, content, mode) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        fsync_folder(path.parent)
        return True


@contextmanager
def locked(path: Path, timeout: float = 30) -> Iterator[None]:
    """Hold the lock file against every other process and thread. The lock dies with its holder.

    Raises:
        Unavailable: somebody else held it for `timeout` seconds.
    """
    make_folder(path.parent)
    lock = FileLock(path, timeout=timeout, poll_interval=0.005)
    with platform_errors(path):
        try:
            lock.acquire()
        except Timeout as error:
            raise Unavailable(f"{path}: another process held the lock for {timeout:g} s. Try again") from error
    try:
        yield
    finally:
        lock.release()


def read_bytes(path: Path) -> bytes:
    """Raises: NotFound, Invalid, Unavailable."""
    with platform_errors(path):
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"{path} is not there") from error


def read_json(path: Path, model: type[M]) -> M:
    """Read the file into the model. Raises: NotFound, Corrupt (with the field and what was found)."""
    content = read_bytes(path)
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise Corrupt(
            f"{path}: {field}: {first['msg']}, found {str(first['input'])[:80]!r}. "
            f"It is not what was written; restore it from a backup or remove it"
        ) from None


def write_contract(path: Path, value: BaseModel) -> None:
    """Write a contract as readable JSON, atomically."""
    write_atomic(path, json_bytes(value))


def json_bytes(value: BaseModel) -> bytes:
    """A contract as readable JSON. Raises: Invalid (a text that is not Unicode, which no file could hold)."""
    try:
        return value.model_dump_json(indent=2).encode() + b"\n"
    except PydanticSerializationError as error:
        raise Invalid(f"{type(value).__name__} can't be written as JSON: {str(error)[:200]}. Send only Unicode text") from None
