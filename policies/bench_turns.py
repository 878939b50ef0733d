"""When the shadow bench takes its turns, and what its record is a record of. Data time throughout."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from contracts.base import Horizon
from contracts.fleet import EndpointPolicy
from policies.prequential import Bench, reach

_ANCHOR = datetime(1970, 1, 5, tzinfo=UTC)
"""A Monday: turns of a week fall on Mondays, 00:00 UTC, whenever the first run came."""
MOST_TURNS = 30
"""One run takes so many turns at most; the next one goes on."""
LATE = 4
"""A fit is kept for rows whose label comes up to so many label delays after its period ..."""


def bench_of(policy: EndpointPolicy) -> Bench:
    """What is declared before looking."""
    training = policy.training
    return Bench(training.recipe, training.bench, policy.gate, policy.data.task, policy.serving.threshold)


def horizons(policy: EndpointPolicy) -> tuple[Horizon, ...]:
    """What a snapshot has to reach back to: the members' own horizons, and the rows of the record whose labels are joined.

    Coverage is held against the shortest of them. A member of 7 days can never hold `coverage.min_days` of 20: its own record
    says what it is worth, so that it isn't asked here.
    """
    training, days = policy.training, timedelta(days=policy.data.coverage.min_days)
    members = (member.horizon for member in training.recipe.blended)
    return (*(horizon for horizon in members if horizon == "all" or horizon >= days), reach(training.bench))


def settings_digest(policy: EndpointPolicy) -> str:
    """Another digest means that scores of before can't stand beside scores of now: a new record begins."""
    training, data = policy.training, policy.data
    settings = {
        "recipe": training.recipe.model_dump(mode="json", exclude={"blends"}),
        "data": data.model_dump(mode="json", include={"table", "features", "label", "task", "classes"}),
        "period": training.bench.period.total_seconds(),
    }
    return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def newest_turn(watermark: datetime, period: timedelta) -> datetime:
    """The last moment of the grid that the data have reached."""
    return _ANCHOR + (watermark - _ANCHOR) // period * period


def due_turns(*, reached: datetime | None, watermark: datetime, policy: EndpointPolicy) -> Sequence[datetime]:
    """Turns that haven't been taken, in order.

    The first run begins `warm_up` periods back, so that its verdict rests on evidence. Turns that were missed are taken one
    after the other; of a gap longer than a judgement looks back only its end is.
    """
    bench = policy.training.bench
    newest = newest_turn(watermark, bench.period)
    first = newest - bench.warm_up * bench.period
    if reached is not None:
        first = max(reached + bench.period, newest - reach(bench) // bench.period * bench.period)
    count = max(0, (newest - first) // bench.period + 1)
    return [first + n * bench.period for n in range(count)]


def schedule_offset(policy: EndpointPolicy) -> timedelta:
    """How long after the multiples of the period since 1970 a run is due on the clock: just after a turn's labels normally
    have arrived.
    """
    period = policy.training.bench.period
    return (_ANCHOR - datetime(1970, 1, 1, tzinfo=UTC) + policy.data.label_delay + timedelta(minutes=5)) % period


def fits_kept_since(*, as_of: datetime, policy: EndpointPolicy) -> datetime:
    """Fits of before meet no rows any more: their periods' labels have come, or won't count."""
    bench = policy.training.bench
    return as_of - max(bench.evidence, LATE * policy.data.label_delay) - bench.period
