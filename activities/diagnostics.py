"""The page behind the link in a notice: why the gate said what it said, for somebody woken at night.

One self-contained HTML file, no script, nothing loaded from elsewhere; the same evidence gives the same bytes, since
evidence files are written under names that may be written again.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from activities import diagnostic_changes as data_changes
from activities import diagnostic_flips as answers
from activities import diagnostic_tables as tables
from activities.diagnostic_rows import BenchPeriod, ReportRows
from activities.diagnostic_text import MINUTE, name, number, percent
from contracts import commands
from contracts.evaluation import Evidence, Judgement
from contracts.snapshot import Retrieval, Snapshot, Window
from policies.paired import PairedScores
from policies.verdict_words import BASELINES, NAMES

_TEMPLATES = Path(__file__).parent / "templates"
_MOST_QUERY = 20_000
_MOST_ALARMS = 20
_MOST_REASONS = 60
_MOST_BENCH = 60


def render(
    *,
    judgement: Judgement,
    evidence: Evidence,
    snapshot: Snapshot | None,
    holdout: PairedScores,
    replay: PairedScores,
    endpoint: str,
    incident: str,
    alarms: Sequence[str],
    threshold: float = 0.5,
    classes: Sequence[str] = (),
    rows: ReportRows | None = None,
    bench: Sequence[BenchPeriod] = (),
    lineage: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> dict[str, bytes]:
    """'report.html' and 'judgement.json', UTF-8. Text from outside (alarms, names, values) is escaped and bounded.

    `rows` brings features, in the order of the scores; `bench` the shadow bench's record, oldest first; `lineage` more lines
    of what an auditor needs (versions, recipe, record digest). matplotlib is imported here and not above: only a process that
    draws a page pays for it.
    """
    reading = answers.Reading(threshold, tuple(classes), judgement.policy.churn_noise)
    rival = "champion" if evidence.champion else BASELINES[judgement.task]
    shifts = data_changes.shifts(rows)
    context = {
        "judgement": judgement,
        "endpoint": name(endpoint),
        "incident": name(incident),
        "alarms": [name(alarm, 300) for alarm in alarms[:_MOST_ALARMS]],
        "reasons": judgement.reasons[:_MOST_REASONS],
        "rival": rival,
        "primary": NAMES.get(judgement.primary, judgement.primary),
        "commands": _commands(judgement, endpoint, incident),
        "coverage": list(_coverage(snapshot, notes)),
        "confusions": answers.confusions(holdout, reading, rival),
        "flips": answers.flips(holdout, rows, reading),
        "threshold": threshold,
        "facts": list(_facts(judgement, evidence, snapshot, lineage or {})),
        "query": _cut(snapshot.query) if snapshot else "",
        "policy": judgement.policy.model_dump_json(indent=2),
        **_compared(judgement, len(replay)),
        **_data(rows, shifts, judgement, classes),
        **_bench(bench),
        "plots": _drawings(judgement, holdout, rival, shifts, bench),
    }
    page = _environment().get_template("report.html").render(context)
    return {"report.html": page.encode(), "judgement.json": f"{judgement.model_dump_json(indent=2)}\n".encode()}


def _data(
    rows: ReportRows | None, shifts: Sequence[data_changes.Shift], judgement: Judgement, classes: Sequence[str]
) -> dict[str, object]:
    """What changed in the data; of the shifts those that a page can hold."""
    return {
        "changes": data_changes.changes(rows, judgement.task, tuple(classes)),
        "shifts": shifts[: data_changes.MOST_FEATURES],
        "shifts_left": max(0, len(shifts) - data_changes.MOST_FEATURES),
        "lacking": rows.lacking if rows else (),
    }


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "percent": percent}
    return environment


def _compared(judgement: Judgement, replayed: int) -> dict[str, Any]:
    """The tables about the comparison."""
    slices = tables.slice_lines(judgement)
    return {
        "lines": tables.lines(judgement.comparisons, judgement),
        "replay_lines": tables.lines(judgement.replay, judgement),
        "demands": list(tables.gate_demands(judgement, replayed)),
        "slices": slices[: tables.SHOWN_SLICES],
        "more_slices": slices[tables.SHOWN_SLICES :],
        "small_slices": tables.small_slices(judgement),
        "churn": list(tables.churn(judgement, replayed)),
        "estimates": list(tables.estimates(judgement)),
    }


def _bench(periods: Sequence[BenchPeriod]) -> dict[str, Any]:
    """The newest periods as a table beside the plot of all."""
    shown = periods[-_MOST_BENCH:]
    series = list(dict.fromkeys(each for period in shown for each in period.loss))
    losses = [(f"{p.start:%Y-%m-%d}", f"{p.rows:,}", [number(p.loss[s]) if s in p.loss else "" for s in series]) for p in shown]
    return {"bench_series": [name(each, 20) for each in series], "bench_rows": losses, "bench_periods": len(periods)}


def _drawings(
    judgement: Judgement,
    holdout: PairedScores,
    rival: str,
    shifts: Sequence[data_changes.Shift],
    bench: Sequence[BenchPeriod],
) -> dict[str, Any]:
    """Plots by name; what there is nothing to draw of is None."""
    from activities import diagnostic_charts as charts
    from activities.diagnostic_plots import score_plots

    return {
        "daily": None,
        "calibration": None,
        "scores": None,
        **score_plots(holdout, judgement, rival),
        "gains": charts.gains(judgement),
        "slices": charts.slices(judgement),
        "features": charts.features(shifts),
        "bench": charts.bench(bench, judgement.primary),
    }


def _commands(judgement: Judgement, endpoint: str, incident: str) -> dict[str, str]:
    """As the notice writes them; a promotion that asks nobody leaves only the way back."""
    typed = commands.decisions(endpoint, incident, judgement.evidence)
    typed["take it again, once it is recorded"] = commands.reproduction(endpoint, incident)
    return typed


def _coverage(snapshot: Snapshot | None, notes: Sequence[str]) -> Iterator[str]:
    """What the snapshot's own look at the window found."""
    yield from (name(note, 500) for note in notes[:_MOST_ALARMS])
    if snapshot is None:
        return
    found = snapshot.coverage
    if found.verdict is None:
        for short in found.short:
            yield f"Short of {name(short.what)}: {number(short.found)} of at least {number(short.wanted)}."
    for finding in found.findings:
        yield name(finding.sentence, 300)
    if found.maturity is not None:
        yield f"Of all labels that are expected ever to come to these rows, {found.maturity:.1%} had arrived."


