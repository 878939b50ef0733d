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
    overrules: tuple[Duration, ...] = (timedelta(weeks=8), timedelta(weeks=4), timedelta(weeks=2))
    """Newest parts of the record that may overrule the selection, where the blend's gain on them is clear."""
    overrule_t: float = Field(default=3.5, ge=0)
    """Least day-block t of that gain; least gain is that of the selection times the root of how much shorter the part is."""
    max_rows: int = Field(default=20_000, ge=1000)
    """In a backtest: of a period with more rows, so many are scored by every member and recorded, the same for all."""
    recalibration: RecalibrationPolicy = Field(default_factory=RecalibrationPolicy)


def shadow_recipe() -> Recipe:
    """The recipe of the shadow bench unless the fleet file names one: eight members, and the blends it chooses among."""
    return Recipe.model_validate(
        {
            "members": ("7d", "14d", "30d", "90d", "365d", "all", "all/90d", "all+30d"),
            "blends": {
                "full": ("30d", "90d", "365d", "all", "all/90d", "all+30d"),
                "long": ("365d", "all", "all/90d"),
                "all": ("all",),
                "weighted": ("all/90d",),
                "recent": ("30d", "90d", "all/90d"),
                "month": ("14d", "30d"),
                "newest": ("7d",),
            },
            "learner": {"rounds": 100, "learning_rate": 0.1, "max_rows": 100_000},
        }
    )
