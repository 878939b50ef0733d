"""A policy played over history in simulated time: the judgement of the live loop, beside the simple habits.

At the end of each period only labels that have arrived are read; then members are refitted, the bench gives its advice,
and what is decided serves the next period.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from backtest.arms import HOMEOSTAT, InService, habits, named, prior, prior_scores, served
from backtest.fits import Fits, Learning, Scorer, fit_all
from backtest.history import History
from backtest.periods import Period, Source
from backtest.unserved import Alternatives, Unserved
from contracts.bench import BenchPolicy, shadow_recipe
from contracts.evaluation import GatePolicy, Verdict
from contracts.fleet import IntakePolicy
from contracts.training import Recipe, Task
from learning.rows import Floats, microseconds
from learning.sampling import lots, lowest
from policies.bench_record import BenchRecord
from policies.intake import tokens_at
from policies.prequential import Advice, Bench, Champion, advise, reach

_ROUNDING = 1e-9
"""Five weeks at a fifth of a promotion make one, whatever the last bit says."""


@dataclass(frozen=True)
class Policy:
    """Everything that a backtest is asked to try; the defaults are those of the shadow bench."""

    recipe: Recipe = field(default_factory=shadow_recipe)
    bench: BenchPolicy = field(default_factory=BenchPolicy)
    gate: GatePolicy = field(default_factory=GatePolicy)
    intake: IntakePolicy = field(default_factory=IntakePolicy)
    watch: timedelta = timedelta(days=14)
    """No promotion while the last one is watched: in the live loop its incident is still open."""
    threshold: float = 0.5
    task: Task = Task.BINARY
    classes: int = 2
    features: tuple[str, ...] = ()
    """Names of the columns, in their order; only for the categorical ones of the learner."""
    slices: tuple[str, ...] = ()
    """Names of the columns of `Period.slices`, by whose values the gate compares, too."""

    @property
    def learning(self) -> Learning:
        codes = tuple(self.features.index(name) for name in self.recipe.learner.categorical if name in self.features)
        return Learning(named(self.recipe.blended), self.recipe.learner, codes, self.task, self.classes)


@dataclass(frozen=True)
class Decision:
    """What was decided at the end of a period, and on what."""

    at: datetime
    advice: Advice
    promoted: bool
    recalibrated: bool
    tokens: float
    """Promotions at hand before the decision."""
    held: str
    """Why a verdict of `promote` was not followed, or empty."""
    skipped: dict[str, str]
    """Members that could not be fitted, with the reason."""


@dataclass(frozen=True)
class Outcome:
    """One period as it was served, and what was decided at its end."""

    period: Period
    scores: dict[str, Floats]
    """By arm, on the period's rows in their order."""
    decision: Decision | None
    """None where no label arrived and nothing could be decided."""
    promotions: dict[str, int]
    """By arm, so far."""
    recalibrations: int
    seconds: float
    """Spent on this period."""
    unserved: Alternatives = field(default_factory=Alternatives)
    """What the last decision turned down, on the same rows."""
    fits: int = 0
    """Models fitted at the end of the period, of all arms together ..."""
    known: int = 0
    """... on so many labelled rows at most."""


def run(source: Source, policy: Policy) -> Iterator[Outcome]:
    """Play the source through; one outcome for each period after the first window."""
    loop: Loop | None = None
    for period in source.periods():
        if loop is None:
            loop = Loop(policy, period)
        else:
            yield loop.play(period)


