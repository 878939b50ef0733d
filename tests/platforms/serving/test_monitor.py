"""The monitor judges each period once, from what was really answered, and raises exactly one alarm for a bad one."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from contracts.alarm import Alarm, AlarmKind
from contracts.training import ModelCard
from platforms.alarm_post import AlarmPost
from platforms.errors import Invalid, Unavailable
from platforms.files import read_json
from platforms.local.monitor import Monitor, read_fleet
from platforms.local.quality_log import QualityLog
from tests.platforms.serving.alarm_receiver import Bridge
from tests.platforms.serving.played import START, append_labels, close_week, play_week

REFERENCE = {"accuracy": 0.9, "recall": 0.9, "auc": 0.95, "brier": 0.1}


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    server = Bridge()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    policy = {
        "team": "rides",
        "cost_center": "cc-1",
        "data": {"table": "rides", "features": ["hour", "temperature"], "label": "busy", "label_delay": "1h"},
        "monitor": {"period": "7d", "min_rows": 50},
    }
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "endpoints": {"bikes": policy}}))
    return path


@pytest.fixture
def model(home: Path, tools: Any) -> Any:
    return tools.make_model(home, "bikes", reference=REFERENCE)


@pytest.fixture
def monitor(fleet: Path, home: Path, bridge: Bridge) -> Iterator[Monitor]:
    with AlarmPost(bridge.url, None) as post:
        yield Monitor(fleet, home, post)


@pytest.fixture
def log(home: Path) -> QualityLog:
    return QualityLog(home, "bikes")


def test_answers_are_judged_by_the_threshold_that_gave_them(home: Path, model: Any, monitor: Monitor, log: QualityLog) -> None:
    """All sure answers were 0 under the model's own threshold of .97, whatever the fleet file says by now."""
    path = home / "registry" / "bikes" / model.digest / "card.json"
    path.write_text(read_json(path, ModelCard).model_copy(update={"threshold": 0.97}).model_dump_json())
    play_week(home, model.digest, 0, right=True)
    close_week(home, 0)
    assert monitor.poll() == 0
    assert (log.reports()[0].metrics["accuracy"], log.reports()[0].metrics["recall"]) == (0.5, 0.0)


def test_a_good_period_is_recorded_without_an_alarm(
    home: Path, model: Any, monitor: Monitor, bridge: Bridge, log: QualityLog
) -> None:
    play_week(home, model.digest, 0, right=True)
    close_week(home, 0)
    assert monitor.poll() == 0
    report = log.reports()[0]
    assert (report.requests, report.labelled, report.digests) == (168, 168, (model.digest,))
    assert (report.metrics["accuracy"], report.metrics["auc"], report.crossed, report.alarm) == (1.0, 1.0, (), None)
    assert report.metrics["brier"] == pytest.approx(0.0025)
    assert report.reference == REFERENCE
    assert bridge.alarms == []


def test_a_bad_period_raises_one_alarm_that_says_how_bad(
    home: Path, model: Any, monitor: Monitor, bridge: Bridge, log: QualityLog
) -> None:
    play_week(home, model.digest, 0, right=False)
    close_week(home, 0)
    for _ in range(3):
        assert monitor.poll() == 0
    end = START + timedelta(days=7)
    assert len(bridge.alarms) == 1
    alarm = bridge.alarms[0]
    assert (alarm.id, alarm.kind) == (f"monitor-bikes-{end.isoformat()}", AlarmKind.MODEL_QUALITY)
    assert (alarm.as_of, alarm.anomaly_start, alarm.anomaly_end) == (end + timedelta(hours=1), START, end)
    assert {r.name: (r.value, r.reference) for r in alarm.metrics}["accuracy"] == (0.0, 0.9)
    assert alarm.severity.value == "critical"
    report = log.reports()[0]
    assert (report.alarm, set(report.crossed)) == (alarm.id, {"accuracy", "recall", "auc", "brier"})


