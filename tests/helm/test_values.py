"""Values that contradict, or that nobody would hear, are refused by name with what to do."""

import json

import helm_python
import pytest
from helm import settings
from helm.chart import CHART, ROOT, SETS, containers, render, rendered, values


def secured(**changes):
    return {"protocol": "SASL_SSL", "mechanism": "SCRAM-SHA-512", "ca": "", "topicsSecret": "x"} | changes


WRONG = {
    "a password for topics that nobody names": (
        ["global", "kafkaSecurity"],
        secured(topicsSecret=""),
        "name in global.kafkaSecurity.topicsSecret the Secret",
    ),
    "a password that would go in the clear": (
        ["global", "kafkaSecurity"],
        secured(protocol="PLAINTEXT"),
        "set it to SSL or SASL_SSL, or leave those empty",
    ),
    "an authority that no Secret has": (
        ["global", "kafkaSecurity"],
        secured(protocol="SSL", ca="/secrets/kafka-ca.crt", topicsSecret=""),
        "name in global.kafkaSecurity.topicsSecret the one that has it",
    ),
    "an authority that is not looked at": (
        ["global", "postgresTls"],
        {"mode": "disable", "caSecret": "x"},
        "set it to verify-full, or leave global.postgresTls.caSecret empty",
    ),
    "TLS that checks nothing": (["global", "postgresTls"], {"mode": "require"}, "/global/postgresTls/mode"),
    "a name that nobody knows": (["credit", "replica"], 3, "additional properties 'replica' not allowed"),
    "a process that the service has not": (["credit", "processes", "sender"], {}, "'sender' not allowed"),
    "no secret": (["credit", "existingSecret"], "", "/credit/existingSecret"),
    "the latest tag": (["global", "image", "tag"], "latest", "/global/image/tag"),
    "no broker that network policies could open": (
        ["global", "network", "kafka", "to"],
        [],
        "/global/network/kafka/to",
    ),
    "a collector that network policies do not open": (["global", "traces", "to"], [], "/global/traces/to"),
    "pages without TLS": (["global", "baseUrl"], "http://sms.example", "/global/baseUrl"),
    "a variable that is not Muster's": (["credit", "env"], {"KAFKA": "x"}, "/credit/env"),
    "a slip in a setting's name": (
        ["customer", "env", "MUSTER_CUSTOMER_IMPORT_ROW_MAX"],
        "5",
        "customer.env.MUSTER_CUSTOMER_IMPORT_ROW_MAX: customer has no such setting",
    ),
    "another service's setting": (["credit", "env", "MUSTER_CARRIER_HOST"], "x", "credit has no such setting"),
    "a secret among the values": (
        ["reply", "env", "MUSTER_SMTP_PASSWORD"],
        "hunter2",
        "reply.env.MUSTER_SMTP_PASSWORD is secret, and values are not: put it into the Secret that reply",
    ),
    "what global says, said again": (
        ["report", "env", "MUSTER_KAFKA"],
        "other:9092",
        "report.env.MUSTER_KAFKA: the chart says it itself, from global: leave it out",
    ),
    "a port of probes that moves": (["credit", "env", "MUSTER_METRICS_PORT"], "9001", "the chart says it itself"),
    "brokers at another port than policies open": (
        ["global", "kafka"],
        "a:9092,b:9093",
        "global.kafka names b:9093, but global.network.kafka.port is 9092: network policies would let nobody through",
    ),
    "a collector at another port than policies open": (
        ["global", "traces", "url"],
        "https://collector/v1/traces",
        "global.traces.url leads to port 443, but global.traces.port is 4318",
    ),
    "a mail relay that policies do not open": (
        ["tenant", "egress"],
        [],
        "tenant.env.MUSTER_SMTP is mail:587, but no rule of tenant.egress opens port 587: nothing would get out",
    ),
    "a carrier at another port than policies open": (
        ["dispatch", "env", "MUSTER_CARRIER_PORT"],
        "2775",
        "no rule of dispatch.egress opens port 2775",
    ),
    "a mail relay without its port": (["reply", "env", "MUSTER_SMTP"], "mail", "/reply/env/MUSTER_SMTP"),
    "a selector with a slip": (
        ["global", "network", "postgres", "to"],
        [{"podSelector": {"matchLabel": {"app": "postgres"}}}],
        "'matchLabel' not allowed",
    ),
    "a peer that is both pods and addresses": (
        ["global", "network", "prometheus"],
        [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}],
        "/global/network/prometheus/0",
    ),
    "a port with a slip": (
        ["credit", "egress"],
        [{"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"ports": 443, "protocol": "TCP"}]}],
        "'ports' not allowed",
    ),
    "a value of global under a service": (["credit", "global"], {"kafak": "x"}, "'kafak' not allowed"),
    "a carrier without host": (["dispatch", "env", "MUSTER_CARRIER_HOST"], "", "MUSTER_CARRIER_HOST"),
    "a load that scales readers of partitions": (
        ["credit", "processes", "worker", "autoscaling"],
        {"max": 6, "cpuPercent": 70},
        "only api is scaled by load; set credit.processes.worker.replicas",
    ),
    "more readers than partitions": (["credit", "processes", "worker", "replicas"], 49, "set 48 at most"),
    "a scale with no room": (
        ["credit", "processes", "api"],
        {"replicas": 3, "autoscaling": {"max": 3, "cpuPercent": 70}},
        "raise max, lower replicas, or leave autoscaling out",
    ),
    "a scale from nothing": (
        ["credit", "processes", "api"],
        {"replicas": 0, "autoscaling": {"max": 3, "cpuPercent": 70}},
        "set at least 1",
    ),
    "links to another host": (["ingress", "host"], "other.example", "set both to one host"),
    "replicas as text": (["credit", "processes", "api", "replicas"], "3", "/credit/processes/api/replicas"),
}


@pytest.mark.parametrize(("path", "value", "says"), WRONG.values(), ids=WRONG)
def test_wrong_values_are_refused_by_name(path, value, says):
    given = values("small")
    below = given
    for key in path[:-1]:
        below = below.setdefault(key, {})
    below[path[-1]] = value
    with pytest.raises(helm_python.HelmError) as refused:
        render(given)
    assert says in str(refused.value)


def test_a_port_within_an_open_range_is_open():
    given = values("small")
    given["dispatch"]["egress"][0]["ports"] = [{"port": 2000, "endPort": 3000, "protocol": "TCP"}]
    assert len(render(given)) == len(rendered("small"))


def test_the_chart_knows_the_settings_of_each_service_and_sets_none_that_it_would_take_from_values():
    assert settings.FILE.read_text(encoding="utf-8") == settings.text(), (
        "PYTHONPATH=tests python tests/helm/settings.py"
    )
    for name in SETS:
        for runs, container in containers(rendered(name)):
            service = runs.rpartition("-")[0]
            told = {one["name"] for one in container.get("env", [])} - set(values(name).get(service, {}).get("env", {}))
            if service and told:
                assert told - set(settings.kinds(service)["chart"]) <= {"MUSTER_CARRIER_TLS"}, "of values.yaml"


def test_the_documentation_names_every_secret_variable():
    text = (ROOT / "docs" / "helm.md").read_text(encoding="utf-8")
    secret = {name for kinds in json.loads(settings.text()).values() for name in kinds["secret"]}
    assert {name for name in secret if f"`{name}`" not in text} == set()


def test_the_schema_of_values_is_strict_at_every_level():
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert list(loose(schema, "")) == []
    del schema["$defs"]["peer"]["properties"]["ipBlock"]["additionalProperties"]
    assert list(loose(schema, "")) == ["/peer/ipBlock"]


def loose(schema, path):
    """Where anything would be taken: an object that knows not all its names or what stands under any, a list of
    anything, a value of no type."""
    if "$ref" in schema or "const" in schema or "enum" in schema:
        return
    kind = schema.get("type")
    below = [schema.get("additionalProperties", True)] if kind == "object" else []
    below += [schema.get("items", True)] if kind == "array" else []
    parts = schema.get("allOf", []) + schema.get("anyOf", [])
    if True in below or not (kind or parts):
        yield path
    for name, one in (
        schema.get("properties", {}) | schema.get("patternProperties", {}) | schema.get("$defs", {})
    ).items():
        yield from loose(one, f"{path}/{name}")
    # The other parts of an allOf only say more of what the first one has typed.
    for one in [*(part for part in below if isinstance(part, dict)), *parts[: 1 if "allOf" in schema else None]]:
        yield from loose(one, f"{path}/*")
