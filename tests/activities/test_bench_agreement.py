"""The live bench and the backtest on the same data: the same margins, the same advice, the same decisions, to the last bit."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from activities.kept_evidence import kept, whole
from backtest.engine import HOMEOSTAT, Outcome, Policy, run
from backtest.periods import Table
from contracts.bench import BenchPolicy
from contracts.evaluation import GatePolicy
from contracts.reproduction import Standing
from learning.rows import microseconds
from tests.live_bench import BEGIN, DAY, FEATURES, FIRST, RECIPE, WEEKS, Live, table


def played(source: Table) -> list[Outcome]:
    chosen = Policy(recipe=RECIPE, bench=BenchPolicy(warm_up=2), gate=GatePolicy(resamples=200), features=FEATURES)
    return list(run(source, chosen))


def test_the_live_bench_and_the_backtest_decide_the_same(tmp_path: Path) -> None:
    """Labels come days late, some of them after their period: such a row is scored by the fit of its period all the same."""
    source = table(delay=2 * DAY)
    outcomes = {outcome.period.end: outcome for outcome in played(source)}
    live = Live(tmp_path, source)
    judged = promoted = recalibrated = 0
    for moment, advice in live.turns(max(outcomes)):
        if advice is None:
            continue
        outcome = outcomes.get(moment)
        if outcome is None:
            live.promote(moment, advice)  # the end of the first window: the backtest's first champion
            continue
        decision = outcome.decision
        assert decision is not None
        expected = decision.advice
        assert (advice.blend, advice.members, advice.losses) == (expected.blend, expected.members, dict(expected.losses))
        assert advice.reason == expected.reason
        assert (advice.refit.on, advice.refit.shift, advice.refit.gain) == (
            expected.refit.on,
            expected.refit.shift,
            expected.refit.gain,
        )
        assert advice.recalibration is not None
        assert expected.recalibration is not None
        assert advice.recalibration.model_dump() == expected.recalibration.__dict__
        assert advice.judgement == expected.judgement
        judged += advice.judgement is not None
        if decision.promoted:
            live.promote(moment, advice)
            promoted += 1
        elif decision.recalibrated:
            live.recalibrate(moment, advice)
            recalibrated += 1
    assert judged >= WEEKS - 3
    assert promoted >= 1
    assert recalibrated >= 1
    assert HOMEOSTAT in outcomes[max(outcomes)].scores


def test_what_had_not_arrived_by_a_turn_changes_nothing_of_it(tmp_path: Path) -> None:
    """Labels that arrive later say the opposite, and everything after the turn is absurd: the turn is the same to the last bit."""
    source, now = table(delay=2 * DAY), BEGIN + FIRST + 7 * DAY
    late, after = source.known_at > microseconds(now), source.event_time >= microseconds(now)
    poisoned = replace(
        source,
        label=np.where(late, 1 - source.label, source.label),
        features=np.where(after[:, None], 1e6, source.features),
    )
    told = {}
    for name, told_by in (("as it was", source), ("poisoned", poisoned)):
        live = Live(tmp_path / name, told_by)
        advices = [advice for _, advice in live.turns(now) if advice is not None]
        state = live.platform.bench.read("rides")
        assert state is not None
        told[name] = [advice.model_dump(exclude={"judged", "parts"}) for advice in advices], [part.sha256 for part in state.parts]
    assert told["as it was"] == told["poisoned"]
    assert late.sum() > 100


def test_a_verdict_is_kept_as_evidence_and_stays_the_same_when_it_is_asked_again(tmp_path: Path) -> None:
    """Between two turns the newest fit scores what has come since; asking changes nothing of the record."""
    live = Live(tmp_path, table(delay=timedelta(hours=1)))
    end = BEGIN + FIRST + 14 * DAY
    for moment, advice in live.turns(end):
        if advice is not None and live.manifests.read("rides") is None:
            live.promote(moment, advice)
    before = live.platform.bench.read("rides")
    snapshot = live.snapshot(end + 3 * DAY, "incident")
    asked, again = (live.advice(snapshot, "20230101T000000Z-1f2e3d") for _ in range(2))
    assert asked == again
    assert live.platform.bench.read("rides") == before
    assert asked.judgement is not None
    assert asked.evidence is not None
    assert asked.judgement.evidence == asked.evidence.digest
    assert before is not None
    assert asked.rows > sum(part.rows for part in before.parts) + 2 * 24
    assert asked.evidence.holdout_rows == asked.judgement.rows
    found = kept(live.platform.evidence, asked.evidence)
    assert [check.standing for check in whole(found)] == [Standing.SAME] * 2
