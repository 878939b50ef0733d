"""What a person sees while the demo runs: a line for each event, and on a terminal a board that stays at the bottom."""

from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from contracts.monitor import QualityReport

REFRESH_PER_SECOND = 4
DIGEST_SHOWN = 8
SHOWN = ("accuracy", "recall", "brier")


@dataclass
class Board:
    """The newest of each thing."""

    champion: str = "none yet"
    week: str = ""
    quality: str = ""
    incident: str = "none open"
    decision: str = ""
    counts: dict[str, int] = field(default_factory=lambda: {"alarms": 0, "incidents": 0, "promotions": 0, "reviews": 0})


class Screen:
    """Plain lines where the output is no terminal; NO_COLOR and TERM=dumb are honoured by rich."""

    def __init__(self, weeks: int, *, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.board = Board()
        columns = (TextColumn("week"), BarColumn(bar_width=40), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self.console)
        self._task = self._bar.add_task("weeks", total=weeks)
        live = self.console.is_terminal and not self.console.is_dumb_terminal
        self._live = (
            Live(get_renderable=self._board, console=self.console, refresh_per_second=REFRESH_PER_SECOND) if live else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str, style: str = "") -> None:
        """One line that stays."""
        self.console.print(Text(line, style=style), soft_wrap=True)

    def detail(self, line: str) -> None:
        """A line of little interest."""
        self.say(line, "dim")

    def week(self, number: int, report: QualityReport) -> None:
        """A week has been served, its labels have come and the monitor has judged it."""
        board = self.board
        board.champion = " and ".join(digest[:DIGEST_SHOWN] for digest in report.digests) or "none"
        board.week = f"{report.window.start:%Y-%m-%d}"
        board.quality = ", ".join(f"{name} {report.metrics[name]:.3f}" for name in SHOWN if name in report.metrics)
        self._bar.update(self._task, completed=number)
        if self._live is None:
            self.say(f"week {number:>3}  {board.week}  champion {board.champion}  {board.quality}")

    def stage(self, text: str) -> None:
        """Where the open incident stands; said once where nothing can be redrawn."""
        if text == self.board.incident:
            return
        self.board.incident = text
        if self._live is None and text != Board.incident:
            self.say(f"          {text}")

    def event(self, line: str, style: str = "") -> None:
        """An alarm, a verdict, a decision: worth a line everywhere."""
        self.say(f"  {line}", style)

    def _board(self) -> RenderableType:
        board = self.board
        table = Table.grid(padding=(0, 2))
        counts = ", ".join(f"{number} {name}" for name, number in board.counts.items())
        rows = {
            "data time": board.week,
            "champion": board.champion,
            "this week": board.quality,
            "incident": board.incident,
            "last decision": board.decision,
            "so far": counts,
        }
        for name, value in rows.items():
            table.add_row(Text(name, style="dim"), Text(value, overflow="ellipsis", no_wrap=True))
        return Group(Text(""), self._bar, table)
