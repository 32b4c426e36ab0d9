"""A salon with a few customers, on a fresh database, behind the real HTTP edge."""

import sys
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

sys.path.insert(0, str(Path(__file__).parent))

from gathering import KEY, LINK_URL, LINKS, gatherer_of
from importing import importer_of

from muster.customer.api import ROUTERS
from muster.customer.events import MessageKind
from muster.customer.handlers import asks
from muster.customer.handlers import facts as handlers
from muster.customer.planner import Limits, Planner
from muster.customer.settings import CustomerSettings
from muster.events import NIL_TENANT
from muster.events.v1.platform_pb2 import SENDER_STANDING_ACTIVE, RatesChanged, RouteChanged, SenderChanged
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit.auth import Caller, Role
from muster.kit.desk import Desk
from muster.kit.http import create_app
from muster.kit.idempotency import Claim
from muster.kit.outbox import Lane
from muster.kit.pg import Database
from muster.kit.testing import Emitted, ServiceDatabases, apply, facts
from muster.kit.tokens import TokenRefused


@dataclass
class Salon:
    """One tenant of the test, and the means to act for it."""

    db: Database
    http: httpx.AsyncClient
    tenant_id: UUID
    other_id: UUID
    admin_dsn: str
    callers: dict[str, Caller]
    limits: Limits = field(default_factory=lambda: Limits(200, 40, 1, 60_000))

    async def ask(
        self, method: str, path: str, body: Any = None, *, by: str = "admin", **headers: str
    ) -> httpx.Response:
        """A request as somebody; underscores in the names of headers are dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.http.request(
            method, path, headers={"Authorization": f"Bearer {by}", **named}, **({} if body is None else given)
        )

    async def load(
        self, rows: str, header: str = "first name,last name,mobile,allow bulk sms", **options: str
    ) -> dict[str, Any]:
        """Import a CSV; options as query parameters."""
        path = f"/v1/customers/imports?{urlencode(options)}"
        answer = await self.ask("POST", path, f"{header}\n{rows}".encode(), Content_Type="text/csv")
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def quote(self, text: str, audience: Any = None, **members: Any) -> dict[str, Any]:
        """A quote that is given."""
        answer = await self.ask("POST", "/v1/quotes", {"text": text, "audience": audience or {"all": True}, **members})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def send(self, quote_id: str, key: str = "", **members: Any) -> str:
        """Confirm a quote; the id of the send."""
        body = {"quote_id": quote_id, **members}
        answer = await self.ask("POST", "/v1/bulk-sms", body, Idempotency_Key=key or str(uuid4()))
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def bulk(self, bulk_id: str) -> dict[str, Any]:
        """A send as it stands."""
        answer = await self.ask("GET", f"/v1/bulk-sms/{bulk_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def plan(self) -> None:
        """Let the planners of both lanes do all there is to do."""
        for lane in Lane:
            planner = Planner(self.db, lane, self.limits, lambda: None, links=LINKS)
            while await planner.turn():
                pass

    async def said(self, *types: str) -> list[Emitted]:
        """Facts in the outbox."""
        async with self.db.worker() as tx:
            return await facts(tx, *types)

    async def hear(self, handler: Any, *messages: Any) -> None:
        """Apply events, and the same again, as a consumer does that died before it knew of its commit."""
        for _ in range(2):
            await apply(self.db, handler, *messages)

    def asked(self, to: str, *, by: str = "admin", key: str = "", **members: Any) -> asks.Ask:
        """A message as its route hands it over."""
        claim = Claim(self.tenant_id, "POST /v1/messages", key, to.encode()) if key else None
        values = {"text": "Hi", "marketing": False, "kind": MessageKind.SINGLE, "send_by": None, **members}
        return asks.Ask(self.callers[by], to, 0, claim=claim, **values)

    async def count(self, table: str) -> int:
        """Rows of a table, of all tenants, seen behind the roles."""
        return (await self.counts(table))[0]

    async def counts(self, *tables: str) -> list[int]:
        """The same of several."""
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            asked = ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
            return list(await connection.fetchrow(f"SELECT {asked}"))
        finally:
            await connection.close()


EXPRESS = {"consent": "express", "consent_source": "form", "consent_wording": "Text me"}
"""What is said of a file of people who have agreed in these words."""

# Tests text whom they like; those of limits set their own.
NO_LIMITS: Any = {
    f"customer_{name}_max": 0 for name in ("range_hourly", "prefix_hourly", "plan_range", "start_daily")
}  # fmt: skip


def tenant(tenant_id: UUID, country: str = "AU", version: int = 1, countries: Iterable[str] = ("*",)) -> TenantChanged:
    return TenantChanged(
        tenant_id=str(tenant_id),
        version=version,
        name="Salon",
        country=country,
        time_zone="UTC",
        sender="+61400000000",
        countries=countries,
    )


def sender(owner: UUID, name: str = "61400000000", version: int = 1, **members: Any) -> SenderChanged:
    """By default the sender of the tenant's settings, which it has."""
    given = {"standing": SENDER_STANDING_ACTIVE, "active": True, **members}
    return SenderChanged(
        tenant_id=str(NIL_TENANT), owner_tenant_id=str(owner), sender=name, version=version, **given
    )  # fmt: skip


