"""The first tenant and users of a fresh `make run`, so that one can begin: made through the public API.

They are kept in `people.json`, since nobody but us knows the secret of the first API key.
"""

from pathlib import Path
from typing import Any

import httpx

from muster.local.var import Secrets, read_json, write_json

_TENANT = {
    "name": "Demo Salon",
    "country": "AU",
    "time_zone": "Australia/Sydney",
    "sender": "+61400000000",
    "allow_sms_replies": True,
    "reception_email": "reception@demo-salon.example",
}
_USERS = tuple(
    {"email": f"{role}@demo-salon.example", "name": f"Demo {role}", "role": role}
    for role in ("admin", "manager", "staff")
)


def read(var: Path) -> dict[str, Any]:
    """The tenants and users of `run.json`."""
    people: dict[str, Any] = read_json(var / "people.json", {"tenants": [], "users": []})
    return people


async def ensure_tenant(run: dict[str, Any], var: Path, secrets: Secrets) -> None:
    """Make one tenant with a user of each role and the admin's API key, unless that was done before.

    httpx.HTTPError where the API refuses.
    """
    if read(var)["tenants"]:
        return
    async with httpx.AsyncClient(base_url=run["url"], timeout=30, trust_env=False) as client:
        token = await _post(client, "/v1/token", {"grant_type": "client_credentials", **run["operator"]})
        client.headers["Authorization"] = f"Bearer {token['access_token']}"
        # Each is made once, also where this was killed between an answer and writing it down.
        once = f"first-{secrets['seed'][:16]}"
        tenant = await _post(client, "/v1/tenants", _TENANT, once)
        users = [
            await _post(client, "/v1/users", {"tenant_id": tenant["id"], **user}, f"{once}-{user['role']}")
            for user in _USERS
        ]
        key = {"tenant_id": tenant["id"], "name": "first", "user_id": users[0]["id"]}
        key = await _post(client, "/v1/api-keys", key, once)
    made = {"id": tenant["id"], "name": _TENANT["name"], "country": _TENANT["country"]}
    credentials = {"client_id": key["client_id"], "client_secret": key["client_secret"]}
    people = [
        # No password: users act by API keys.
        {"tenant": tenant["id"], "email": user["email"], "password": None, "role": user["role"]}
        for user in users
    ]
    write_json(var / "people.json", {"tenants": [{**made, **credentials}], "users": people})


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, Any], key: str = "") -> dict[str, Any]:
    answer = await client.post(path, json=body, headers={"Idempotency-Key": key} if key else {})
    if answer.is_error:
        raise httpx.HTTPStatusError(
            f"POST {path}: {answer.status_code} {answer.text}", request=answer.request, response=answer
        )
    content: dict[str, Any] = answer.json()
    return content
