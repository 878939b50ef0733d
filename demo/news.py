"""Says each thing once: alarms, verdicts, decisions, ends of incidents."""

from contracts.evaluation import Judgement, Verdict
from contracts.incident import IncidentSummary, Outcome, Stage
from contracts.monitor import QualityReport
from demo.progress import Screen
from demo.watch import Moment

_VERDICT_STYLE = {Verdict.PROMOTE: "green", Verdict.INCONCLUSIVE: "yellow", Verdict.REGRESS: "red"}
_OUTCOME_STYLE = {
    Outcome.PROMOTED: "bold green",
    Outcome.HELD: "yellow",
    Outcome.ROLLED_BACK: "bold red",
    Outcome.FAILED: "bold red",
}


class News:
    """Turns what the demo sees into lines, and keeps the board's counts."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._told: set[str] = set()

    def week(self, number: int, report: QualityReport) -> None:
        """The monitor has judged a period, and perhaps raised an alarm."""
        self._screen.week(number, report)
        if report.alarm:
            self._screen.board.counts["alarms"] += 1
            crossed = ", ".join(
                f"{name} {report.metrics[name]:.3f} (was {report.reference[name]:.3f})" for name in report.crossed
            )
            self._screen.event(f"alarm: {crossed}", "magenta")

    def failure(self, sentence: str) -> None:
        """A call failed."""
        self._screen.event(f"request failed: {sentence}", "bold red")

    def moment(self, moment: Moment) -> None:
        """Whatever is new about the open incident, and incidents that have closed."""
        for summary in moment.state.history:
            self._closed(summary)
        status = moment.status
        if status is None:
            self._screen.stage("none open")
            return
        waiting = "" if status.stage is not Stage.REVIEW else ", waiting for a person"
        self._screen.stage(f"{status.incident} {status.stage.value}{waiting}")
        if status.judgement is not None:
            self._judged(status.incident, status.judgement)

    def decision(self, incident: str, text: str) -> None:
        """A review was decided."""
        self._screen.board.counts["reviews"] += 1
        self._screen.board.decision = text
        self._screen.event(f"{incident} {text}", "cyan")

    def _judged(self, incident: str, judgement: Judgement) -> None:
        if self._first(f"verdict {incident} {judgement.evidence}"):
            line = f"{incident} verdict {judgement.verdict.value}: {judgement.sentence}"
            self._screen.event(line, _VERDICT_STYLE[judgement.verdict])

    def _closed(self, summary: IncidentSummary) -> None:
        if not self._first(f"closed {summary.incident}"):
            return
        counts = self._screen.board.counts
        counts["incidents"] += 1
        counts["promotions"] += summary.promoted
        line = f"{summary.incident} closed, {summary.outcome.value}: {summary.sentence}"
        self._screen.event(line, _OUTCOME_STYLE.get(summary.outcome, ""))

    def _first(self, what: str) -> bool:
        if what in self._told:
            return False
        self._told.add(what)
        return True
