"""The chart: valid for Kubernetes, without privilege, told what its services read, closed but for the design."""

import json
import runpy
import subprocess
from importlib import import_module
from pathlib import Path

import jsonschema
import pytest
import yaml
from helm.chart import (
    CHART,
    KUBERNETES,
    ROOT,
    SETS,
    allows,
    commented,
    containers,
    pods,
    rendered,
    rules_for,
    table,
    valid,
    values,
)

from muster.local.programs import program
from muster.local.routes import PAGES, SERVICES
from muster.local.stack import ROLES

DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text(encoding="utf-8")
VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")
SECRETS = {"database_app", "database_worker", "hash_key", "bulk_id_key", "operator_client_secret", "carrier_password"}
PROCESSES = {f"{one}-{role}": one for one in SERVICES for role in ROLES[one]} | {f"{PAGES}-api": PAGES}
MONITORED = PROCESSES | {"gateway": "gateway"}
STORES = [name for name, service in PROCESSES.items() if service != PAGES]


def fields_of(service):
    module = import_module(f"muster.{service}.settings")
    return getattr(module, f"{service.capitalize()}Settings").model_fields


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_is_one_that_kubernetes_takes(name, version):
    for one in rendered(name):
        valid(one, version)


@pytest.mark.parametrize("version", KUBERNETES)
def test_a_field_that_kubernetes_does_not_know_is_refused(version):
    [one] = [one for one in rendered("small") if one["metadata"]["name"] == "credit-api" and one["kind"] == "Service"]
    with pytest.raises(jsonschema.ValidationError, match="'protocols' was unexpected"):
        valid(one | {"spec": {"ports": [{"port": 8000, "protocols": "TCP"}]}}, version)


def test_a_kind_that_nobody_knows_is_no_valid_object():
    with pytest.raises(FileNotFoundError):
        valid({"apiVersion": "muster.example/v1", "kind": "Sms"})
    with pytest.raises(FileNotFoundError):
        valid({"apiVersion": "apps/v2", "kind": "Deployment"})


@pytest.mark.parametrize("name", SETS)
def test_every_process_of_a_laptop_runs_in_a_cluster_too_and_no_other(name):
    jobs = {"topics", *(f"{service}-migrate" for service in SERVICES)}
    assert set(pods(rendered(name))) == {*PROCESSES, *jobs, "gateway", "smoke"}


@pytest.mark.parametrize("name", SETS)
def test_nothing_runs_with_privileges(name):
    for pod in pods(rendered(name)).values():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert all(
            set(volume) <= {"name", "emptyDir", "secret", "projected", "configMap"}
            for volume in spec.get("volumes", [])
        )
    for runs, container in containers(rendered(name)):
        # Caddy's file carries this capability, and does not start where it may not be had.
        capabilities = {"drop": ["ALL"]} | ({"add": ["NET_BIND_SERVICE"]} if runs == "gateway" else {})
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": capabilities,
        }


@pytest.mark.parametrize("name", SETS)
def test_every_container_has_limits_and_every_one_that_stays_has_probes_and_time_to_end(name):
    objects = rendered(name)
    for runs, container in containers(objects):
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        if runs == "gateway":
            assert {container[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "liveness", "readiness")} == {
                "http"
            }
        if runs in PROCESSES:
            probes = {
                kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")
            }
            assert probes == {"startup": "/health/live", "liveness": "/health/live", "readiness": "/health/ready"}
            ends_s = pods(objects)[runs]["spec"]["terminationGracePeriodSeconds"]
            assert ends_s > fields_of(PROCESSES[runs])["stop_s_max"].default + 5


@pytest.mark.parametrize("name", SETS)
def test_no_image_is_the_latest_and_a_digest_stands_for_the_tag(name):
    images = {runs: container["image"] for runs, container in containers(rendered(name))}
    assert all(":" in image.rpartition("/")[2] and not image.endswith(":latest") for image in images.values())
    digests = values(name)["global"]["image"].get("digests", {})
    for service, digest in digests.items():
        assert images[f"{service}-api"] == f"registry.example/muster/{service}@{digest}"
    assert images["tenant-api"] == "registry.example/muster/tenant:1.0.0"


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_is_told_its_settings_and_no_other_and_its_secrets_by_reference_alone(process):
    [container] = [one for runs, one in containers(rendered("small")) if runs == process]
    fields = fields_of(PROCESSES[process])
    told = {one["name"] for one in container["env"]} - {"MUSTER_SECRETS_DIR"}  # read by muster.kit.settings.load
    assert told - {f"MUSTER_{field}".upper() for field in fields} == set()
    in_image = {field for field in fields if f"MUSTER_{field}=".upper() in DOCKERFILE}
    local = {field for field, one in fields.items() if "127.0.0.1" in str(one.default)}
    assert {f"MUSTER_{field}".upper() for field in local - in_image} - told == set()
    assert not told & {f"MUSTER_{field}".upper() for field in SECRETS}


