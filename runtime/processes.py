"""`python -m runtime.processes up|down|status|idle`: the whole system on this machine, without containers.

Exit codes: 0 done; 1 `status` found something not running; 75 `idle` found something running, or another run holds the folder;
2 the command line is wrong; else those of runtime/errors.py.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from runtime.entry import read_settings
from runtime.errors import Misconfigured, PortTaken, StartError
from runtime.leaving import leave
from runtime.local_run import SERVER, LocalRun, embedded_address, on_embedded_server
from runtime.process_group import HomeInUse, Process, ProcessFailed, ProcessGroup, Running, ending_on_signals, to_stdout
from runtime.process_records import Record, Records
from runtime.readiness import free_port, http_ready, port_free
from runtime.settings import Settings
from runtime.temporal_readiness import queue_ready, temporal_ready

__all__ = [
    "HomeInUse",
    "Process",
    "ProcessFailed",
    "ProcessGroup",
    "Running",
    "ending_on_signals",
    "free_port",
    "http_ready",
    "on_embedded_server",
    "queue_ready",
    "temporal_ready",
]


def up(settings: Settings, fleet: Path) -> int:
    """Start what is not running yet; on any failure end what this call has started."""
    if not fleet.is_file():
        raise Misconfigured(f"the fleet file {fleet} does not exist; name another with --fleet")
    run = LocalRun(settings, fleet.resolve(), embedded_address())
    group = ProcessGroup(settings.home)
    with ending_on_signals(), group.held():
        there = group.records.alive()
        try:
            _start_missing(group, run, there)
        except BaseException:
            to_stdout("ending what was started ...")
            group.stop()
            raise
        group.leave_running()
    to_stdout(_welcome(settings, fleet))
    return 0


def _start_missing(group: ProcessGroup, run: LocalRun, there: dict[str, Record]) -> None:
    if not there:
        group.records.end_strays()
        _check_ports(run)
    elif SERVER not in there:
        group.records.end_orphans(there.values())
        _check_server_ports(run)
    to_stdout(f"starting in {group.home}, logs in {group.home / 'logs'}")
    for process in run.processes():
        if process.name in there:
            to_stdout(f"  {process.name}: runs already (pid {there[process.name].pid})")
        else:
            group.start(process)
    group.check()


def _check_ports(run: LocalRun) -> None:
    """Before anything starts: else another program's answer could pass for ours."""
    for setting, port in run.ports.items():
        _check_port(setting, port)


def _check_server_ports(run: LocalRun) -> None:
    """The Temporal server was killed while the rest lives: an answer at its port would not be its own."""
    for setting in ("TEMPORAL_ADDRESS", "HOMEOSTAT_UI_URL"):
        _check_port(setting, run.ports[setting])


def _check_port(setting: str, port: int) -> None:
    if not port_free(port):
        raise PortTaken(f"port {port} is in use by another process (`lsof -i :{port}` names it). End it, or set {setting}.")


def _welcome(settings: Settings, fleet: Path) -> str:
    return f"""up.
  Temporal UI   {settings.ui_url}
  bridge        {settings.bridge_url}   (POST /alarms)
  review page   {settings.review_url}   (log in: .venv/bin/python starter.py login)
  next          .venv/bin/python starter.py apply {fleet}
  end           make down"""


def down(settings: Settings) -> int:
    """End everything that runs for this home folder; the state stays."""
    group = ProcessGroup(settings.home)
    with group.held():
        ended = group.records.end_all(to_stdout)
    to_stdout(
        f"down; {ended} processes ended, all state stays in {group.home}" if ended else f"nothing is running in {group.home}"
    )
    return 0


def status(settings: Settings, fleet: Path) -> int:
    there = Records(settings.home).alive()
    names = [process.name for process in LocalRun(settings, fleet, embedded_address()).processes()]
    for name in names:
        to_stdout(f"  {name:<16} {_line(there.get(name))}")
    return 0 if there.keys() >= set(names) else 1


def idle(settings: Settings) -> int:
    """For `make clean`: nothing may run on what it removes."""
    there = Records(settings.home).alive()
    if not there:
        return 0
    raise HomeInUse(f"{', '.join(there)} still running in {settings.home}; `make down` ends them")


def _line(record: Record | None) -> str:
    if record is None:
        return "not running"
    return f"runs, pid {record.pid}, for {_duration(time.time() - record.created)}, {_megabytes(record.pid)}"


def _duration(seconds: float) -> str:
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _megabytes(pid: int) -> str:
    try:
        return f"{psutil.Process(pid).memory_info().rss // 1_000_000} MB"
    except psutil.NoSuchProcess:
        return "just ended"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m runtime.processes", description="The whole system here, without containers.")
    parser.add_argument("verb", choices=["up", "down", "status", "idle"])
    parser.add_argument("--fleet", type=Path, default=Path("fleet.yaml"), help="the fleet file that the monitor reads")
    given = parser.parse_args(arguments)
    verbs: dict[str, Callable[[Settings], int]] = {
        "up": lambda settings: up(settings, given.fleet),
        "down": down,
        "status": lambda settings: status(settings, given.fleet),
        "idle": idle,
    }
    try:
        return verbs[given.verb](read_settings())
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    leave(main())