def rate(country: str, credits_per_part: int, version: int = 1) -> RatesChanged:
    return RatesChanged(tenant_id=str(NIL_TENANT), country=country, version=version, credits_per_part=credits_per_part)


def route(
    name: str, countries: Iterable[str] = (), bits: int = 8, version: int = 1, senders: Iterable[str] = ()
) -> RouteChanged:
    return RouteChanged(
        tenant_id=str(NIL_TENANT),
        route=name,
        version=version,
        countries=countries,
        reference_bits=bits,
        open=True,
        senders=senders,
    )


class Verifier:
    def __init__(self, callers: dict[str, Caller]) -> None:
        self._callers = callers

    async def verify(self, token: str) -> Caller:
        if token not in self._callers:
            raise TokenRefused("unknown")
        return self._callers[token]


@pytest.fixture
def settings() -> CustomerSettings:
    return CustomerSettings(
        hash_key=KEY,
        bulk_id_key=KEY,
        customer_link_url=LINK_URL,
        customer_tenant_wait_ms=60,
        customer_import_batch_rows=50,
        **NO_LIMITS,
    )


@pytest.fixture(scope="session")
def app() -> FastAPI:
    """Built once: its many models take longer than a fresh database."""
    return create_app("customer", routers=ROUTERS, state={})


@pytest.fixture
async def salon(app: FastAPI, service_database: ServiceDatabases, settings: CustomerSettings) -> AsyncIterator[Salon]:
    db = await service_database("customer")
    tenant_id, other_id = uuid4(), uuid4()
    callers = {
        "operator": Caller(NIL_TENANT, "op", Role.OPERATOR, ""),
        "admin": Caller(tenant_id, "ada", Role.ADMIN, ""),
        "manager": Caller(tenant_id, "mia", Role.MANAGER, ""),
        "staff": Caller(tenant_id, "sam", Role.STAFF, ""),
        "other": Caller(other_id, "ole", Role.ADMIN, ""),
        "stranger": Caller(uuid4(), "new", Role.ADMIN, ""),
    }
    app.state.db, app.state.desk = db, Desk(db)
    app.state.verifier, app.state.settings = Verifier(callers), settings
    app.state.gatherer = gatherer_of(db)
    app.state.importer = importer_of(db, settings)
    await apply(db, handlers.on_tenant_changed, tenant(tenant_id), tenant(other_id, "GB"))
    await apply(db, handlers.on_sender_changed, *(sender(one) for one in (tenant_id, other_id)))
    await apply(db, handlers.on_rates_changed, rate("AU", 1), rate("GB", 1), rate("NZ", 2))
    await apply(db, handlers.on_route_changed, route("all"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://customer") as client:
        yield Salon(db, client, tenant_id, other_id, service_database.admin_dsn(db), callers)
