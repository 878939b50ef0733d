"""Settings from the environment. `HOMEOSTAT_*` is ours; `TEMPORAL_*` and `OTEL_*` are read by their makers' code."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

MAIN_QUEUE = "homeostat"
TRAINING_QUEUE = "homeostat-training"


class Settings(BaseSettings):
    """One object, read once in each entry point and handed down."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_", frozen=True, extra="ignore")

    home: Path = Path("var")
    """All local state."""
    anchors: Path | None = None
    """Where the audit chain's anchor is kept, apart from the chain; `<home>/anchors` unless told otherwise."""
    platform: Literal["local", "aws"] = "local"
    bridge_host: str = "127.0.0.1"
    bridge_port: int = Field(default=8088, ge=0, le=65535)
    bridge_url: str = "http://127.0.0.1:8088"
    """Where others reach the bridge: alarms are posted and diagnostics are linked there."""
    bridge_token: SecretStr | None = None
    """When set, an alarm must carry it as a bearer token."""
    sqs_queue_url: str = ""
    """The queue that the bridge takes alarms from, with `python -m bridge --source http,sqs`."""
    sqs_dead_letter_url: str = ""
    """Where the bridge puts what it can't take, with the reason; `python -m bridge redrive` brings it back."""
    sqs_consumers: int = Field(default=2, ge=1, le=50)
    """Consumers of one bridge; further bridges may take from the same queue."""
    sqs_hold_seconds: int = Field(default=60, ge=3, le=43_200)
    """How long a message stays invisible to others; renewed for as long as it is worked on."""
    sqs_wait_seconds: int = Field(default=10, ge=0, le=20)
    """How long one receive waits for a message, and at most how long the bridge takes to stop."""
    sqs_most_receives: int = Field(default=5, ge=1)
    """After so many receives a message about an unknown endpoint is rejected; the queue itself must allow more."""
    sqs_wake_url: str = ""
    """A queue of SageMaker's state changes, which end the workers' pauses between two looks early."""
    fleet: Path | None = None
    """The fleet file, for the bridge: its `intake.alarms` say whose an alarm is that names no endpoint."""
    review_host: str = "127.0.0.1"
    review_port: int = Field(default=8089, ge=0, le=65535)
    review_url: str = "http://127.0.0.1:8089"
    """Where people reach the review page: notices link there, and a login comes back to it."""
    oidc_issuer: str | None = None
    """Whose logins the review page takes; without one it takes one-time links only."""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr | None = None
    oidc_client_secret_file: Path | None = None
    """The other way to give it."""
    oidc_claim: str = "email"
    """The claim that says who somebody is, as the fleet file's `subjects` do."""
    ui_url: str = "http://127.0.0.1:8233"
    """The Temporal UI, for links in notices."""
    key_file: Path | None = None
    """Your own private key, for the command line."""
    training_slots: int = Field(default=2, ge=1)
    """Training jobs that one training worker runs at a time."""
    main_slots: int = Field(default=50, ge=1)
    monitor_poll_seconds: float = Field(default=5.0, gt=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    trace_console: bool = False
    """Print spans to stderr; OTLP is asked for by the standard `OTEL_EXPORTER_OTLP_*` variables."""

    @property
    def anchor_dir(self) -> Path:
        return self.anchors or self.home / "anchors"
