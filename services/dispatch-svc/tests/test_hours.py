"""Hours at which recipients may be texted, against a real SMPP server, with the database's clock moved by hand."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import asyncpg
import dispatch_world as world
import pytest
from dispatch_world import Running, Send

from muster.dispatch.handlers import sweeps
from muster.dispatch.handlers.laws import check_laws
from muster.dispatch.store import claims
from muster.events.v1 import common_pb2
from muster.kit import clock
from muster.kit.consumer.received import Poison
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.server import Carrier

HOUR_S = 3600
HOUR_MS = 1000 * HOUR_S
ACCEPTED, STOPPED = common_pb2.LEFT_ACCEPTED, common_pb2.LEFT_STOPPED
_MOVE = """
CREATE OR REPLACE FUNCTION kit_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT statement_timestamp() + interval '{} seconds' $$
"""


@dataclass
class Moved:
    """A database whose clock is so many hours ahead."""

    db: Database
    dsn: str

    async def to(self, hours: float) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(_MOVE.format(hours * HOUR_S))
        finally:
            await connection.close()


@pytest.fixture
async def now(service_database: Any) -> Moved:
    db = await service_database("dispatch")
    await world.platform(db)
    return Moved(db, service_database.admin_dsn(db))


async def queue(db: Database, send: Send, *hours: list[tuple[float, float]]) -> None:
    """Make it claimable; `hours` of each chunk, from now."""
    now_ms = clock.unix_ms()
    await world.hear(db, world.tenant(send), send.requested())
    for number, allowed in enumerate(hours, 1):
        chunk = send.chunk(number)
        chunk.allowed_from_unix_ms.extend(now_ms + round(first * HOUR_MS) for first, _ in allowed)
        chunk.allowed_until_unix_ms.extend(now_ms + round(last * HOUR_MS) for _, last in allowed)
        await world.hear(db, chunk)
    await world.hear(db, send.reserved())


async def due_hours(db: Database, send: Send) -> float:
    """In how many hours anything of a send is due, as the host sees it."""
    await sweeps.put_off(db)
    due_at: datetime = (await world.saga(db, send))["due_at"]
    return round((due_at - datetime.now(UTC)).total_seconds() / HOUR_S, 1)


async def writing(carrier: Carrier) -> bool:
    return bool(carrier.stats.by_destination)


async def idle(running: Running) -> bool:
    return not running.sender.shared.jobs


async def sent(db: Database, send: Send, count: int) -> bool:
    return bool((await world.lefts(db, send))[ACCEPTED] == count)


async def test_chunks_wait_for_their_hours_and_end_when_no_more_come(now: Moved, carrier: Carrier) -> None:
    send = Send(recipients=30, chunk_size=10, send_by_ms=48 * HOUR_MS)
    await queue(now.db, send, [(-1, 5)], [(10, 15), (40, 41)], [(20, 25)])

    async with world.sending(now.db, world.settings(carrier_port=carrier.port)):
        await eventually(lambda: sent(now.db, send, 10))
        assert await due_hours(now.db, send) == 10.0
        await now.to(16)  # the first hours of the second chunk are over, and nobody was there to send it
        assert await due_hours(now.db, send) == 20.0
        await world.sweep(now.db)
        await now.to(21)
        await eventually(lambda: sent(now.db, send, 20))
        assert await due_hours(now.db, send) == 40.0
        await now.to(42)  # long before send_by, after the last hour of what is left
        await world.sweep(now.db)
        await eventually(partial(world.closed, now.db, send))

    assert await world.left_by_seq(now.db, send) == {
        seq: STOPPED if 10 < seq <= 20 else ACCEPTED for seq in range(1, 31)
    }
    assert await world.money(now.db, send) == (30, 20, 10, 0)
    await world.assert_laws(now.db)


async def test_a_message_expires_at_the_carrier_with_the_hours_that_it_was_sent_in(
    now: Moved, carrier: Carrier
) -> None:
    send = Send(recipients=1, send_by_ms=48 * HOUR_MS)
    await queue(now.db, send, [(-1, 5), (10, 15)])

    async with world.sending(now.db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, now.db, send))

    [(_, _, submit)] = carrier.stats.messages
    until = datetime.strptime(submit.validity_period[:12].decode(), "%y%m%d%H%M%S").replace(tzinfo=UTC)
    assert round((until - datetime.now(UTC)).total_seconds() / HOUR_S, 1) == 5.0


async def test_what_a_sender_holds_when_the_hours_end_waits_for_the_next_and_nobody_gets_it_twice(
    now: Moved, carrier: Carrier
) -> None:
    send = Send(recipients=40, send_by_ms=48 * HOUR_MS)
    await queue(now.db, send, [(-1, 5), (10, 15)])

    conf = world.settings(carrier_port=carrier.port, carrier_parts_per_second=30, carrier_window=10)
    async with world.sending(now.db, conf) as running:
        await eventually(partial(writing, carrier))
        await now.to(6)
        await eventually(partial(idle, running))
        before = sum(carrier.stats.by_destination.values())
        assert 0 < before < 40
        assert await due_hours(now.db, send) == 10.0
        await now.to(11)
        await eventually(partial(world.closed, now.db, send))

    assert Counter(carrier.stats.by_destination.values()) == {1: 40}
    assert await world.money(now.db, send) == (40, 40, 0, 0)
    await world.assert_laws(now.db)


async def test_an_intent_outside_the_hours_breaks_the_fourth_law(now: Moved, carrier: Carrier) -> None:
    send = Send(recipients=1)
    await queue(now.db, send, [(-1, 1)])
    async with world.sending(now.db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, now.db, send))

    async with now.db.worker() as tx:
        await tx.execute(
            "UPDATE attempt SET allowed = tstzmultirange(tstzrange(kit_now(), NULL)) WHERE tenant_id = $1",
            send.tenant_id,
        )
        results = await check_laws(tx)
    [violation] = [one for result in results for one in result.violations]
    assert "outside the hours" in violation.detail


async def test_sends_that_wait_for_their_hours_are_not_looked_at_for_a_claim(now: Moved) -> None:
    send, other = Send(recipients=1), Send(recipients=1)
    await queue(now.db, send, [(1, 2)])
    await world.queue(now.db, other)
    assert (await world.saga(now.db, other))["due_at"] is None, "a send without hours has nothing to be looked at"
    await due_hours(now.db, send)

    async with now.db.worker() as tx:
        await tx.execute("UPDATE attempt SET allowed = NULL WHERE tenant_id = $1", send.tenant_id)
        assert {one.bulk_id for one in await claims.waiting(tx, "smpp", 9, 9)} == {other.bulk_id}


async def test_a_chunk_that_comes_later_and_is_due_brings_its_send_back(now: Moved) -> None:
    send = Send(recipients=2, chunk_size=1)
    await queue(now.db, send, [(1, 2)])
    assert await due_hours(now.db, send) == 1.0

    chunk, now_ms = send.chunk(2), clock.unix_ms()
    chunk.allowed_from_unix_ms.append(now_ms - 1000)
    chunk.allowed_until_unix_ms.append(now_ms + HOUR_MS)
    await world.hear(now.db, chunk)
    assert await due_hours(now.db, send) <= 0.0


@pytest.mark.parametrize(
    ("begin", "end"), [([1], []), ([2], [2]), ([0], [5]), ([5], [1 << 62]), ([1] * 201, [2] * 201), ([1, 9], [5, 3])]
)
async def test_hours_that_cannot_be_are_poison(now: Moved, begin: list[int], end: list[int]) -> None:
    chunk = Send(recipients=1).chunk(1)
    chunk.allowed_from_unix_ms.extend(begin)
    chunk.allowed_until_unix_ms.extend(end)
    with pytest.raises(Poison):
        await world.hear(now.db, chunk)
