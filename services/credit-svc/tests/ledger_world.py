"""What the tests of the ledger share: callers, a client of the API, and the events of sends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx

from muster.credit import handlers
from muster.credit.api import ROUTERS
from muster.credit.domain.account import Tenant
from muster.credit.domain.top_ups import TopUp
from muster.credit.settings import CreditSettings
from muster.credit.store import ledger
from muster.events import NIL_TENANT
from muster.events.v1.bulk_pb2 import BulkSmsAccounted, BulkSmsRequested
from muster.kit.auth import Caller, Role
from muster.kit.pg import Database
from muster.kit.testing import app_of, apply
from muster.kit.tokens import TokenRefused

TENANT, OTHER = uuid4(), uuid4()
CALLERS = {
    "operator": Caller(NIL_TENANT, "op", Role.OPERATOR, ""),
    "admin": Caller(TENANT, "ada", Role.ADMIN, ""),
    "staff": Caller(TENANT, "sam", Role.STAFF, ""),
    "other": Caller(OTHER, "ole", Role.ADMIN, ""),
}


class Verifier:
    """Knows the callers by their names."""

    async def verify(self, token: str) -> Caller:
        """The caller of that name."""
        if token not in CALLERS:
            raise TokenRefused("unknown")
        return CALLERS[token]


@asynccontextmanager
async def client(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API over this database."""
    state = {"db": db, "verifier": Verifier(), "settings": CreditSettings(credit_tenant_wait_ms_max=60)}
    app = app_of("credit", ROUTERS, state)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://credit") as http:
        yield http


def by(caller: str) -> dict[str, str]:
    """The headers of a caller."""
    return {"Authorization": f"Bearer {caller}"}


async def open_accounts(db: Database, *tenants: UUID) -> None:
    """Accounts of new tenants."""
    async with db.worker() as tx:
        await ledger.save_tenants(tx, [Tenant(tenant, 1) for tenant in tenants])


async def given(db: Database, credits: int, tenant: UUID = TENANT, **members: Any) -> None:
    """Grant credits."""
    async with db.request(tenant) as tx:
        await handlers.top_up(tx, TopUp(tenant, uuid4(), credits, **members))


async def reserve(db: Database, bulk: UUID, credits: int, tenant: UUID = TENANT, **members: Any) -> None:
    """A send asks for credits."""
    asked = BulkSmsRequested(tenant_id=str(tenant), bulk_id=str(bulk), credits=credits, **members)
    await apply(db, handlers.on_bulk_sms_requested, asked)


async def settle(db: Database, bulk: UUID, version: int = 1, tenant: UUID = TENANT, **totals: Any) -> None:
    """A send accounts for itself."""
    said = BulkSmsAccounted(tenant_id=str(tenant), bulk_id=str(bulk), version=version, **totals)
    await apply(db, handlers.on_bulk_sms_accounted, said)
