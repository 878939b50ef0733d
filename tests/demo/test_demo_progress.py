"""What a person sees, on a terminal and in a file."""

from datetime import timedelta
from io import StringIO

from demo_stories import START, judgement
from rich.console import Console

from contracts.evaluation import Verdict
from contracts.incident import IncidentSummary, LifecycleState, Outcome, RemediationStatus, Stage, WaitingOn
from contracts.monitor import QualityReport
from contracts.snapshot import Window
from demo.news import News
from demo.progress import Screen
from demo.watch import Moment


def report(alarm: str | None = None) -> QualityReport:
    crossed = ("accuracy",) if alarm else ()
    return QualityReport(
        endpoint="bikes",
        window=Window(start=START, end=START + timedelta(days=7)),
        requests=168,
        labelled=168,
        digests=("abcdef0123456789" * 4,),
        metrics={"accuracy": 0.81, "recall": 0.7, "brier": 0.1},
        reference={"accuracy": 0.9},
        crossed=crossed,
        alarm=alarm,
    )


def moment(stage: Stage = Stage.REVIEW) -> Moment:
    status = RemediationStatus(
        endpoint="bikes",
        incident="one",
        stage=stage,
        waiting_on=WaitingOn.PERSON,
        since=START,
        alarms=("a",),
        judgement=judgement(Verdict.REGRESS),
    )
    closed = IncidentSummary(incident="zero", outcome=Outcome.PROMOTED, as_of=START, sentence="It went well.", promoted=True)
    return Moment(LifecycleState(endpoint="bikes", history=(closed,)), status)


def played(*, terminal: bool) -> tuple[str, Screen]:
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, highlight=False, no_color=True)
    with Screen(10, console=console) as screen:
        news = News(screen)
        news.week(3, report("alarm-1"))
        for _ in range(3):
            news.moment(moment())
        news.decision("one", "scripted reviewer rejects: worse")
    return out.getvalue(), screen


def test_without_a_terminal_there_are_plain_lines_and_no_control_codes() -> None:
    text, _ = played(terminal=False)
    assert "\x1b" not in text
    assert "week   3  2020-01-06  champion abcdef01" in text
    assert "accuracy 0.810 (was 0.900)" in text


def test_every_event_is_said_once_however_often_it_is_seen() -> None:
    text, screen = played(terminal=False)
    assert text.count("verdict regress") == 1
    assert text.count("zero closed") == 1
    assert text.count("one review, waiting for a person") == 1
    assert screen.board.counts == {"alarms": 1, "incidents": 1, "promotions": 1, "reviews": 1}


def test_on_a_terminal_a_board_stays_in_sight() -> None:
    text, _ = played(terminal=True)
    assert "last decision" in text
    assert "abcdef01" in text
