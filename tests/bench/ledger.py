"""BENCH=ledger: reservations and their settlements a second, on one hot account and on many cold ones.

Ours is what the worker does with what Kafka hands it: one transaction for a batch of events of any accounts, with the
answers in the outbox. Beside it, in the same run on the same server, stands one `SELECT ... FOR UPDATE` transaction for
each operation, in plain SQL, without an outbox and with as many connections as it likes.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID, uuid4

import uvloop

from bench.cpu import cpu_s
from muster.credit import handlers
from muster.credit.domain.top_ups import TopUp
from muster.credit.handlers.laws import check_laws
from muster.credit.settings import CreditSettings
from muster.events.v1.bulk_pb2 import BulkSmsAccounted, BulkSmsRequested
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit.consumer import Received
from muster.kit.ids import uuid7
from muster.kit.migrate import migrate
from muster.kit.pg import Database
from muster.kit.process import collect_seldom
from muster.kit.testing import PASSWORD, role_dsn
from muster.local.postgres import Postgres

ACCOUNTS = {"hot": 1, "cold": 1_000}
PAIRS_MAX = 100_000
SECONDS = 5.0
BATCH = CreditSettings.model_fields["credit_batch_max"].default
BATCHES = 8
CREDITS = 3
GRANT = 10**9
SINGLE_CONNECTIONS = 16

T = TypeVar("T")

Pair = tuple[UUID, UUID]
"""(tenant id, bulk id) of a send that is reserved and then settled."""


def measure() -> dict[str, Any]:
    """All of it, on a PostgreSQL of its own that is as durable as the product's."""
    collect_seldom()  # as each process of the product does, and uvloop as well
    with tempfile.TemporaryDirectory(prefix="muster-bench-") as folder:
        Path(folder).chmod(0o711)
        server = Postgres(Path(folder))
        server.prepare()
        server.start()
        try:
            found = {name: uvloop.run(_measured(server, name, count)) for name, count in ACCOUNTS.items()}
        finally:
            server.stop()
            server.remove()
    laws = [law for one in found.values() for law in one.pop("laws")]
    return {
        "bench": "ledger",
        "batch": BATCH,
        "single_connections": SINGLE_CONNECTIONS,
        **found,
        "laws": {
            name: sum(len(law.violations) for law in laws if law.law == name) for name in {law.law for law in laws}
        },
        "laws_checked": {
            name: sum(law.checked for law in laws if law.law == name) for name in {law.law for law in laws}
        },
    }


async def _measured(server: Postgres, name: str, count: int) -> dict[str, Any]:
    db = await _database(server, f"ledger_{name}")
    try:
        tenants = await _tenants(db, count)
        ours = await _rate(_said, partial(_grouped, db), tenants, BATCH * BATCHES)
        single = await _rate(list, partial(_single, db), tenants, SINGLE_CONNECTIONS)
        found = {
            "accounts": count,
            **dict(zip(("pairs_per_s", "cpu_us_per_pair"), ours, strict=True)),
            **dict(zip(("single_pairs_per_s", "single_cpu_us_per_pair"), single, strict=True)),
            "ratio": round(ours[0] / single[0], 1),
        }
        print(f"{name}: {found}", file=sys.stderr)
        async with db.worker() as tx:
            return {**found, "laws": await check_laws(tx)}
    finally:
        await db.close()


async def _database(server: Postgres, name: str) -> Database:
    secrets = {"app_password": PASSWORD, "worker_password": PASSWORD}
    await migrate(server.dsn(), "credit", database=name, **secrets)
    app, worker = (role_dsn(server.dsn(name), f"credit_{role}") for role in ("app", "worker"))
    # Who waits for a hot row waits long: that is what is measured, and no fault.
    return await Database.connect(app, worker, worker_pool_max=SINGLE_CONNECTIONS, lock_timeout_ms=30_000)


async def _tenants(db: Database, count: int) -> list[UUID]:
    tenants = [uuid4() for _ in range(count)]
    opened = [_heard(one, uuid7(), TenantChanged(tenant_id=str(one), version=1)) for one in tenants]
    async with db.worker() as tx:
        await handlers.on_tenant_changed(tx, opened)
    for tenant in tenants:
        async with db.request(tenant) as tx:
            await handlers.top_up(tx, TopUp(tenant, uuid4(), GRANT, "bench"))
    return tenants


async def _rate(
    prepare: Callable[[list[Pair]], list[T]],
    work: Callable[[list[T]], Awaitable[None]],
    tenants: list[UUID],
    at_once: int,
) -> tuple[int, float]:
    """Pairs a second, for some seconds after a first batch that warms everything up, and CPU microseconds for each.

    What the world would bring along is prepared before the clock starts.
    """
    pairs = _pairs(tenants)
    await work(prepare(next(pairs(at_once))))
    done, spent, cpu = 0, 0.0, 0.0
    while spent < SECONDS and done < PAIRS_MAX:
        some = prepare(next(pairs(at_once)))
        began, cpu_began = time.monotonic(), _cpu_s()
        await work(some)
        spent, cpu, done = spent + time.monotonic() - began, cpu + _cpu_s() - cpu_began, done + len(some)
    return round(done / spent), round(cpu / done * 1e6, 1)


def _cpu_s() -> float:
    """CPU seconds of this process, which plays the worker, and of the server that it has started."""
    return cpu_s({}, ())[0] + time.process_time()


