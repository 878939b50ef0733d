"""The page behind the link in a notice: why the gate said what it said, for somebody woken at night.

One self-contained HTML file, no script, nothing loaded from elsewhere; the same evidence gives the same bytes, since
evidence files are written under names that may be written again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contracts.evaluation import Comparison, Evidence, GateKind, Judgement
from contracts.snapshot import Snapshot, Window
from policies.bootstrap import least_t
from policies.paired import PairedScores
from policies.verdict_words import NAMES, number, percent

_TEMPLATES = Path(__file__).parent / "templates"
_MINUTE = "%Y-%m-%d %H:%M"

MEANINGS = {
    "log_loss": "How surprised the model was by what happened. Lower is better.",
    "brier": "Mean squared error of the probability. Lower is better.",
    "accuracy": "Share of right answers at the endpoint's threshold.",
    "recall": "Share of the rows with label 1 that were found.",
    "auc": "Chance that a row with label 1 scores above one with label 0.",
    "calibration_error": "How far scores lie from what really happened. Lower is better.",
    "worst_day_log_loss": "Log loss of the model's worst day. Lower is better.",
}


@dataclass(frozen=True)
class Line:
    """One line of a table, ready to be read."""

    name: str
    meaning: str
    challenger: str
    champion: str
    gain: str
    interval: str
    margin: str
    result: str
    failed: bool = False


@dataclass(frozen=True)
class Demand:
    """Something the gate wanted, and what it found."""

    name: str
    wanted: str
    found: str
    held: bool


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
) -> dict[str, bytes]:
    """'report.html' and 'judgement.json', UTF-8. Text from outside (alarms, names) is escaped.

    matplotlib is imported here and not above: only a process that draws a page pays for it.
    """
    from activities.diagnostic_plots import plots

    page = (
        _environment()
        .get_template("report.html")
        .render(
            judgement=judgement,
            rival=_rival(evidence),
            lines=[_line(c, judgement) for c in judgement.comparisons],
            replay_lines=[_line(c, judgement) for c in judgement.replay],
            demands=list(_demands(judgement, len(replay))),
            churn=list(_churn(judgement, len(replay))),
            plots=plots(holdout),
            facts=list(_facts(judgement, evidence, snapshot)),
            query=snapshot.query if snapshot else "",
            policy=judgement.policy.model_dump_json(indent=2),
            endpoint=endpoint,
            incident=incident,
            alarms=alarms,
        )
    )
    return {"report.html": page.encode(), "judgement.json": f"{judgement.model_dump_json(indent=2)}\n".encode()}


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _rival(evidence: Evidence) -> str:
    return "champion" if evidence.champion else "base rate"


def _line(compared: Comparison, judgement: Judgement) -> Line:
    result = _result(compared, judgement)
    return Line(
        name=NAMES[compared.metric],
        meaning=MEANINGS[compared.metric],
        challenger=number(compared.challenger),
        champion=number(compared.champion),
        gain=_signed(compared.gain),
        interval=f"{_signed(compared.low)} to {_signed(compared.high)}",
        margin="" if compared.margin is None else number(compared.margin),
        result=result,
        failed=not compared.held,
    )


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{number(abs(value))}"


def _result(compared: Comparison, judgement: Judgement) -> str:
    if compared.metric == judgement.primary:
        return "primary: decides"
    if compared.metric in {"log_loss", "brier"}:
        return "has to gain, too"
    if compared.margin is None:
        return "for information"
    return "guard holds" if compared.held else "guard fails: worse by more than its margin"


def _demands(judgement: Judgement, replayed: int) -> Iterator[Demand]:
    """The declared minimum of the gate, line by line."""
    policy = judgement.policy
    wanted = policy.refresh if judgement.kind is GateKind.REFRESH else policy.strict
    yield Demand("rows with a label", f"{policy.min_rows:,}", f"{judgement.rows:,}", judgement.rows >= policy.min_rows)
    yield Demand("days", f"{policy.min_days:,}", f"{judgement.days:,}", judgement.days >= policy.min_days)
    for name, least in (("log_loss", wanted.log_loss_gain), ("brier", wanted.brier_gain)):
        if compared := judgement.metric(name):
            relative = compared.gain / max(compared.champion, 1e-9)
            yield Demand(f"gain in {NAMES[name]}", percent(least), percent(relative), relative >= least)
    if judgement.days > 1:
        steady = least_t(wanted.t, judgement.days)
        yield Demand("steadiness of the gain over days (t)", f"{steady:.2f}", f"{judgement.t:.2f}", judgement.t >= steady)
    shift = judgement.stability.get("replay_score_shift")
    if shift is not None and replayed >= policy.min_rows:
        yield Demand("score shift, at most", number(policy.max_score_shift), number(shift), shift <= policy.max_score_shift)


def _churn(judgement: Judgement, replayed: int) -> Iterator[str]:
    """Stability in sentences."""
    found = judgement.stability
    if "harmful_flips" in found:
        yield (
            f"On the compared rows the challenger gets {percent(found['harmful_flips'])} wrong that the champion got right, "
            f"and {percent(found['beneficial_flips'])} right that the champion got wrong."
        )
    if "replay_disagreement" in found:
        yield (
            f"On {replayed:,} replayed live requests it would have answered {percent(found['replay_disagreement'])} differently; "
            f"its scores shift by {number(found['replay_score_shift'])} (stability index; above 0.25 is a clear change)."
        )
    if judgement.refit:
        yield f"What would ship is the challenger's recipe fitted again on all labels: {judgement.refit.sentence}"


def _facts(judgement: Judgement, evidence: Evidence, snapshot: Snapshot | None) -> Iterator[tuple[str, str]]:
    """What an auditor needs to take the comparison again."""
    yield "gate", judgement.kind.value
    yield "rows compared", _window(evidence.compared)
    if snapshot:
        yield "snapshot", _window(snapshot.window)
        yield "known as of", f"{snapshot.as_of:{_MINUTE}} UTC"
        yield "training rows end", f"{snapshot.cut:{_MINUTE}} UTC"
        yield "snapshot SHA-256", snapshot.fingerprint
    yield "evidence SHA-256", evidence.digest
    yield "champion", evidence.champion or "none yet: the constant base rate stands in"
    yield "challenger", evidence.challenger
    if evidence.refit:
        yield "refit, which would ship", evidence.refit
    yield "replayed requests", f"{evidence.replay_rows:,}, of which {evidence.replay_labelled:,} with a label"


def _window(window: Window) -> str:
    return f"{window.start:{_MINUTE}} to {window.end:{_MINUTE}} UTC"
