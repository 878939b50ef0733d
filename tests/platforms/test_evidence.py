"""Evidence is written once, read by its uri, and opened by a link."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from platforms.errors import Conflict, Invalid, NotFound
from platforms.local.evidence import LocalEvidence
from platforms.ports import EvidenceStore
from tests.platforms.records_fixtures import BASE_URL, INCIDENT, Records, run_python

FULL = """
import resource, sys
from pathlib import Path
from platforms.errors import Exhausted
from platforms.local.evidence import LocalEvidence
resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
try:
    LocalEvidence(Path(sys.argv[1]), "").write("bikes", "i", "report.html", b"x" * 21)
except Exhausted as error:
    print(error)
"""


@pytest.fixture
def opened(records: Callable[[], Records]) -> Callable[[], EvidenceStore]:
    """Opens the store as another process would."""
    return lambda: records().evidence


@pytest.fixture
def store(opened: Callable[[], EvidenceStore]) -> EvidenceStore:
    return opened()


@pytest.mark.parametrize("content", [b"", b"<script>\x00\xff", b"x" * 3_000_000], ids=["empty", "bytes", "large"])
def test_what_was_written_is_read_by_its_uri(opened: Callable[[], EvidenceStore], content: bytes) -> None:
    uri = opened().write("bikes", INCIDENT, "report.html", content)
    assert opened().read(uri) == content


def test_the_same_content_again_is_nothing_new_and_other_content_is_a_conflict(store: EvidenceStore) -> None:
    uri = store.write("bikes", INCIDENT, "a.json", b"1")
    assert store.write("bikes", INCIDENT, "a.json", b"1") == uri
    with pytest.raises(Conflict, match=r"a\.json"):
        store.write("bikes", INCIDENT, "a.json", b"2")
    assert store.read(uri) == b"1"


def test_of_many_writers_with_different_content_one_wins(opened: Callable[[], EvidenceStore]) -> None:
    def write(n: int) -> str | None:
        try:
            return opened().write("bikes", INCIDENT, "a.json", b"%d" % n)
        except Conflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        assert len([uri for uri in pool.map(write, range(16)) if uri]) == 1


def test_what_was_never_written_is_not_found(store: EvidenceStore) -> None:
    uri = store.write("bikes", INCIDENT, "a.json", b"1")
    with pytest.raises(NotFound):
        store.read(uri.replace("a.json", "b.json"))


def test_the_link_is_where_the_bridge_serves_the_file(store: EvidenceStore) -> None:
    uri = store.write("bikes", INCIDENT, "report.html", b"1")
    assert store.link(uri) == f"{BASE_URL}/evidence/bikes/{INCIDENT}/report.html"


def test_a_file_lies_where_its_names_say(tmp_path: Path) -> None:
    LocalEvidence(tmp_path, BASE_URL).write("bikes", INCIDENT, "report.html", b"1")
    assert (tmp_path / "evidence" / "bikes" / INCIDENT / "report.html").read_bytes() == b"1"


@pytest.mark.parametrize("bad", ["..", "../x", "a/b", "", ".hidden", "a\0b", "a\nb", "/etc/passwd", "a%2f", "a" * 200])
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, bad: str) -> None:
    store = LocalEvidence(tmp_path / "home", BASE_URL)
    for names in ((bad, "i", "n"), ("e", bad, "n"), ("e", "i", bad)):
        with pytest.raises(Invalid, match="is not allowed"):
            store.write(*names, b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "uri",
    ["", "file:///etc/passwd", "evidence://a/../b", "evidence://a/b/../../c", "evidence://a/b/c\n", "evidence://a/b/.tmp-1"],
)
def test_a_uri_that_is_none_of_ours_is_refused(store: EvidenceStore, uri: str) -> None:
    for use in (store.read, store.link):
        with pytest.raises(Invalid):
            use(uri)


def test_a_full_disk_is_exhausted_and_leaves_nothing(tmp_path: Path) -> None:
    assert "report.html: File too large" in run_python(FULL, str(tmp_path))
    assert list((tmp_path / "evidence" / "bikes" / "i").iterdir()) == []


def test_what_is_kept_of_an_incident_is_listed_and_read_by_name(store: EvidenceStore) -> None:
    assert list(store.names("bikes", INCIDENT)) == []
    for name in ("report.html", "judgement.json"):
        store.write("bikes", INCIDENT, name, name.encode())
    assert list(store.names("bikes", INCIDENT)) == ["judgement.json", "report.html"]
    assert store.content("bikes", INCIDENT, "report.html") == b"report.html"
    with pytest.raises(NotFound):
        store.content("bikes", INCIDENT, "other.html")
    with pytest.raises(Invalid):
        store.content("bikes", INCIDENT, "../x")
