"""The one owner of a carrier account: a lock that lives as long as its connection, and what its end means."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dispatch_world as world
import pytest
from dispatch_world import Send

from muster.dispatch.sender.pool import Pool
from muster.dispatch.sender.recorder import Recorder
from muster.events.v1 import common_pb2
from muster.kit.pg import Database, Overloaded
from muster.kit.process import Process
from muster.kit.testing import eventually
from muster.local.carrier.server import Carrier

_END = """
SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def owner(db: Database) -> Process[Any]:
    process = Process(world.settings(carrier_port=1))
    pool = Pool(process, db, "dispatch")
    await pool._patiently(pool._seed)
    assert await pool._patiently(pool._adopt) == "smpp"
    return process


async def test_who_loses_the_connection_of_its_account_ends_in_order_and_the_next_one_owns_it(db: Database) -> None:
    first = await owner(db)
    waiting = asyncio.create_task(owner(db))
    async with db.worker() as tx:
        await tx.fetch(_END)

    await asyncio.wait_for(first.stopped(), 120)
    await first.close()

    assert not first.failed, "nothing is wrong with it"
    second = await asyncio.wait_for(waiting, 120)
    assert not second.stopping
    await second.close()


async def test_an_account_is_waited_for_while_the_database_takes_no_connections(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals: Iterator[Exception] = iter([OSError("refused"), Overloaded("starting up")])
    dedicated = db.dedicated

    def away() -> Any:
        for refusal in refusals:
            raise refusal
        return dedicated()

    monkeypatch.setattr(db, "dedicated", away)
    process = await owner(db)
    assert next(refusals, None) is None
    await process.close()


async def test_a_sender_that_ends_while_the_database_is_away_records_when_it_is_back(
    db: Database, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Send(recipients=10)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=500, receipt_loss=1.0))
    refusals: Iterator[Exception] = iter([Overloaded("starting up")] * 5)
    record = Recorder.record_due

    async def away(recorder: Recorder) -> None:
        refusal = next(refusals, None) if recorder._shared.closing else None
        if refusal is not None:
            raise refusal
        await record(recorder)

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(lambda: taken(carrier, 10))
        monkeypatch.setattr(Recorder, "record_due", away)

    assert next(refusals, None) is None
    assert await world.lefts(db, send) == {common_pb2.LEFT_ACCEPTED: 10}


async def taken(carrier: Carrier, count: int) -> bool:
    return carrier.stats.submits >= count
