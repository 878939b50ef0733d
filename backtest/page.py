"""The page of a backtest: plain words first, everything in one file that loads nothing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import activities
from activities.diagnostic_text import name as shown_name
from activities.diagnostic_text import number
from backtest.arms import ARMS, HOMEOSTAT
from backtest.plots import LOOKS, Drawing, inline
from backtest.scoring import SHOWN
from contracts.training import Task
from policies.verdict_words import NAMES

_TEMPLATES: Final = (Path(__file__).parent / "templates", Path(activities.__file__).parent / "templates")
_MOST_ROWS: Final = 200
_MOST_COSTLY: Final = 20
_MOST_NOTES: Final = 60
_TONES: Final = {"better": "promote", "worse": "regress"}
_PROVED: Final = {"right": "better", "wrong": "worse"}


def render(summary: Mapping[str, Any], name: str, plots: list[Drawing]) -> str:
    """HTML; every text from outside is escaped and bounded."""
    task = Task(summary["task"])
    best = summary["best_habit"]
    standing = summary["differences"].get(best, {}).get(summary["primary"], {}).get("standing", "unclear")
    context = {
        "name": shown_name(name),
        "standing": {"better": "better", "worse": "worse"}.get(standing, "no clear difference"),
        "tone": _TONES.get(standing, "inconclusive"),
        "light": _colours("colour"),
        "dark": _colours("dark"),
        "primary": NAMES[summary["primary"]],
        "metrics": [{"name": NAMES[metric]} for metric in SHOWN[task]],
        "arms": [_arm(summary["arms"][arm], arm, task) for arm in ARMS],
        "differences": _differences(summary, task),
        "plots": [{"svg": inline(plot), "caption": plot.caption} for plot in plots],
        "counts": summary["decisions"],
        "slices": [_slice(one) for one in summary["slices"]],
        "notes": [shown_name(note, 400) for note in summary["data"]["notes"][:_MOST_NOTES]],
        "notes_left": max(0, len(summary["data"]["notes"]) - _MOST_NOTES),
        "card": json.dumps(summary["card"], indent=2, ensure_ascii=False),
        "policy": json.dumps(summary["policy"], indent=2, ensure_ascii=False),
        **_decisions(summary["decisions"]["list"]),
        **{key: summary[key] for key in ("sentences", "periods", "compute")},
    }
    loader = FileSystemLoader(_TEMPLATES)
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return made.get_template("backtest.html").render(context)


def _colours(which: str) -> str:
    return " ".join(f"--{arm}: {getattr(look, which)};" for arm, look in LOOKS.items())


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}" if abs(value) < 100 else number(value)  # noqa: PLR2004 - digits enough


def _arm(found: Mapping[str, Any], arm: str, task: Task) -> dict[str, Any]:
    figures = [_figure(found[metric]) for metric in SHOWN[task]]
    recalibrations = found["recalibrations"] if arm == HOMEOSTAT else "–"
    return {
        "name": LOOKS[arm].name,
        "ours": arm == HOMEOSTAT,
        "figures": figures,
        "promotions": found["promotions"],
        "recalibrations": recalibrations,
    }


def _differences(summary: Mapping[str, Any], task: Task) -> list[dict[str, Any]]:
    """The best habit first."""
    best = summary["best_habit"]
    ordered = sorted(summary["differences"], key=lambda habit: habit != best)
    return [
        {
            "habit": LOOKS[habit].name,
            "best": habit == best,
            "lines": [{"name": NAMES[metric], **_difference(found[metric])} for metric in SHOWN[task]],
        }
        for habit in ordered
        if (found := summary["differences"][habit])
    ]


def _difference(found: Mapping[str, Any]) -> dict[str, str]:
    if found["low"] is None:
        return {"difference": _signed(found["difference"]), "interval": "–", "standing": "too few days to tell"}
    return {
        "difference": _signed(found["difference"]),
        "interval": f"{_signed(found['low'])} to {_signed(found['high'])}",
        "standing": found["standing"],
    }


def _signed(value: float | None) -> str:
    if value is None:
        return "?"
    digits = f"{abs(value):.4f}" if abs(value) >= 0.001 or value == 0 else f"{abs(value):.2g}"  # noqa: PLR2004 - else only zeros
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{digits}"


def _slice(one: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": shown_name(f"{one['feature']} = {one['value']}"), "rows": f"{one['rows']:,}", **_difference(one)}


def _decisions(lines: list[dict[str, Any]]) -> dict[str, Any]:
    promoted = [_decision(one) for one in lines if one["action"] == "promotion"]
    wrong = [one for one in lines if one["action"] == "hold" and one["hindsight"] == "wrong"]
    costly = sorted(wrong, key=lambda one: one["hindsight_gain"])[:_MOST_COSTLY]
    return {"promoted": promoted[-_MOST_ROWS:], "costly": [_decision(one, turned=True) for one in costly]}


def _decision(one: Mapping[str, Any], *, turned: bool = False) -> dict[str, str]:
    gain, low, high = (one[f"hindsight_{end}"] for end in ("gain", "low", "high"))
    if turned and None not in (gain, low, high):
        gain, low, high = -gain, -high, -low
    shown = "–" if gain is None else f"{_signed(gain)} [{_signed(low)}, {_signed(high)}]"
    return {
        "at": one["at"][:10],
        "hindsight": one["hindsight"] or "nothing with a label followed",
        "tone": _PROVED.get(one["hindsight"] or "", ""),
        "gain": shown,
        "why": shown_name(one["why"], 600),
    }
