"""Manifests: revisions follow each other, one writer wins, and a key writes once."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from contracts.rollout import Manifest
from platforms.errors import Conflict, Corrupt, Invalid
from platforms.local import manifests as local_manifests
from platforms.local.manifests import LocalManifests
from platforms.ports import ManifestStore
from tests.platforms.records_fixtures import Records, manifest, run_python

FULL = """
import resource, sys
from pathlib import Path
from contracts.rollout import Manifest
from platforms.errors import Exhausted
from platforms.local.manifests import LocalManifests
resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
try:
    LocalManifests(Path(sys.argv[1])).write(Manifest.model_validate_json(sys.argv[2]))
except Exhausted as error:
    print(error)
"""


@pytest.fixture
def opened(records: Callable[[], Records]) -> Callable[[], ManifestStore]:
    """Opens the store as another process would."""
    return lambda: records().manifests


@pytest.fixture
def store(opened: Callable[[], ManifestStore]) -> ManifestStore:
    return opened()


def test_nothing_was_written_yet(store: ManifestStore) -> None:
    assert store.read("bikes") is None
    assert list(store.history("bikes")) == []


def test_the_newest_is_read_and_all_are_kept_oldest_first(opened: Callable[[], ManifestStore]) -> None:
    store = opened()
    for revision in range(1, 13):
        assert store.write(manifest(revision)) == manifest(revision)
    assert opened().read("bikes") == manifest(12)
    assert [m.revision for m in opened().history("bikes")] == list(range(1, 13))


def test_endpoints_do_not_see_each_other(store: ManifestStore) -> None:
    store.write(manifest(1, endpoint="bikes"))
    assert store.read("cars") is None


@pytest.mark.parametrize("revision", [1, 2, 4, 9])
def test_a_revision_that_does_not_follow_the_newest_is_a_conflict_that_names_both(store: ManifestStore, revision: int) -> None:
    store.write(manifest(1))
    store.write(manifest(2))
    with pytest.raises(Conflict, match=rf"revision {revision} .*newest is 2"):
        store.write(manifest(revision, key="another"))
    assert store.read("bikes") == manifest(2)


def test_the_same_key_again_returns_what_it_wrote_and_writes_nothing(store: ManifestStore) -> None:
    first = store.write(manifest(1, key="a", champion=5))
    store.write(manifest(2, key="b"))
    assert store.write(manifest(1, key="a", champion=5)) == first
    assert store.write(manifest(3, key="a", champion=5)) == first
    assert [m.key for m in store.history("bikes")] == ["a", "b"]


def test_a_key_cannot_be_used_for_another_champion(store: ManifestStore) -> None:
    store.write(manifest(1, key="a", champion=5))
    with pytest.raises(Conflict, match="key 'a' wrote revision 1"):
        store.write(manifest(2, key="a", champion=6))


def test_of_many_writers_of_one_revision_one_wins(opened: Callable[[], ManifestStore]) -> None:
    opened().write(manifest(1))

    def write(n: int) -> Manifest | None:
        try:
            return opened().write(manifest(2, key=f"writer/{n}", champion=n))
        except Conflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [written for written in pool.map(write, range(16)) if written]
    assert len(won) == 1
    assert opened().read("bikes") == won[0]


def test_many_tries_of_one_write_make_one_revision(opened: Callable[[], ManifestStore]) -> None:
    with ThreadPoolExecutor(8) as pool:
        written = set(pool.map(lambda _: opened().write(manifest(1)).revision, range(16)))
    assert written == {1}
    assert len(opened().history("bikes")) == 1


def test_people_find_a_copy_of_the_newest_beside_the_revisions(tmp_path: Path) -> None:
    store = LocalManifests(tmp_path)
    store.write(manifest(1))
    store.write(manifest(2))
    folder = tmp_path / "manifests" / "bikes"
    assert Manifest.model_validate_json((folder / "current.json").read_bytes()) == manifest(2)
    assert sorted(p.name for p in folder.glob("0*")) == ["000001.json", "000002.json"]


def test_a_crash_between_revision_and_copy_is_mended_by_the_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    store = LocalManifests(tmp_path)
    store.write(manifest(1))
    with monkeypatch.context() as patch:
        patch.setattr(local_manifests, "write_atomic", crash)
        with pytest.raises(KeyboardInterrupt):
            store.write(manifest(2))
    current = tmp_path / "manifests" / "bikes" / "current.json"
    assert json.loads(current.read_bytes())["revision"] == 1
    assert store.read("bikes") == manifest(2)
    store.write(manifest(2))
    assert json.loads(current.read_bytes())["revision"] == 2


def test_a_full_disk_is_exhausted_and_leaves_no_revision(tmp_path: Path) -> None:
    LocalManifests(tmp_path).write(manifest(1))
    said = run_python(FULL, str(tmp_path), manifest(2).model_dump_json())
    assert "000002.json: File too large" in said
    assert LocalManifests(tmp_path).read("bikes") == manifest(1)
    assert LocalManifests(tmp_path).write(manifest(2)) == manifest(2)


def test_a_damaged_newest_revision_is_corrupt_and_no_older_one_takes_its_place(tmp_path: Path) -> None:
    store = LocalManifests(tmp_path)
    store.write(manifest(1))
    store.write(manifest(2))
    (tmp_path / "manifests" / "bikes" / "000002.json").write_bytes(b"{")
    with pytest.raises(Corrupt, match=r"000002\.json"):
        store.read("bikes")
    with pytest.raises(Corrupt, match=r"000002\.json"):
        store.write(manifest(3))


def test_a_revision_under_another_number_is_corrupt(tmp_path: Path) -> None:
    store = LocalManifests(tmp_path)
    store.write(manifest(1))
    folder = tmp_path / "manifests" / "bikes"
    (folder / "000002.json").write_bytes((folder / "000001.json").read_bytes())
    with pytest.raises(Corrupt, match="it holds revision 1 of bikes"):
        store.read("bikes")


def test_a_lost_revision_is_named(tmp_path: Path) -> None:
    store = LocalManifests(tmp_path)
    for revision in (1, 2, 3):
        store.write(manifest(revision))
    (tmp_path / "manifests" / "bikes" / "000002.json").unlink()
    with pytest.raises(Corrupt, match="revision 2 is missing"):
        store.history("bikes")


@pytest.mark.parametrize("name", ["../bikes", "", "a/b", ".", "bikes\n"])
def test_a_hostile_endpoint_name_is_refused(store: ManifestStore, name: str) -> None:
    with pytest.raises(Invalid, match="endpoint"):
        store.read(name)