def _pairs(tenants: list[UUID]) -> Callable[[int], Iterator[list[Pair]]]:
    turns = cycle(tenants)

    def in_batches(size: int) -> Iterator[list[Pair]]:
        while True:
            yield [(tenant, uuid7()) for tenant in islice(turns, size)]

    return in_batches


# -- ours -------------------------------------------------------------------------------------------------------------


class Heard(NamedTuple):
    """What Kafka has of a pair: the send's request and its totals, as bytes with their headers."""

    tenant_id: UUID
    request_id: UUID
    request: bytes
    totals_id: UUID
    totals: bytes


def _said(pairs: list[Pair]) -> list[Heard]:
    return [_said_one(str(tenant_id), str(bulk_id)) for tenant_id, bulk_id in pairs]


def _said_one(tenant_id: str, bulk_id: str) -> Heard:
    request = BulkSmsRequested(tenant_id=tenant_id, bulk_id=bulk_id, credits=CREDITS)
    ids = {"tenant_id": tenant_id, "bulk_id": bulk_id}
    totals = BulkSmsAccounted(**ids, version=1, used=CREDITS - 1, released=1, closed=True)
    return Heard(UUID(tenant_id), uuid7(), request.SerializeToString(), uuid7(), totals.SerializeToString())


async def _grouped(db: Database, said: list[Heard]) -> None:
    """Requests and totals are two topics, which the worker applies side by side: while a batch is settled, the next one
    is reserved for. Each batch is a transaction."""
    batches = [said[first : first + BATCH] for first in range(0, len(said), BATCH)]
    for settled, reserved in zip((None, *batches), (*batches, None), strict=True):
        await asyncio.gather(_reserve(db, reserved or []), _settle(db, settled or []))


async def _reserve(db: Database, said: list[Heard]) -> None:
    heard = [_heard(one.tenant_id, one.request_id, BulkSmsRequested.FromString(one.request)) for one in said]
    async with db.worker() as tx:
        await handlers.on_bulk_sms_requested(tx, heard)


async def _settle(db: Database, said: list[Heard]) -> None:
    heard = [_heard(one.tenant_id, one.totals_id, BulkSmsAccounted.FromString(one.totals)) for one in said]
    async with db.worker() as tx:
        await handlers.on_bulk_sms_accounted(tx, heard)


def _heard(tenant_id: UUID, event_id: UUID, message: Any) -> Received[Any]:
    return Received(
        message=message,
        event_id=event_id,
        tenant_id=tenant_id,
        correlation="",
        causation="",
        time_unix_ms=0,
        topic="",
        partition=0,
        offset=0,
        key=b"",
    )


# -- beside it --------------------------------------------------------------------------------------------------------

_LOCK = """
SELECT granted, owed, available, reserved, consumed, version FROM account WHERE tenant_id = $1 FOR UPDATE
"""
_MOVE = """
UPDATE account SET available = available + $2, reserved = reserved + $3, consumed = consumed + $4, version = version + 1
WHERE tenant_id = $1
"""
_ENTRY = """
INSERT INTO entry (tenant_id, account_version, kind, credits, bulk_id, granted_after, owed_after, available_after,
    reserved_after, consumed_after) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
_RESERVE = """
INSERT INTO reservation (tenant_id, bulk_id, answer, asked, reserved, held) VALUES ($1, $2, 'reserved', $3, $3, $3)
"""
_KNOWN = "SELECT reserved, used, released, version FROM reservation WHERE tenant_id = $1 AND bulk_id = $2"
_SETTLE = """
UPDATE reservation SET used = $3, released = $4, held = 0, version = 1, closed = true
WHERE tenant_id = $1 AND bulk_id = $2
"""


async def _single(db: Database, pairs: list[Pair]) -> None:
    """A transaction for each operation, all at the same time."""
    await asyncio.gather(*(_reserve_and_settle(db, *pair) for pair in pairs))


async def _reserve_and_settle(db: Database, tenant_id: UUID, bulk_id: UUID) -> None:
    async with db.worker() as tx:
        at = await _moved(tx, tenant_id, bulk_id, None, "pending", -CREDITS, CREDITS, 0)
        await tx.execute(_RESERVE, tenant_id, bulk_id, CREDITS)
    async with db.worker() as tx:
        at = await _moved(tx, tenant_id, bulk_id, None, "post", 0, 1 - CREDITS, CREDITS - 1)
        await tx.fetchrow(_KNOWN, tenant_id, bulk_id)
        await _moved(tx, tenant_id, bulk_id, at, "void", 1, -1, 0)
        await tx.execute(_SETTLE, tenant_id, bulk_id, CREDITS - 1, 1)


async def _moved(
    tx: Any, tenant_id: UUID, bulk_id: UUID, at: Any, kind: str, available: int, reserved: int, consumed: int
) -> dict[str, int]:
    """Move credits of an account, which is locked here unless it is known (`at`), and write the entry."""
    row = dict(at or await tx.fetchrow(_LOCK, tenant_id))
    row["available"] += available
    row["reserved"] += reserved
    row["consumed"] += consumed
    row["version"] += 1
    after = [row[name] for name in ("granted", "owed", "available", "reserved", "consumed")]
    await tx.execute(_MOVE, tenant_id, available, reserved, consumed)
    await tx.execute(_ENTRY, tenant_id, row["version"], kind, abs(reserved), bulk_id, *after)
    return row
