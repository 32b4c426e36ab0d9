"""Who writes to many chunks waits for the first of them with none of the others in hand, so that nobody can wait for
each other. The interleaving is forced by a third transaction that holds the first chunk."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import dispatch_world as world
import pytest
from dispatch_world import Send

from muster.dispatch.domain import slots
from muster.dispatch.events import ChunkKey
from muster.dispatch.store import chunks, receipts
from muster.dispatch.store.chunks import Home, Outcome
from muster.kit.pg import Database, Tx
from muster.kit.testing import eventually

Write = Callable[[Tx, Sequence[Home]], Awaitable[object]]

_HOLD = "SELECT tenant_id FROM chunk WHERE tenant_id = $1 AND chunk = $2 FOR NO KEY UPDATE"
_FREE = "SELECT chunk FROM chunk WHERE tenant_id = $1 ORDER BY chunk FOR NO KEY UPDATE SKIP LOCKED"
_WAITING = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"


async def save_receipts(tx: Tx, homes: Sequence[Home]) -> object:
    return await receipts.save(tx, [(home.key, bytes(len(home.slots)), home.receipts_said + 1) for home in homes])


async def save_outcomes(tx: Tx, homes: Sequence[Home]) -> object:
    """As the recorder does it, which holds attempts and not chunks."""
    outcomes = {}
    for home in homes:
        sums = slots.sums(home.recipients.parts, home.recipients.prices, home.slots)
        outcomes[home.key] = Outcome(home.slots, sums, home.said, False, None, False)
    return await chunks.save(tx, outcomes)


@pytest.mark.parametrize("write", [save_receipts, save_outcomes])
async def test_writers_of_many_chunks_take_them_in_one_order_though_stored_and_told_backwards(
    db: Database, write: Write
) -> None:
    send = Send(recipients=40, chunk_size=10)
    await world.hear(db, world.tenant(send), *[send.chunk(at + 1) for at in range(send.chunks)][::-1])
    keys = [ChunkKey(send.tenant_id, send.bulk_id, at + 1) for at in range(send.chunks)]
    async with db.worker() as tx:
        homes = list((await chunks.lock(tx, keys)).values())[::-1]

    async with db.worker() as holder:
        await holder.fetchval(_HOLD, send.tenant_id, 1)
        writer = asyncio.ensure_future(_alone(db, write, homes))
        await eventually(lambda: _waits(db, 1))
        async with db.worker() as tx:
            free = [row["chunk"] for row in await tx.fetch(_FREE, send.tenant_id)]
        assert free == [2, 3, 4], "it waits for the first with nothing else in hand"
        reader = asyncio.ensure_future(_alone(db, _lock, homes))
        await eventually(lambda: _waits(db, 2))
    await asyncio.gather(writer, reader)


async def _lock(tx: Tx, homes: Sequence[Home]) -> object:
    return await chunks.lock(tx, [home.key for home in homes])


async def _alone(db: Database, write: Write, homes: Sequence[Home]) -> None:
    async with db.worker() as tx:
        await write(tx, homes)


async def _waits(db: Database, count: int) -> bool:
    async with db.worker() as tx:
        return bool(await tx.fetchval(_WAITING) == count)
