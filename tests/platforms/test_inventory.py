"""What is temporary is listed with its tags, and what is removed is gone; nothing else is touched."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.inventory import Resource
from contracts.training import Tags
from platforms.files import key_folder, write_contract
from platforms.local.inventory import LEFTOVER, TICKET, LocalInventory
from platforms.local.vault import LocalVault
from platforms.tagged import TAGS, Tagged
from tests.platforms.records_fixtures import INCIDENT

AT = datetime(2012, 3, 4, tzinfo=UTC)


def tags(incident: str = INCIDENT, endpoint: str = "bikes") -> Tags:
    return Tags(endpoint=endpoint, incident=incident, team="mobility", cost_center="4711")


def make(home: Path, root: str, key: str, owner: Tags | None = None, kind: str = "training_job") -> Path:
    folder = key_folder(home / root, key)
    folder.mkdir(parents=True)
    write_contract(folder / TAGS, Tagged(**(owner or tags()).model_dump(), created=AT, kind=kind))
    (folder / "sub").mkdir()
    (folder / "sub" / "data").write_bytes(b"x" * 1000)
    return folder


def aged(path: Path, hours: float = 2) -> Path:
    then = time.time() - hours * 3600
    for entry in [*path.rglob("*"), path]:
        os.utime(entry, (then, then))
    return path


@contextmanager
def running(folder: Path) -> Iterator[None]:
    with (folder / "job.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def named(identity: str) -> Resource:
    return Resource(id=identity, kind="x", tags=tags(), created=AT)


def test_an_empty_home_holds_nothing(tmp_path: Path) -> None:
    assert list(LocalInventory(tmp_path / "none").list()) == []


def test_jobs_and_snapshots_are_listed_with_tags_age_and_size(tmp_path: Path) -> None:
    job = make(tmp_path, "jobs", "a")
    snapshot = make(tmp_path, "snapshots", "b", kind="snapshot")
    found = {resource.id: resource for resource in LocalInventory(tmp_path).list()}
    assert set(found) == {f"jobs/{job.name}", f"snapshots/{snapshot.name}"}
    listed = found[f"jobs/{job.name}"]
    assert (listed.kind, listed.tags, listed.created) == ("training_job", tags(), AT)
    assert listed.bytes == 1000 + (job / TAGS).stat().st_size


def test_one_incidents_things_can_be_listed_alone(tmp_path: Path) -> None:
    mine = make(tmp_path, "jobs", "a")
    make(tmp_path, "jobs", "b", tags("another"))
    make(tmp_path, "jobs", "c", tags(endpoint="cars"))
    aged(make(tmp_path, "jobs", "d") / TAGS).write_bytes(b"{")
    assert [r.id for r in LocalInventory(tmp_path).list(tags())] == [f"jobs/{mine.name}"]


def test_removed_folders_are_gone_and_the_rest_stays(tmp_path: Path) -> None:
    make(tmp_path, "jobs", "a")
    make(tmp_path, "snapshots", "a")
    other = make(tmp_path, "jobs", "b", tags("another"))
    inventory = LocalInventory(tmp_path)
    removal = inventory.remove(inventory.list(tags()))
    assert (len(removal.removed), removal.failed) == (2, ())
    assert [path for root in ("jobs", "snapshots") for path in (tmp_path / root).iterdir()] == [other]


def test_what_is_gone_already_counts_as_removed(tmp_path: Path) -> None:
    make(tmp_path, "jobs", "a")
    inventory = LocalInventory(tmp_path)
    listed = inventory.list()
    for _ in range(2):
        assert inventory.remove(listed).removed == tuple(listed)


def test_many_that_remove_the_same_all_find_it_removed(tmp_path: Path) -> None:
    for key in "abcdefgh":
        (make(tmp_path, "jobs", key) / "job.lock").touch()
    inventory = LocalInventory(tmp_path)
    listed = inventory.list()
    with ThreadPoolExecutor(4) as pool:
        removals = list(pool.map(lambda _: inventory.remove(listed), range(4)))
    assert {reason.partition(": ")[2] for removal in removals for reason in removal.failed} <= {
        "still running. Stop the job, then remove it"
    }
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_running_job_is_kept_and_reported_and_goes_once_it_ended(tmp_path: Path) -> None:
    job, idle = make(tmp_path, "jobs", "a"), make(tmp_path, "jobs", "b")
    (idle / "job.lock").touch()
    inventory = LocalInventory(tmp_path)
    listed = inventory.list()
    with running(job):
        removal = inventory.remove(listed)
        assert removal.failed == (f"jobs/{job.name}: still running. Stop the job, then remove it",)
        assert [r.id for r in removal.removed] == [f"jobs/{idle.name}"]
        assert (job / "sub" / "data").exists()
    assert inventory.remove(listed).failed == ()
    assert not job.exists()


@pytest.mark.parametrize(
    "identity",
    [
        "",
        ".",
        "..",
        "../precious",
        "jobs",
        "jobs/",
        "jobs/..",
        "jobs/../../precious",
        "/precious",
        "registry/bikes",
        "audit/audit.jsonl",
        "jobs/0123456789abcdef/../../audit",
        "jobs/0123456789abcdef\n",
        "manifests/bikes/000001.json",
        "jobs/.tmp-/../../precious",
        "../.tmp-precious",
    ],
)
def test_nothing_but_what_is_temporary_can_be_removed(tmp_path: Path, identity: str) -> None:
    home = tmp_path / "home"
    kept = [
        home / "audit" / "audit.jsonl",
        home / "manifests/bikes/000001.json",
        tmp_path / "precious" / "x",
        tmp_path / ".tmp-precious" / "x",
    ]
    for path in kept:
        path.parent.mkdir(parents=True)
        path.touch()
    make(home, "jobs", "a")
    removal = LocalInventory(home).remove([named(identity)])
    assert "nothing was removed" in removal.failed[0]
    assert all(path.exists() for path in kept)


def test_links_are_neither_listed_nor_followed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    precious = make(tmp_path / "elsewhere", "jobs", "a")
    (home / "jobs").mkdir(parents=True)
    (home / "jobs" / precious.name).symlink_to(precious)
    (home / "snapshots").symlink_to(tmp_path / "elsewhere" / "jobs")
    inventory = LocalInventory(home)
    assert list(inventory.list()) == []
    removal = inventory.remove([named(f"jobs/{precious.name}"), named(f"snapshots/{precious.name}")])
    assert [reason.count("is a symbolic link") for reason in removal.failed] == [1, 1]
    assert (precious / "sub" / "data").exists()


def test_a_link_inside_a_folder_goes_but_not_what_it_names(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "x").write_bytes(b"x" * 5000)
    job = make(tmp_path, "jobs", "a")
    (job / "link").symlink_to(precious)
    inventory = LocalInventory(tmp_path)
    assert inventory.list()[0].bytes < 5000
    assert inventory.remove(inventory.list()).failed == ()
    assert (precious / "x").exists()


def test_old_leftovers_of_crashed_writes_are_listed_and_removed(tmp_path: Path) -> None:
    places = [
        "jobs",
        "snapshots",
        "registry/bikes",
        f"evidence/bikes/{INCIDENT}",
        "manifests/bikes",
        "outbox",
        "features/trips/day=2012-03-04",
    ]
    for place in places:
        folder = tmp_path / place / ".tmp-0123"
        folder.mkdir(parents=True)
        (folder / "half").write_bytes(b"x" * 10)
        aged(folder)
    aged(tmp_path / "outbox" / ".tmp-0123")
    (tmp_path / "outbox" / ".tmp-file").write_bytes(b"x" * 10)
    aged(tmp_path / "outbox" / ".tmp-file")
    inventory = LocalInventory(tmp_path)
    listed = inventory.list()
    assert {(r.id, r.kind, r.bytes) for r in listed} == {(f"{place}/.tmp-0123", LEFTOVER, 10) for place in places} | {
        ("outbox/.tmp-file", LEFTOVER, 10)
    }
    assert inventory.remove(listed).failed == ()
    assert list(inventory.list()) == []


def test_what_may_still_be_in_the_making_is_left_alone(tmp_path: Path) -> None:
    building = tmp_path / "jobs" / ".tmp-0123"
    building.mkdir(parents=True)
    aged(building)
    (building / "written-just-now").touch()
    (tmp_path / "jobs" / ("0" * 16)).mkdir()
    assert list(LocalInventory(tmp_path).list()) == []


@pytest.mark.parametrize("content", [None, b"{", b'{"endpoint": "../x"}'])
def test_an_old_folder_without_readable_tags_is_a_leftover(tmp_path: Path, content: bytes | None) -> None:
    folder = make(tmp_path, "jobs", "a")
    (folder / TAGS).unlink() if content is None else (folder / TAGS).write_bytes(content)
    aged(folder)
    (found,) = LocalInventory(tmp_path).list()
    assert (found.id, found.kind, found.tags.endpoint) == (f"jobs/{folder.name}", LEFTOVER, "unknown")


def test_a_crash_in_the_middle_of_a_removal_leaves_something_the_next_sweep_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "jobs", "a")
    inventory = LocalInventory(tmp_path)

    def crash(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", crash)
        with pytest.raises(KeyboardInterrupt):
            inventory.remove(inventory.list())
    (trash,) = (tmp_path / "jobs").iterdir()
    assert list(inventory.list()) == []
    aged(trash)
    assert inventory.remove(inventory.list()).failed == ()
    assert list((tmp_path / "jobs").iterdir()) == []


def test_what_cannot_be_deleted_is_reported_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "jobs", "a")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    inventory = LocalInventory(tmp_path)
    removal = inventory.remove(inventory.list())
    assert removal.removed == ()
    assert "Permission denied. Check the folder and its permissions" in removal.failed[0]


def test_tickets_are_swept_a_week_after_they_were_kept_and_not_before(tmp_path: Path) -> None:
    vault, inventory = LocalVault(tmp_path), LocalInventory(tmp_path)
    old, new = vault.keep("a.b.old"), vault.keep("a.b.new")
    aged(tmp_path / "vault" / f"{old}.jwt", hours=7 * 24 + 1)
    aged(tmp_path / "vault" / f"{new}.jwt", hours=7 * 24 - 1)
    found = inventory.list()
    assert [(r.kind, r.id) for r in found] == [(TICKET, f"vault/{old}.jwt")]
    assert inventory.remove(found).failed == ()
    assert vault.read(new) == "a.b.new"
    assert list(inventory.list()) == []
