"""What a request hands over to the worker role."""

import asyncio

import pytest

from muster.kit.desk import Desk, DeskFull
from muster.kit.pg import Database, Tx
from muster.kit.testing import eventually

from .log import TENANT

_COUNT = "SELECT count(*) FROM note"


async def note(tx: Tx) -> int:
    await tx.execute("INSERT INTO note (tenant_id, text) VALUES ($1, 'x')", TENANT)
    return 7


async def test_the_answer_and_the_errors_of_handed_over_work_come_back(db: Database) -> None:
    async def fail(tx: Tx) -> None:
        await note(tx)
        raise LookupError("no")

    desk = Desk(db)
    assert await desk.ask(note) == 7
    with pytest.raises(LookupError):
        await desk.ask(fail)
    assert await desk.ask(lambda tx: tx.fetchval(_COUNT)) == 1


async def test_work_of_a_caller_who_went_away_ends_by_itself(db: Database) -> None:
    desk, begun, go_on = Desk(db), asyncio.Event(), asyncio.Event()

    async def slow(tx: Tx) -> None:
        begun.set()
        await go_on.wait()
        await note(tx)

    caller = asyncio.create_task(desk.ask(slow))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    await eventually(lambda: desk.ask(lambda tx: tx.fetchval(_COUNT)))


async def test_too_much_waiting_work_is_refused_and_what_waits_is_done(db: Database) -> None:
    desk, go_on = Desk(db, at_once_max=1, waiting_max=2), asyncio.Event()

    async def slow(tx: Tx) -> int:
        await go_on.wait()
        return await note(tx)

    waiting = [asyncio.create_task(desk.ask(slow)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(DeskFull):
        await desk.ask(note)
    go_on.set()
    assert await asyncio.gather(*waiting) == [7, 7, 7]
