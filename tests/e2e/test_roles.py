"""Every role, and nobody, on every route of the running product, through its gateway."""

import json
import re
from http import HTTPStatus
from pathlib import Path
from uuid import uuid4

import pytest
from e2e_world import World

pytestmark = pytest.mark.e2e

OPENAPI = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text(encoding="utf-8"))
ROUTES = [
    (verb.upper(), path, one.get("x-permission"))
    for path, item in sorted(OPENAPI["paths"].items())
    for verb, one in item.items()
]
# A field that no route knows: who may call is asked before what is asked for, and nothing is done.
NOTHING = {"no_such_field": True}


def test_each_role_is_let_in_where_the_table_says_so_and_nowhere_else(world: World) -> None:
    business = world.business(credits=0)
    key = {role: {"tenant_id": business.id, "name": role, "role": role} for role in ("admin", "manager", "staff")}
    keys = {role: world.operator.post("/v1/api-keys", asked) for role, asked in key.items()}
    tokens = {role: token_of(world, key) for role, key in {**keys, "operator": world.run["operator"]}.items()}
    table = {one["name"]: one["roles"] for one in business.ask.get("/v1/roles")["permissions"]}
    assert {permission for _, _, permission in ROUTES if permission} <= table.keys()

    wrong = []
    for verb, path, permission in ROUTES:
        if permission is None:
            continue
        if (answer := ask(world, verb, path, "")) != (401, "unauthorized"):
            wrong.append((verb, path, "nobody", answer))
        for role, token in tokens.items():
            answer = ask(world, verb, path, token)
            is_let_in = answer[0] not in (401, 403) and answer[0] < HTTPStatus.INTERNAL_SERVER_ERROR
            if is_let_in != (role in table[permission]) or (not is_let_in and answer != (403, "forbidden")):
                wrong.append((verb, path, role, answer))
    assert wrong == []


def token_of(world: World, key: dict[str, str]) -> str:
    asked = {name: key[name] for name in ("client_id", "client_secret")} | {"grant_type": "client_credentials"}
    return world.http.post(world.run["url"] + "/v1/token", json=asked).raise_for_status().json()["access_token"]


def ask(world: World, verb: str, path: str, token: str) -> tuple[int, str | None]:
    """The status, and the code of a problem, that a call of a route gets which names nothing that exists."""
    address = world.run["url"] + re.sub(r"{\w+}", lambda _: str(uuid4()), path)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = None if verb in ("GET", "DELETE") else NOTHING
    response = world.http.request(verb, address, json=body, headers=headers)
    is_problem = response.headers.get("Content-Type", "").startswith("application/problem+json")
    return response.status_code, response.json()["code"] if is_problem else None
