"""Reaching Temporal: from the standard variables, or with a clear sentence within ten seconds."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client

from runtime import client as runtime_client
from runtime import entry
from runtime.client import connect, profile
from runtime.errors import Misconfigured, StartError, TemporalUnreachable
from runtime.settings import Settings


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_without_variables_it_is_the_local_default() -> None:
    assert profile() == {"target_host": "127.0.0.1:7233"}


async def test_the_standard_variables_decide(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", client.service_client.config.target_host)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "elsewhere")
    connected = await connect(Settings())
    assert connected.namespace == "elsewhere"
    assert connected.data_converter == runtime_client.DATA_CONVERTER


def test_a_named_profile_is_read_from_temporals_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.prod]\naddress = "127.0.0.1:1"\nnamespace = "ml"\napi_key = "k"\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    monkeypatch.setenv("TEMPORAL_PROFILE", "prod")
    assert profile() == {"target_host": "127.0.0.1:1", "namespace": "ml", "api_key": "k", "tls": True}


def test_a_profile_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_PROFILE", "nowhere")
    with pytest.raises(Misconfigured, match=r"nowhere.*TEMPORAL_PROFILE"):
        profile()


async def test_nothing_listening_names_the_address_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    with pytest.raises(
        TemporalUnreachable, match=rf"no Temporal server answers at {address} \(connection refused\)\. Start .*make up"
    ):
        await connect(Settings())


async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch, silent: str) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", silent)
    monkeypatch.setattr(runtime_client, "CONNECT_SECONDS", 0.5)
    begun = time.monotonic()
    with pytest.raises(TemporalUnreachable, match=r"no answer within 0\.5 s"):
        await connect(Settings())
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("address", ["127.0.0.1", "not an address", "127.0.0.1:99999", "http://127.0.0.1:1"])
async def test_an_address_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    with pytest.raises(StartError, match=address):
        await connect(Settings())


def test_a_setting_that_can_not_be_right_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOMEOSTAT_BRIDGE_PORT", "s3cret")
    assert entry.enter(lambda _: 0) == 78
    said = capsys.readouterr().err
    assert said.startswith("HOMEOSTAT_BRIDGE_PORT: Input should be a valid integer")
    assert "s3cret" not in said
