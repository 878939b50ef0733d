"""A policy played over history in simulated time: the judgement of the live loop, beside the simple habits.

At the end of each period only labels that have arrived are read; then members are refitted, the bench gives its advice,
and what is decided serves the next period.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from backtest.arms import HOMEOSTAT, InService, habits, named, prior, prior_scores, served
from backtest.fits import Fits, Learning, fit_all
from backtest.history import History
from backtest.periods import Period, Source
from backtest.unserved import Alternatives, Unserved
from contracts.bench import BenchPolicy, shadow_recipe
from contracts.evaluation import GatePolicy, Verdict
from contracts.fleet import IntakePolicy
from contracts.training import Recipe, Task
from learning.rows import Floats
from policies.bench_record import BenchRecord
from policies.intake import tokens_at
from policies.prequential import Advice, Bench, Champion, advise

_ROUNDING = 1e-9
"""Five weeks at a fifth of a promotion make one, whatever the last bit says."""


@dataclass(frozen=True)
class Policy:
    """Everything that a backtest is asked to try; the defaults are those of the shadow bench."""

    recipe: Recipe = field(default_factory=shadow_recipe)
    bench: BenchPolicy = field(default_factory=BenchPolicy)
    gate: GatePolicy = field(default_factory=GatePolicy)
    intake: IntakePolicy = field(default_factory=IntakePolicy)
    threshold: float = 0.5
    task: Task = Task.BINARY
    classes: int = 2
    features: tuple[str, ...] = ()
    """Names of the columns, in their order; only for the categorical ones of the learner."""

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
        self._history, self._habits, self._service = History(), habits(), InService()
        self._unserved, self._alternatives = Unserved(), Alternatives()
        self._champion: Champion | None = None
        self._blend = next(iter(self._bench.blends))
        self._tokens, self._counted = policy.intake.promotions_start, first.end
        self._promotions = self._recalibrations = 0
        self._history.add(first)
        self._record = BenchRecord.joined([self._empty(first), *self._warm_up(first)])
        self._fits, self._known = Fits(), -1
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
            known=self._known,
        )

    def _serve(self, period: Period) -> dict[str, Floats]:
        """What every arm answers; the bench records what each member would have said."""
        answers = {habit.name: habit.scores(period.features, self._learning, self._prior) for habit in self._habits}
        margin = self._service.margin(period.features, self._learning)
        if margin is None or self._champion is None:
            answers[HOMEOSTAT] = prior_scores(self._prior, len(period), self._learning.task)
            self._extend(period, None, (0.0,))
            return answers
        answers[HOMEOSTAT] = served(margin, self._champion.shift, self._learning.task)
        self._extend(period, margin, self._champion.shift)
        return answers

    def _extend(self, period: Period, champion: Floats | None, shift: Sequence[float]) -> None:
        """Add to the record, and forget what no judgement will ask for; labels may be late by as much again."""
        scored = self._scored(period, self._fits, champion, shift)
        self._alternatives = self._unserved.on(period, scored, self._learning)
        kept = 2 * max(self._policy.bench.selection, self._policy.bench.recalibration.window)
        self._record = BenchRecord.joined([self._record.newer(period.end - kept), scored])

    def _refit(self, now: datetime) -> bool:
        """Fit all members on what is known by `now`; False where nothing new has become known."""
        rows = self._history.known(now)
        self._prior = prior(rows.label, self._learning)
        if len(rows) == self._known:
            return False
        self._known = len(rows)
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
        advice = advise(record=self._record, now=now, champion=self._champion, blend=self._blend, bench=self._bench)
        self._blend = advice.blend
        tokens = tokens_at(as_of=now, policy=self._policy.intake, tokens=self._tokens, counted_at=self._counted)
        wanted = self._champion is None or (advice.judgement is not None and advice.judgement.verdict is Verdict.PROMOTE)
        held = self._held(advice, tokens) if wanted else ""
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

    def _held(self, advice: Advice, tokens: float) -> str:
        if not any(name in self._fits.boosters for name in advice.members):
            return "No member of the blend could be fitted."
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

    def _warm_up(self, first: Period) -> Iterator[BenchRecord]:
        """The last periods of the first window, each scored by fits on what was known before it."""
        for back in range(self._policy.bench.warm_up, 0, -1):
            start = first.end - back * self._policy.bench.period
            if start > first.start:
                part = first.between(start, start + self._policy.bench.period)
                yield self._scored(part, fit_all(self._history.known(start), start, self._learning), None, (0.0,))

    def _empty(self, first: Period) -> BenchRecord:
        return self._scored(first.between(first.end, first.end), Fits(), None, (0.0,))

    def _scored(self, period: Period, fits: Fits, champion: Floats | None, shift: Sequence[float]) -> BenchRecord:
        shape = self._learning.shape(len(period))
        found = fits.margins(self._names, period.features, self._learning)
        missing = np.full(shape, np.nan)
        return BenchRecord(
            members=self._names,
            event_time=period.event_time,
            known_at=period.known_at,
            label=period.label,
            margins=np.stack([found.get(name, missing) for name in self._names], axis=1),
            champion=missing if champion is None else champion,
            shift=np.broadcast_to(np.asarray(shift), shape).copy() if len(shape) > 1 else np.full(shape, shift[0]),
        )
