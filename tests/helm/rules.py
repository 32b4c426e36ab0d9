"""The metrics that an expression of Prometheus reads, with the labels that it names."""

from promql_parser import AggregateExpr, Expr, MatrixSelector, VectorSelector, parse, walk


def reads(expression: str) -> tuple[set[str], set[str]]:
    """(metrics, labels in selectors and in by); ValueError where it is no expression."""
    metrics: set[str] = set()
    labels: set[str] = set()

    def see(one: Expr) -> None:
        if isinstance(one, AggregateExpr) and one.modifier is not None:
            labels.update(one.modifier.labels)
        selector = one.vector_selector if isinstance(one, MatrixSelector) else one
        if isinstance(selector, VectorSelector):
            metrics.add(str(selector.name))
            labels.update(matcher.name for matcher in selector.matchers.matchers)

    walk(parse(expression), see)
    return metrics, labels
