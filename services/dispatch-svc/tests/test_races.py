"""Two transactions at once: whoever comes second sees what the first one did, and nobody waits for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg
import dispatch_world as world
import pytest
from dispatch_world import Send

from muster.dispatch.domain.saga import Control, Controlled
from muster.dispatch.domain.slots import Slot
from muster.dispatch.handlers import suspending
from muster.dispatch.handlers.sagas import apply_facts
from muster.dispatch.handlers.stopping import stop_message
from muster.dispatch.store import claims, queue, suppressions, suspensions
from muster.dispatch.store.claims import Claimed
from muster.dispatch.store.queue import Intent
from muster.dispatch.store.sagas import SagaKey
from muster.dispatch.store.suppressions import Change
from muster.events import NIL_TENANT
from muster.events.v1 import common_pb2
from muster.kit.ids import uuid7
from muster.kit.pg import Database, Tx
from muster.kit.testing import eventually

OWNER = uuid7()

Act = Callable[[Tx, Send], Awaitable[Any]]


@pytest.fixture
async def send(db: Database) -> Send:
    send = Send(recipients=10)
    await world.queue(db, send)
    return send


async def claim(tx: Tx, send: Send) -> list[Claimed]:
    """As the feeder does it."""
    chosen = await claims.waiting(tx, "smpp", 10, 10)
    await queue.share_tenants(tx, {send.tenant_id})
    return await claims.claim(tx, chosen, OWNER, 10.0)


async def stop(tx: Tx, send: Send) -> None:
    await apply_facts(tx, {SagaKey(send.tenant_id, send.bulk_id): [Controlled(Control.STOP)]})


async def suspend(tx: Tx, send: Send) -> None:
    await suspending.suspend(tx, send.tenant_id, suspended=True, reason="fraud", user_id="op")


async def stop_platform(tx: Tx, _: Send) -> None:
    await suspending.suspend(tx, NIL_TENANT, suspended=True, reason="a flood", user_id="op")


async def suppress(tx: Tx, send: Send) -> None:
    await suppressions.lock_tenants(tx, {send.tenant_id})
    number_hash = world.hash_of(send.tenant_id, send.numbers[0])
    await suppressions.apply(tx, [Change(send.tenant_id, number_hash, 1, True, 1, None)])
    await suppressions.raise_counters(tx, {send.tenant_id})


async def both(
    db: Database, first: Callable[[Tx, Send], Awaitable[Any]], second: Callable[[Tx, Send], Awaitable[Any]], send: Send
) -> tuple[Any, Any]:
    """`second` begins while `first` has done its work and is not committed; it must wait for it."""
    async with begin(db, first, send) as tx:
        one = await first(tx, send)
        task = asyncio.ensure_future(alone(begin(db, second, send), second, send))
        await eventually(lambda: waits(db))
        assert not task.done()
    return one, await task


def begin(db: Database, act: Act, send: Send) -> AbstractAsyncContextManager[Tx]:
    """The operator's acts are requests of whom they are about; everything else is a worker's."""
    tenant_id = {suspend: send.tenant_id, stop_platform: NIL_TENANT}.get(act)
    return db.worker() if tenant_id is None else db.request(tenant_id)


async def alone(begin: AbstractAsyncContextManager[Tx], act: Callable[[Tx, Send], Awaitable[Any]], send: Send) -> Any:
    async with begin as tx:
        return await act(tx, send)


async def waits(db: Database) -> bool:
    async with db.worker() as tx:
        return bool(await tx.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


async def test_a_claim_waits_for_a_stop_and_takes_nothing(db: Database, send: Send) -> None:
    _, claimed = await both(db, stop, claim, send)

    assert claimed == []


@pytest.mark.parametrize("act", [suspend, stop_platform])
async def test_a_claim_waits_for_a_suspension_and_takes_nothing(db: Database, send: Send, act: Act) -> None:
    async with db.worker() as tx:
        chosen = await claims.waiting(tx, "smpp", 10, 10)

    async def claim_chosen(tx: Tx, send: Send) -> Any:
        await queue.share_tenants(tx, {send.tenant_id})
        return await claims.claim(tx, chosen, OWNER, 10.0)

    _, claimed = await both(db, act, claim_chosen, send)

    assert claimed == []
    async with db.worker() as tx:
        assert await claims.waiting(tx, "smpp", 10, 10) == [], "nor is it looked at again"


@pytest.mark.parametrize("act", [suspend, stop_platform])
async def test_an_intent_waits_for_a_suspension_and_is_refused(db: Database, send: Send, act: Act) -> None:
    async with db.worker() as tx:
        [claimed] = await claim(tx, send)

    async def intend(tx: Tx, send: Send) -> Any:
        await queue.share_tenants(tx, {send.tenant_id})
        return await queue.intend(tx, [Intent(claimed.key, 10, 0)], OWNER, 10.0)

    _, granted = await both(db, act, intend, send)

    assert granted == set()
    async with db.worker() as tx:
        [standing] = (await queue.standings(tx, [claimed.key.chunk], OWNER)).values()
    assert (standing.leased, standing.going, standing.ending) == (True, False, "")


@pytest.mark.parametrize("act", [suspend, stop_platform])
async def test_a_suspension_waits_for_an_intent_and_sees_what_is_leased(db: Database, send: Send, act: Act) -> None:
    claimed, _ = await both(db, claim, act, send)

    async with db.worker() as tx:
        assert claimed
        assert await suspensions.has_leased(tx, send.tenant_id)
        assert await suspensions.has_leased(tx, NIL_TENANT)
        assert not await suspensions.has_leased(tx, uuid7())


async def test_a_suspension_of_one_tenant_leaves_the_others_alone(db: Database, send: Send) -> None:
    other = Send(recipients=10)
    await world.queue(db, other)
    async with db.request(send.tenant_id) as tx:
        await suspend(tx, send)

    async with db.worker() as tx:
        [claimed] = await claim(tx, other)

    assert claimed.key.chunk.tenant_id == other.tenant_id


async def test_a_stop_waits_for_a_claim_and_holds_what_it_took(db: Database, send: Send) -> None:
    claimed, _ = await both(db, claim, stop, send)

    assert len(claimed) == 1
    assert await world.money(db, send) == (10, 0, 0, 10)


# A statement that has begun, and looks at the clock of the database first: it waits there until it is let go.
_GATE = """
CREATE OR REPLACE FUNCTION kit_now() RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('test.waits', true) = 'yes' THEN
        PERFORM pg_advisory_xact_lock_shared(1, 1);
    END IF;
    RETURN statement_timestamp();
