"""Two transactions at once: whoever comes second sees what the first one did, and nobody waits for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import dispatch_world as world
import pytest
from dispatch_world import Send

from muster.dispatch.domain.saga import Control, Controlled
from muster.dispatch.handlers.sagas import apply_facts
from muster.dispatch.store import queue, suppressions
from muster.dispatch.store.queue import Claimed, Intent
from muster.dispatch.store.sagas import SagaKey
from muster.dispatch.store.suppressions import Change
from muster.kit.ids import uuid7
from muster.kit.pg import Database, Tx
from muster.kit.testing import eventually

OWNER = uuid7()


@pytest.fixture
async def send(db: Database) -> Send:
    send = Send(recipients=10)
    await world.queue(db, send)
    return send


async def claim(tx: Tx, send: Send) -> list[Claimed]:
    """As the feeder does it."""
    chosen = await queue.waiting(tx, "smpp", 10, 10)
    await queue.share_tenants(tx, {send.tenant_id})
    return await queue.claim(tx, chosen, OWNER, 10.0)


async def stop(tx: Tx, send: Send) -> None:
    await apply_facts(tx, {SagaKey(send.tenant_id, send.bulk_id): [Controlled(Control.STOP)]})


async def suppress(tx: Tx, send: Send) -> None:
    await suppressions.lock_tenants(tx, {send.tenant_id})
    number_hash = world.hash_of(send.tenant_id, send.numbers[0])
    await suppressions.apply(tx, [Change(send.tenant_id, number_hash, 1, True, 1, None)])
    await suppressions.raise_counters(tx, {send.tenant_id})


async def both(
    db: Database, first: Callable[[Tx, Send], Awaitable[Any]], second: Callable[[Tx, Send], Awaitable[Any]], send: Send
) -> tuple[Any, Any]:
    """`second` begins while `first` has done its work and is not committed; it must wait for it."""
    async with db.worker() as tx:
        one = await first(tx, send)
        task = asyncio.ensure_future(alone(db.worker(), second, send))
        await eventually(lambda: waits(db))
        assert not task.done()
    return one, await task


async def alone(begin: AbstractAsyncContextManager[Tx], act: Callable[[Tx, Send], Awaitable[Any]], send: Send) -> Any:
    async with begin as tx:
        return await act(tx, send)


async def waits(db: Database) -> bool:
    async with db.worker() as tx:
        return bool(await tx.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


async def test_a_claim_waits_for_a_stop_and_takes_nothing(db: Database, send: Send) -> None:
    _, claimed = await both(db, stop, claim, send)

    assert claimed == []


async def test_a_stop_waits_for_a_claim_and_holds_what_it_took(db: Database, send: Send) -> None:
    claimed, _ = await both(db, claim, stop, send)

    assert len(claimed) == 1
    assert await world.money(db, send) == (10, 0, 0, 10)


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

    claims = await asyncio.gather(*(alone(db.worker(), claim, send) for _ in range(4)))

    keys = [claimed.key.chunk.chunk for some in claims for claimed in some]
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
