"""The first tenant of a fresh `make run`, so that one can begin: made through the public API, kept in `people.json`."""

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


def read(var: Path) -> dict[str, Any]:
    """The tenants and users of `run.json`."""
    people: dict[str, Any] = read_json(var / "people.json", {"tenants": [], "users": []})
    return people


async def ensure_tenant(run: dict[str, Any], var: Path, secrets: Secrets) -> None:
    """Make one tenant with an admin's API key, unless that was done before; httpx.HTTPError where the API refuses."""
    if read(var)["tenants"]:
        return
    async with httpx.AsyncClient(base_url=run["url"], timeout=30, trust_env=False) as client:
        token = await _post(client, "/v1/token", {"grant_type": "client_credentials", **run["operator"]})
        client.headers["Authorization"] = f"Bearer {token['access_token']}"
        # Made once, also where this was killed between the answer and writing it down.
        client.headers["Idempotency-Key"] = f"first-{secrets['seed'][:16]}"
        tenant = await _post(client, "/v1/tenants", _TENANT)
        key = await _post(client, "/v1/api-keys", {"tenant_id": tenant["id"], "name": "first", "role": "admin"})
    made = {"id": tenant["id"], "name": _TENANT["name"], "country": _TENANT["country"]}
    credentials = {"client_id": key["client_id"], "client_secret": key["client_secret"]}
    write_json(var / "people.json", {"tenants": [{**made, **credentials}], "users": []})


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    if answer.is_error:
        raise httpx.HTTPStatusError(
            f"POST {path}: {answer.status_code} {answer.text}", request=answer.request, response=answer
        )
    content: dict[str, Any] = answer.json()
    return content
