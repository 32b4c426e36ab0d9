"""A sandbox tenant on real PostgreSQL: what magic numbers do, and that nothing of it can reach a carrier."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import dispatch_world as world
import pytest
from dispatch_world import Send

from muster.dispatch.domain import sandbox
from muster.dispatch.handlers import sweeps
from muster.dispatch.sender.sandbox import SandboxSender
from muster.events import is_sandbox
from muster.events.v1 import common_pb2
from muster.kit.ids import as_uuid8, uuid7
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.server import Carrier
from muster.text.magic import FIRST

ACCEPTED, UNKNOWN, REJECTED = common_pb2.LEFT_ACCEPTED, common_pb2.LEFT_UNKNOWN, common_pb2.LEFT_REJECTED
DELIVERED, EXPIRED = common_pb2.RECEIPT_STATE_DELIVERED, common_pb2.RECEIPT_STATE_EXPIRED
UNDELIVERED, REFUSED = common_pb2.RECEIPT_STATE_UNDELIVERED, common_pb2.RECEIPT_STATE_REJECTED

# What docs/sandbox.md says: how a message is left, and what its receipt says.
FATES = {
    0: (ACCEPTED, DELIVERED),
    1: (REJECTED, None),
    2: (ACCEPTED, UNDELIVERED),
    3: (ACCEPTED, EXPIRED),
    4: (UNKNOWN, None),
    5: (ACCEPTED, DELIVERED),
    6: (ACCEPTED, None),
    7: (ACCEPTED, REFUSED),
    8: (ACCEPTED, DELIVERED),
    999: (ACCEPTED, DELIVERED),
}


def a_sandbox() -> UUID:
    return as_uuid8(uuid7())


def send_to(*endings: int, **members: Any) -> Send:
    """A send to these magic numbers."""
    members = {"tenant_id": a_sandbox(), **members}
    made = Send(recipients=len(endings), **members)
    made.listed = [FIRST + ending for ending in endings]
    return made


@asynccontextmanager
async def running(db: Database, **settings: Any) -> AsyncIterator[SandboxSender]:
    """The sandbox's sender, as the worker runs it."""

    async def ready() -> None:
        pass

    made = SandboxSender(db, world.settings(dispatch_retry_s_min=0.05, **settings), ready)
    task = asyncio.ensure_future(made.run())
    try:
        yield made
        assert not task.done() or task.exception() is None
        await made.stop()
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def seq_receipts(db: Database, send: Send) -> dict[int, int]:
    return {
        seq: receipt
        for fact in await world.said(db, "SmsStatusChanged")
        for seq, receipt in zip(fact.seq, fact.receipt, strict=True)
    }


async def test_each_magic_number_does_what_the_table_says(db: Database) -> None:
    send = send_to(*FATES)
    wanted = {at + 1: receipt for at, (_, receipt) in enumerate(FATES.values()) if receipt is not None}
    await world.queue(db, send)
    async with running(db):
        await eventually(partial(_all_are_left, db, send))
        await eventually(lambda: _equal(seq_receipts(db, send), wanted))
    assert await world.left_by_seq(db, send) == {at + 1: left for at, (left, _) in enumerate(FATES.values())}
    assert (await world.money(db, send))[1] == 8
    assert {fact.carrier for fact in await world.said(db, "SmsDispatched")} == {sandbox.ACCOUNT}
    await world.assert_laws(db)


async def _all_are_left(db: Database, send: Send) -> bool:
    lefts = await world.lefts(db, send)
    return lefts.total() == send.recipients and not lefts[common_pb2.LEFT_SUBMITTING]


async def _equal(found: Any, wanted: object) -> bool:
    return bool(await found == wanted)


async def test_a_long_message_and_an_ordinary_number_are_delivered_and_reach_nobody(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=20, text="A long word to everybody. " * 12, tenant_id=a_sandbox())
    await world.queue(db, send)
    async with (
        world.sending(db, world.settings(carrier_port=carrier.port)),
        running(db),
    ):
        await eventually(partial(world.closed, db, send))
        await eventually(lambda: _equal(world.receipts(db, send), Counter({DELIVERED: 20})))
    assert await world.money(db, send) == (60, 60, 0, 0)
    assert not carrier.stats.by_destination
    await world.assert_laws(db)


