"""The bench's store: revisions follow each other, a key writes once, files never change, and what nobody names goes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.shadow import BenchFit, BenchPart, BenchState
from contracts.snapshot import Window
from contracts.training import Challenger, ModelRef, Purpose
from platforms.aws.bench_store import AwsBenchStore
from platforms.aws.objects import Objects
from platforms.aws.packaging import archive
from platforms.aws.training_request import member
from platforms.bench_names import KEPT_REVISIONS, MIN_AGE
from platforms.errors import Conflict, Corrupt, Invalid, NotFound
from platforms.local.bench_store import LocalBenchStore
from platforms.ports import BenchStore
from tests.aws.places import account_at

AT = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Bench:
    """A store, opened as another process would, and what lies around it."""

    open: Callable[[timedelta], BenchStore]
    fit: Callable[[bytes], Challenger]
    remove: Callable[[str], object]
    read: Callable[[str], bytes]


def local_bench(home: Path) -> Bench:
    return Bench(
        lambda age: LocalBenchStore(home, age),
        lambda content: a_fit(home, content),
        lambda uri: Path(uri).unlink(),
        lambda uri: Path(uri).read_bytes(),
    )


def aws_bench(home: Path) -> Bench:
    objects = Objects(account_at(home))

    def fit(content: bytes) -> Challenger:
        uri = objects.put("jobs/0123456789abcdef/model.tar.gz", archive({"model.json": content}))
        return challenger(uri, sha256(content).hexdigest())

    return Bench(
        lambda age: AwsBenchStore(objects, age),
        fit,
        lambda uri: objects.remove(objects.within(uri)),
        lambda uri: member(objects.get(objects.within(uri)), "model.json"),
    )


PLATFORMS: dict[str, Callable[[Path], Bench]] = {"local": local_bench, "aws": aws_bench}


@pytest.fixture(params=sorted(PLATFORMS))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if request.param == "aws":
        request.getfixturevalue("simulated")
    return PLATFORMS[request.param](tmp_path)


@pytest.fixture
def opened(bench: Bench) -> Callable[[], BenchStore]:
    """Opens the store as another process would."""
    return lambda: bench.open(MIN_AGE)


def state(revision: int, key: str | None = None, **changes: object) -> BenchState:
    return BenchState(endpoint="bikes", revision=revision, key=key or f"key/{revision}").model_copy(update=changes)


def a_fit(folder: Path, content: bytes = b"{}") -> Challenger:
    path = folder / "job" / "model.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return challenger(str(path), sha256(content).hexdigest())


def challenger(uri: str, digest: str) -> Challenger:
    return Challenger(
        model=ModelRef(endpoint="bikes", digest=digest),
        artifact_uri=uri,
        purpose=Purpose.REFIT,
        trained_through=AT,
        rows=10,
        positives=5,
        base_rate=0.5,
        dataset_sha256="0" * 64,
    )


def a_part(uri: str, content: bytes) -> BenchPart:
    window = Window(start=AT, end=AT + timedelta(days=7))
    return BenchPart(uri=uri, sha256=sha256(content).hexdigest(), window=window, rows=1, fitted_as_of=AT, added=AT)


def test_nothing_was_written_yet(opened: Callable[[], BenchStore]) -> None:
    assert opened().read("bikes") is None


def test_the_newest_revision_is_read_and_endpoints_do_not_see_each_other(opened: Callable[[], BenchStore]) -> None:
    for n in range(1, KEPT_REVISIONS + 5):
        assert opened().write(state(n, blend=f"b{n}")).revision == n
    found = opened().read("bikes")
    assert found is not None
    assert (found.revision, found.blend) == (KEPT_REVISIONS + 4, f"b{KEPT_REVISIONS + 4}")
    assert opened().read("trams") is None


@pytest.mark.parametrize("revision", [1, 2, 4])
def test_a_revision_that_does_not_follow_is_a_conflict(opened: Callable[[], BenchStore], revision: int) -> None:
    opened().write(state(1))
    opened().write(state(2))
    with pytest.raises(Conflict, match="the newest is 2"):
        opened().write(state(revision, key="another"))


def test_the_same_key_again_returns_what_it_wrote(opened: Callable[[], BenchStore]) -> None:
    first = opened().write(state(1, key="turn", blend="full"))
    opened().write(state(2))
    assert opened().write(state(3, key="turn", blend="other")) == first
    newest = opened().read("bikes")
    assert newest is not None
    assert newest.revision == 2


def test_of_many_writers_of_one_revision_one_wins(opened: Callable[[], BenchStore]) -> None:
    def write(n: int) -> bool:
        try:
            opened().write(state(1, key=f"writer/{n}"))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(16))) == 1


def test_a_fit_outlives_its_job_and_is_checked(bench: Bench, opened: Callable[[], BenchStore]) -> None:
    fit = bench.fit(b"{}")
    uri = opened().keep_fit(fit)
    assert opened().keep_fit(fit) == uri
    bench.remove(fit.artifact_uri)
    assert opened().keep_fit(fit) == uri
    assert bench.read(uri) == b"{}"
    with pytest.raises(NotFound):
        opened().keep_fit(fit.model_copy(update={"model": ModelRef(endpoint="bikes", digest="1" * 64)}))


def test_a_fit_with_another_digest_is_corrupt(bench: Bench, opened: Callable[[], BenchStore]) -> None:
    fit = bench.fit(b"[]")
    with pytest.raises(Corrupt):
        opened().keep_fit(challenger(fit.artifact_uri, sha256(b"{}").hexdigest()))


def test_a_part_is_kept_once_and_read_with_its_digest(opened: Callable[[], BenchStore]) -> None:
    uri = opened().keep_part("bikes", b"rows")
    assert opened().keep_part("bikes", b"rows") == uri
    assert opened().read_part(uri, sha256(b"rows").hexdigest()) == b"rows"
    with pytest.raises(Corrupt):
        opened().read_part(uri, sha256(b"other").hexdigest())


def test_a_part_that_is_gone_is_not_found_and_a_strange_uri_is_refused(opened: Callable[[], BenchStore]) -> None:
    uri = opened().keep_part("bikes", b"rows")
    with pytest.raises(NotFound):
        opened().read_part(uri.replace("bikes", "trams"), sha256(b"rows").hexdigest())
    for strange in ("bench://../x", "/etc/passwd", f"bench://../{'0' * 64}"):
        with pytest.raises(Invalid):
            opened().read_part(strange, "0" * 64)


def test_what_no_kept_revision_names_goes_once_it_is_old(bench: Bench) -> None:
    store = bench.open(timedelta(hours=1))
    part, other = store.keep_part("bikes", b"named"), store.keep_part("bikes", b"unnamed")
    kept = bench.fit(b"{}")
    fit = BenchFit(as_of=AT, challenger=kept.model_copy(update={"artifact_uri": store.keep_fit(kept)}))
    lost = store.keep_fit(bench.fit(b"[]"))
    store.write(state(1, fits=(fit,), parts=(a_part(part, b"named"),)))
    assert store.prune("bikes") == 0, "new files may be about to be named"
    assert bench.open(timedelta(0)).prune("bikes") == 2
    assert store.read_part(part, sha256(b"named").hexdigest()) == b"named"
    assert bench.read(fit.challenger.artifact_uri) == b"{}"
    with pytest.raises(NotFound):
        store.read_part(other, sha256(b"unnamed").hexdigest())
    with pytest.raises((NotFound, FileNotFoundError)):
        bench.read(lost)


def test_a_damaged_newest_revision_is_corrupt_and_no_older_one_takes_its_place(tmp_path: Path) -> None:
    store = LocalBenchStore(tmp_path)
    store.write(state(1))
    store.write(state(2))
    (tmp_path / "bench" / "bikes" / "states" / "000002.json").write_bytes(b"{")
    with pytest.raises(Corrupt, match=r"000002\.json"):
        store.read("bikes")


@pytest.mark.parametrize("name", ["../bikes", "", "a/b"])
def test_a_hostile_endpoint_name_is_refused(opened: Callable[[], BenchStore], name: str) -> None:
    with pytest.raises(Invalid, match="endpoint"):
        opened().read(name)
