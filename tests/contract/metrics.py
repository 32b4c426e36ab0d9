"""Makes docs/metrics.md from muster.kit.metrics, the alerts and the dashboard: `python tests/contract/metrics.py`."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from muster.kit import metrics

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "metrics.md"
_SOURCE = Path(metrics.__file__)
_ALERTS = ROOT / "docs" / "alerts.yaml"
_DASHBOARD = ROOT / "deploy" / "helm" / "muster" / "files" / "dashboard.json"
_KINDS = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
# By the last words of a name; what has none of them is a number of what its meaning says.
_UNITS = {
    "_per_second": "parts a second",
    "_seconds": "seconds",
    "_bytes": "bytes",
    "_credits": "credits",
    "_ratio": "share of 1",
}
_COLUMNS = ("metric", "kind", "unit", "labels", "meaning", "alerts", "panels")
_BEFORE = """# Metrics

Every process answers `GET /metrics` at its port of health (9000) in Prometheus's text format; [helm.md](helm.md) says
how a cluster's Prometheus finds them. Beside those below come what the Python client itself counts of a process
(`process_*`, `python_*`) and, from Prometheus, `up`. No label holds a number, a text, a tenant or an id. A counter
only grows until its process ends: look at its rate. A histogram is stored as `_bucket`, `_sum` and `_count`. An alert
links to what to do; the last column names the panels of the dashboard.

This page is made from the code (`libs/kit/muster/kit/metrics.py`, the one place where metrics are named; `python
tests/contract/metrics.py`), and a test holds it to that.
"""


class Metric(NamedTuple):
    """A row: its name as Prometheus stores it, and what the code says of it."""

    section: str
    name: str
    kind: str
    unit: str
    labels: tuple[str, ...]
    says: str


def named() -> Iterator[Metric]:
    """Every metric, in the order of the file."""
    section = ""
    for line in _SOURCE.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"# --- (.+) ---", line):
            section = match[1]
        elif match := re.match(r"(\w+) = (?:Counter|Gauge|Histogram)\(", line):
            yield _metric(section, getattr(metrics, match[1]))


def _metric(section: str, one: MetricWrapperBase) -> Metric:
    kind = _KINDS[type(one)]
    name = one._name + ("_total" if kind == "counter" else "")
    return Metric(section, name, kind, unit(one._name, one._documentation), tuple(one._labelnames), one._documentation)


def unit(name: str, says: str) -> str:
    """What a value of a metric is a number of."""
    if says.startswith("1 while"):
        return "0 or 1"
    return next((words for ending, words in _UNITS.items() if name.endswith(ending)), "a number")


def text() -> str:
    """The page as it is committed."""
    lines, section = [_BEFORE.rstrip("\n")], ""
    for one in named():
        if one.section != section:
            section = one.section
            lines += ["", f"## {section}", "", f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
        labels = ", ".join(f"`{label}`" for label in one.labels)
        alerts = ", ".join(f"[{alert}](runbook.md#{alert.lower()})" for alert in _readers(one.name, _alerts()))
        panels = "; ".join(_readers(one.name, _panels()))
        says = one.says.replace("|", "\\|")
        lines.append(f"| `{one.name}` | {one.kind} | {one.unit} | {labels} | {says} | {alerts} | {panels} |")
    return "\n".join(lines) + "\n"


def _readers(name: str, expressions: list[tuple[str, str]]) -> list[str]:
    reads = re.compile(rf"\b{name}(?:_bucket|_sum|_count)?\b")
    return list(dict.fromkeys(who for who, expression in expressions if reads.search(expression)))


@cache
def _alerts() -> list[tuple[str, str]]:
    groups = yaml.safe_load(_ALERTS.read_text(encoding="utf-8"))["groups"]
    return [(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]


@cache
def _panels() -> list[tuple[str, str]]:
    panels = json.loads(_DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", [])]


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
