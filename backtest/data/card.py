"""The card: what the columns of a user's file mean, and how time is played. Read as strictly as a fleet file."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from contracts.base import Declared, Duration
from contracts.training import Task
from runtime.declared_file import DeclaredFileError, Mistaken, document_of, parsed
from runtime.fleet_yaml import Document, Problem, Unreadable

_KEYS: Final = "`event_time`, `label` and `label_delay` or `label_time`"
UNITS: Final = {"unix": 1_000_000, "unix_ms": 1_000, "unix_us": 1}
"""Formats that count from 1970, in microseconds."""


class Duplicates(StrEnum):
    """What becomes of rows that stand in the file twice."""

    AUTO = "auto"
    """With an id: dropped. Without: dropped while they are few, else they are how the data is."""
    DROP = "drop"
    KEEP = "keep"


class TimeColumn(Declared):
    """A column of times."""

    column: str = Field(min_length=1)
    format: str | None = None
    """As in strptime (`%d/%m/%Y %H:%M`), or `unix`, `unix_ms`, `unix_us`; ISO 8601 and what else is plain needs none."""
    zone: str = "UTC"
    """Zone of times that name none, such as `Europe/Berlin`."""

    @model_validator(mode="after")
    def _zone_exists(self) -> "TimeColumn":
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"zone {self.zone!r} is unknown; write one such as UTC or Europe/Berlin") from None
        return self


def _named(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


Moment = Annotated[TimeColumn, BeforeValidator(_named)]


class Card(Declared):
    """What a backtest has to be told of a file."""

    event_time: Moment
    """Column of the moment when the answer was needed: its name, or a mapping with `column`, `format`, `zone`."""
    label: str = Field(min_length=1)
    """Column of what came true."""
    label_time: Moment | None = None
    """Column of the moment when the label was known ..."""
    label_delay: Duration | None = None
    """... or how long after the event; with both, the delay stands in where the column is empty."""
    features: tuple[str, ...] | Literal["all"] = "all"
    """Columns that the model sees; `all` takes every column with numbers that has no other part, and the categorical ones."""
    categorical_features: tuple[str, ...] = Field(
        default=(), validation_alias=AliasChoices("categorical_features", "categorical")
    )
    """Those features that are names, not quantities; text is allowed."""
    slices: tuple[str, ...] = ()
    """Columns by whose values the arms are compared, too; they need not be features."""
    ignore: tuple[str, ...] = ()
    """Columns that `all` leaves out."""
    id: str | None = None
    """Column with the row's own id: an id that comes again at the same time is the same row."""
    task: Task = Task.BINARY
    positive_class: str | int | float | None = Field(default=None, validation_alias=AliasChoices("positive_class", "positive"))
    """The label that counts as 1; without it 0/1, true/false and yes/no are understood."""
    classes: tuple[str | int | float, ...] = ()
    """Labels of a multiclass task; without it those that the file has."""
    period: Duration = Field(default=timedelta(days=7), ge=timedelta(hours=1))
    """Something is decided so often."""
    first_window: Duration | None = Field(default=None, gt=timedelta(0))
    """What the first models learn from; without it a quarter of the file's time, a year at most."""
    duplicates: Duplicates = Duplicates.AUTO
    """Rows that are there twice: `auto`, `drop` or `keep`."""

    @property
    def columns(self) -> dict[str, str]:
        """Every column that is named, by the field that names it."""
        found = {"event_time": self.event_time.column, "label": self.label}
        found |= {"label_time": self.label_time.column} if self.label_time else {}
        found |= {"id": self.id} if self.id else {}
        lists = {"features": self.features, "categorical_features": self.categorical_features, "slices": self.slices}
        named = {field: names for field, names in lists.items() if not isinstance(names, str)}
        return found | {f"{field}.{at}": name for field, names in named.items() for at, name in enumerate(names)}

    @model_validator(mode="after")
    def _is_sound(self) -> "Card":
        if self.label_time is None and self.label_delay is None:
            raise ValueError("say when labels arrive: `label_time: COLUMN`, or `label_delay: 1h` after the event")
        parts = {self.label: "label", self.event_time.column: "event_time"}
        parts |= {self.label_time.column: "label_time"} if self.label_time else {}
        wrong = [name for name in (*self.features, *self.categorical_features) if name in parts]
        if wrong and self.features != "all":
            raise ValueError(f"{wrong[0]!r} is the {parts[wrong[0]]}, so it can't be a feature, too")
        return self._fits_its_task()

    def _fits_its_task(self) -> "Card":
        if self.classes and self.task is not Task.MULTICLASS:
            raise ValueError(f"classes belong to a multiclass task, and this one is {self.task.value}")
        if self.positive_class is not None and self.task is not Task.BINARY:
            raise ValueError(f"positive_class belongs to a binary task, and this one is {self.task.value}")
        if len(self.classes) == 1 or len(set(map(str, self.classes))) < len(self.classes):
            raise ValueError("classes names at least two labels, none of them twice")
        return self


class CardError(DeclaredFileError):
    """Everything that is wrong with the card, a line each."""


class CardFile:
    """A card with its lines, so that what is found wrong later can point at them, too."""

    def __init__(self, path: Path) -> None:
        """Raises: CardError."""
        self.path = path
        try:
            self._document: Document = document_of(path, "card", _KEYS)
            self.card = parsed(self._document, Card)
        except Unreadable as error:
            raise CardError(path, [error.problem]) from None
        except Mistaken as error:
            raise CardError(path, error.problems) from None

    def wrong(self, field: str, text: str) -> CardError:
        """A mistake that only the data shows, at the line of `field` ('features.2')."""
        steps = tuple(int(part) if part.isdigit() else part for part in field.split("."))
        return CardError(self.path, [Problem(self._document.locate(steps)[2], field, text)])
