"""Files are written whole or not at all, once or by one."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.audit import Anchor
from platforms.errors import Corrupt, Exhausted, Invalid, NotFound, PlatformError, Unavailable
from platforms.files import (
    checked_name,
    create_exclusive,
    exhausted_on_full_disk,
    json_bytes,
    key_folder,
    locked,
    make_folder,
    platform_errors,
    read_json,
    write_atomic,
    write_contract,
)
from tests.platforms.records_fixtures import run_python, start_python

HOLD = """
import sys, time
from pathlib import Path
from platforms.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
FULL = """
import resource, sys
from pathlib import Path
from platforms.errors import Exhausted
from platforms.files import create_exclusive, write_atomic
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
for write in (write_atomic, create_exclusive):
    try:
        write(Path(sys.argv[1]), b"x" * 11)
    except Exhausted as error:
        print(error)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_written_file_has_the_new_content_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "file"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert (path.read_bytes(), names(path.parent)) == (b"two", ["file"])


def test_a_write_that_fails_leaves_the_old_content_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exhausted, match=r"file: No space left on device\. Free some space"):
        write_atomic(path, b"new")
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["file"])


def test_a_file_that_may_not_grow_is_exhausted_and_leaves_nothing(tmp_path: Path) -> None:
    said = run_python(FULL, str(tmp_path / "file"))
    assert said.count("File too large. Free some space") == 2
    assert names(tmp_path) == []


def test_of_many_writers_exactly_one_creates_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: create_exclusive(path, b"%d" % n), range(32)))
    assert won.count(True) == 1
    assert path.read_bytes() == b"%d" % won.index(True)
    assert names(tmp_path) == ["file"]


def test_many_threads_that_make_one_folder_all_get_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: make_folder(tmp_path / "a" / "b" / "c"), range(32)))
    assert made == {tmp_path / "a" / "b" / "c"}


def test_a_folder_that_cannot_be_made_is_invalid(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(Invalid, match="Check the folder and its permissions"):
            write_atomic(place / "x", b"")


def test_a_held_lock_keeps_others_out_and_says_who_to_wait_for(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock"),
        pytest.raises(Unavailable, match="lock: another process held the lock"),
        ThreadPoolExecutor(1) as pool,
    ):
        pool.submit(_take, tmp_path / "lock").result()
    _take(tmp_path / "lock")


def _take(path: Path) -> None:
    with locked(path, timeout=0):
        pass


def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    holder = start_python(HOLD, str(tmp_path / "lock"))
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Unavailable):
            _take(tmp_path / "lock")
        holder.kill()
    _take(tmp_path / "lock")


def test_a_contract_comes_back_as_it_was_written(tmp_path: Path) -> None:
    anchor = Anchor(records=3, head="a" * 64)
    write_contract(tmp_path / "a.json", anchor)
    assert read_json(tmp_path / "a.json", Anchor) == anchor
    assert (tmp_path / "a.json").read_bytes() == json_bytes(anchor)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"a\.json is not there"):
        read_json(tmp_path / "a.json", Anchor)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the whole file"),
        (b"{", "the whole file"),
        (b"\xff", "the whole file"),
        (b'{"head": "' + b"a" * 64 + b'", "records": -1}', "records: .*found '-1'"),
        (b'{"records": 1}', "head: Field required"),
    ],
)
def test_a_file_that_is_not_what_was_written_names_the_field_and_what_was_found(
    tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(Corrupt, match=f"a.json: {said}"):
        read_json(tmp_path / "a.json", Anchor)


@pytest.mark.parametrize("name", ["", ".", "..", ".tmp-1", "a/b", "../a", "a\\b", "a\0", "a\n", "-a", "é", "a b", "a" * 129])
def test_a_name_that_could_leave_the_folder_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match=r"evidence name .* is not allowed"):
        checked_name(name, "evidence name")


@given(st.text())
def test_a_name_that_is_allowed_is_one_plain_segment(name: str) -> None:
    try:
        allowed = checked_name(name)
    except Invalid:
        return
    assert Path("/root", allowed).parent == Path("/root")


def test_a_key_has_one_folder_whatever_it_holds(tmp_path: Path) -> None:
    folder = key_folder(tmp_path, "endpoint/../../x/train/1")
    assert folder == tmp_path / sha256(b"endpoint/../../x/train/1").hexdigest()[:16]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.ENOSPC, Exhausted),
        (errno.EDQUOT, Exhausted),
        (errno.EFBIG, Exhausted),
        (errno.EACCES, Invalid),
        (errno.EROFS, Invalid),
        (errno.EIO, Unavailable),
    ],
)
def test_each_error_of_the_system_says_what_to_do(tmp_path: Path, code: int, error: type[PlatformError]) -> None:
    with pytest.raises(error, match=str(tmp_path)), platform_errors(tmp_path):
        raise OSError(code, os.strerror(code))


def test_only_a_full_disk_is_exhausted(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), exhausted_on_full_disk():
        (tmp_path / "none").read_bytes()
