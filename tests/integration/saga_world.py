"""Three services' handlers on real PostgreSQL with a bus that a test can cut, and a clock that it can move."""

import sys
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "services" / "dispatch-svc" / "tests"))

from dispatch_world import Send, money, platform, tenant
from dispatch_world import saga as saga_row

from muster.credit import handlers as credit
from muster.credit.domain.top_ups import TopUp
from muster.customer.api.send_out import BulkOut, bulk_out
from muster.customer.events import MessageClass, MessageKind, Partial
from muster.customer.handlers import facts as customer
from muster.customer.store import bulks
from muster.customer.store.bulks import NewBulk, Total
from muster.dispatch import handlers as dispatch
from muster.dispatch.domain.saga import Control, Controlled
from muster.dispatch.handlers import sweeps
from muster.dispatch.handlers.laws import check_laws
from muster.dispatch.handlers.sagas import apply_facts
from muster.dispatch.store import claims, queue
from muster.dispatch.store.queue import Intent
from muster.dispatch.store.sagas import SagaKey
from muster.kit import clock
from muster.kit.outbox import Lane
from muster.kit.pg import Database
from muster.kit.testing import ServiceDatabases, apply, facts

DAY_S = 24 * 3600
UNKNOWN_KEPT_S = 72 * 3600.0
KEY = bytes(range(32, 64))

HANDLERS: dict[str, Any] = {
    "dispatch": dispatch.HANDLERS,
    "credit": credit.HANDLERS,
    "customer": customer.handlers(KEY),
}


