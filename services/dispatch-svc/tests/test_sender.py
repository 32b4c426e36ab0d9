"""The sender against a real SMPP server, on real PostgreSQL."""

from collections import Counter

import dispatch_world as world
from dispatch_world import Send

from muster.dispatch.store import laws
from muster.events.v1 import common_pb2
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.server import Carrier


async def test_a_send_of_2000_reaches_everyone_once_with_receipts_and_closes(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=2_000)
    await world.queue(db, send)

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(lambda: closed(db, send))
        await eventually(lambda: receipts(db, 2_000))

    left = await world.left_by_seq(db, send)
    assert Counter(left.values()) == {common_pb2.LEFT_ACCEPTED: 2_000}
    assert Counter(carrier.stats.by_destination.values()) == {1: 2_000}
    assert len(carrier.stats.by_destination) == 2_000
    saga = await world.saga(db, send)
    assert (saga["reserved"], saga["used"], saga["released"], saga["held"]) == (2_000, 2_000, 0, 0)
    await assert_laws(db)


async def closed(db: Database, send: Send) -> bool:
    return (await world.saga(db, send)).get("state") in ("closed", "refused")


async def receipts(db: Database, count: int) -> bool:
    facts = await world.said(db, "SmsStatusChanged")
    return sum(len(fact.seq) for fact in facts) >= count


async def assert_laws(db: Database) -> None:
    from muster.dispatch.api.ops import check_laws

    async with db.worker() as tx:
        results = await check_laws(tx)
        assert await laws.crossing(tx)
    assert [(result.law, result.violations) for result in results if result.violations] == []
