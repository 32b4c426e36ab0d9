"""What the chart gives to Prometheus: valid for its operator, of this namespace alone, as docs/alerts.yaml has it."""

import json
import shutil
import subprocess

import jsonschema
import pytest
import yaml
from helm.chart import ROOT, SETS, containers, pods, render, rendered, valid, values
from helm.rules import reads
from helm.test_chart import PROCESSES

ALERTS = ROOT / "docs" / "alerts.yaml"
OWN = ("PodMonitor", "PrometheusRule")


def of_kind(name, kind):
    return [one for one in rendered(name) if one["kind"] == kind]


@pytest.mark.parametrize("name", SETS)
def test_prometheus_is_given_nothing_where_its_operator_may_be_missing(name):
    wanted = values(name).get("monitoring", {}).get("enabled", False)
    assert [one["kind"] for one in rendered(name) if one["kind"] in OWN] == (list(OWN) if wanted else [])


def test_a_field_that_the_operator_does_not_know_is_refused():
    [monitor] = of_kind("production", "PodMonitor")
    wrong = json.loads(json.dumps(monitor).replace("podMetricsEndpoints", "endpoints"))
    with pytest.raises(jsonschema.ValidationError, match="'endpoints' was unexpected"):
        valid(wrong)
    with pytest.raises(FileNotFoundError):
        valid(monitor | {"kind": "Probe"})


def test_every_process_is_asked_by_its_port_of_metrics_and_its_job_is_its_service():
    [monitor] = of_kind("production", "PodMonitor")
    assert "namespaceSelector" not in monitor["spec"], "another Muster in the cluster has its own"
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    asked = {}
    for runs, container in containers(rendered("production")):
        labels = pods(rendered("production"))[runs]["metadata"]["labels"]
        if wanted <= labels.items() and endpoint["port"] in {one["name"] for one in container.get("ports", [])}:
            asked[runs] = labels[monitor["spec"]["jobLabel"]]
    assert asked == PROCESSES


def test_the_rules_in_the_cluster_are_the_alerts_of_the_documentation():
    [rule] = of_kind("production", "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    assert rule["metadata"]["labels"] == {"app.kubernetes.io/part-of": "muster", "release": "prometheus"}


def test_no_two_alerts_or_groups_have_one_name_and_every_expression_is_one_of_prometheus():
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    for names in ([group["name"] for group in groups], [rule["alert"] for rule in rules]):
        assert len(names) == len(set(names))
    assert all(len(reads(rule["expr"])[0]) == 1 for rule in rules)
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        reads("max(muster_sends_waiting")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_promtool_takes_the_alerts():
    done = subprocess.run(["promtool", "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_labels_of_ours_stay_when_others_are_added():
    given = values("production")
    given["monitoring"]["labels"] = {"app.kubernetes.io/part-of": "other", "team": "sms"}
    found = {json.dumps(one["metadata"]["labels"]) for one in render(given) if one["kind"] in OWN}
    assert found == {'{"app.kubernetes.io/part-of": "muster", "team": "sms"}'}
