"""Every metric is in one place and used, and every setting has a bound and says its unit."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from muster.kit import metrics
from muster.local.routes import SERVICES

ROOT = Path(__file__).resolve().parents[2]
CODE = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for folder in ("libs", "services")
    for path in (ROOT / folder).glob("*/muster/**/*.py")
}
METRICS = {name: one for name, one in vars(metrics).items() if isinstance(one, MetricWrapperBase)}
LABELS = {
    "method", "route", "status", "reason", "outcome", "part", "law", "role", "lane", "topic", "group", "cause", "type",
    "partition", "found", "owned",
}  # fmt: skip
UNITS = {
    "ms", "s", "min", "h", "d", "days", "bytes", "bits", "rows", "chunks", "parts", "max", "shown", "generation",
    "port", "backlog", "second", "once", "window", "kib", "rounds", "ratio",
}  # fmt: skip
FIELDS = {
    name: field
    for service in SERVICES
    for name, field in getattr(
        import_module(f"muster.{service}.settings"), f"{service.capitalize()}Settings"
    ).model_fields.items()
    if field.annotation in (int, float)
}


def test_metrics_are_made_in_one_place_and_served_in_one() -> None:
    reached = {path for path, text in CODE.items() if re.search(r"^\s*(import|from) prometheus_client", text, re.M)}
    assert reached == {"libs/kit/muster/kit/metrics.py", "libs/kit/muster/kit/health.py"}


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_has_its_meaning_is_used_and_its_labels_are_no_person_s(name: str) -> None:
    metric = METRICS[name]
    assert metric._name == f"muster_{name}"
    assert metric._documentation.endswith(".")
    assert set(metric._labelnames) <= LABELS
    users = [path for path, text in CODE.items() if re.search(rf"\b{name}\b", text) and "metrics.py" not in path]
    assert users


@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_that_is_a_number_has_a_lower_bound_and_says_its_unit(name: str) -> None:
    bounds = {type(bound).__name__ for bound in FIELDS[name].metadata}
    assert bounds & {"Ge", "Gt"}
    assert UNITS & set(name.split("_")[-2:])
