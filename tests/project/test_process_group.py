"""Processes started for a run are waited for and ended, whatever happens in between."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from runtime.process_group import HomeInUse, Process, ProcessFailed, ProcessGroup
from runtime.process_records import MARK, Record, Records

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"


def python(name: str, code: str, **options: object) -> Process:
    return Process(name, [sys.executable, "-c", textwrap.dedent(code)], **options)  # type: ignore[arg-type]


def log_says(home: Path, name: str, word: str) -> bool:
    log = home / "logs" / f"{name}.log"
    return log.exists() and word in log.read_text()


def marked(home: Path) -> list[int]:
    """Every live process of this home folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(home.resolve()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def until(condition: object, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "not within the time"
        time.sleep(0.02)


def test_a_started_process_is_waited_for_and_ended_with_its_context(tmp_path: Path) -> None:
    said: list[str] = []
    with ProcessGroup(tmp_path, say=said.append) as group:
        running = group.start(python("sleeper", SLEEPER, ready=lambda: log_says(tmp_path, "sleeper", "up")))
        assert running.alive()
        assert marked(tmp_path) == [running.pid]
    assert marked(tmp_path) == []
    assert said[0].startswith("  sleeper: ready after")
    assert Records(tmp_path).read() == []


def test_processes_end_in_reverse_order(tmp_path: Path) -> None:
    code = f"""
        import signal, sys, time, pathlib
        def end(*_):
            with open({str(tmp_path / "order")!r}, "a") as f: f.write(sys.argv[0] + NAME + "\\n")
            sys.exit(0)
        signal.signal(signal.SIGTERM, end); print("up", flush=True); time.sleep(600)
    """
    with ProcessGroup(tmp_path) as group:
        for name in ("first", "second"):
            source = textwrap.dedent(code).replace("NAME", repr(name))
            group.start(Process(name, [sys.executable, "-c", source], ready=lambda name=name: log_says(tmp_path, name, "up")))  # type: ignore[misc]
    assert (tmp_path / "order").read_text().split() == ["-csecond", "-cfirst"]


def test_one_that_dies_at_its_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as group:
        group.start(python("sleeper", SLEEPER))
        with pytest.raises(ProcessFailed, match=r"(?s)broken ended by itself with exit code 3.*no such fleet"):
            group.start(python("broken", "import sys; print('no such fleet'); sys.exit(3)"))
    assert marked(tmp_path) == []


def test_the_tail_shows_only_this_start(tmp_path: Path) -> None:
    for word in ("yesterday", "today"):
        with ProcessGroup(tmp_path) as group, pytest.raises(ProcessFailed) as caught:
            group.start(python("broken", f"raise SystemExit({word!r})"))
    assert "today" in str(caught.value)
    assert "yesterday" not in str(caught.value)


def test_one_that_never_becomes_ready_is_reported_and_ended(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as group, pytest.raises(ProcessFailed, match=r"was not ready after 0.2 s"):
        group.start(python("slow", SLEEPER, ready=lambda: False, ready_seconds=0.2))
    assert marked(tmp_path) == []


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as group, pytest.raises(ProcessFailed, match="ghost could not be started: /no/such/program"):
        group.start(Process("ghost", ["/no/such/program"]))


def test_one_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    with ProcessGroup(tmp_path) as group:
        group.start(python("stubborn", stubborn, ready=lambda: log_says(tmp_path, "stubborn", "up"), grace_seconds=0.2))
    assert marked(tmp_path) == []


def test_a_grandchild_in_its_own_session_does_not_outlive_the_run(tmp_path: Path) -> None:
    code = f"""
        import subprocess, sys
        subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], start_new_session=True)
        print("up", flush=True)
        import time; time.sleep(600)
    """
    with ProcessGroup(tmp_path) as group:
        group.start(python("parent", code, ready=lambda: log_says(tmp_path, "parent", "up")))
        until(lambda: len(marked(tmp_path)) == 2)
    assert marked(tmp_path) == []


def test_check_names_one_that_has_ended_since(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as group:
        running = group.start(python("sleeper", SLEEPER))
        group.check()
        os.kill(running.pid, signal.SIGKILL)
        until(lambda: not running.alive())
        with pytest.raises(ProcessFailed, match="sleeper was ended by signal 9"):
            group.check()


def test_one_process_may_be_killed_and_started_again(tmp_path: Path) -> None:
    sleeper = python("sleeper", SLEEPER)
    with ProcessGroup(tmp_path) as group:
        first = group.start(sleeper)
        group.stop_one("sleeper", signal.SIGKILL)
        assert group.start(sleeper).pid != first.pid
        group.check()


def test_a_second_run_in_the_same_home_is_refused(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path), pytest.raises(HomeInUse, match="another run uses"), ProcessGroup(tmp_path):
        pass


def test_variables_are_added_and_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_API_KEY", "x")
    show = "import os; print(os.environ.get('TEMPORAL_API_KEY'), os.environ['EXTRA'], os.environ['HOMEOSTAT_HOME'], flush=True)"
    env = {"TEMPORAL_API_KEY": None, "EXTRA": "1"}
    with ProcessGroup(tmp_path) as group:
        group.start(
            python("show", show + "; import time; time.sleep(600)", env=env, ready=lambda: log_says(tmp_path, "show", "\n"))
        )
    assert (tmp_path / "logs" / "show.log").read_text() == f"None 1 {tmp_path.resolve()}\n"


def test_the_next_run_ends_what_a_killed_run_left(tmp_path: Path) -> None:
    code = f"""
        import os, signal, sys
        from pathlib import Path
        from runtime.process_group import Process, ProcessGroup
        with ProcessGroup(Path({str(tmp_path)!r})) as group:
            group.start(Process("sleeper", [sys.executable, "-c", {SLEEPER!r}]))
            os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, timeout=60, capture_output=True)
    assert len(marked(tmp_path)) == 1
    with ProcessGroup(tmp_path):
        assert marked(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_when_the_run_is_told_to_end(tmp_path: Path, number: signal.Signals) -> None:
    code = f"""
        import sys, time
        from pathlib import Path
        from runtime.process_group import Process, ProcessGroup, ending_on_signals
        with ending_on_signals(), ProcessGroup(Path({str(tmp_path)!r})) as group:
            group.start(Process("sleeper", [sys.executable, "-c", {SLEEPER!r}]))
            print("working", flush=True)
            time.sleep(600)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout
        while b"working" not in run.stdout.readline():
            assert run.poll() is None
        run.send_signal(number)
        run.communicate(timeout=30)
    assert run.returncode != 0
    assert marked(tmp_path) == []


def test_a_stranger_with_a_recycled_pid_is_never_ended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.DEVNULL) as stranger:
        began = psutil.Process(stranger.pid).create_time()
        records = Records(tmp_path)
        records.write(Record(name="worker", pid=stranger.pid, created=began - 3600))
        assert records.alive() == {}
        assert records.end_all(lambda _: None) == 0
        assert stranger.poll() is None
        assert records.read() == []
        stranger.kill()


def test_a_damaged_record_is_no_reason_to_end_anything(tmp_path: Path) -> None:
    records = Records(tmp_path)
    (records.folder / "worker.json").write_text('{"name": "worker", "pid":')
    assert records.read() == []
    assert records.end_all(lambda _: None) == 0
