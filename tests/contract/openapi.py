"""Joins the OpenAPI documents of the services into docs/openapi.json: `python tests/contract/openapi.py`."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from muster.kit.auth import Permission, route_permissions
from muster.kit.http import create_app
from muster.kit.problems import COMPONENTS
from muster.local.routes import SERVICES

FILE = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
_DESCRIPTION = (
    "Sends one SMS to all the customers of a business, to the last credit. Errors are problems (RFC 9457); "
    "lists are pages (`limit`, `cursor`); each write takes an `Idempotency-Key`; times are RFC 3339, numbers E.164."
)


def app_of(service: str) -> FastAPI:
    """The app of a service, built from its routers as its `main` does, with neither a server nor a database."""
    return create_app(service, routers=import_module(f"muster.{service}.api").ROUTERS, state={})


def joined() -> dict[str, Any]:
    """One document of all services. Each operation is tagged with its service, which also begins its operationId."""
    apps = {service: app_of(service) for service in SERVICES}
    documents = {service: app.openapi() for service, app in apps.items()}
    names = _names({service: document["components"]["schemas"] for service, document in documents.items()})
    paths: dict[str, Any] = {}
    components: dict[str, dict[str, Any]] = {}
    for service, document in documents.items():
        renamed = _renamed(document, names[service])
        permissions = route_permissions(apps[service])
        for kind, members in renamed["components"].items():
            components.setdefault(kind, {}).update(members)
        for path, item in renamed["paths"].items():
            paths.setdefault(path, {}).update(
                {verb: _owned(one, service, permissions[verb.upper(), path]) for verb, one in item.items()}
            )
    return {
        "openapi": documents[SERVICES[0]]["openapi"],
        "info": {"title": "Muster", "version": "1", "description": _DESCRIPTION},
        "tags": [{"name": service} for service in SERVICES],
        "paths": paths,
        "components": components,
    }


def text() -> str:
    """The joined document as it is committed."""
    return json.dumps(joined(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _names(schemas: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Service -> its names of schemas -> the joined ones: a name that two services use has its service before it.

    Also where both mean the same today: what a change of one service renames would surprise the other's clients. What
    the kit says for all of them is one.
    """
    owners: dict[str, list[str]] = {}
    for service, members in schemas.items():
        for name in members:
            owners.setdefault(name, []).append(service)
    return {
        service: {
            name: name if len(owners[name]) == 1 or name in COMPONENTS["schemas"] else f"{service.capitalize()}{name}"
            for name in members
        }
        for service, members in schemas.items()
    }


def _renamed(document: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The document with its schemas and all that points to them under the new names."""
    start = "#/components/schemas/"

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(one) for one in node]
        if not isinstance(node, dict):
            return node
        return {
            key: start + names[value.removeprefix(start)] if key == "$ref" and value.startswith(start) else walk(value)
            for key, value in node.items()
        }

    changed: dict[str, Any] = walk(document)
    schemas = changed["components"]["schemas"]
    changed["components"]["schemas"] = {names[name]: schema for name, schema in schemas.items()}
    return changed


def _owned(operation: dict[str, Any], service: str, permission: Permission | str | None) -> dict[str, Any]:
    owned = {**operation, "tags": [service], "operationId": f"{service}_{operation['operationId']}"}
    return {**owned, "x-permission": permission.key} if isinstance(permission, Permission) else owned


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