def test_a_period_is_judged_only_when_its_labels_have_had_time_to_arrive(
    home: Path, model: Any, monitor: Monitor, log: QualityLog
) -> None:
    play_week(home, model.digest, 0, right=True, labels=False)
    monitor.poll()
    assert log.reports() == []
    play_week(home, model.digest, 0, right=True)
    monitor.poll()
    assert log.reports() == []
    close_week(home, 0)
    monitor.poll()
    assert [report.labelled for report in log.reports()] == [168]
    state = log.state()
    assert state is not None
    assert state.judged_until == START + timedelta(days=7)


def test_weeks_without_traffic_are_passed_over(home: Path, model: Any, monitor: Monitor, log: QualityLog) -> None:
    play_week(home, model.digest, 0, right=True)
    play_week(home, model.digest, 5, right=True)
    close_week(home, 5)
    monitor.poll()
    assert [report.window.start for report in log.reports()] == [START, START + timedelta(days=35)]


def test_too_few_labels_are_recorded_and_judge_nobody(
    home: Path, model: Any, monitor: Monitor, bridge: Bridge, log: QualityLog
) -> None:
    play_week(home, model.digest, 0, right=False, labels=False)
    moments = [START + timedelta(hours=hour) for hour in range(20)]
    append_labels(home, [f"w0h{hour}" for hour in range(20)], moments, [hour % 2 for hour in range(20)])
    close_week(home, 0)
    monitor.poll()
    report = log.reports()[0]
    assert (report.requests, report.labelled, report.metrics, report.crossed) == (168, 20, {}, ())
    assert bridge.alarms == []


def test_an_unreachable_bridge_leaves_the_period_open_until_it_is_back(
    home: Path, model: Any, monitor: Monitor, bridge: Bridge, log: QualityLog
) -> None:
    play_week(home, model.digest, 0, right=False)
    close_week(home, 0)
    for status in (503, 401, 429):
        bridge.status = status
        assert monitor.poll() == 1
        assert log.reports() == []
    bridge.status = 202
    assert monitor.poll() == 0
    assert len(bridge.alarms) == 1


def test_a_refused_alarm_is_recorded_as_not_raised_and_the_next_period_goes_on(
    home: Path, model: Any, monitor: Monitor, bridge: Bridge, log: QualityLog
) -> None:
    bridge.status = 422
    for week in (0, 1):
        play_week(home, model.digest, week, right=False)
    close_week(home, 1)
    assert monitor.poll() == 0
    assert [report.alarm for report in log.reports()] == [None, None]
    assert all(report.crossed for report in log.reports())


def test_nobody_at_the_bridge_is_unavailable_with_the_remedy() -> None:
    with AlarmPost("http://127.0.0.1:9", None) as post, pytest.raises(Unavailable, match=r"python -m bridge"):
        post.send(Alarm(id="a", endpoint="bikes", kind=AlarmKind.MODEL_QUALITY, as_of=START))


def test_a_torn_record_is_judged_again(home: Path, model: Any, monitor: Monitor, bridge: Bridge, log: QualityLog) -> None:
    play_week(home, model.digest, 0, right=False)
    close_week(home, 0)
    monitor.poll()
    periods = log.folder / "periods.jsonl"
    periods.write_bytes(periods.read_bytes()[:-30])
    (log.folder / "state.json").write_text("{torn")
    monitor.poll()
    monitor.poll()
    assert [alarm.id for alarm in bridge.alarms] == [bridge.alarms[0].id] * 2
    assert len(log.reports()) == 1
    assert len(periods.read_bytes().splitlines()) == 1


@pytest.fixture
def launch(home: Path, fleet: Path, bridge: Bridge, tools: Any) -> Any:
    """Starts the monitor as its own process."""

    def start(*more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "platforms.local.monitor", "--fleet", str(fleet), "--bridge-url", bridge.url]
        environment = os.environ | {"HOMEOSTAT_BRIDGE_TOKEN": "secret"}
        return subprocess.Popen([*command, "--home", str(home), *more], cwd=tools.root, stderr=subprocess.PIPE, env=environment)

    return start