async def test_a_number_answers_and_one_opts_out_to_its_own_sandbox_though_the_sender_is_anothers(db: Database) -> None:
    owner = Send(recipients=1)
    await world.hear(db, world.tenant(owner))
    send = send_to(10, 11)
    assert send.sender == owner.sender
    await world.queue(db, send)
    async with running(db):
        await eventually(lambda: _answers(db, 2))
    said = await world.said(db, "SmsReceived")
    assert {(one.number, one.text) for one in said} == {("+447700900010", "YES"), ("+447700900011", "STOP")}
    assert {one.tenant_id for one in said} == {str(send.tenant_id)}
    assert {one.to for one in said} == {send.sender.removeprefix("+")}
    again = send_to(11, tenant_id=send.tenant_id)
    await world.queue(db, again)
    async with running(db):
        await eventually(lambda: _held(db, again))
    assert await world.lefts(db, again) == {}


async def _answers(db: Database, count: int) -> bool:
    return len(await world.said(db, "SmsReceived")) == count


async def _held(db: Database, send: Send) -> bool:
    """The opt-out holds the number: the message waits for its verdict."""
    async with db.worker() as tx:
        found = await tx.fetchval("SELECT why FROM attempt WHERE bulk_id = $1 AND attempt = 1", send.bulk_id)
    return found == "held"


async def test_a_worker_that_ends_leaves_nothing_unknown_and_another_goes_on(db: Database) -> None:
    send = send_to(*range(100, 150))
    await world.queue(db, send)
    async with running(db, sandbox_parts_per_second=60):
        await eventually(lambda: _left_at_least(db, send, 1))
    assert set(await world.lefts(db, send)) == {ACCEPTED}
    async with running(db):
        await eventually(partial(world.closed, db, send))
    assert await world.lefts(db, send) == {ACCEPTED: 50}
    assert await world.money(db, send) == (50, 50, 0, 0)


async def _left_at_least(db: Database, send: Send, count: int) -> bool:
    return (await world.lefts(db, send))[ACCEPTED] >= count


TAMPERING = [
    "UPDATE chunk SET account = 'smpp'",
    "UPDATE attempt SET account = 'smpp'",
    "UPDATE chunk SET tenant_id = '0198f2a0-0000-7000-8000-000000000001'",
    "INSERT INTO route (route, version, account, reference_bits) VALUES ('x', 1, 'sandbox', 8)",
]


@pytest.mark.parametrize("statement", TAMPERING)
async def test_the_database_refuses_to_put_a_sandbox_on_a_real_account_or_anybody_else_on_its(
    db: Database, statement: str
) -> None:
    await world.queue(db, send_to(0))
    with pytest.raises(asyncpg.CheckViolationError):
        async with db.worker() as tx:
            await tx.execute(statement)


async def test_a_real_tenants_chunk_cannot_be_put_into_the_sandbox(db: Database) -> None:
    await world.queue(db, Send(recipients=1))
    for table in ("chunk", "attempt"):
        with pytest.raises(asyncpg.CheckViolationError):
            async with db.worker() as tx:
                await tx.execute(f"UPDATE {table} SET account = 'sandbox'")


def test_a_sandbox_is_told_by_its_id_alone() -> None:
    assert is_sandbox(a_sandbox())
    assert not any(map(is_sandbox, (uuid4(), uuid7(), UUID(int=0), UUID(int=8 << 76))))
    made = uuid7()
    assert as_uuid8(made).bytes[:6] == made.bytes[:6]


async def test_no_sandbox_takes_a_senders_number_from_anybody(db: Database) -> None:
    await world.hear(db, world.tenant(send_to(0)))
    assert await world.said(db, "SenderChanged") == []
    await world.hear(db, world.tenant(Send(recipients=1)))
    assert len(await world.said(db, "SenderChanged")) == 1


async def test_without_a_sandbox_tenant_nothing_runs(db: Database) -> None:
    while await sweeps.recover_account(db, sandbox.ACCOUNT, every=True):
        pass
    async with running(db):
        await world.queue(db, Send(recipients=3))
        async with db.worker() as tx:
            locks = await tx.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted")
    assert locks == 0
