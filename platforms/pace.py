"""How fast a platform moves, and how often it may be asked."""

from dataclasses import dataclass
from random import uniform


@dataclass(frozen=True)
class Pace:
    """Pauses in seconds on the clock; the defaults are those of processes on this machine."""

    land_seconds: float = 120.0
    """How long instances may take to answer with another model before the step fails and is tried again."""
    land_poll: float = 0.1
    training_poll: float = 0.25
    bake_poll: float = 1.0
    jitter: float = 0.0
    """A pause is longer by up to this share of itself, so that many askers don't ask together."""

    def pause(self, seconds: float) -> float:
        return seconds * uniform(1.0, 1.0 + self.jitter)  # noqa: S311 - spreads calls, guards nothing
