"""The dashboard for Grafana, from a table: `python tests/helm/dashboard.py` writes it into the chart.

What a panel means is what muster.kit.metrics says of the first metric that it shows.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from helm.chart import CHART
from helm.rules import FAMILIES, reads

FILE = CHART / "files" / "dashboard.json"
_DATASOURCE = {"type": "prometheus", "uid": "$datasource"}
_WIDTH, _HEIGHT, _COLUMNS = 8, 7, 3


@dataclass(frozen=True)
class Panel:
    """A chart: its title, Grafana's name of its unit, and (expression, legend) of each of its lines."""

    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]


def _one(title: str, expression: str, legend: str = "", unit: str = "short") -> Panel:
    return Panel(title, unit, ((expression, legend),))


def _rate(title: str, metric: str, *by: str, unit: str = "ops") -> Panel:
    """How often a second, over all processes."""
    return _one(title, f"sum{_by(by)}(rate({metric}_total[$__rate_interval]))", _legend(by), unit)


def _p99(title: str, metric: str, *by: str) -> Panel:
    """What one in a hundred takes longer than."""
    rate = f"sum{_by(('le', *by))}(rate({metric}_bucket[$__rate_interval]))"
    return _one(title, f"histogram_quantile(0.99, {rate})", _legend(by), "s")


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)}) " if labels else " "


def _legend(labels: tuple[str, ...]) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in labels)


ROWS = {
    "Sending": (
        Panel(
            "SMS parts a second, and what carriers let through",
            "ops",
            (
                ("sum(rate(muster_submits_total[$__rate_interval]))", "written"),
                ("sum(muster_carrier_parts_per_second)", "limit"),
            ),
        ),
        _one("Sends that wait", "max by (reason) (muster_sends_waiting)", "{{reason}}"),
        _one("The oldest of them", "max by (reason) (muster_sends_waiting_oldest_seconds)", "{{reason}}", "s"),
        _rate("Receipts", "muster_receipts", "found"),
        _rate("Single messages", "muster_single_messages"),
        _rate("Answers of HTTP carriers", "muster_carrier_http_answers", "outcome"),
        Panel(
            "Carriers",
            "short",
            (("sum(muster_carrier_bound)", "connections"), ("max(muster_carriers_failing)", "accounts that fail")),
        ),
        _one(
            "Promises of a finish: missed by, one in ten",
            "histogram_quantile(0.9, sum by (le) (rate(muster_finish_promise_error_ratio_bucket[1h])))",
            unit="percentunit",
        ),
        _rate("Replies and other inbound messages", "muster_inbound_messages", "owned"),
    ),
    "What must be 0, and what stops sends": (
        _one("Laws broken", "max by (law) (muster_law_violations)", "{{law}}"),
        _one("Credits lost or made of nothing", "max(muster_ledger_conservation_credits)"),
        _one("Partitions halted", "sum by (group, topic) (muster_consumer_halted)", "{{group}} {{topic}}"),
        Panel(
            "Sends that paused or parked themselves, in an hour",
            "short",
            (
                ("sum(increase(muster_sends_paused_for_errors_total[1h]))", "paused"),
                ("sum(increase(muster_bulks_parked_total[1h]))", "parked"),
            ),
        ),
        _one("Withdrawals of consent that wait", "max by (part) (muster_withdrawals_waiting)", "{{part}}"),
        _one("Suspended", "max by (part) (muster_suspended)", "{{part}}"),
    ),
    "Events": (
        _one("Records behind", "sum by (group, topic) (muster_consumer_lag)", "{{group}} {{topic}}"),
        _one(
            "The oldest fact that is not published",
            "max by (job, lane) (muster_outbox_oldest_seconds)",
            "{{job}} {{lane}}",
            "s",
        ),
        _p99("A batch of events, one in a hundred", "muster_consumer_batch_seconds", "group"),
        _one("Dead letters that wait", "max by (group) (muster_dead_letters_waiting)", "{{group}}"),
        _rate("Batches tried again", "muster_consumer_retries", "group", "cause"),
        _rate("Events that came again", "muster_consumer_duplicates", "group", "cause"),
    ),
    "Requests": (
        _rate("Requests", "muster_http_requests", "job", "status", unit="reqps"),
        _p99("Time of an answer, one in a hundred", "muster_http_seconds", "job"),
        _rate("Refused as too many at once", "muster_http_overloaded", "job"),
        _p99("A connection held, one in a hundred", "muster_tx_seconds", "job", "role"),
        _rate("Sign-ins", "muster_sign_ins", "outcome"),
        _p99("The API behind a page, one in a hundred", "muster_console_api_seconds"),
    ),
    "Processes": (
        _one("Processes", "count by (job, process) (muster_loop_lag_seconds)", "{{job}} {{process}}"),
        _one("Event loop late by", "max by (instance) (muster_loop_lag_seconds)", "{{instance}}", "s"),
        _rate("E-mails", "muster_emails", "outcome"),
        _rate("Rows of imports", "muster_import_rows", "outcome"),
        _rate("Charges", "muster_charges", "outcome"),
        _rate("Schedules started", "muster_schedule_starts", "outcome"),
    ),
}


def text() -> str:
    """The dashboard, as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": _place(0, y, 24, 1)})
        for number, panel in enumerate(row):
            x, down = number % _COLUMNS * _WIDTH, number // _COLUMNS * _HEIGHT
            panels.append(_panel(len(panels) + 1, panel) | {"gridPos": _place(x, y + 1 + down, _WIDTH, _HEIGHT)})
        y += 1 + -(-len(row) // _COLUMNS) * _HEIGHT
    dashboard = {
        "uid": "muster",
        "title": "Muster",
        "tags": ["muster"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_DATASOURCES, _NAMESPACES]},
        "panels": panels,
    }
    return json.dumps(dashboard, indent=1) + "\n"


_DATASOURCES = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
# All of it where Prometheus does not say the namespace.
_NAMESPACES = {
    "name": "namespace",
    "label": "Namespace",
    "type": "query",
    "datasource": _DATASOURCE,
    "query": {"query": "label_values(muster_loop_lag_seconds, namespace)", "refId": "namespaces"},
    "refresh": 2,
    "includeAll": True,
    "allValue": ".*",
}


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    [first, *_] = sorted(reads(panel.lines[0][0].replace("$__rate_interval", "5m"))[0])
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": FAMILIES[first].says,
        "datasource": _DATASOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + at), "expr": _of_namespace(expression), "legendFormat": legend or panel.title}
            for at, (expression, legend) in enumerate(panel.lines)
        ],
    }


def _of_namespace(expression: str) -> str:
    return re.sub(r"(muster_\w+)", r'\1{namespace=~"$namespace"}', expression)


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
