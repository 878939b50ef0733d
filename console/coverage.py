"""`coverage`: what a window taken now would hold, before any alarm asks for it."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from console.call import Call, translated
from console.exits import Exit, Refused
from console.inputs import contract, endpoint_name
from console.screen import Answer, lines, utc
from console.temporal import lifecycle_status
from contracts.bench import Judging
from contracts.coverage import LabelDelay
from contracts.fleet import EndpointPolicy
from contracts.snapshot import Coverage, TakeSnapshot
from contracts.training import Tags
from policies.bench_turns import horizons

_FLAGS = {"as_of": "--as-of"}
_DAY = timedelta(days=1)


async def coverage(call: Call) -> Answer:
    """Reads the store as a snapshot would; nothing is kept, and no model is trained."""
    endpoint = endpoint_name(call.given.endpoint)
    status = await lifecycle_status(call, endpoint)
    if status.state.policy is None:
        raise Refused(f"{endpoint} was never configured.", "Apply its fleet file first: `python starter.py apply FILE`.")
    with translated():
        request, found = await asyncio.to_thread(_look, call, endpoint, status.state.policy)
    data = {"endpoint": endpoint, "as_of": utc(request.as_of), **found.model_dump(mode="json")}
    return Answer(data, lines(_told(endpoint, request, found)), Exit.DONE if found.sufficient else Exit.REFUSED)


def _look(call: Call, endpoint: str, policy: EndpointPolicy) -> tuple[TakeSnapshot, Coverage]:
    features, recipe, now = call.platform.features, policy.training.recipe, datetime.now(UTC)
    bench = policy.training.judging is Judging.SHADOW
    request = contract(
        TakeSnapshot,
        _FLAGS,
        key="coverage",
        endpoint=endpoint,
        data=policy.data,
        as_of=call.given.as_of or min(features.watermark(policy.data) or now, now),
        horizons=horizons(policy) if bench else tuple(member.horizon for member in recipe.blended),
        holdout=policy.gate.holdout,
        tags=Tags(endpoint=endpoint, incident="none", team=policy.team, cost_center=policy.cost_center),
        categorical=recipe.learner.categorical,
    )
    return request, features.coverage(request)


def _told(endpoint: str, request: TakeSnapshot, found: Coverage) -> Iterator[str]:
    verdict = found.verdict.value if found.verdict else "unknown"
    yield f"{endpoint}: {verdict}, as of {utc(request.as_of)}"
    if found.window is not None:
        yield f"window    {utc(found.window.start)} to {utc(found.window.end)}"
    yield f"rows      {found.rows:,}, of which {found.labelled:,} with a label, on {found.days} days"
    yield f"labels    {found.label_rate:.1%} of those that are due{_mature(found)}"
    yield from _delay(found.label_delay)
    for finding in found.findings:
        yield f"{finding.weighs.value:<10}{finding.sentence}"


def _mature(found: Coverage) -> str:
    said = f", {found.maturity:.1%} of those that are expected ever" if found.maturity is not None else ""
    return said + (f"; enough are expected by {utc(found.mature_at)}" if found.mature_at else "")


def _delay(delay: LabelDelay | None) -> Iterator[str]:
    if delay is not None and delay.quantiles:
        reached = ", ".join(f"{point.share:.0%} within {_span(point.delay)}" for point in delay.quantiles)
        yield f"delay     {reached}; {delay.ever:.1%} of rows get one at all"


def _span(delay: timedelta) -> str:
    return f"{delay / _DAY:.1f} d" if delay >= _DAY else f"{delay / timedelta(hours=1):.1f} h"