def test_the_documentation_names_the_secret_variables_of_each_service():
    text = (ROOT / "docs" / "helm.md").read_text(encoding="utf-8")
    for service in SERVICES:
        names = [f"`MUSTER_{field}`".upper() for field in sorted(SECRETS & set(fields_of(service)))]
        assert f"| `{service}.existingSecret` | {', '.join(names)} |" in text


def test_pods_call_each_other_where_the_design_draws_an_arrow_and_nowhere_else():
    objects = rendered("small")
    labels = {
        runs: pod["metadata"]["labels"]
        for runs, pod in pods(objects).items()
        if runs in {*PROCESSES, "gateway", "smoke"}
    }
    seen = {
        (source, target, port)
        for source in labels
        for target in labels
        for port in (8000, 8080, 9000)
        if allows(objects, labels[source], labels[target], port)
    }
    pages = {(f"{PAGES}-api", "gateway", 8080), ("smoke", "gateway", 8080)}
    requests = {("gateway", f"{service}-api", 8000) for service in (*SERVICES, PAGES)}
    keys = {(f"{service}-api", "tenant-api", 8000) for service in SERVICES}
    assert seen == pages | requests | keys


@pytest.mark.parametrize(
    ("app", "port", "callers"),
    [
        ("kafka", 9092, {"topics", *(name for name in STORES if not name.endswith("-api"))}),
        ("postgres", 5432, {*STORES, *(f"{one}-migrate" for one in SERVICES)}),
        ("mail", 587, {f"{one}-{role}" for one in ("reply", "tenant") for role in ("api", "worker")}),
        ("collector", 4318, {*PROCESSES, *(f"{one}-migrate" for one in SERVICES)}),
        ("anything", 443, set()),
    ],
)
def test_what_is_outside_is_called_by_those_that_need_it_alone(app, port, callers):
    objects = rendered("small")
    seen = {
        runs for runs, pod in pods(objects).items() if allows(objects, pod["metadata"]["labels"], {"app": app}, port)
    }
    assert seen == callers


def test_addresses_outside_the_cluster_are_open_to_whom_they_are_given():
    policies = {
        one["metadata"]["name"]: one["spec"] for one in rendered("production") if one["kind"] == "NetworkPolicy"
    }
    blocks = {
        name: {peer["ipBlock"]["cidr"] for rule in one.get("egress") or [] for peer in rule["to"] if "ipBlock" in peer}
        for name, one in policies.items()
    }
    kafka, postgres = {"198.51.100.0/28"}, {"198.51.100.16/28"}
    assert {name: found for name, found in blocks.items() if found} == {
        "topics": kafka,
        **{f"{one}-kafka": kafka for one in SERVICES},
        **{f"{one}-migrate": postgres for one in SERVICES},
        **dict.fromkeys(SERVICES, postgres),
        "dispatch": postgres | {"203.0.113.0/24"},
    }


def test_prometheus_is_heard_at_the_port_of_metrics_of_each_process_and_nowhere_else():
    prometheus = values("small")["global"]["network"]["prometheus"]
    heard = {
        runs: [port["port"] for rule in rules for port in rule["ports"] if rule["from"] == prometheus]
        for runs, pod in pods(rendered("small")).items()
        if (rules := list(rules_for(rendered("small"), "Ingress", pod["metadata"]["labels"])))
    }
    assert {runs: ports for runs, ports in heard.items() if ports} == {runs: [9000] for runs in MONITORED}


