"""What the chart gives to Prometheus: valid for its operator, of this namespace alone, as docs/alerts.yaml has it."""

import json
import re
import shutil
import subprocess

import jsonschema
import pytest
import yaml
from helm.chart import ROOT, SETS, containers, pods, render, rendered, selects, valid, values
from helm.dashboard import FILE, text
from helm.rules import FAMILIES, TARGET, reads
from helm.test_chart import MONITORED, PROCESSES

ALERTS = ROOT / "docs" / "alerts.yaml"
OWN = ("ServiceMonitor", "PrometheusRule")


def of_kind(name, kind):
    return [one for one in rendered(name) if one["kind"] == kind]


@pytest.mark.parametrize("name", SETS)
def test_prometheus_is_given_nothing_where_its_operator_may_be_missing(name):
    wanted = values(name).get("monitoring", {}).get("enabled", False)
    given = {one["metadata"]["name"]: one["kind"] for one in rendered(name) if one["kind"] in OWN}
    monitors = dict.fromkeys(MONITORED.values(), "ServiceMonitor")
    assert given == (monitors | {"muster": "PrometheusRule"} if wanted else {})


def test_a_field_that_the_operator_does_not_know_is_refused():
    monitor = of_kind("production", "ServiceMonitor")[0]
    wrong = json.loads(json.dumps(monitor).replace("endpoints", "podMetricsEndpoints"))
    with pytest.raises(jsonschema.ValidationError, match="'podMetricsEndpoints' was unexpected"):
        valid(wrong)
    with pytest.raises(FileNotFoundError):
        valid(monitor | {"kind": "PodMonitor"})


def test_every_process_is_asked_once_by_its_port_of_metrics_and_told_by_its_service_and_its_command():
    asked = []
    for monitor in of_kind("production", "ServiceMonitor"):
        assert "namespaceSelector" not in monitor["spec"], "another Muster in the cluster has its own"
        [endpoint] = monitor["spec"]["endpoints"]
        told = {one["targetLabel"]: one["sourceLabels"] for one in endpoint["relabelings"]}
        assert told == {
            "process": ["__meta_kubernetes_service_label_app_kubernetes_io_component"],
            "instance": ["__meta_kubernetes_pod_name"],
        }
        for service in of_kind("production", "Service"):
            labels = service["metadata"].get("labels", {})
            if selects(monitor["spec"]["selector"], labels):
                job, process = labels[monitor["spec"]["jobLabel"]], labels["app.kubernetes.io/component"]
                asked += [(job, process, runs) for runs in behind("production", service, endpoint["port"])]
    assert asked == [(job, runs.removeprefix(f"{job}-"), runs) for _, _, runs in asked for job in (MONITORED[runs],)]
    assert sorted(runs for _, _, runs in asked) == sorted(MONITORED)


def behind(name, service, port):
    """What runs behind a port of a Service, where its container listens at the port that it leads to."""
    [target] = [one["targetPort"] for one in service["spec"]["ports"] if one["name"] == port]
    for runs, container in containers(rendered(name)):
        labels = pods(rendered(name))[runs]["metadata"]["labels"]
        if selects({"matchLabels": service["spec"]["selector"]}, labels):
            assert target in {one["name"] for one in container["ports"]}
            yield runs


def test_who_serves_nothing_has_a_service_without_an_address():
    without = {one["metadata"]["name"] for one in of_kind("small", "Service") if "clusterIP" in one["spec"]}
    assert without == {runs for runs in PROCESSES if not runs.endswith("-api")}


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


def test_every_panel_of_the_dashboard_reads_metrics_and_labels_that_exist_and_says_what_they_mean():
    panels = [one for one in json.loads(FILE.read_text(encoding="utf-8"))["panels"] if one["type"] != "row"]
    assert len(panels) >= 30
    for panel in panels:
        for target in panel["targets"]:
            names, labels = reads(target["expr"].replace("$__rate_interval", "5m"))
            [name] = names
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert labels | shown <= FAMILIES[name].labels | TARGET, target["expr"]
            assert shown <= labels, target["expr"]
            assert "namespace" in labels, "two Musters may be in one Prometheus"
        assert (
            panel["description"]
            == FAMILIES[reads(panel["targets"][0]["expr"].replace("$__rate_interval", "5m"))[0].pop()].says
        )


def test_no_two_panels_lie_upon_each_other_or_have_one_number():
    panels = json.loads(FILE.read_text(encoding="utf-8"))["panels"]
    cells = [
        (x, y)
        for place in (one["gridPos"] for one in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({one["id"] for one in panels}) == len(panels)


def test_the_dashboard_is_the_one_of_the_table_and_comes_to_the_cluster_as_it_is():
    assert FILE.read_text(encoding="utf-8") == text(), "PYTHONPATH=tests python tests/helm/dashboard.py"
    [given] = [one for one in of_kind("production", "ConfigMap") if one["metadata"]["name"] == "dashboard"]
    assert json.loads(given["data"]["muster.json"]) == json.loads(text())
    assert given["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_the_runbook_has_a_section_of_every_panel_in_the_dashboard_s_order_and_of_no_other():
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### (.+)\n(.+)", text, re.M)
    panels = [one["title"] for one in json.loads(FILE.read_text(encoding="utf-8"))["panels"] if one["type"] != "row"]
    assert [title for title, _ in sections] == panels
    anchors = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)", text, re.M)}
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= anchors