@pytest.mark.processes
def test_a_monitor_killed_between_alarm_and_record_raises_the_same_alarm_again(
    home: Path, model: Any, bridge: Bridge, log: QualityLog, launch: Any
) -> None:
    play_week(home, model.digest, 0, right=False)
    close_week(home, 0)
    posted = bridge.hold()
    process = launch()
    assert posted.wait(60)
    process.kill()
    process.communicate()
    assert log.reports() == []
    bridge.release()
    again = launch("--once")
    assert b"secret" not in again.communicate()[1]
    assert again.returncode == 0
    assert [alarm.id for alarm in bridge.alarms] == [bridge.alarms[0].id] * 2
    assert bridge.tokens == ["Bearer secret"] * 2
    assert [report.alarm for report in log.reports()] == [bridge.alarms[0].id]


@pytest.mark.processes
def test_a_running_monitor_judges_week_after_week_and_ends_when_told(
    home: Path, model: Any, bridge: Bridge, launch: Any, tools: Any
) -> None:
    process = launch("--poll-seconds", "0.05")
    log = QualityLog(home, "bikes")
    for week in range(3):
        play_week(home, model.digest, week, right=week != 1)
        close_week(home, week)
        end = START + timedelta(days=7 * (week + 1))
        tools.eventually("the week is judged", lambda end=end: (state := log.state()) and state.judged_until == end)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0
    assert [alarm.anomaly_end for alarm in bridge.alarms] == [START + timedelta(days=14)]


def test_an_unknown_field_in_the_fleet_file_is_named(fleet: Path) -> None:
    content = yaml.safe_load(fleet.read_text())
    content["endpoints"]["bikes"]["monitor"]["perod"] = "7d"
    fleet.write_text(yaml.safe_dump(content))
    with pytest.raises(Invalid, match=r"endpoints.bikes.monitor.perod"):
        read_fleet(fleet)
    fleet.write_text("version: [")
    with pytest.raises(Invalid, match="not YAML"):
        read_fleet(fleet)


def test_defaults_of_the_fleet_file_lie_under_every_endpoint(fleet: Path) -> None:
    content = yaml.safe_load(fleet.read_text())
    content["defaults"] = {"monitor": {"min_rows": 7, "period": "1d"}}
    del content["endpoints"]["bikes"]["monitor"]["min_rows"]
    fleet.write_text(yaml.safe_dump(content))
    policy = read_fleet(fleet).endpoints["bikes"].monitor
    assert (policy.min_rows, policy.period) == (7, timedelta(days=7))


def test_a_fleet_file_that_breaks_while_the_monitor_runs_leaves_the_old_one_in_force(
    home: Path, fleet: Path, model: Any, monitor: Monitor, log: QualityLog
) -> None:
    monitor.load()
    fleet.write_text("version: 2")
    play_week(home, model.digest, 0, right=True)
    close_week(home, 0)
    assert monitor.poll() == 1
    assert len(log.reports()) == 1


def test_a_week_is_judged_well_within_a_second(home: Path, model: Any, monitor: Monitor, log: QualityLog) -> None:
    """The bound is loose because machines are shared; docs carry the measured figure."""
    play_week(home, model.digest, 0, right=True)
    close_week(home, 0)
    monitor.load()
    started = time.process_time()
    monitor.poll()
    assert len(log.reports()) == 1
    assert time.process_time() - started < 1.0


def test_periods_are_counted_from_the_first_captured_day(home: Path, model: Any, monitor: Monitor, log: QualityLog) -> None:
    for week in range(2):
        play_week(home, model.digest, week, right=True)
        close_week(home, week)
        monitor.poll()
    assert json.loads((log.folder / "state.json").read_text())["origin"].startswith("2024-03-01T00:00:00")
    assert [report.window.start for report in log.reports()] == [START, START + timedelta(days=7)]
    assert all(np.isfinite(list(report.metrics.values())).all() for report in log.reports())
