"""What an open review rests on, as it is now: looked at while people think, and once more before a promotion."""

from contracts.base import Contract, Duration, EndpointName, Sha256, Utc
from contracts.snapshot import DataPolicy


class ReadInputs(Contract):
    """Look once."""

    endpoint: EndpointName
    data: DataPolicy | None = None
    """Where new data would arrive; None: that is not asked."""
    bench: bool = False
    """Whether the shadow bench judges."""
    errors_since: Utc | None = None
    """Count the endpoint's failed requests since then; None: not asked."""
    alarms: bool = False
    """Ask the lifecycle for alarms that wait."""


class LiveInputs(Contract):
    """What was found; what wasn't asked is left at its default."""

    champion: Sha256 | None = None
    bench_turn: Utc | None = None
    """The last turn of the shadow bench that was done."""
    known_until: Utc | None = None
    """The newest moment of which labels have arrived."""
    requests: int = 0
    errors: int = 0
    waiting_alarms: tuple[str, ...] = ()
    """Their ids: alarms about newer data than the incident's."""


class WatchInputs(Contract):
    """Look again and again until something has changed."""

    read: ReadInputs
    then: LiveInputs
    stale_after: Duration | None = None
    check_every: Duration


class InputsChanged(Contract):
    """Why the review's evidence no longer holds, a sentence each."""

    reasons: tuple[str, ...]
