"""docker-compose.yml starts what exists, with settings that exist, open on this machine only."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.health import QUEUES
from runtime.local_run import LocalRun
from runtime.settings import Settings
from runtime.temporal_server import binary

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("homeostat")}
FOREIGN = {name: service for name, service in SERVICES.items() if name not in OURS}
ONCE = {"temporal-schema", "temporal-namespace"}
SETTINGS = Settings.model_fields


def environment(service: str) -> dict[str, Any]:
    return SERVICES[service].get("environment", {})


def test_it_has_every_process_of_make_up(tmp_path: Path) -> None:
    run = LocalRun(Settings(home=tmp_path), Path("fleet.yaml"), "127.0.0.1:7233")
    without_containers = {process.name: list(process.argv)[1:] for process in run.processes()}
    del without_containers["temporal-server"]
    assert without_containers.keys() == OURS.keys()
    for name, argv in without_containers.items():
        command = OURS[name]["command"][1:]
        assert command[:2] == argv[:2], name


def test_temporal_stands_on_postgresql_with_its_ui() -> None:
    assert FOREIGN.keys() == {"postgresql", "temporal-schema", "temporal", "temporal-namespace", "temporal-ui"}
    assert environment("temporal")["POSTGRES_SEEDS"] == environment("temporal-schema")["SQL_HOST"] == "postgresql"


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_to_a_full_version(name: str) -> None:
    tag = SERVICES[name]["image"].partition(":")[2]
    assert re.match(r"\d+\.\d+(\.\d+)?(-|$)", tag), f"{name} runs {SERVICES[name]['image']}"


def test_our_image_carries_the_version_of_the_project() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert {service["image"] for service in OURS.values()} == {f"homeostat:{version[1]}"}


def test_the_server_and_its_tools_have_one_version_and_it_is_the_embedded_one() -> None:
    tags = {SERVICES[name]["image"].partition(":")[2] for name in ("temporal", "temporal-schema", "temporal-namespace")}
    said = subprocess.run([str(binary()), "--version"], capture_output=True, text=True, check=True).stdout
    server, ui = re.search(r"Server (\d+\.\d+)", said), re.search(r"UI (\d+\.\d+)", said)
    assert server
    assert ui
    assert len(tags) == 1
    assert tags.pop().startswith(server[1] + ".")
    assert SERVICES["temporal-ui"]["image"].partition(":")[2].startswith(ui[1] + ".")


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONCE))
def test_each_lasting_service_has_a_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD", "a list, so that no shell is needed"
    assert {"interval", "timeout", "retries", "start_period"} <= check.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_waits_for_what_it_needs_to_work(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        assert needed in SERVICES
        if needed in ONCE:
            assert how["condition"] == "service_completed_successfully"
        elif how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[needed]


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_on_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:"), f"{name} opens {port} to the network"
    assert SERVICES[name].get("network_mode") is None


def test_no_port_is_published_twice() -> None:
    ports = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == len(set(ports))


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_gives_up_the_rights_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")


def test_no_secret_is_written_down() -> None:
    secret = re.compile(r"(PASSWORD|PWD|TOKEN|SECRET|KEY)$")
    found = {f"{name}.{key}": value for name in SERVICES for key, value in environment(name).items() if secret.search(key)}
    assert len(found) >= 4
    for place, value in found.items():
        assert value is None or str(value).startswith("${POSTGRES_PASSWORD:?"), f"{place} is {value!r}"
    assert ".env" in (ROOT / ".gitignore").read_text().split()


@pytest.mark.parametrize("name", OURS)
def test_every_setting_exists_and_is_valid(name: str) -> None:
    ours = {key: value for key, value in environment(name).items() if key.startswith("HOMEOSTAT_")}
    names = {f"HOMEOSTAT_{field.upper()}" for field in SETTINGS}
    assert ours.keys() <= names, f"{sorted(ours.keys() - names)} is read by nobody"
    values = {key.removeprefix("HOMEOSTAT_").lower(): _default(value) for key, value in ours.items() if value is not None}
    settings = Settings.model_validate(values)
    assert settings.home.is_absolute()


def _default(value: str) -> str:
    """What compose puts in for `${NAME:-default}`."""
    return re.sub(r"\$\{\w+:-(.*?)\}", r"\1", str(value))


@pytest.mark.parametrize("name", OURS)
def test_every_process_finds_the_temporal_server(name: str) -> None:
    assert environment(name)["TEMPORAL_ADDRESS"] == "temporal:7233"
    assert environment(name)["TEMPORAL_NAMESPACE"] == environment("temporal-namespace")["TEMPORAL_NAMESPACE"]


def test_alarms_and_links_reach_the_bridge() -> None:
    port = environment("bridge")["HOMEOSTAT_BRIDGE_PORT"]
    assert environment("monitor")["HOMEOSTAT_BRIDGE_URL"] == f"http://bridge:{port}"
    assert environment("worker")["HOMEOSTAT_BRIDGE_URL"] == f"http://127.0.0.1:{port}"
    assert SERVICES["bridge"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert SERVICES["bridge"]["healthcheck"]["test"][-1] == f"http://127.0.0.1:{port}/health"


def test_links_to_the_ui_reach_it() -> None:
    port = environment("temporal-ui")["TEMPORAL_UI_PORT"]
    assert environment("worker")["HOMEOSTAT_UI_URL"] == f"http://127.0.0.1:{port}"
    assert SERVICES["temporal-ui"]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_each_endpoint_of_the_fleet_file_can_be_called() -> None:
    fleet = yaml.safe_load((ROOT / "fleet.yaml").read_text())
    wanted = {endpoint["serving"]["port"] for endpoint in fleet["endpoints"].values()}
    assert {f"127.0.0.1:{port}:{port}" for port in wanted} == set(SERVICES["serving"]["ports"])
    assert SERVICES["serving"]["hostname"] == "serving", "its address, as the worker reads it"


def test_each_queue_has_its_worker_and_each_worker_checks_its_own_queue() -> None:
    served = {name: service["command"][-1] for name, service in OURS.items() if "worker.py" in service["command"]}
    assert served == {"worker": "main", "worker-training": "training"}
    for name, queue in served.items():
        assert OURS[name]["healthcheck"]["test"][-2:] == ["queue", queue]
    assert QUEUES.keys() == set(served.values())


def test_a_training_process_can_be_ended_from_the_other_worker() -> None:
    assert SERVICES["worker"]["pid"] == "service:worker-training"


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_that_exists(name: str) -> None:
    for command in (OURS[name]["command"], OURS[name]["healthcheck"]["test"][1:]):
        assert command[0] == "python"
        if command[1] == "-m":
            assert importlib.util.find_spec(command[2]), command
        else:
            assert (ROOT / command[1]).is_file(), command


@pytest.mark.parametrize("name", OURS)
def test_every_command_explains_itself_and_knows_its_options(name: str) -> None:
    command = OURS[name]["command"]
    program = command[1:3] if command[1] == "-m" else command[1:2]
    done = subprocess.run([sys.executable, *program, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for option in [word for word in command if word.startswith("--")]:
        assert option in done.stdout, f"{program} knows no {option}"


@pytest.mark.parametrize("name", OURS)
def test_the_state_survives_its_container(name: str) -> None:
    volumes = dict(volume.split(":")[:2] for volume in OURS[name]["volumes"])
    assert volumes["state"] == environment(name)["HOMEOSTAT_HOME"]
    assert volumes["anchors"] == environment(name)["HOMEOSTAT_ANCHORS"], "apart from the chain that it vouches for"
    assert COMPOSE["volumes"].keys() == {"database", "state", "anchors"}


def test_mounted_files_exist() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists(), f"{name} mounts {source}"


def test_teams_share_the_training_queue_fairly_as_on_the_embedded_server() -> None:
    path = Path(environment("temporal")["DYNAMIC_CONFIG_FILE_PATH"])
    mounted = dict(volume.split(":")[:2][::-1] for volume in SERVICES["temporal"]["volumes"])
    config = yaml.safe_load((ROOT / mounted[str(path.parent)] / path.name).read_text())
    assert config == {"matching.enableFairness": [{"value": True}]}
    assert "matching.enableFairness=true" in (ROOT / "runtime" / "temporal_server.py").read_text()


@pytest.mark.parametrize("script", sorted((ROOT / "deploy" / "temporal").glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_valid_shell_and_hold_no_password_on_a_command_line(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)
    assert "set -eu" in script.read_text()
    assert "--password" not in script.read_text()


def test_stopping_leaves_time_for_draining() -> None:
    from runtime.workers import GRACE

    for name in ("worker", "worker-training"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > GRACE.total_seconds()
