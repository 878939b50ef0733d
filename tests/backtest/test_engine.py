"""The backtest's engine, fitted for real on small tables that move."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice

import numpy as np
import pytest

from backtest.arms import ARMS
from backtest.engine import Outcome, Policy, run
from backtest.periods import NEVER, Period, Table
from contracts.bench import BenchPolicy, shadow_recipe
from contracts.evaluation import GatePolicy, Verdict
from contracts.training import LearnerSettings, Task
from learning.rows import microseconds

BEGIN = datetime(2023, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
WEEKS = 12
FIELDS = ("event_time", "known_at", "features", "label")


def policy(task: Task = Task.BINARY, classes: int = 2, **bench: object) -> Policy:
    recipe = shadow_recipe().model_copy(
        update={"learner": LearnerSettings(rounds=10, boost_rounds=4, min_rows_per_leaf=10, learning_rate=0.3)}
    )
    chosen = BenchPolicy.model_validate({"warm_up": 2} | bench)
    return Policy(recipe=recipe, bench=chosen, gate=GatePolicy(resamples=200), task=task, classes=classes)


def table(*, drift: bool = True, delay: timedelta = HOUR, task: Task = Task.BINARY, seed: int = 0) -> Table:
    """30 days and 12 weeks by the hour; half-way through the weeks the signal turns."""
    hours = 24 * (30 + 7 * WEEKS)
    rng = np.random.default_rng(seed)
    event_time = microseconds(BEGIN) + np.arange(hours, dtype=np.int64) * 3_600_000_000
    features = rng.normal(size=(hours, 3))
    turned = np.where(drift & (np.arange(hours) > hours * 0.6), -1.0, 1.0)
    signal = 2 * turned * features[:, 0] + rng.normal(size=hours)
    label = {Task.BINARY: signal > 0, Task.MULTICLASS: np.digitize(signal, [-1, 1]), Task.REGRESSION: signal}[task]
    known_at = event_time + delay // timedelta(microseconds=1)
    return Table(event_time, known_at, features, label.astype(np.float64), 30 * DAY, 7 * DAY)


def changed(source: Table, **arrays: object) -> Table:
    return Table(**{**source.__dict__, **arrays})  # type: ignore[arg-type]


def answers(outcomes: list[Outcome]) -> list[tuple[object, ...]]:
    """Everything that was served and decided, bit for bit."""
    return [(*(one.scores[arm].tobytes() for arm in ARMS), one.promotions, one.recalibrations, _decided(one)) for one in outcomes]


def _decided(outcome: Outcome) -> object:
    found = outcome.decision
    return found and (
        found.promoted,
        found.recalibrated,
        found.tokens,
        found.advice.blend,
        found.advice.losses,
        found.advice.judgement,
    )


@cache
def whole() -> tuple[Outcome, ...]:
    """The history that most tests look at, played once."""
    return tuple(run(table(), policy()))


def test_after_a_drift_homeostat_promotes_and_serves_better_than_never() -> None:
    outcomes = whole()
    assert len(outcomes) == WEEKS
    right = {
        arm: np.mean([((o.scores[arm] > 0.5) == o.period.label).mean() for o in outcomes[-3:]]) for arm in ("never", "homeostat")
    }
    assert right["homeostat"] > right["never"] + 0.2
    assert 1 <= outcomes[-1].promotions["homeostat"] <= 4
    assert outcomes[-1].promotions["weekly30"] == WEEKS
    promoted = next(at for at, one in enumerate(outcomes) if one.decision and one.decision.promoted)
    held, after = outcomes[promoted].unserved, outcomes[promoted + 1].unserved
    assert held.challenger is not None, "the blend that the week before had held back"
    assert after.former is not None
    assert after.challenger is None
    assert ((after.former > 0.5) == outcomes[promoted + 1].period.label).mean() < 0.5, "the former champion is turned round"
    assert outcomes[0].fits > 1


def test_where_nothing_drifts_only_the_growth_of_a_young_history_promotes() -> None:
    assert list(run(table(drift=False), policy()))[-1].promotions["homeostat"] <= WEEKS // 4


@pytest.mark.parametrize("delay", [HOUR, 21 * DAY])
def test_a_label_that_has_not_arrived_changes_no_decision_by_a_bit(delay: timedelta) -> None:
    """Poison: every label that arrives after a moment is turned round; what was decided until then stays the same."""
    honest, moment = table(delay=delay), microseconds(BEGIN + (30 + 7 * 8) * DAY)
    poisoned = changed(honest, label=np.where(honest.known_at > moment, 1 - honest.label, honest.label))
    until = [list(islice(run(source, policy()), 9)) for source in (honest, poisoned)]
    assert answers(until[0][:8]) == answers(until[1][:8])
    assert until[0][8].scores["homeostat"].tobytes() == until[1][8].scores["homeostat"].tobytes()


@pytest.mark.parametrize("value", [1e300, np.nan])
def test_nothing_of_the_time_after_a_decision_changes_it_by_a_bit(value: float) -> None:
    """Rows that come later have other features and other labels, and labels that arrive later are none at all."""
    honest, moment = table(delay=3 * DAY), microseconds(BEGIN + (30 + 7 * 5) * DAY)
    later = honest.event_time >= moment
    label = np.where(honest.known_at > moment, np.nan, np.where(later, 1 - honest.label, honest.label))
    poisoned = changed(honest, label=label, features=np.where(later[:, None], value, honest.features))
    assert answers(list(islice(run(honest, policy()), 5))) == answers(list(islice(run(poisoned, policy()), 5)))


def test_the_poison_would_be_seen_if_it_were_read() -> None:
    honest = table()
    poisoned = changed(honest, label=1 - honest.label)
    assert answers(list(whole())) != answers(list(run(poisoned, policy())))


def test_the_same_history_gives_the_same_decisions_to_the_last_bit() -> None:
    assert answers(list(whole())) == answers(list(run(table(), policy())))


def _hole(source: Table) -> Table:
    keep = np.ones(len(source.label), dtype=bool)
    keep[24 * 37 : 24 * 80] = False
    return Table(source.event_time[keep], source.known_at[keep], source.features[keep], source.label[keep], 30 * DAY, 7 * DAY)


def _unlabelled(source: Table) -> Table:
    gone = np.random.default_rng(3).random(len(source.label)) < 0.5
    return changed(source, label=np.where(gone, np.nan, source.label), known_at=np.where(gone, NEVER, source.known_at))


DIRT: dict[str, Callable[[Table], Table]] = {
    "a hole of weeks": _hole,
    "missing labels": _unlabelled,
    "no label ever": lambda source: changed(source, label=np.full(len(source.label), np.nan)),
    "one class for weeks": lambda source: changed(
        source, label=np.where(np.arange(len(source.label)) > 24 * 50, 0.0, source.label)
    ),
    "one class in the first window": lambda source: changed(
        source, label=np.where(np.arange(len(source.label)) < 24 * 40, 1.0, source.label)
    ),
    "constant columns": lambda source: changed(source, features=np.ones_like(source.features)),
    "absurd values": lambda source: changed(source, features=source.features * 1e300),
    "a first window of a day": lambda source: changed(source, first_window=DAY),
    "equal times": lambda source: changed(source, event_time=source.event_time // (7 * 86_400_000_000) * (7 * 86_400_000_000)),
}


@pytest.mark.parametrize("name", DIRT)
def test_dirty_history_is_played_to_its_end(name: str) -> None:
    for outcome in run(DIRT[name](table()), policy()):
        for score in outcome.scores.values():
            assert score.shape == outcome.period.label.shape
            assert np.isfinite(score).all()


def test_a_model_is_promoted_when_both_classes_have_come_at_last() -> None:
    outcomes = list(run(DIRT["one class in the first window"](table(drift=False)), policy()))
    assert ((outcomes[-1].scores["homeostat"] > 0.5) == outcomes[-1].period.label).mean() > 0.7


@pytest.mark.parametrize(("task", "classes"), [(Task.REGRESSION, 2), (Task.MULTICLASS, 3)])
def test_other_tasks_are_served_and_recalibrated_in_their_own_shape(task: Task, classes: int) -> None:
    outcomes = list(run(table(task=task), policy(task, classes)))
    for outcome in outcomes:
        rows = len(outcome.period)
        assert all(score.shape == ((rows, 3) if task is Task.MULTICLASS else (rows,)) for score in outcome.scores.values())
    judged = [o.decision.advice.judgement for o in outcomes if o.decision and o.decision.advice.judgement]
    assert any(judgement.verdict is Verdict.PROMOTE for judgement in judged)
    assert outcomes[-1].promotions["homeostat"] >= 1


def test_an_empty_table_has_no_periods() -> None:
    empty = Table(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros(0), DAY, DAY)
    assert list(run(empty, policy())) == []


def test_no_promotion_falls_into_the_watch_of_the_last_one() -> None:
    """In the live loop its incident would still be open."""
    told = {"resamples": 200, "refresh": {"log_loss_gain": 0, "brier_gain": 0, "t": 0}, "urgency": 0, "min_days": 5}
    eager = replace(policy(), gate=GatePolicy.model_validate(told | {"newer_data": "1d"}))
    short, long = (list(run(table(drift=False), replace(eager, watch=watch))) for watch in (14 * DAY, 90 * DAY))
    assert (short[-1].promotions["homeostat"], long[-1].promotions["homeostat"]) == (2, 1)
    assert ["watched" in (o.decision.held if o.decision else "") for o in (short[-1], long[-1])] == [False, True]


def test_a_large_period_is_recorded_as_a_sample_and_served_whole() -> None:
    chosen = policy(max_rows=1000)
    source = table()
    crowd = Table(*(np.repeat(getattr(source, name), 8, axis=0) for name in FIELDS), source.first_window, source.period)
    outcome = next(run(changed(crowd, event_time=crowd.event_time + np.arange(len(crowd.label))), chosen))
    assert len(outcome.scores["homeostat"]) == len(outcome.period) == 8 * 168
    assert outcome.decision
    assert outcome.decision.advice.scores is not None
    assert len(outcome.decision.advice.scores) <= 1000


def sliced(source: Table, values: np.ndarray) -> "Sliced":
    return Sliced(source, values.astype(np.float64)[:, None])


class Sliced:
    """A table whose rows have a slice's value beside their features."""

    def __init__(self, source: Table, values: np.ndarray) -> None:
        self._source, self._values = source, values

    def periods(self) -> Iterator[Period]:
        for period in self._source.periods():
            rows = np.isin(self._source.event_time, period.event_time)
            yield replace(period, slices=self._values[rows])


