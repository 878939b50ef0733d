"""What an alarm looks at: series of its metrics, expressions over them, the band of what is usual, rules over other alarms."""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from tests.aws.calls import Refusal
from tests.aws.metrics import METRICS

Series = dict[datetime, float]
Band = dict[datetime, tuple[float, float]]
_LEARNT = timedelta(days=14)
_FEWEST = 10
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def dimensions_of(listed: Any) -> dict[str, str]:
    return {d["Name"]: d["Value"] for d in listed or ()}


def metric_series(metric: Mapping[str, Any], stat: str, period: int, start: datetime, end: datetime) -> Series:
    named = metric["Namespace"], metric["MetricName"], dimensions_of(metric.get("Dimensions"))
    try:
        return dict(METRICS.series(*named, start, end, period=period, stat=stat))
    except ValueError as error:
        raise Refusal("ValidationError", str(error)) from None


def expression_series(expression: str, known: Mapping[str, Series]) -> Series:
    """`+ - * /` over ids and numbers, IF-less and without functions: others are refused when the alarm is put."""
    return _value(parsed(expression), known)


def parsed(expression: str) -> ast.expr:
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise Refusal("ValidationError", f"Invalid metrics list: {expression!r} can't be parsed") from None
    for node in ast.walk(tree):
        if not isinstance(node, ast.BinOp | ast.Name | ast.Constant | ast.operator | ast.expr_context):
            raise Refusal("NotSimulated", f"metric math of {expression!r} is not simulated", 501)
    return tree


def _value(node: ast.expr, known: Mapping[str, Series]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return known.get(node.id, {})
    assert isinstance(node, ast.BinOp)
    left, right = _value(node.left, known), _value(node.right, known)
    moments = [set(side) for side in (left, right) if isinstance(side, dict)]
    if not moments:
        return _OPERATORS[type(node.op)](left, right)
    found: Series = {}
    for at in sorted(set.intersection(*moments)):
        a, b = (side[at] if isinstance(side, dict) else side for side in (left, right))
        if not (isinstance(node.op, ast.Div) and b == 0):  # CloudWatch gives no data point there
            found[at] = _OPERATORS[type(node.op)](a, b)
    return found


BAND = re.compile(r"ANOMALY_DETECTION_BAND\((\w+)(?:,\s*([\d.]+))?\)")


def band(metric: Callable[[datetime, datetime], Series], width: float, start: datetime, end: datetime) -> Band:
    """Learnt from the two weeks before what is judged; too few points make no band."""
    past = [value for at, value in metric(start - _LEARNT, start).items() if at < start]
    if len(past) < _FEWEST:
        return {}
    middle, spread = float(np.mean(past)), max(float(np.std(past)), 1e-9)
    return dict.fromkeys(metric(start, end), (middle - width * spread, middle + width * spread))


_TOKEN = re.compile(r'\s*(AND|OR|NOT|TRUE|FALSE|\(|\)|(?:ALARM|OK|INSUFFICIENT_DATA)\(\s*(?:"[^"]*"|[^)"]*?)\s*\))')


class Rule:
    """A composite alarm's `AlarmRule`: ALARM(name), OK(name), INSUFFICIENT_DATA(name), AND, OR, NOT, brackets."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        position = 0
        while text[position:].strip():
            found = _TOKEN.match(text, position)
            if found is None:
                raise Refusal("ValidationError", f"Error parsing rule expression at {text[position : position + 20]!r}")
            self._tokens.append(found[1])
            position = found.end()
        self.children = list(filter(None, (_reference(token)[1] for token in self._tokens)))
        self.holds(dict.fromkeys(self.children, "OK"))

    def holds(self, states: Mapping[str, str]) -> bool:
        left = list(self._tokens)
        value = self._any(left, states)
        if left:
            raise Refusal("ValidationError", f"Error parsing rule expression at {left[0]!r}")
        return value

    def _any(self, left: list[str], states: Mapping[str, str]) -> bool:
        value = self._all(left, states)
        while left and left[0] == "OR":
            left.pop(0)
            value = self._all(left, states) or value
        return value

    def _all(self, left: list[str], states: Mapping[str, str]) -> bool:
        value = self._one(left, states)
        while left and left[0] == "AND":
            left.pop(0)
            value = self._one(left, states) and value
        return value

    def _one(self, left: list[str], states: Mapping[str, str]) -> bool:
        if not left:
            raise Refusal("ValidationError", "Error parsing rule expression: it ends too early")
        token = left.pop(0)
        if token == "NOT":
            return not self._one(left, states)
        if token == "(":
            value = self._any(left, states)
            if not left or left.pop(0) != ")":
                raise Refusal("ValidationError", "Error parsing rule expression: a bracket is not closed")
            return value
        if token in ("TRUE", "FALSE"):
            return token == "TRUE"
        state, name = _reference(token)
        if not name:
            raise Refusal("ValidationError", f"Error parsing rule expression at {token!r}")
        return states.get(name) == state


def _reference(token: str) -> tuple[str, str]:
    state, bracket, rest = token.partition("(")
    if not bracket or not state:
        return token, ""
    return state, rest.rstrip(")").strip().strip('"').rpartition(":alarm:")[2]
