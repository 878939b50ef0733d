"""The short page that a run leaves: what happened, every incident with its verdict, the figures."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from demo.incidents import Incident
from demo.summary import Claim, Summary

WAYS = (("never", "never retrained"), ("weekly", "retrained weekly, not judged"), ("homeostat", "homeostat"))
MEASURES = (
    ("accuracy", "accuracy", True),
    ("recall", "recall", True),
    ("auc", "AUC", True),
    ("brier", "Brier", False),
    ("log_loss", "log loss", False),
)


def render(summary: Summary, claims: Sequence[Claim], incidents: Sequence[Incident]) -> bytes:
    """HTML that needs nothing but the files beside it."""
    pages = Environment(
        loader=PackageLoader("demo"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = pages.get_template("index.html.j2")
    best = {name: _best(summary, name, higher) for name, _, higher in MEASURES}
    return page.render(summary=summary, claims=claims, incidents=incidents, ways=WAYS, measures=MEASURES, best=best).encode()


def _best(summary: Summary, measure: str, higher: bool) -> str:
    """Which of the three is best in a measure."""
    choose = max if higher else min
    return choose(summary.metrics, key=lambda way: float(getattr(summary.metrics[way], measure)))
