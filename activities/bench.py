"""The steps of one turn of the shadow bench. The record is the truth: done again, a step finds what it did before."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from temporalio import activity

from activities.bench_advice import advise, is_on
from activities.bench_champion import Champions
from activities.bench_part import encode
from activities.bench_record import Recorded, added_at, part_of, state_of
from activities.failures import translated
from contracts.shadow import (
    AdviseBench,
    AlarmTaken,
    BenchAdvice,
    BenchFit,
    BenchPlan,
    BenchRequest,
    BenchState,
    BenchTurn,
    KeepTurn,
    PeriodScored,
    RaiseAlarm,
    ScorePeriod,
)
from platforms.ports import Platform
from policies.bench_alarm import alarm_of, sentence_of
from policies.bench_turns import MOST_TURNS, due_turns, fits_kept_since
from policies.prequential import reach

_KEPT_TURNS = 60


class BenchActivities:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @activity.defn
    @translated
    def plan_bench(self, request: BenchRequest) -> BenchPlan:
        """Which turns are due by what has become known."""
        watermark = self._platform.features.watermark(request.policy.data)
        state = state_of(self._platform, request.endpoint, request.policy)
        manifest = self._platform.manifests.read(request.endpoint)
        due: Sequence[datetime] = ()
        if watermark is not None:
            due = due_turns(reached=state.reached, watermark=watermark, policy=request.policy)
        last = state.turns[-1] if state.turns else None
        return BenchPlan(
            due=tuple(due[:MOST_TURNS]),
            later=max(0, len(due) - MOST_TURNS),
            advised_from=state.advised_from or (due[-1] if due else None),
            reached=state.reached,
            settings=state.settings,
            unraised=last.alarm if last and not last.raised else None,
            champion=manifest.champion.digest if manifest else None,
            sentence="The table has no labelled rows yet." if watermark is None else "",
        )

    @activity.defn
    @translated
    def score_period(self, request: ScorePeriod) -> PeriodScored:
        """Rows that have come since the last turn, and late ones, are scored by the fit of their period, and kept."""
        state = state_of(self._platform, request.endpoint, request.policy)
        recorded = Recorded(self._platform, request.policy, request.snapshot, state)
        turn = request.snapshot.as_of
        champions = Champions.of(self._platform, request.endpoint, request.policy.data, turn)
        parts = []
        for fit, rows in recorded.unscored(champions):
            content = encode(rows, recorded.members)
            uri = self._platform.bench.keep_part(request.endpoint, content)
            parts.append(part_of(uri, sha256(content).hexdigest(), rows, fit, turn))
        if parts:
            changed = {"revision": state.revision + 1, "key": request.key, "parts": (*state.parts, *parts)}
            state = self._platform.bench.write(state.model_copy(update=changed))
        news = state.dataset != request.snapshot.dataset.sha256
        return PeriodScored(rows=added_at(state.parts, turn), revision=state.revision, news=news)

    @activity.defn
    @translated
    def advise_bench(self, request: AdviseBench) -> BenchAdvice:
        return advise(self._platform, request)

    @activity.defn
    @translated
    def keep_turn(self, request: KeepTurn) -> BenchTurn:
        """The fit is kept before the state names it, and what no state names is removed last."""
        state = state_of(self._platform, request.endpoint, request.policy)
        known = next((turn for turn in state.turns if turn.as_of == request.as_of), None)
        if known is not None:
            return known
        written = self._platform.bench.write(self._next(state, request))
        self._platform.bench.prune(request.endpoint)
        return written.turns[-1]

    def _next(self, state: BenchState, request: KeepTurn) -> BenchState:
        policy, turn = request.policy, _turn(request)
        fits = (*state.fits, self._kept(request.fit)) if request.fit else state.fits
        since = fits_kept_since(as_of=request.as_of, policy=policy)
        old = request.as_of - reach(policy.training.bench)
        return state.model_copy(
            update={
                "revision": state.revision + 1,
                "key": request.key,
                "advised_from": state.advised_from or request.advised_from,
                "reached": request.as_of,
                "dataset": request.dataset,
                "fits": tuple(fit for fit in fits if fit.as_of >= since or fit is fits[-1]),
                "parts": tuple(part for part in state.parts if part.window.end > old),
                "turns": (*state.turns, turn)[-_KEPT_TURNS:],
                **self._chosen(state, request),
            }
        )

    def _kept(self, fit: BenchFit) -> BenchFit:
        if fit.challenger is None:
            return fit
        uri = self._platform.bench.keep_fit(fit.challenger)
        return fit.model_copy(update={"challenger": fit.challenger.model_copy(update={"artifact_uri": uri})})

    def _chosen(self, state: BenchState, request: KeepTurn) -> dict[str, object]:
        """What the next judgement has to know of this one."""
        advice = request.advice
        if advice is None:
            return {}
        champions = Champions.of(self._platform, request.endpoint, request.policy.data, request.as_of)
        root = champions.root(champions.present.model) if champions.present else None
        noted = advice.recalibration.on if advice.recalibration else is_on(state, root, champions)
        return {"blend": advice.blend, "champion": root, "recalibrating": noted, "refit_recalibrating": advice.refit.on}

    @activity.defn
    @translated
    def raise_alarm(self, request: RaiseAlarm) -> AlarmTaken:
        """Sent first and noted then: killed in between, it is sent again under the same id, and counts once."""
        taken = self._platform.alarms.send(request.alarm)
        state = self._platform.bench.read(request.endpoint)
        if state is not None and any(_waits(turn, request) for turn in state.turns):
            turns = tuple(turn.model_copy(update={"raised": True}) if _waits(turn, request) else turn for turn in state.turns)
            changed = {"revision": state.revision + 1, "key": request.key, "turns": turns}
            self._platform.bench.write(state.model_copy(update=changed))
        return AlarmTaken(taken=taken)


def _waits(turn: BenchTurn, request: RaiseAlarm) -> bool:
    return turn.alarm is not None and turn.alarm.id == request.alarm.id and not turn.raised


def _turn(request: KeepTurn) -> BenchTurn:
    advice, fit = request.advice, request.fit
    judgement = advice.judgement if advice else None
    return BenchTurn(
        as_of=request.as_of,
        blend=advice.blend if advice else "",
        losses=advice.losses if advice else {},
        sentence=(sentence_of(advice) if advice else _unjudged(request))[:4000],
        verdict=judgement.verdict.value if judgement else "",
        relative_gain=judgement.relative_gain if judgement else None,
        t=judgement.t if judgement else None,
        rows=request.rows,
        fit=fit.challenger.model.digest if fit and fit.challenger else None,
        seconds=request.seconds,
        cost_usd=request.cost_usd,
        recalibration=advice.recalibration if advice else None,
        alarm=alarm_of(advice) if advice and request.final else None,
    )


def _unjudged(request: KeepTurn) -> str:
    if request.fit is not None and request.fit.challenger is None:
        return f"Nothing could be fitted: {request.fit.reason}"
    if request.as_of < request.advised_from:
        return "Warming up: the recipe was fitted on what was known then."
    return "Nothing new has become known since the last turn."
