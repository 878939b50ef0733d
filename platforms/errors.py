"""What can go wrong in a platform, by what the caller should do.

PlatformError
├── Unavailable         try again: the other side is busy, slow or gone for the moment
├── Conflict            somebody else changed it: read again, then decide
├── Invalid             the request or what it names can't be right; a person has to mend it
│   └── NotFound        the thing asked for isn't there
├── Corrupt             what lies on disk isn't what was written: never used, never overwritten
├── Exhausted           disk, memory, quota or time is used up; a person frees some
└── TrainingFailed      the job ran and failed; running it again would fail again
"""

from datetime import timedelta


class PlatformError(Exception):
    """Base of all; its message names the thing, what is wrong and the remedy."""

    pause: timedelta | None = None
    """How long to wait before the same is tried again, where a person has to do something first."""


class Unavailable(PlatformError):
    pass


class Conflict(PlatformError):
    pass


class Invalid(PlatformError):
    pass


class NotFound(Invalid):
    pass


class Corrupt(PlatformError):
    pass


class Exhausted(PlatformError):
    pass


class TrainingFailed(PlatformError):
    pass
