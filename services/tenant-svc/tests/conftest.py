"""tenant-svc as its clients see it: the real app over a real database, asked through HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from muster.kit.auth import Verifier
from muster.kit.pg import Database
from muster.kit.testing import app_of
from muster.tenant.api import ROUTERS
from muster.tenant.api.hashing import Hasher
from muster.tenant.api.keyring import Keyring
from muster.tenant.main import put_operators
from muster.tenant.settings import TenantSettings

OPERATOR = {"client_id": "operator", "client_secret": "the-operator-s-secret"}
SECOND = {"client_id": "second", "client_secret": "another-person-s-secret"}
SALON = {
    "name": "Salon Ω",
    "country": "AU",
    "time_zone": "Australia/Sydney",
    "sender": "+61400000000",
    "allow_sms_replies": True,
    "reception_email": "reception@salon.example",
}


@dataclass
class Service:
    """The running service and ways to ask it."""

    app: FastAPI
    db: Database
    keyring: Keyring
    settings: TenantSettings
    http: httpx.AsyncClient
    verifier: Verifier

    async def token(self, credentials: dict[str, Any]) -> str:
        """A token for an API key."""
        answer = await self._ask_token(credentials)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    async def try_token(self, credentials: dict[str, Any]) -> int:
        """The status of asking for a token."""
        return (await self._ask_token(credentials)).status_code

    async def _ask_token(self, credentials: dict[str, Any]) -> httpx.Response:
        asked = {name: credentials[name] for name in ("client_id", "client_secret")}
        return await self.http.post("/v1/token", json={"grant_type": "client_credentials", **asked})

    async def call(self, token: str, method: str, path: str, **options: Any) -> httpx.Response:
        """A request with a token; `key` is its idempotency key."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if "key" in options:
            headers["Idempotency-Key"] = options.pop("key")
        return await self.http.request(method, path, headers=headers, **options)


@dataclass
class Business:
    """A tenant and a token of its admin."""

    id: UUID
    token: str
    key: dict[str, Any]


@pytest.fixture
async def service(service_database: Callable[..., Awaitable[Database]]) -> AsyncIterator[Service]:
    second = f"{SECOND['client_id']}:{SECOND['client_secret']}"
    settings = TenantSettings(operator_client_secret=OPERATOR["client_secret"], operators=second, hash_key="11" * 32)
    db = await service_database("tenant")
    await put_operators(db, settings)
    keyring = Keyring(settings)
    await keyring.refresh(db)
    verifier = Verifier.of(settings, fetch=keyring.fetch)
    # Of no strength: what is tested is not how long a hash takes.
    hasher = Hasher(settings.model_copy(update={"tenant_hash_rounds": 1, "tenant_hash_memory_kib": 8}))
    state = {"db": db, "settings": settings, "keyring": keyring, "verifier": verifier, "hasher": hasher}
    app = app_of("tenant", ROUTERS, state)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://muster") as http:
        yield Service(app, db, keyring, settings, http, verifier)


@pytest.fixture
def operator_key() -> dict[str, str]:
    return OPERATOR


@pytest.fixture
def second_operator_key() -> dict[str, str]:
    return SECOND


@pytest.fixture
def salon() -> dict[str, Any]:
    return SALON


@pytest.fixture
async def operator(service: Service) -> str:
    return await service.token(OPERATOR)


@pytest.fixture
def new_business(service: Service, operator: str) -> Callable[..., Awaitable[Business]]:
    """A factory of tenants with an admin each."""

    async def make(**changes: Any) -> Business:
        made = await service.call(operator, "POST", "/v1/tenants", json={**SALON, **changes})
        assert made.status_code == 201, made.text
        tenant_id = made.json()["id"]
        key = await service.call(operator, "POST", "/v1/api-keys", json={"tenant_id": tenant_id, "name": "first"})
        assert key.status_code == 201, key.text
        return Business(UUID(tenant_id), await service.token(key.json()), key.json())

    return make


@pytest.fixture
async def business(new_business: Callable[..., Awaitable[Business]]) -> Business:
    return await new_business()
