"""When alerts fire: as soon as their metric was beyond its bound for as long as they say, and not before."""

import re
from typing import Any

import pytest
import yaml
from helm.chart import ROOT
from helm.evaluate import Labels, Stored, fires

RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "docs" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
TARGET = {("job", "tenant"), ("instance", "tenant-worker-1")}
MINUTES = 120


def minutes(rule: dict[str, Any]) -> int:
    return int(rule["for"].removesuffix("m"))


def series(rule: dict[str, Any], beyond: float) -> Stored:
    """What a rule reads, for two hours at its bound and `beyond`: a counter grows by that within its window."""
    name = re.findall(r"muster_\w+", rule["expr"])[0]
    by = re.findall(r"by \(([\w, ]+)\)", rule["expr"])
    labels = {(label, "x") for one in by for label in one.split(", ")} | set(
        re.findall(r'(\w+)="([\w-]+)"', rule["expr"])
    )
    labels = {one for one in labels if one[0] not in dict(TARGET)} | TARGET
    value = float(rule["expr"].split()[-1]) + beyond
    window = re.findall(r"\[(\d+)m\]", rule["expr"])
    grows = value / int(window[0]) if window else 0.0
    values = [minute * grows if window else value for minute in range(MINUTES)]
    return {(name, frozenset(labels)): values}


def fired(rule: dict[str, Any], beyond: float, minute: int) -> set[Labels]:
    return fires(rule, series(rule, beyond), minute)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_fires_once_its_metric_is_beyond_its_bound_for_as_long_as_it_says(rule: dict[str, Any]) -> None:
    equal, counted = "==" in rule["expr"], "increase" in rule["expr"]
    [labels] = fired(rule, 0 if equal else 1, MINUTES - 1)
    said = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert said <= set(dict(labels)), "a summary would have a gap"
    assert fired(rule, 1 if equal else -0.5 if counted else 0, MINUTES - 1) == set(), "within its bound all is well"
    assert fired(rule, 0 if equal else 1, minutes(rule) - 1) == set(), "too early"
    assert fires(rule, {}, MINUTES - 1) == set(), "of nothing"


def test_an_alert_that_stood_down_for_a_minute_begins_anew() -> None:
    [rule] = [one for one in RULES if one["alert"] == "CarrierPassedOver"]
    gauge = ("muster_carriers_failing", frozenset(TARGET))
    values = [1.0] * 4 + [0.0] + [1.0] * 6
    assert [bool(fires(rule, {gauge: values}, minute)) for minute in range(11)] == [False] * 10 + [True]


def test_one_of_two_processes_that_publishes_is_enough_and_each_service_is_looked_at_for_itself() -> None:
    [rule] = [one for one in RULES if one["alert"] == "NobodyPublishes"]

    def leader(job: str, instance: str, value: float) -> Stored:
        labels = frozenset({("job", job), ("instance", instance), ("lane", "small")})
        return {("muster_relay_leader", labels): [value] * 5}

    credit = leader("credit", "a", 0) | leader("credit", "b", 1)
    tenant = leader("tenant", "a", 0) | leader("tenant", "b", 0)
    assert fires(rule, credit | tenant, 4) == {frozenset({("job", "tenant")})}


def test_a_form_of_expression_that_nobody_evaluates_is_an_error() -> None:
    for expression in ("rate(muster_x_total[5m]) > 0", 'max(muster_x{a!="b"}) > 0', "muster_x > muster_y"):
        with pytest.raises((NotImplementedError, AttributeError)):
            fires({"expr": expression, "for": "1m"}, {}, 5)