def _facts(
    judgement: Judgement, evidence: Evidence, snapshot: Snapshot | None, lineage: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """What an auditor needs to take the comparison again."""
    policy = judgement.policy
    yield "gate", f"{judgement.kind.value}, rule {policy.rule.value}, blocks of a {policy.block}"
    yield "rows compared", _window(evidence.compared)
    if snapshot:
        yield "snapshot", _window(snapshot.window)
        yield "known as of", f"{snapshot.as_of:{MINUTE}} UTC"
        yield "training rows end", f"{snapshot.cut:{MINUTE}} UTC"
        yield "snapshot SHA-256", snapshot.fingerprint
        if snapshot.retrieval:
            yield "retrieval", _retrieved(snapshot.retrieval)
    yield "evidence SHA-256", evidence.digest
    yield "champion", evidence.champion or f"none yet: the constant {BASELINES[judgement.task]} stands in"
    yield "challenger", evidence.challenger
    if evidence.refit:
        yield "refit, which would ship", evidence.refit
    yield "replayed requests", f"{evidence.replay_rows:,}, of which {evidence.replay_labelled:,} compared by label"
    yield "seed of the intervals", f"{policy.seed}, {policy.resamples:,} draws"
    yield from ((name(key), name(text, 200)) for key, text in lineage.items())


def _retrieved(found: Retrieval) -> str:
    query = f", query {found.query_id}" if found.query_id else ""
    return f"{found.source} by {found.engine}{query}: {found.scanned_bytes:,} bytes scanned, ${found.cost_usd:.6f}"


def _window(window: Window) -> str:
    return f"{window.start:{MINUTE}} to {window.end:{MINUTE}} UTC"


def _cut(text: str) -> str:
    return (
        text
        if len(text) <= _MOST_QUERY
        else f"{text[:_MOST_QUERY]}\n... {len(text) - _MOST_QUERY:,} more characters in the record"
    )
