"""The first tenant and users of a fresh `make run`, so that one can begin: made through the public API.

They are kept in `people.json`, since nobody but us knows their passwords and the secret of the first API key.
"""

from pathlib import Path
from secrets import token_urlsafe
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


async def ensure_people(run: dict[str, Any], var: Path, secrets: Secrets) -> None:
    """Make what is not there yet: one tenant with a user of each role and the admin's API key, the passwords of all and
    of the operator, and a link by which whoever started this becomes an admin.

    httpx.HTTPError where the API refuses.
    """
    async with httpx.AsyncClient(base_url=run["url"], timeout=30, trust_env=False) as client:
        token = await _post(client, "/v1/token", {"grant_type": "client_credentials", **run["operator"]})
        client.headers["Authorization"] = f"Bearer {token['access_token']}"
        if not read(var)["tenants"]:
            await _make_tenant(client, var, secrets)
        if not any(user["tenant"] is None for user in read(var)["users"]):
            await _set_passwords(client, var, secrets)
        await _ensure_link(client, var)


async def _make_tenant(client: httpx.AsyncClient, var: Path, secrets: Secrets) -> None:
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
        {"tenant": tenant["id"], "email": user["email"], "password": None, "role": user["role"]} for user in users
    ]
    write_json(var / "people.json", {"tenants": [{**made, **credentials}], "users": people})


async def _set_passwords(client: httpx.AsyncClient, var: Path, secrets: Secrets) -> None:
    """As each of them would: by an invitation that is handed over; the operator by the API key."""
    people = read(var)
    tenant = people["tenants"][0]["id"]
    found = await client.get("/v1/users", params={"tenant_id": tenant})
    ids = {user["email"]: user["id"] for user in found.raise_for_status().json()["items"]}
    users = [user for user in people["users"] if user["tenant"] is not None]
    for user in users:
        user["password"] = _password(secrets, user["role"])
        link = await _post(client, f"/v1/users/{ids[user['email']]}/link?tenant_id={tenant}", None, but="has_password")
        if link is not None:
            await _post(client, "/v1/links/use", {"token": link["token"], "password": user["password"]})
    operator = _password(secrets, "operator")
    me = (await client.get("/v1/me")).raise_for_status().json()
    change = {"current_password": operator, "new_password": operator}
    answer = await client.put("/v1/me/password", json=change)
    answer.raise_for_status()
    email = me["user"]["email"]
    users.append({"tenant": None, "email": email, "password": operator, "role": "operator"})
    write_json(var / "people.json", {**people, "users": users})


async def _ensure_link(client: httpx.AsyncClient, var: Path) -> None:
    """`first_admin_url`: a link that nobody took yet, None once somebody has."""
    people = read(var)
    url, made = people.get("first_admin_url"), "first_admin_url" in people
    if made and url is None:
        return
    code = ""
    if url is not None:
        answer = await client.post("/v1/links/look", json={"token": url.rpartition("/")[2]})
        code = "" if answer.is_success else answer.json()["code"]
        url = f"{str(client.base_url).rstrip('/')}/join/{url.rpartition('/')[2]}"
    if code == "link_used":
        url = None
    elif code or not made:
        url = (await _post(client, f"/v1/tenants/{people['tenants'][0]['id']}/first-admin", None) or {})["url"]
    write_json(var / "people.json", {**people, "first_admin_url": url})


def _password(secrets: Secrets, role: str) -> str:
    return secrets.get(f"password.{role}", lambda: token_urlsafe(12))


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, Any] | None, key: str = "", but: str = "") -> Any:
    """The answer; None where it is refused with the code `but`."""
    answer = await client.post(path, json=body, headers={"Idempotency-Key": key} if key else {})
    if but and answer.is_error and answer.json().get("code") == but:
        return None
    if answer.is_error:
        raise httpx.HTTPStatusError(
            f"POST {path}: {answer.status_code} {answer.text}", request=answer.request, response=answer
        )
    return answer.json()
