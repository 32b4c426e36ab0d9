"""credit-svc as people, operators and the payment provider see it: the real app over a real database."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from muster.credit import handlers
from muster.credit.api import ROUTERS
from muster.credit.domain.account import Account, Tenant
from muster.credit.domain.signature import secret_of, sign
from muster.credit.settings import CreditSettings
from muster.credit.store import laws, ledger
from muster.events import NIL_TENANT
from muster.events.v1.bulk_pb2 import BulkSmsAccounted, BulkSmsRequested
from muster.kit import clock
from muster.kit.auth import Caller, Role
from muster.kit.pg import Database
from muster.kit.testing import app_of, apply
from muster.kit.tokens import TokenRefused
from muster.laws import ledger as law

OLD_SECRET = "whsec_" + "b2xkLXNlY3JldC1vbGQtc2VjcmV0LW9sZC1zZWNyZXQ="
NEW_SECRET = "whsec_" + "bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldy1zZWNyZXQ="
LIMIT = 1_000


@dataclass
class World:
    """Three businesses, two operators, a provider, and ways to ask as each of them."""

    db: Database
    http: httpx.AsyncClient = field(init=False)
    tenant: UUID = field(default_factory=uuid4)
    shop: UUID = field(default_factory=uuid4)
    stranger: UUID = field(default_factory=uuid4)
    limit = LIMIT
    old_secret, new_secret = OLD_SECRET, NEW_SECRET

    def caller(self, name: str) -> Caller:
        callers = {
            "op": Caller(NIL_TENANT, "op", Role.OPERATOR, ""),
            "op2": Caller(NIL_TENANT, "op2", Role.OPERATOR, ""),
            "admin": Caller(self.tenant, "ada", Role.ADMIN, ""),
            "staff": Caller(self.tenant, "sam", Role.STAFF, ""),
            "shop": Caller(self.shop, "sue", Role.ADMIN, ""),
            "stranger": Caller(self.stranger, "stu", Role.ADMIN, ""),
        }
        if name not in callers:
            raise TokenRefused("unknown")
        return callers[name]

    async def verify(self, token: str) -> Caller:
        return self.caller(token)

    async def ask(
        self, who: str, method: str, path: str, body: Any = None, *, key: str | None = None
    ) -> httpx.Response:
        """A request of somebody under /v1/credits; again while it is busy (503, and nothing done), as clients do."""
        headers = {"Authorization": f"Bearer {who}", **({"Idempotency-Key": key} if key else {})}
        for _ in range(3):
            answer = await self.http.request(method, f"/v1/credits{path}", json=body, headers=headers)
            if answer.status_code != 503:
                break
        return answer

    async def told(self, body: Any, **signed: Any) -> httpx.Response:
        """A call of the payment provider; what is not said of its signature is right."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        call_id = signed.get("id", str(uuid4()))
        at = signed.get("at", clock.unix_ms() // 1000)
        signature = signed.get("signature", sign(secret_of(signed.get("secret", NEW_SECRET)), call_id, at, raw))
        names = {"webhook-id": call_id, "webhook-timestamp": str(at), "webhook-signature": signature}
        headers = {name: value for name, value in names.items() if value}
        sent = signed.get("sent", raw)
        headers["Content-Type"] = "application/json"
        return await self.http.post("/v1/credits/payments/webhook", content=sent, headers=headers)

    async def price(self, minor_units: int = 10, credits: int = 1, currency: str = "EUR") -> None:
        """Give a currency a price from now on."""
        body = {"currency": currency, "minor_units": minor_units, "credits": credits}
        assert (await self.ask("op", "POST", "/prices", body)).status_code == 201

    async def top_up(self, tenant: UUID, credits: int) -> UUID:
        """Credits of an operator; the grant's id."""
        body = {"tenant_id": str(tenant), "credits": credits, "reason": "test"}
        answer = await self.ask("op", "POST", "/top-ups", body)
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["id"])

    async def reserve(self, tenant: UUID, credits: int) -> UUID:
        """A send asks for credits."""
        bulk = uuid4()
        event = BulkSmsRequested(tenant_id=str(tenant), bulk_id=str(bulk), credits=credits)
        await apply(self.db, handlers.on_bulk_sms_requested, event)
        return bulk

    async def settle(self, tenant: UUID, bulk: UUID, used: int, released: int) -> None:
        """A send ends."""
        said = BulkSmsAccounted(
            tenant_id=str(tenant), bulk_id=str(bulk), version=1, used=used, released=released, closed=True
        )
        await apply(self.db, handlers.on_bulk_sms_accounted, said)

    async def account(self, tenant: UUID) -> Account:
        """An account as it stands."""
        async with self.db.request(tenant) as tx:
            return await ledger.balance(tx, tenant)

    async def know(self, *tenants: Tenant) -> None:
        """What tenant-svc says."""
        async with self.db.worker() as tx:
            await ledger.save_tenants(tx, tenants)

    async def entries(self, tenant: UUID) -> list[tuple[str, int]]:
        """(kind, credits) of a statement, oldest first."""
        async with self.db.request(tenant) as tx:
            rows = await tx.fetch(
                "SELECT kind, credits FROM entry WHERE tenant_id = $1 ORDER BY account_version", tenant
            )
        return [(row["kind"], row["credits"]) for row in rows]

    @staticmethod
    async def at_once(*calls: Awaitable[httpx.Response]) -> list[httpx.Response]:
        """The answers of several requests at the same time."""
        return list(await asyncio.gather(*calls))

    async def check(self) -> None:
        """The laws of the ledger hold."""
        async with self.db.worker() as tx:
            assert law.granted(await laws.accounts(tx)).violations == []


@pytest.fixture
async def world(service_database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[World]:
    settings = CreditSettings(
        credit_tenant_wait_ms_max=60,
        credit_top_up_alone_max=LIMIT,
        credit_webhook_secrets=f"{OLD_SECRET} {NEW_SECRET}",
        credit_payment_url="http://provider.example/charges",
    )
    state: dict[str, Any] = {"db": await service_database("credit"), "settings": settings}
    world = World(state["db"])
    app = app_of("credit", ROUTERS, {**state, "verifier": world})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://credit") as http:
        world.http = http
        await world.know(
            Tenant(world.tenant, 1), Tenant(world.shop, 1, parent_id=world.tenant), Tenant(world.stranger, 1)
        )
        yield world