def test_the_gate_judges_slices_in_a_backtest_too() -> None:
    """Each row has the region that it came with, after the record has forgotten its oldest rows."""
    source = table()
    region = np.asarray(source.features[:, 1] > 0, dtype=np.float64)
    asked = replace(policy(selection="3w"), slices=("region",))
    judged = [one.decision.advice for one in run(sliced(source, region), asked) if one.decision]
    found = [(advice.judgement, advice.scores) for advice in judged if advice.judgement and advice.scores]
    assert found
    for judgement, scores in found:
        assert {part.feature for part in judgement.slices} == {"region"}
        assert sum(part.rows for part in judgement.slices) == len(scores.label)


def test_a_slice_that_the_blend_serves_worse_holds_the_promotion() -> None:
    """One region keeps its world while the others' turns: the promotion would serve it worse."""
    source, kept = table(), np.random.default_rng(5).random(24 * (30 + 7 * WEEKS)) < 0.35
    turned = np.arange(len(kept)) > len(kept) * 0.6
    whole = changed(source, label=np.where(kept & turned, 1 - source.label, source.label))
    gate = GatePolicy(resamples=200, min_slice_rows=30, slice_margin=0.01, alpha=0.2)
    verdicts = {}
    for name, slices in (("blind", ()), ("seeing", ("region",))):
        played = run(sliced(whole, kept), replace(policy(), gate=gate, slices=slices))
        judged = [one.decision.advice.judgement for one in played if one.decision]
        verdicts[name] = [(one.verdict, " ".join(one.reasons)) for one in judged if one]
    assert any(verdict is Verdict.PROMOTE for verdict, _ in verdicts["blind"])
    assert any("region" in why and verdict is not Verdict.PROMOTE for verdict, why in verdicts["seeing"])
