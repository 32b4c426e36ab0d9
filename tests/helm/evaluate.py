"""Whether an alert fires: an evaluator of the forms of expression that ours have, for where promtool is not installed.

Samples come once a minute, as in promtool's tests of rules; any other form is an error, not a guess.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from promql_parser import AggregateExpr, BinaryExpr, Call, Expr, NumberLiteral, VectorSelector, parse, parse_duration

Labels = frozenset[tuple[str, str]]
Stored = Mapping[tuple[str, Labels], Sequence[float]]
"""(metric, labels) -> its value at each minute."""
Vector = dict[Labels, float]


def fires(rule: Mapping[str, Any], stored: Stored, minute: int) -> set[Labels]:
    """The labels with which a rule fires then: its expression has held for them at each minute of its `for`."""
    held_min = int(parse_duration(rule["for"]).total_seconds()) // 60
    expression = parse(rule["expr"])
    if minute < held_min:
        return set()
    held = [set(_vector(expression, stored, at)) for at in range(minute - held_min, minute + 1)]
    return set.intersection(*held)


def _vector(expression: Expr, stored: Stored, minute: int) -> Vector:
    match expression:
        case VectorSelector():
            return {labels: values[minute] for labels, values in _selected(expression, stored) if minute < len(values)}
        case Call() if expression.func.name == "increase":
            return _increase(expression.args[0], stored, minute)
        case Call() if expression.func.name == "absent":
            return _absent(expression.args[0], stored, minute)
        case AggregateExpr():
            return _aggregate(expression, _vector(expression.expr, stored, minute))
        case BinaryExpr() if str(expression.op) == "or":
            return _vector(expression.rhs, stored, minute) | _vector(expression.lhs, stored, minute)
        case BinaryExpr() if isinstance(expression.rhs, NumberLiteral):
            return _compare(expression, _vector(expression.lhs, stored, minute), expression.rhs.val)
    raise NotImplementedError(expression.prettify())


def _selected(selector: VectorSelector, stored: Stored) -> list[tuple[Labels, Sequence[float]]]:
    wanted = [(one.name, _MATCHES[str(one.op)], one.value) for one in selector.matchers.matchers]
    return [
        (labels, values)
        for (name, labels), values in stored.items()
        if name == selector.name and all(match(value, dict(labels).get(label, "")) for label, match, value in wanted)
    ]


_MATCHES: dict[str, Callable[[str, str], object]] = {"MatchOp.Equal": operator.eq, "MatchOp.Re": re.fullmatch}


def _absent(selector: VectorSelector, stored: Stored, minute: int) -> Vector:
    """One with the labels that were asked for, where nothing has them."""
    wanted = frozenset((one.name, one.value) for one in selector.matchers.matchers if str(one.op) == "MatchOp.Equal")
    return {} if _vector(selector, stored, minute) else {wanted: 1.0}


def _increase(matrix: Any, stored: Stored, minute: int) -> Vector:
    """As Prometheus has it: what grew between the samples of the window, stretched to where the window or the series
    begins and ends, and never to before the counter was 0."""
    window_min = int(matrix.range.total_seconds()) // 60
    found = {}
    for labels, values in _selected(matrix.vector_selector, stored):
        first, last = max(0, minute - window_min + 1), min(minute, len(values) - 1)
        seen = values[first : last + 1]
        if len(seen) > 1:
            grown, sampled_min = sum(max(0.0, after - before) for before, after in pairwise(seen)), last - first
            before_min = float(first - (minute - window_min))
            if grown:
                before_min = min(before_min, sampled_min * seen[0] / grown)
            stretched_min = sampled_min + _reach(before_min) + _reach(float(minute - last))
            found[labels] = grown * stretched_min / sampled_min
    return found


def _reach(gap_min: float) -> float:
    """How far beyond a first or last sample a series is taken to go on: a gap of about one interval is no end."""
    return gap_min if gap_min < 1.1 else 0.5


def _aggregate(expression: AggregateExpr, inner: Vector) -> Vector:
    by = set(expression.modifier.labels) if expression.modifier is not None else set()
    groups: dict[Labels, list[float]] = {}
    for labels, value in inner.items():
        groups.setdefault(frozenset(one for one in labels if one[0] in by), []).append(value)
    combine = {"max": max, "sum": sum}[str(expression.op)]
    return {labels: float(combine(values)) for labels, values in groups.items()}


def _compare(expression: BinaryExpr, left: Vector, bound: float) -> Vector:
    holds = {">": lambda value: value > bound, "==": lambda value: value == bound}[str(expression.op)]
    return {labels: value for labels, value in left.items() if holds(value)}
