"""The chart as it is rendered, whether it is valid, and who may call whom by its network policies.

`python tests/helm/chart.py` writes the table of docs/helm.md anew.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart
from jsonschema import Draft202012Validator
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "muster"
SETS = ("small", "production", "external")
KUBERNETES = ("1.30.0", "1.37.0")
Object = dict[str, Any]

# Schemas of kinds that are not of Kubernetes itself: strict, and of the fields alone that the chart uses.
CUSTOM = {
    path.name: json.loads(path.read_text(encoding="utf-8")) for path in Path(__file__).with_name("crds").glob("*.json")
}
_SCHEMAS: Registry[Any] = Registry().with_resources((name, Resource.opaque(schema)) for name, schema in CUSTOM.items())


def values(name: str) -> dict[str, Any]:
    """A committed set of values, to be changed at will."""
    loaded: dict[str, Any] = yaml.safe_load((Path(__file__).with_name(f"{name}.yaml")).read_text(encoding="utf-8"))
    return loaded


def render(given: Mapping[str, Any]) -> list[Object]:
    """All objects; helm_python.HelmError says what it refuses."""
    files = Chart.load(CHART).render(dict(given), name="muster", namespace="muster")
    return [one for text in files.values() for one in yaml.safe_load_all(text) if one]


@cache
def rendered(name: str) -> list[Object]:
    """The objects of a committed set; not to be changed."""
    return render(values(name))


def valid(one: Object, version: str = KUBERNETES[-1]) -> None:
    """Nothing where Kubernetes or the operator of its kind takes an object; else ValidationError, or
    FileNotFoundError for a kind that nobody knows."""
    _validator(one["kind"], one["apiVersion"], version).validate(one)


@cache
def _validator(kind: str, api_version: str, version: str) -> Draft202012Validator:
    """As kubernetes_validate.validate makes one, strict; that reads all schemas again for each object."""
    schema = CUSTOM.get(f"{kind}.json")
    if schema is not None and schema["properties"]["apiVersion"]["const"] == api_version:
        return Draft202012Validator(schema, registry=_SCHEMAS)
    group, _, number = api_version.rpartition("/")
    name = "-".join((kind.lower(), *filter(None, (group.partition(".")[0], number))))
    schema = schema_contents(f"{_folder(version)}/{name}.json", version)
    return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ _definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    return Resource.from_contents(schema_contents(f"{_folder(version)}/_definitions.json", version)) @ Registry()


def _folder(version: str) -> str:
    return f"kubernetes-json-schema/v{version}-local-strict"


def pods(objects: list[Object]) -> dict[str, Object]:
    """Name of what runs -> its pod template."""
    made = {one["metadata"]["name"]: one["spec"]["template"] for one in objects if one["kind"] in ("Deployment", "Job")}
    return made | {one["metadata"]["name"]: one for one in objects if one["kind"] == "Pod"}


def containers(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Each container with the name of what runs it."""
    for name, pod in pods(objects).items():
        for container in pod["spec"]["containers"] + pod["spec"].get("initContainers", []):
            yield name, container


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes a pod; KeyError for an operator that no policy of ours uses."""
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        (labels.get(one["key"]) in one["values"]) == {"In": True, "NotIn": False}[one["operator"]]
        for one in selector.get("matchExpressions", [])
    )


def rules_for(objects: list[Object], way: str, pod: Mapping[str, str]) -> Iterator[Object]:
    """Each rule, "Ingress" or "Egress", of the policies that select a pod."""
    for one in objects:
        spec = one["spec"] if one["kind"] == "NetworkPolicy" else {"policyTypes": ()}
        if way in spec["policyTypes"] and selects(spec["podSelector"], pod):
            yield from spec.get(way.lower()) or []


def allows(objects: list[Object], source: Mapping[str, str], target: Mapping[str, str], port: int) -> bool:
    """Whether a pod with these labels may call one with those at a TCP port, both in the namespace of the chart."""
    return _passes(objects, "Egress", source, target, port) and _passes(objects, "Ingress", target, source, port)


def _passes(objects: list[Object], way: str, pod: Mapping[str, str], other: Mapping[str, str], port: int) -> bool:
    peers = "to" if way == "Egress" else "from"
    # Who is no part of Muster is under no policy of ours.
    return "app.kubernetes.io/part-of" not in pod or any(
        any(one["port"] == port and one.get("protocol") == "TCP" for one in rule["ports"])
        and any("podSelector" in peer and selects(peer["podSelector"], other) for peer in rule[peers])
        for rule in rules_for(objects, way, pod)
    )


def commented(text: str) -> list[tuple[str, str, str]]:
    """(path, default, meaning) of each value that has a comment before it, in the order of values.yaml."""
    found, path, comment = [], [], ""
    for line in text.splitlines():
        if match := re.match(r"( *)# (.+)", line):
            comment = f"{comment} {match[2]}".strip()
        elif match := re.match(r"( *)(\w+):(.*)", line):
            path = [*path[: len(match[1]) // 2], match[2]]
            if comment or match[3]:
                found.append((".".join(path), match[3].strip(), comment))
            comment = ""
        else:
            comment = ""
    return found


def table(text: str) -> str:
    """The table of docs/helm.md, from the comments of values.yaml."""
    rows = [f"| `{path}` | {f'`{default}`' if default else ''} | {says} |" for path, default, says in commented(text)]
    return "\n".join(("| value | default | meaning |", "|---|---|---|", *rows)) + "\n"


if __name__ == "__main__":
    page = ROOT / "docs" / "helm.md"
    before, _, _ = page.read_text(encoding="utf-8").partition("| value | default | meaning |\n")
    page.write_text(before + table((CHART / "values.yaml").read_text(encoding="utf-8")), encoding="utf-8")
