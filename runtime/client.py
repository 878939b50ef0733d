"""The one way to reach Temporal, so that every process speaks with the same converter, profile and plugins."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfigProfile, ClientConnectConfig
from temporalio.service import RPCError

from runtime.errors import Misconfigured, TemporalUnreachable
from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.telemetry import Telemetry

DATA_CONVERTER: Final = pydantic_data_converter
DEFAULT_ADDRESS: Final = "127.0.0.1:7233"
CONNECT_SECONDS: Final = 10.0
_TCP_SECONDS: Final = 5.0


def profile() -> ClientConnectConfig:
    """Address, namespace, TLS and API key, from `TEMPORAL_*` and Temporal's own profile file; the variables win.

    Raises:
        Misconfigured: the profile named doesn't exist, or a certificate can't be read.
    """
    try:
        config = ClientConfigProfile.load().to_client_connect_config()
    except (RuntimeError, OSError, ValueError) as error:
        raise Misconfigured(
            f"Temporal's client configuration can't be read: {error}. Check TEMPORAL_PROFILE and TEMPORAL_TLS_*."
        ) from error
    if "://" in config.get("target_host", ""):
        raise Misconfigured(f"TEMPORAL_ADDRESS is {config['target_host']!r}; write HOST:PORT, without a scheme")
    return {"target_host": DEFAULT_ADDRESS, **config}


async def connect(settings: Settings, *, telemetry: "Telemetry | None" = None, lazy: bool = False) -> Client:
    """Connect, or say within about ten seconds why not. `lazy` puts the connecting off to the first call.

    Raises:
        TemporalUnreachable: nothing answers there.
        Misconfigured: what TEMPORAL_* says can't be used.
    """
    config = profile()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await Client.connect(
                **config,
                data_converter=DATA_CONVERTER,
                plugins=telemetry.plugins if telemetry else (),
                lazy=lazy,
                connect_timeout=timedelta(seconds=_TCP_SECONDS),
            )
    except (RuntimeError, RPCError, TimeoutError, OSError) as error:
        raise TemporalUnreachable(_unreachable(config["target_host"], error, settings)) from error
    except ValueError as error:
        raise Misconfigured(f"TEMPORAL_ADDRESS is {config['target_host']!r}, which can't be used: {error}") from error


def _unreachable(address: str, error: Exception, settings: Settings) -> str:
    return (
        f"no Temporal server answers at {address} ({_why(error)}). Start the embedded one with `make up`, "
        f"or with `python -m runtime.temporal_server --home {settings.home}`, or set TEMPORAL_ADDRESS."
    )


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:g} s"
    return "connection refused" if "ConnectionRefused" in str(error) else str(error)[:300]