@dataclass(slots=True)
class Platform:
    """`away`: services that hear nothing until they come back; `lost`: types of events that none hears."""

    dbs: dict[str, Database]
    admin_dsns: dict[str, str]
    stack: ExitStack
    away: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    # How far each service has heard what each has said.
    heard: dict[tuple[str, str], int] = field(default_factory=dict)
    late_s: int = 0

    async def say(self, *messages: Any, to: tuple[str, ...] = ("dispatch", "credit", "customer")) -> None:
        """What nobody here says of itself: heard twice by those who are there, and kept from no one who comes back."""
        for message in messages:
            for service in to:
                await self._hear(service, message)

    async def _hear(self, service: str, message: Any) -> None:
        handler = HANDLERS[service].get(message.DESCRIPTOR.name)
        if handler is not None:
            await apply(self.dbs[service], handler, message)
            await apply(self.dbs[service], handler, message)

    async def carry(self) -> None:
        """Let everything that was said be heard, twice, by everyone who is not away, until nothing new is said."""
        moved = True
        while moved:
            moved = False
            for producer, db in self.dbs.items():
                async with db.worker() as tx:
                    said = await facts(tx)
                for service in self.dbs.keys() - self.away:
                    begin = self.heard.get((producer, service), 0)
                    self.heard[producer, service] = len(said)
                    for one in said[begin:]:
                        if one.message.DESCRIPTOR.name not in self.lost:
                            moved = True
                            await self._hear(service, one.message)

    async def later(self, seconds: float) -> None:
        """Move time in Python and in SQL, and do what the workers of dispatch-svc do as it passes."""
        self.late_s += round(seconds)
        for dsn in self.admin_dsns.values():
            connection = await asyncpg.connect(dsn)
            try:
                await connection.execute(
                    "CREATE OR REPLACE FUNCTION kit_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE "
                    f"AS $$ SELECT statement_timestamp() + make_interval(secs => {self.late_s}) $$"
                )
            finally:
                await connection.close()
        ahead_ns = self.late_s * 10**9
        self.stack.enter_context(clock.replaced(lambda: time.time_ns() + ahead_ns, time.monotonic))
        await self.work()

    async def work(self) -> None:
        """What the worker's timers do, and the events that come of it."""
        db = self.dbs["dispatch"]
        for _ in range(3):
            await sweeps.end_past_send_by(db)
            while await sweeps.sweep_ended(db, 50):
                pass
            await sweeps.settle_unknowns(db, UNKNOWN_KEPT_S)
            await sweeps.repeat_accounts(db, 3600.0)
            await sweeps.count_waits(db)
            await self.carry()

    async def control(self, send: Send, control: Control) -> None:
        """A person controls a send."""
        async with self.dbs["dispatch"].worker() as tx:
            key = SagaKey(send.tenant_id, send.bulk_id)
            await apply_facts(tx, {key: [Controlled(control)]}, user_id="mia")
        await self.carry()

    async def crash_in_the_middle(self, parts: int) -> None:
        """A sender has written so many parts, and is gone before the carrier answers."""
        db, owner = self.dbs["dispatch"], uuid4()
        async with db.worker() as tx:
            claimed = await claims.claim(tx, await claims.waiting(tx, "smpp", 10, 10), owner, 10.0)
            intents = [Intent(one.key, parts, one.counter) for one in claimed]
            assert await queue.intend(tx, intents, owner, 10.0)
        await sweeps.recover_account(db, "smpp", every=True)

    async def seen(self, send: Send) -> BulkOut:
        """The send as its people see it."""
        async with self.dbs["customer"].worker() as tx:
            row = await bulks.bulk_of(tx, send.tenant_id, send.bulk_id)
        assert row is not None
        return bulk_out(row, UNKNOWN_KEPT_S)

    async def assert_over(self, send: Send, state: str, used: int = 0) -> None:
        """It has ended, nothing of it is held anywhere, and what was not used is available again."""
        row = await saga_row(self.dbs["dispatch"], send)
        assert (row["state"], row["parked"]) == (state, "")
        assert row["account_version"] == row["settled_version"]
        reserved, spent, released, held = await money(self.dbs["dispatch"], send)
        assert ((reserved or 0) - spent - released, held, spent) == (0, 0, used)
        async with self.dbs["credit"].worker() as tx:
            account = await tx.fetchrow("SELECT * FROM account WHERE tenant_id = $1", send.tenant_id)
            there = await tx.fetchrow(
                "SELECT * FROM reservation WHERE tenant_id = $1 AND bulk_id = $2", send.tenant_id, send.bulk_id
            )
        assert account is not None
        assert (account["available"], account["reserved"], account["consumed"]) == (10_000 - used, 0, used)
        assert there is None or (there["held"], there["used"]) == (0, used)
        async with self.dbs["dispatch"].worker() as tx:
            broken = [(law.law, law.violations) for law in await check_laws(tx) if law.violations]
        assert broken == []


async def confirmed(world: Platform, send: Send) -> None:
    """customer-svc has the send and 10,000 credits are there; nothing was said of it yet."""
    await world.say(tenant(send))
    async with world.dbs["credit"].request(send.tenant_id) as tx:
        await credit.top_up(tx, TopUp(send.tenant_id, uuid4(), 10_000))
    await platform(world.dbs["dispatch"])
    now = clock.now()
    bulk = NewBulk(
        bulk_id=send.bulk_id,
        kind=MessageKind.BULK,
        message_class=MessageClass.MARKETING,
        lane=Lane.LARGE,
        quote_id=None,
        answer_id=None,
        sender=send.sender,
        text=send.text,
        partial=Partial.NOTHING,
        send_by=now + timedelta(milliseconds=send.send_by_ms),
        reference_base=0,
        created_at=now,
        created_by="mia",
        credits_confirmed=send.credits,
    )
    async with world.dbs["customer"].worker() as tx:
        total = Total(send.recipients, send.chunks, send.recipients, send.credits)
        await bulks.add_planned(tx, send.tenant_id, bulk, total)


@asynccontextmanager
async def opened(service_database: ServiceDatabases) -> AsyncIterator[Platform]:
    """The three services on fresh databases."""
    with ExitStack() as stack:
        dbs = {name: await service_database(name) for name in HANDLERS}
        yield Platform(dbs, {name: service_database.admin_dsn(db) for name, db in dbs.items()}, stack)
