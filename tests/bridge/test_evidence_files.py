"""GET /evidence: what people were shown, and nothing else on the disk."""

import os
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from bridge.evidence import EvidenceFiles
from platforms.aws.calls import Aws
from platforms.aws.evidence import AwsEvidence
from platforms.aws.objects import Objects
from platforms.local.evidence import LocalEvidence
from tests.aws.simulator import Simulator


@pytest.fixture
def incident(tmp_path: Path) -> Path:
    folder = tmp_path / "evidence" / "bikes" / "20120304T050000Z-1f2e3d"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<script>alert(1)</script>")
    (folder / "holdout.parquet").write_bytes(b"PAR1")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


BASE = "/evidence/bikes/20120304T050000Z-1f2e3d"


async def test_a_report_is_served_so_that_nothing_in_it_can_run(http: httpx.AsyncClient, incident: Path) -> None:
    answer = await http.get(f"{BASE}/report.html")
    assert (answer.status_code, answer.text) == (200, "<script>alert(1)</script>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_file_no_browser_shows_is_handed_out_as_a_download(http: httpx.AsyncClient, incident: Path) -> None:
    answer = await http.get(f"{BASE}/holdout.parquet")
    assert (answer.content, answer.headers["content-type"]) == (b"PAR1", "application/octet-stream")
    assert answer.headers["content-disposition"] == 'attachment; filename="holdout.parquet"'


@pytest.mark.parametrize(
    "path",
    [
        BASE,
        f"{BASE}/",
        f"{BASE}/none.html",
        "/evidence",
        "/evidence/bikes",
        "/evidence/bikes/../../secret.txt",
        "/evidence/bikes/%2e%2e/secret.txt",
        "/evidence/..%2f..%2fsecret.txt/a/b",
        f"{BASE}/..%2f..%2f..%2f..%2fsecret.txt",
        f"{BASE}/%2e%2e",
        f"{BASE}/.hidden",
        f"{BASE}/report.html%00.txt",
        f"{BASE}/report.html%0a",
        "/evidence/bikes/20120304T050000Z-1f2e3d/report.html/x",
    ],
)
async def test_no_listing_and_no_way_out(http: httpx.AsyncClient, incident: Path, path: str) -> None:
    answer = await http.get(path, follow_redirects=True)
    assert answer.status_code == 404
    assert "secret" not in answer.text.replace("secret.txt", "")


async def test_no_link_is_followed_and_only_regular_files_are_opened(
    http: httpx.AsyncClient, incident: Path, tmp_path: Path
) -> None:
    (incident / "link.txt").symlink_to(tmp_path / "secret.txt")
    (incident.parent / "linked").symlink_to(tmp_path)
    (incident / "folder").mkdir()
    os.mkfifo(incident / "pipe")
    for path in (f"{BASE}/link.txt", "/evidence/bikes/linked/secret.txt", f"{BASE}/folder", f"{BASE}/pipe"):
        assert (await http.get(path)).status_code == 404


async def test_without_an_evidence_folder_there_is_just_nothing(http: httpx.AsyncClient) -> None:
    assert (await http.get("/evidence/bikes/i/report.html")).status_code == 404


async def test_evidence_in_s3_is_served_by_the_bridge_itself(aws: Aws, simulator: Simulator) -> None:
    store = AwsEvidence(Objects(aws), "http://bridge")
    uri = store.write("bikes", "20120304T050000Z-1f2e3d", "report.html", b"<p>worse</p>")
    route = Route("/evidence/{endpoint}/{incident}/{name}", EvidenceFiles(store).serve)
    transport = httpx.ASGITransport(Starlette(routes=[route]))
    async with httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
        answer = await client.get(store.link(uri))
        assert (answer.status_code, answer.text) == (200, "<p>worse</p>")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert (await client.get(f"{BASE}/none.html")).status_code == 404
        simulator.fault("s3", "GetObject", "throttle")
        assert (await client.get(f"{BASE}/report.html")).status_code == 503


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(max_size=12) | st.sampled_from(["..", ".", "bikes", "secret.txt", "a" * 129, "\x00"]), min_size=3, max_size=3
    )
)
def test_no_name_reaches_anything(tmp_path: Path, names: list[str]) -> None:
    scope = {"type": "http", "path_params": dict(zip(("endpoint", "incident", "name"), names, strict=True))}
    assert EvidenceFiles(LocalEvidence(tmp_path, "")).serve(Request(scope)).status_code == 404
