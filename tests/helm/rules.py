"""What Prometheus stores of the metrics of muster.kit.metrics, and what an expression reads of it."""

from dataclasses import dataclass

from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase
from promql_parser import AggregateExpr, Expr, MatrixSelector, VectorSelector, parse, walk

from muster.kit import metrics


@dataclass(frozen=True)
class Family:
    """A name as Prometheus has it, with its labels and its meaning."""

    labels: frozenset[str]
    says: str


def _families() -> dict[str, Family]:
    found = {}
    for one in vars(metrics).values():
        if isinstance(one, MetricWrapperBase):
            suffix = {Counter: "_total", Histogram: "_bucket"}.get(type(one), "")
            more = {"le"} if isinstance(one, Histogram) else set()
            found[one._name + suffix] = Family(frozenset(one._labelnames) | more, one._documentation)
    return found


TARGET = frozenset({"job", "process", "instance", "namespace"})
"""What Prometheus itself says of whom it asked."""
FAMILIES = _families() | {"up": Family(TARGET, "1 where Prometheus was answered when it last asked, else 0.")}


def reads(expression: str) -> tuple[set[str], set[str]]:
    """(metrics, labels in selectors and in by); ValueError where it is no expression."""
    names: set[str] = set()
    labels: set[str] = set()

    def see(one: Expr) -> None:
        if isinstance(one, AggregateExpr) and one.modifier is not None:
            labels.update(one.modifier.labels)
        selector = one.vector_selector if isinstance(one, MatrixSelector) else one
        if isinstance(selector, VectorSelector):
            names.add(str(selector.name))
            labels.update(matcher.name for matcher in selector.matchers.matchers)

    walk(parse(expression), see)
    return names, labels
