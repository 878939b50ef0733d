"""Waiting alarms are bounded in number and bytes, and what a remediation is told has the first, the newest and the worst."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.alarm import Alarm, AlarmKind, Severity
from contracts.fleet import IntakePolicy
from contracts.incident import Outcome
from policies import intake

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def alarm(n: int, severity: Severity = Severity.MEDIUM, hours: int = 0, **rest: object) -> Alarm:
    data = {"id": f"a{n}", "endpoint": "bikes", "kind": AlarmKind.MODEL_QUALITY, "severity": severity, **rest}
    return Alarm.model_validate({**data, "as_of": NOW + timedelta(hours=hours)})


def test_what_waits_is_bounded_and_keeps_the_first_and_the_worst() -> None:
    pending: tuple[Alarm, ...] = ()
    settled = 0
    for n in range(700):
        severity = Severity.CRITICAL if n == 650 else Severity.LOW
        pending, covered = intake.queue(pending=pending, alarm=alarm(n, severity, hours=n % 7))
        settled += covered is not None
    assert len(pending) == intake.MOST_PENDING
    assert settled == 700 - intake.MOST_PENDING
    assert pending[0].id == "a0"
    assert "a650" in {a.id for a in pending}


def test_large_alarms_are_kept_in_short_once_much_waits() -> None:
    pending: tuple[Alarm, ...] = ()
    for n in range(60):
        pending, _ = intake.queue(pending=pending, alarm=alarm(n, labels={f"l{i}": "x" * 1000 for i in range(50)}))
    assert sum(len(a.model_dump_json()) for a in pending) < intake.FULL_BYTES + 60_000
    assert pending[0].labels
    assert not pending[-1].labels


@given(st.lists(st.tuples(st.sampled_from(list(Severity)), st.integers(0, 1000)), min_size=1, max_size=40), st.integers(3, 10))
def test_a_remediation_is_told_of_the_first_the_newest_and_the_worst(drawn: list[tuple[Severity, int]], most: int) -> None:
    alarms = [alarm(n, severity, hours) for n, (severity, hours) in enumerate(drawn)]
    told = intake.representative(alarms, most)
    assert told[0] == alarms[0]
    assert len(told) == min(most, len(alarms))
    assert max(a.as_of for a in told) == max(a.as_of for a in alarms)
    assert max(a.severity.rank for a in told) == max(a.severity.rank for a in alarms)


def test_data_from_the_future_is_refused_beyond_a_days_skew() -> None:
    assert intake.from_the_future(as_of=NOW + timedelta(hours=23), now=NOW) is None
    assert "lies in the future" in (intake.from_the_future(as_of=NOW + timedelta(days=2), now=NOW) or "")


def test_tokens_fill_with_the_weeks_and_never_run_over() -> None:
    policy = IntakePolicy(promotions_start=1, promotions_per_week=0.2, promotions_max=3)
    assert intake.tokens_at(as_of=NOW, policy=policy, tokens=None, counted_at=None) == 1
    assert intake.tokens_at(as_of=NOW + timedelta(weeks=5), policy=policy, tokens=0, counted_at=NOW) == 1
    assert intake.tokens_at(as_of=NOW + timedelta(weeks=500), policy=policy, tokens=0, counted_at=NOW) == 3
    assert intake.tokens_at(as_of=NOW - timedelta(weeks=5), policy=policy, tokens=0.5, counted_at=NOW) == 0.5


def test_an_incident_that_judged_nothing_cools_nothing() -> None:
    policy = IntakePolicy(cool_down=timedelta(days=30))
    for outcome in Outcome:
        end = intake.cool_down_end(outcome=outcome, as_of=NOW, policy=policy, present=None)
        judged = outcome not in (
            Outcome.FAILED,
            Outcome.CANCELLED,
            Outcome.SHORT_OF_DATA,
            Outcome.BROKEN_DATA,
            Outcome.RECALIBRATED,
            Outcome.VOIDED,
            Outcome.HEALED,
        )
        assert end == (NOW + timedelta(days=30) if judged else None)


def test_a_cool_down_absorbs_all_but_a_first_champion_and_a_recalibration() -> None:
    pending = tuple(alarm(n, kind=kind) for n, kind in enumerate(AlarmKind))
    found = intake.judge(pending=pending, cool_until=NOW + timedelta(days=1))
    assert {a.kind for a in found.opening} == {AlarmKind.ONBOARDING, AlarmKind.CALIBRATION}
    assert len(found.absorbed) == len(AlarmKind) - 2
