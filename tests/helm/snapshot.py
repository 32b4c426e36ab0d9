"""What a set of values makes, a line for each object: `python tests/helm/snapshot.py` writes tests/helm/snapshots anew.

A change of the chart shows there as what it does to a cluster, which the templates do not say.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from helm.chart import SETS, Object, pods, rendered

FOLDER = Path(__file__).with_name("snapshots")


def summary(objects: list[Object]) -> str:
    """Kind, name and what matters of each, in the order of their names."""
    lines = []
    for one in sorted(objects, key=lambda one: (one["kind"], one["metadata"]["name"])):
        says = _SAYS.get(one["kind"], lambda one: "")(one)
        lines.append(f"{one['kind']} {one['metadata']['name']}{': ' if says else ''}{says}")
    return "\n".join(lines) + "\n"


def _runs(one: Object) -> str:
    [pod] = pods([one]).values()
    [container] = pod["spec"]["containers"]
    spec = one["spec"]
    count = "" if one["kind"] != "Deployment" else f"{spec.get('replicas', 'scaled')} x "
    hook = one["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    needs = container["resources"]
    words = [
        f"{count}{container['image']}",
        f"cpu {needs['requests']['cpu']}",
        f"memory {needs['requests']['memory']} to {needs['limits']['memory']}",
        *([f"at {hook}"] if hook else []),
        *_secrets(pod["spec"].get("volumes", [])),
    ]
    return ", ".join(words)


def _secrets(volumes: list[Object]) -> list[str]:
    names = [one["secret"]["secretName"] for one in volumes if "secret" in one]
    parts = [part for one in volumes for part in one.get("projected", {}).get("sources", [])]
    return [f"Secret {name}" for name in (*names, *(part["secret"]["name"] for part in parts))]


def _policy(one: Object) -> str:
    ways = []
    for way, peers, word in (("ingress", "from", "heard by"), ("egress", "to", "calls")):
        rules = one["spec"].get(way) or []
        said = [
            f"{_peers(rule[peers])} at {'/'.join(sorted({str(p['port']) for p in rule['ports']}))}" for rule in rules
        ]
        ways.append(f"{word} {'; '.join(said) if said else 'nobody'}")
    return ", ".join(ways)


def _peers(peers: list[Object]) -> str:
    return " or ".join(" in ".join(map(_peer, sorted(peer.items(), reverse=True))) for peer in peers)


_HOW = {"In": "", "NotIn": "not "}


def _peer(item: tuple[str, Any]) -> str:
    key, how = item
    if key == "ipBlock":
        return str(how["cidr"])
    labels = how.get("matchLabels", {})
    short = {name.rpartition("/")[2]: value for name, value in labels.items() if not name.endswith("part-of")}
    less = [f"{_HOW[one['operator']]}{'/'.join(one['values'])}" for one in how.get("matchExpressions", [])]
    words = [f"{name}={value}" for name, value in short.items()] + less
    return ("namespace " if key == "namespaceSelector" else "") + " ".join(words)


_SAYS: dict[str, Callable[[Object], str]] = {
    "Deployment": _runs,
    "Job": _runs,
    "Pod": _runs,
    "NetworkPolicy": _policy,
    "HorizontalPodAutoscaler": lambda one: (
        f"{one['spec']['minReplicas']} to {one['spec']['maxReplicas']}, at "
        f"{one['spec']['metrics'][0]['resource']['target']['averageUtilization']} % of its CPU"
    ),
    "PodDisruptionBudget": lambda one: f"{one['spec']['maxUnavailable']} at a time",
    "Service": lambda one: (
        ("headless, " if one["spec"].get("clusterIP") == "None" else "")
        + " and ".join(f"{port['name']} at {port['port']}" for port in one["spec"]["ports"])
    ),
    "Ingress": lambda one: f"{one['spec']['rules'][0]['host']}, TLS by Secret {one['spec']['tls'][0]['secretName']}",
    "ServiceMonitor": lambda one: (
        f"port {one['spec']['endpoints'][0]['port']} of Services {_peer(('', one['spec']['selector']))}, every "
        f"{one['spec']['endpoints'][0]['interval']}"
    ),
    "ConfigMap": lambda one: ", ".join(one["data"]),
}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in SETS:
        (FOLDER / f"{name}.txt").write_text(summary(rendered(name)), encoding="utf-8")
