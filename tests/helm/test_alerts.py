"""When alerts fire: as soon as their metric was beyond its bound for as long as they say, and not before."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm.chart import ROOT
from helm.evaluate import Labels, Stored, fires
from helm.test_chart import MONITORED

ALL: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "docs" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
RULES = [rule for rule in ALL if "up{" not in rule["expr"]]
"""Those that read one metric of ours beside a bound."""
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


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_prometheus_itself_says_of_every_alert_what_the_evaluator_says(tmp_path: Path) -> None:
    # Without annotations: a test of promtool would have to repeat every sentence.
    bare = [{key: value for key, value in rule.items() if key != "annotations"} for rule in ALL]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": bare}]}))
    tests = [asked(rule, series(rule, 0 if "==" in rule["expr"] else 1)) for rule in RULES]
    tests += [
        asked(rule, running("credit-worker") | up("credit", "worker", 1, 0, 0)) for rule in ALL if rule not in RULES
    ]
    written = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(written))
    done = subprocess.run(
        ["promtool", "test", "rules", "tests.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def asked(rule: dict[str, Any], stored: Stored) -> dict[str, Any]:
    """A test of promtool: these samples, and at some minutes what the evaluator says of this rule."""
    moments = [minutes(rule) - 1, minutes(rule), minutes(rule) + 2, 18]
    return {
        "interval": "1m",
        "input_series": [
            {
                "series": f"{name}{{{', '.join(f'{label}={json.dumps(value)}' for label, value in sorted(labels))}}}",
                "values": " ".join(f"{value:.15g}" for value in values) + " stale",
            }
            for (name, labels), values in stored.items()
        ],
        "alert_rule_test": [
            {
                "eval_time": f"{minute}m",
                "alertname": rule["alert"],
                "exp_alerts": [{"exp_labels": dict(one) | rule["labels"]} for one in fires(rule, stored, minute)],
            }
            for minute in moments
        ],
    }


def up(job: str, process: str, *values: float) -> Stored:
    """What Prometheus says of a target for as many minutes: 1 up, 0 down; then it has gone."""
    labels = {("job", job), ("process", process), ("instance", f"{job}-{process}-{id(values)}")}
    return {("up", frozenset(labels)): values}


def of_targets(alert: str, stored: Stored, minute: int) -> list[tuple[str, str]]:
    """(job, process) of each that an alert names then."""
    [rule] = [one for one in ALL if one["alert"] == alert]
    named = [dict(labels) for labels in fires(rule, stored, minute)]
    return sorted((one["job"], one["process"]) for one in named)


def running(*but: str, minutes: int = 20) -> Stored:
    """Every process up, but those."""
    stored: dict[Any, Any] = {}
    for name, job in MONITORED.items():
        if name not in but:
            stored |= up(job, name.removeprefix(f"{job}-"), *[1.0] * minutes)
    return stored


def test_while_every_process_answers_no_alert_speaks_of_any() -> None:
    for alert in ("ProcessDown", "EveryProcessDown", "ProcessAbsent"):
        assert [of_targets(alert, running(), minute) for minute in range(20)] == [[]] * 20


def test_a_process_that_is_down_for_five_minutes_is_told_and_none_sooner_nor_when_it_is_up_again() -> None:
    stored = running() | up("credit", "worker", 1, 1, 0, 0, 0, 0, 0, 0, 1, 1)
    told = [of_targets("ProcessDown", stored, minute) for minute in range(10)]
    assert told == [[]] * 7 + [[("credit", "worker")]] + [[]] * 2
    assert of_targets("EveryProcessDown", stored, 7) == [], "another of its kind is up"


def test_when_all_of_a_kind_are_down_somebody_is_called_after_two_minutes_and_not_before() -> None:
    down = (1, 0, 0, 0, 0)
    stored = running("dispatch-sender") | up("dispatch", "sender", *down) | up("dispatch", "sender", *(0, *down[1:]))
    told = [of_targets("EveryProcessDown", stored, minute) for minute in range(5)]
    assert told == [[], [], [], [("dispatch", "sender")], [("dispatch", "sender")]]


@pytest.mark.parametrize("name", MONITORED)
def test_a_process_that_prometheus_does_not_find_is_told_after_five_minutes_and_not_before(name: str) -> None:
    job = MONITORED[name]
    process = name.removeprefix(f"{job}-")
    stored = running(name) | up(job, process, 1, 1, 1)  # and then its target has gone
    told = [of_targets("ProcessAbsent", stored, minute) for minute in range(12)]
    assert told == [[]] * 8 + [[(job, process)]] * 4
    assert of_targets("ProcessDown", stored, 11) == [], "there is no target that could be down"


def test_another_target_of_the_cluster_is_none_of_muster_s() -> None:
    stored = running() | {("up", frozenset({("job", "node"), ("instance", "a")})): [0.0] * 20}
    assert of_targets("ProcessDown", stored, 19) == of_targets("EveryProcessDown", stored, 19) == []


def test_a_form_of_expression_that_nobody_evaluates_is_an_error() -> None:
    for expression in ("rate(muster_x_total[5m]) > 0", 'max(muster_x{a!="b"}) > 0', "muster_x > muster_y"):
        with pytest.raises((NotImplementedError, AttributeError, KeyError)):
            fires({"expr": expression, "for": "1m"}, {}, 5)
