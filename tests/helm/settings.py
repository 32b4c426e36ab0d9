"""Which MUSTER_* variables each service has: `python tests/helm/settings.py` writes them into the chart, which refuses
any other, and those that are secret or that it sets itself.
"""

import json
from importlib import import_module

from helm.chart import CHART
from pydantic_settings import BaseSettings

from muster.local.routes import PAGES, SERVICES

FILE = CHART / "charts" / "service" / "files" / "settings.json"
# What a process is told by the templates, by the image, or by where the probes and the Services look for it.
SET_BY_CHART = {
    *("base_url", "api_url", "jwks_url", "otlp_url", "trace_ratio", "console_packages"),
    *("kafka", "kafka_security", "kafka_mechanism", "kafka_ca", "postgres_tls", "postgres_ca"),
    *("http_host", "http_port", "metrics_host", "metrics_port"),
}


def of(service: str) -> type[BaseSettings]:
    """The settings of a service."""
    found: type[BaseSettings] = getattr(import_module(f"muster.{service}.settings"), f"{service.capitalize()}Settings")
    return found


def kinds(service: str) -> dict[str, list[str]]:
    """Names of variables: `env` for the values' env, `secret` for a Secret, `chart` for nobody."""
    found: dict[str, list[str]] = {"env": [], "secret": [], "chart": ["MUSTER_SECRETS_DIR", "MUSTER_SERVICE"]}
    for name, field in of(service).model_fields.items():
        kind = "secret" if "SecretStr" in repr(field.annotation) else "chart" if name in SET_BY_CHART else "env"
        found[kind].append(f"MUSTER_{name}".upper())
    return {kind: sorted(names) for kind, names in found.items()}


def text() -> str:
    """The file as it is committed."""
    return json.dumps({service: kinds(service) for service in (*SERVICES, PAGES)}, indent=1) + "\n"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text(), encoding="utf-8")
