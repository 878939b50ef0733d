"""Bad input at the real entry points of a running system: a clear error, nothing lost, nothing half-done, the rest works on.

Ports in use, full disks and each adapter's own errors have their tests beside the code that names them.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from contracts.incident import Outcome
from platforms.local.feature_store import LocalFeatureStore
from tests.end_to_end.whole_system import DRIFT_DAY, ONBOARDED_DAY, System, day, endpoint_policy, event, hourly_rows, started

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """'tampered' has a champion; 'barren' reads a table in which the label is never 1."""
    barren = endpoint_policy()
    barren["data"] = {**barren["data"], "table": "barren", "coverage": {"min_days": 10, "on_short": "end"}}
    endpoints = {"tampered": endpoint_policy(), "barren": barren}
    with started(tmp_path_factory.mktemp("bad"), endpoints, without=("monitor",)) as running:
        running.alarm("tampered", "first", day(ONBOARDED_DAY), kind="onboarding")
        rows = hourly_rows()
        nothing = rows.set_column(rows.column_names.index("label"), "label", pa.array([0.0] * rows.num_rows))
        LocalFeatureStore(running.home).append("barren", nothing)
        running.closed("tampered", 1)
        yield running


def test_an_alarm_for_an_unknown_endpoint_or_without_a_time_is_refused_with_the_reason_and_kept(system: System) -> None:
    unknown = system.post(event("nobody", "a", time=day(75).isoformat()))
    assert unknown.status_code == 404, unknown.text
    assert "no endpoint 'nobody'" in unknown.text
    timeless = system.post(event("tampered", "a"))
    assert timeless.status_code in (400, 422), timeless.text
    assert "time" in timeless.text
    kept = "".join(path.read_text() for path in (system.home / "bridge").rglob("*") if path.is_file())
    assert kept.count("\n") == 2


def test_a_typo_in_the_fleet_file_is_named_and_changes_nothing(system: System, tmp_path: Path) -> None:
    before = system.status("tampered").state.policy
    policy = endpoint_policy()
    policy["team"] = "others"
    policy["intake"] = {"cooldown": "3d"}
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "endpoints": {"tampered": policy}}))
    done = system.attempt(f"python starter.py apply {path}")
    assert done.returncode == 2
    assert "cooldown" in done.stderr
    assert "cool_down" in done.stderr
    assert "Traceback" not in done.stderr
    assert system.status("tampered").state.policy == before


def test_a_window_without_positives_ends_with_the_numbers_and_trains_nothing(system: System) -> None:
    system.alarm("barren", "first", day(ONBOARDED_DAY), kind="onboarding")
    incident = system.closed("barren", 1).state.history[0]
    assert incident.outcome is Outcome.SHORT_OF_DATA
    assert "positives: found 0, wanted 20" in incident.sentence
    assert system.platform.manifests.read("barren") is None
    assert system.temporary("barren") == []


def test_a_corrupt_capture_file_is_set_aside_and_a_changed_model_is_never_put_into_service(system: System) -> None:
    rows = hourly_rows()
    first = system.predict("tampered", rows.slice(62 * 24, 13 * 24))
    corrupt = system.home / "capture" / "tampered" / "day=2024-03-05" / "damaged.parquet"
    corrupt.parent.mkdir(parents=True, exist_ok=True)
    corrupt.write_bytes(b"PAR1 and then nothing of the kind")
    system.alarm("tampered", "drift", day(DRIFT_DAY + 30))
    system.in_stage("tampered", "review")
    assert not corrupt.exists(), "set aside"
    assert list((system.home / "capture" / "tampered").rglob("*damaged*")), "and kept"
    standing = system.remediation("tampered")
    assert standing is not None
    assert standing.judgement is not None
    assert standing.judgement.replay, "the rest was read and compared"
    _approve_what_was_changed(system)
    incident = system.closed("tampered", 2).state.history[1]
    assert incident.outcome is Outcome.FAILED
    assert "Corrupt" in incident.sentence
    assert system.predict("tampered", rows.slice(80 * 24, 24)) == first
    manifest = system.platform.manifests.read("tampered")
    assert manifest is not None
    assert (manifest.revision, manifest.champion.digest) == (1, first)
    assert system.temporary("tampered") == []
    assert system.notice("tampered", "page")[0].sentence == incident.sentence


def _approve_what_was_changed(system: System) -> None:
    """Somebody edits the trained model between the evidence and the approval."""
    for model in (system.home / "jobs").glob("*/model.json"):
        model.write_text(model.read_text().replace("leaf_value", "leaf_valve", 1))
    notice, _ = system.notice("tampered", "review")
    system.command(notice.commands["approve"])
