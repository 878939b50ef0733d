"""Figures and foreign names as the report writes them."""

import unicodedata

import numpy as np

from policies.verdict_words import number, percent

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_NAME = 60
DAY = "%Y-%m-%d"
MINUTE = "%Y-%m-%d %H:%M"


def signed(value: float) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{number(abs(value))}"


def name(text: object, most: int = _NAME) -> str:
    """One line of text from outside: what could hide or turn it is written out, and it is cut where nobody reads on."""
    seen = "".join(ascii(c)[1:-1] if unicodedata.category(c) in _UNSEEN else c for c in str(text)[: 2 * most])
    return seen if len(seen) <= most else f"{seen[: most - 1]}…"


def value(given: float) -> str:
    """A feature's value; a whole number without decimals."""
    if np.isnan(given):
        return "missing"
    return f"{given:,.0f}" if abs(given) < 1e15 and float(given).is_integer() else f"{given:.5g}"  # noqa: PLR2004 - beyond it a float counts no units


def day(number_of_day: int) -> str:
    """Days since 1970 as a date."""
    return str(np.datetime64(int(number_of_day), "D"))


__all__ = ["DAY", "MINUTE", "day", "name", "number", "percent", "signed", "value"]