class Loop:
    """The simulation between two periods: what is known, what is in service, what the bench has recorded."""

    def __init__(self, policy: Policy, first: Period) -> None:
        self._policy, self._learning = policy, policy.learning
        self._bench = Bench(policy.recipe, policy.bench, policy.gate, policy.task, policy.threshold)
        self._names = tuple(member.name for member in policy.recipe.blended)
        self._history = History(policy.recipe.learner.max_rows)
        self._habits, self._service = habits(), InService()
        self._unserved, self._alternatives = Unserved(), Alternatives()
        self._champion: Champion | None = None
        self._blend = next(iter(self._bench.blends))
        self._tokens, self._counted = policy.intake.promotions_start, first.end
        self._promotions = self._recalibrations = 0
        self._history.add(first)
        parts = list(self._warm_up(first))
        self._record = BenchRecord.joined([self._empty(first), *(scored for scored, _ in parts)])
        self._sliced = np.concatenate([np.empty((0, len(policy.slices))), *(values for _, values in parts)])
        self._fits: Fits = Fits()
        self._known: datetime | None = None
        self._rows = 0
        self._refit(first.end)
        self._begin(first.end)

    def play(self, period: Period) -> Outcome:
        """Serve the period, then decide at its end."""
        began = time.perf_counter()
        scores = self._serve(period)
        self._history.add(period)
        news = self._refit(period.end)
        decision = self._decide(period.end) if news else None
        return Outcome(
            period=period,
            scores=scores,
            decision=decision,
            promotions={habit.name: habit.promotions for habit in self._habits} | {HOMEOSTAT: self._promotions},
            recalibrations=self._recalibrations,
            seconds=time.perf_counter() - began,
            unserved=self._alternatives,
            fits=len(set(map(id, self._fits.boosters.values()))) if news else 0,
            known=self._rows,
        )

    def _serve(self, period: Period) -> dict[str, Floats]:
        """What every arm answers; the bench records what each member would have said."""
        task, scorer = self._learning.task, Scorer(period.features, self._learning)
        unfitted = prior_scores(self._prior, len(period), task)
        scorer.margins([habit.booster for habit in self._habits if habit.booster is not None])
        found = {habit.name: habit.scores(scorer, task) for habit in self._habits}
        answers = {name: unfitted if score is None else score for name, score in found.items()}
        margin = self._service.margin(scorer, task)
        if margin is None or self._champion is None:
            answers[HOMEOSTAT] = unfitted
            self._extend(period, scorer, None, (0.0,))
            return answers
        answers[HOMEOSTAT] = served(margin, self._champion.shift, task)
        self._extend(period, scorer, margin, self._champion.shift)
        return answers

    def _extend(self, period: Period, scorer: Scorer, champion: Floats | None, shift: Sequence[float]) -> None:
        """Add to the record, and forget what no judgement will ask for; labels may be late by as much again."""
        places = self._recorded(period)
        scored = self._scored(period, places, scorer, self._fits, champion=champion, shift=shift)
        self._alternatives = self._unserved.on(scorer, scored, places, self._learning.task)
        since = period.end - reach(self._policy.bench)
        kept = self._sliced[self._record.event_time >= microseconds(since)]
        self._sliced = np.concatenate([kept, self._values(period, places)])
        self._record = BenchRecord.joined([self._record.newer(since), scored])

    def _refit(self, now: datetime) -> bool:
        """Fit all members on what is known by `now`; False where nothing new has become known."""
        if self._known is not None and not self._history.news(self._known, now):
            return False
        self._history.forget(now)
        rows = self._history.known(now)
        self._known, self._rows = now, len(rows)
        self._prior = prior(rows.label, self._learning)
        self._fits = fit_all(rows, now, self._learning)
        for habit in self._habits:
            habit.renew(self._fits)
        return True

    def _begin(self, now: datetime) -> None:
        """The first champion: the blend that the warm-up chose, or the first of them."""
        advice = advise(record=self._record, now=now, champion=None, blend=self._blend, bench=self._bench)
        self._blend = advice.blend
        self._ship(advice, now, first=True)

    def _decide(self, now: datetime) -> Decision:
        slices = {name: self._sliced[:, at] for at, name in enumerate(self._policy.slices)}
        advice = advise(
            record=self._record, now=now, champion=self._champion, blend=self._blend, bench=self._bench, slices=slices
        )
        self._blend = advice.blend
        tokens = tokens_at(as_of=now, policy=self._policy.intake, tokens=self._tokens, counted_at=self._counted)
        wanted = self._champion is None or (advice.judgement is not None and advice.judgement.verdict is Verdict.PROMOTE)
        held = self._held(advice, tokens, now) if wanted else ""
        promoted = wanted and not held
        self._tokens, self._counted = tokens, now
        if promoted:
            self._tokens -= self._champion is not None
            self._promotions += self._champion is not None
            if self._champion is not None:
                self._unserved.promoted(self._service, self._champion.shift)
            self._ship(advice, now, first=self._champion is None)
        else:
            self._unserved.held(advice.members, advice.refit.shift)
        recalibrated = not promoted and self._recalibrate(advice)
        return Decision(now, advice, promoted, recalibrated, tokens, held, dict(self._fits.skipped))

    def _held(self, advice: Advice, tokens: float, now: datetime) -> str:
        if not any(name in self._fits.boosters for name in advice.members):
            return "No member of the blend could be fitted."
        if self._champion is not None and not self._champion.first and now - self._champion.promoted_at < self._policy.watch:
            return "The last promotion is still being watched."
        if self._champion is not None and tokens < 1 - _ROUNDING:
            return f"The promotion budget is used up: {tokens:.2f} at hand."
        return ""

    def _ship(self, advice: Advice, now: datetime, *, first: bool) -> None:
        """Take the blend's refit into service; where none could be fitted, nothing changes."""
        fitted = {name: self._fits.boosters[name] for name in advice.members if name in self._fits.boosters}
        if not fitted:
            return
        self._service = InService(fitted)
        self._champion = Champion(advice.members, now, now, advice.refit.shift, advice.refit.on, first)

    def _recalibrate(self, advice: Advice) -> bool:
        wanted, champion = advice.recalibration, self._champion
        if wanted is None or champion is None:
            return False
        self._champion = Champion(
            champion.members, champion.promoted_at, champion.trained_through, wanted.shift, wanted.on, champion.first
        )
        self._recalibrations += wanted.changed
        return wanted.changed

    def _warm_up(self, first: Period) -> Iterator[tuple[BenchRecord, Floats]]:
        """The last periods of the first window, each scored by fits on what was known before it, with their slices."""
        for back in range(self._policy.bench.warm_up, 0, -1):
            start = first.end - back * self._policy.bench.period
            if start > first.start:
                part = first.between(start, start + self._policy.bench.period)
                scored = self._before(part, fit_all(self._history.known(start), start, self._learning))
                yield scored, self._values(part, self._recorded(part))

    def _empty(self, first: Period) -> BenchRecord:
        return self._before(first.between(first.end, first.end), Fits())

    def _before(self, period: Period, fits: Fits) -> BenchRecord:
        """A part of the first window, when there was no champion."""
        return self._scored(
            period, self._recorded(period), Scorer(period.features, self._learning), fits, champion=None, shift=(0.0,)
        )

    def _values(self, period: Period, places: NDArray[np.int64]) -> Floats:
        """The gate's slices, shape (n, m); NaN where the source has none."""
        if period.slices is None or not self._policy.slices:
            return np.full((len(places), len(self._policy.slices)), np.nan)
        return period.slices[places]

    def _recorded(self, period: Period) -> NDArray[np.int64]:
        """Places of the rows that the record keeps: of many a sample."""
        most = self._policy.bench.max_rows
        return lowest(lots(period.event_time, period.features), most) if len(period) > most else np.arange(len(period))

    def _scored(
        self,
        period: Period,
        places: NDArray[np.int64],
        scorer: Scorer,
        fits: Fits,
        *,
        champion: Floats | None,
        shift: Sequence[float],
    ) -> BenchRecord:
        names = [name for name in self._names if name in fits.boosters]
        found = dict(zip(names, scorer.some(places).margins([fits.boosters[name] for name in names]), strict=True))
        missing = np.full(self._learning.shape(len(places)), np.nan)
        return BenchRecord(
            members=self._names,
            event_time=period.event_time[places],
            known_at=period.known_at[places],
            label=period.label[places],
            margins=np.stack([found.get(name, missing) for name in self._names], axis=1),
            champion=missing if champion is None else champion[places],
            shift=np.broadcast_to(np.asarray(shift), missing.shape).copy(),
        )
