"""The shadow bench: recipes refitted each period and scored on the next, so that evidence accrues before any alarm."""

from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from contracts.base import Declared, Duration
from contracts.training import Recipe


class Judging(StrEnum):
    """When challengers are made and judged."""

    SHADOW = "shadow"
    """Each period, on the shadow bench: the verdict is ready when an alarm comes."""
    ON_ALARM = "on_alarm"
    """When an alarm opens an incident, on a holdout: for models that are dear to train."""


class RecalibrationPolicy(Declared):
    """A shift of the champion's log-odds, turned on only while its own prequential record gains."""

    enabled: bool = True
    window: Duration = timedelta(weeks=8)
    """Rows on which the shift is fitted."""
    max_rows_per_day: float = Field(default=24.0, gt=0)
    """A day counts as so many rows at most: rows of one day rise and fall together."""
    ridge: float = Field(default=0.5, ge=0)
    """Pull towards no shift, in rows."""
    on_gain: float = Field(default=0.005, ge=0)
    """Relative log-loss gain of its record from which it is turned on ..."""
    off_gain: float = 0.0
    """... and below which it is turned off again."""
    max_shift: float = Field(default=2.0, gt=0)
    """Largest shift, in log-odds; in label standard deviations for a regression."""
    least_change: float = Field(default=0.05, ge=0)
    """A shift that differs less from the one in service is left."""


class BenchPolicy(Declared):
    """How the shadow bench keeps its record and chooses the blend."""

    period: Duration = timedelta(days=7)
    """Recipes are refitted so often, and scored on the rows of the next such period."""
    evidence: Duration = timedelta(weeks=8)
    """The newest part of the record that the gate looks at."""
    warm_up: int = Field(default=8, ge=0)
    """So many periods at the end of the first window are played through, so that the first blend is chosen on evidence."""
    selection: Duration = timedelta(weeks=26)
    """The part of the record on which the blend is chosen."""
    selection_gain: float = Field(default=0.005, ge=0)
    """The first blend is left only for one whose log loss is lower by this share."""
    recalibration: RecalibrationPolicy = Field(default_factory=RecalibrationPolicy)


def shadow_recipe() -> Recipe:
    """The recipe of the shadow bench unless the fleet file names one: six members, and the blends it chooses among."""
    return Recipe.model_validate(
        {
            "members": ("30d", "90d", "365d", "all", "all/90d", "all+30d"),
            "blends": {
                "full": ("30d", "90d", "365d", "all", "all/90d", "all+30d"),
                "long": ("365d", "all", "all/90d"),
                "all": ("all",),
                "weighted": ("all/90d",),
            },
        }
    )