def test_the_gateway_has_the_table_of_routes_and_trusts_whom_the_values_name():
    [config] = [json.loads(one["data"]["gateway.json"]) for one in rendered("small") if one["kind"] == "ConfigMap"]
    made = json.loads(runpy.run_path(str(Path(__file__).parents[1] / "contract" / "gateway.py"))["text"]())
    assert json.loads((CHART / "files" / "gateway.json").read_text(encoding="utf-8")) == made
    made["apps"]["http"]["servers"]["muster"]["trusted_proxies"]["ranges"] = ["10.0.0.0/8"]
    assert config["apps"]["http"]["servers"].pop("metrics")["listen"] == [":9000"]
    assert config == made


def test_caddy_takes_the_gateway_s_configuration(tmp_path):
    [text] = [one["data"]["gateway.json"] for one in rendered("small") if one["kind"] == "ConfigMap"]
    (tmp_path / "gateway.json").write_text(text, encoding="utf-8")
    command = [program("caddy"), "validate", "--config", tmp_path / "gateway.json"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_what_runs_more_than_once_is_never_evicted_all_at_once():
    budgets = {one["metadata"]["name"] for one in rendered("production") if one["kind"] == "PodDisruptionBudget"}
    assert budgets == {*PROCESSES, "gateway"}


def test_migrations_and_topics_run_before_the_code_and_migrations_alone_have_the_administrator_s_address():
    jobs = [one for one in rendered("small") if one["kind"] == "Job"]
    assert {one["metadata"]["annotations"]["helm.sh/hook"] for one in jobs} == {"pre-install,pre-upgrade"}
    with_it = {runs for runs, pod in pods(rendered("small")).items() if "muster-migrate" in json.dumps(pod)}
    assert with_it == {f"{service}-migrate" for service in SERVICES}


def test_kafka_s_password_comes_by_reference_to_everything_that_speaks_to_kafka_and_to_nothing_else():
    told = {
        runs: {one["name"]: one["value"] for one in container.get("env", [])}
        for runs, container in containers(rendered("external"))
    }
    secured = {runs for runs, variables in told.items() if "MUSTER_KAFKA_SECURITY" in variables}
    assert secured == {*STORES, "topics", *(f"{one}-migrate" for one in SERVICES)}
    for runs in secured:
        assert told[runs]["MUSTER_KAFKA_SECURITY"] == "SASL_SSL"
        assert told[runs]["MUSTER_KAFKA_CA"] == "/secrets/kafka-ca.crt"
        assert told[runs]["MUSTER_SECRETS_DIR"] == "/secrets"
        assert not {"MUSTER_KAFKA_USER", "MUSTER_KAFKA_PASSWORD"} & set(told[runs])
        assert "/secrets" in json.dumps(pods(rendered("external"))[runs]["spec"]["containers"][0]["volumeMounts"])
    names = {f"MUSTER_{field}".upper() for field in fields_of("credit")}
    assert set(told["credit-api"]) - {"MUSTER_SECRETS_DIR"} <= names


@pytest.mark.parametrize(
    ("name", "mode", "ca"),
    [("small", "disable", None), ("production", "verify-full", True), ("external", "verify-full", None)],
)
def test_who_speaks_to_postgresql_is_told_how_and_has_the_authority_of_its_secret_where_one_is_named(name, mode, ca):
    for runs, container in containers(rendered(name)):
        told = {one["name"]: one["value"] for one in container.get("env", [])}
        speaks = runs in STORES or runs.endswith("-migrate")
        assert told.get("MUSTER_POSTGRES_TLS") == (mode if speaks else None)
        folder, _, file = told.get("MUSTER_POSTGRES_CA", "").rpartition("/")
        assert bool(folder) is bool(speaks and ca)
        if folder:
            volumes = {one["name"]: one for one in pods(rendered(name))[runs]["spec"]["volumes"]}
            [mount] = [one for one in container["volumeMounts"] if one["mountPath"] == folder]
            assert mount["readOnly"] is True
            secret = volumes[mount["name"]]["secret"]
            assert (secret["secretName"], secret["items"]) == ("muster-postgres-ca", [{"key": "ca.crt", "path": file}])


def test_every_value_has_a_meaning_and_stands_so_in_the_documentation():
    assert [path for path, _, says in commented(VALUES) if not says] == []
    assert table(VALUES) in (ROOT / "docs" / "helm.md").read_text(encoding="utf-8"), "python tests/helm/chart.py"
    assert {path.partition(".")[0] for path, _, _ in commented(VALUES)} == set(yaml.safe_load(VALUES))
