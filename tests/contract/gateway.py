"""Makes Caddy's configuration for compose and chart: `python tests/contract/gateway.py`."""

import json
from pathlib import Path

import yaml

from muster.local import caddy
from muster.local.routes import PAGES, SERVICES

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "docker" / "gateway.json"
CHART_FILE = ROOT / "deploy" / "helm" / "muster" / "files" / "gateway.json"
COMPOSE = ROOT / "deploy" / "compose.yaml"
PORT = 8080


def text() -> str:
    """The configuration as it is committed, from the table that a laptop uses too."""
    compose = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    console = compose["services"][f"{PAGES}-api"]["networks"]["front"]["ipv4_address"]
    upstreams = {service: f"{service}-api:8000" for service in (*SERVICES, PAGES)}
    config = caddy.config(f":{PORT}", upstreams, trusted=[f"{console}/32"])
    return json.dumps(config, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
    CHART_FILE.write_text(text(), encoding="utf-8")