END $$
"""


async def test_a_claim_that_began_before_a_message_was_stopped_does_not_send_it(
    db: Database, service_database: Any
) -> None:
    send = Send(recipients=3, kind=common_pb2.MESSAGE_KIND_SINGLE)
    await world.queue(db, send)

    async def claim_slowly(tx: Tx, send: Send) -> list[Claimed]:
        chosen = await claims.waiting(tx, "smpp", 10, 10)
        await queue.share_tenants(tx, {send.tenant_id})
        await tx.execute("SELECT set_config('test.waits', 'yes', true)")
        return await claims.claim(tx, chosen, OWNER, 10.0)

    gate = await asyncpg.connect(service_database.admin_dsn(db))
    try:
        await gate.execute(_GATE)
        async with gate.transaction():
            await gate.execute("SELECT pg_advisory_xact_lock(1, 1)")
            claiming = asyncio.ensure_future(alone(db.worker(), claim_slowly, send))
            await eventually(lambda: waits(db))
            async with db.worker() as tx:
                assert await stop_message(tx, SagaKey(send.tenant_id, send.bulk_id), 2) is Slot.STOPPED
        [claimed] = await claiming
    finally:
        await gate.close()

    assert list(claimed.slots) == [Slot.QUEUED, Slot.STOPPED, Slot.QUEUED]


async def test_a_claim_waits_for_a_suppression_and_sees_it(db: Database, send: Send) -> None:
    _, [claimed] = await both(db, suppress, claim, send)

    assert (claimed.joined_counter, claimed.counter) == (0, 1)


async def test_an_intent_after_a_suppression_is_refused_until_it_was_joined_again(db: Database, send: Send) -> None:
    async with db.worker() as tx:
        [claimed] = await claim(tx, send)
    async with db.worker() as tx:
        await suppress(tx, send)

    async with db.worker() as tx:
        assert await queue.intend(tx, [Intent(claimed.key, 10, 0)], OWNER, 10.0) == set()
        assert await queue.intend(tx, [Intent(claimed.key, 10, 1)], OWNER, 10.0) == {claimed.key.chunk}


async def test_an_intent_waits_for_a_stop_and_is_refused(db: Database, send: Send) -> None:
    async with db.worker() as tx:
        [claimed] = await claim(tx, send)

    async def intend(tx: Tx, _: Send) -> Any:
        return await queue.intend(tx, [Intent(claimed.key, 10, 0)], OWNER, 10.0)

    _, granted = await both(db, stop, intend, send)

    assert granted == set()


async def test_a_suppression_waits_for_an_intent(db: Database, send: Send) -> None:
    claimed, _ = await both(db, claim, suppress, send)

    assert claimed[0].counter == 0


async def test_an_intent_is_refused_to_another_owner_and_after_send_by(db: Database, send: Send) -> None:
    async with db.worker() as tx:
        [claimed] = await claim(tx, send)
        intents = [Intent(claimed.key, 10, 0)]
        assert await queue.intend(tx, intents, uuid7(), 10.0) == set()
        await tx.execute("UPDATE attempt SET send_by = kit_now()")
    async with db.worker() as tx:
        assert await queue.intend(tx, intents, OWNER, 10.0) == set()


async def test_two_senders_never_claim_the_same_chunk(db: Database) -> None:
    send = Send(recipients=100, chunk_size=10)
    await world.queue(db, send)

    claimed = await asyncio.gather(*(alone(db.worker(), claim, send) for _ in range(4)))

    keys = [one.key.chunk.chunk for some in claimed for one in some]
    assert sorted(keys) == list(range(1, 11))


async def test_chunks_that_end_at_the_same_time_close_their_send_once(db: Database) -> None:
    send = Send(recipients=100, chunk_size=10)
    await world.queue(db, send)
    async with db.worker() as tx:
        await stop(tx, send)

    await asyncio.gather(*(world.sweep(db) for _ in range(3)))

    assert await world.closed(db, send)
    assert (await world.lefts(db, send)).total() == 100
    versions = [fact.version for fact in await world.said(db, "BulkSmsAccounted")]
    assert versions == sorted(set(versions))
    await world.assert_laws(db, submits=False)
