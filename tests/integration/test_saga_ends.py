"""Whatever never comes, every send ends within a bound, with nothing held in dispatch-svc or credit-svc, and says why.

Every event is heard twice. Time is moved; nothing here waits for it.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import saga_world
from saga_world import DAY_S, Control, Platform, Send, confirmed, saga_row

from muster.events.v1.credits_pb2 import CreditsRefused
from muster.kit import metrics
from muster.kit.testing import facts


@pytest.fixture
async def world(service_database: Any) -> AsyncIterator[Platform]:
    async with saga_world.opened(service_database) as platform:
        yield platform


async def sent(world: Platform, *, chunks: int = 2) -> Send:
    """A send that was confirmed, of messages for an hour."""
    send = Send(recipients=10 * chunks, chunk_size=10)
    await confirmed(world, send)
    return send


async def said(world: Platform, service: str, *types: str) -> list[Any]:
    async with world.dbs[service].worker() as tx:
        return [one.message for one in await facts(tx, *types)]


async def test_a_chunk_that_never_arrives(world: Platform) -> None:
    send = await sent(world)
    await world.say(send.requested(), send.chunk(1))
    await world.carry()
    assert (await saga_row(world.dbs["dispatch"], send))["wait"] == "chunks"

    await world.later(3_700)

    await world.assert_over(send, "closed")
    seen = await world.seen(send)
    assert (seen.state, seen.counts.stopped, seen.credits_held) == ("closed", 20, 0)
    assert seen.problem is not None
    assert seen.problem["detail"] == "20 of 20 messages were not sent by send_by; their credits came back."

    await world.say(send.chunk(2))
    await world.work()
    await world.assert_over(send, "closed")


async def test_a_reservation_that_never_answers_and_a_ledger_that_comes_back_a_day_later(world: Platform) -> None:
    send = await sent(world)
    world.away = {"credit"}
    requested = send.requested()
    await world.say(requested, send.chunk(1), send.chunk(2), to=("dispatch",))
    await world.work()
    assert (await saga_row(world.dbs["dispatch"], send))["wait"] == "credits"

    await world.later(3_700)

    row = await saga_row(world.dbs["dispatch"], send)
    assert (row["state"], row["reserved"], row["stopped"]) == ("closed", None, 20)
    seen = await world.seen(send)
    assert (seen.state, seen.credits_held) == ("closed", 0)
    assert seen.problem is not None
    assert seen.problem["code"] == "credits_unanswered"

    await world.later(DAY_S)
    world.away = set()
    await world.say(requested, to=("credit",))
    await world.work()
    await world.assert_over(send, "closed")


async def test_a_ledger_that_comes_back_and_hears_the_end_before_the_request(world: Platform) -> None:
    send = await sent(world)
    world.away = {"credit"}
    requested = send.requested()
    await world.say(requested, send.chunk(1), send.chunk(2), to=("dispatch",))
    await world.later(DAY_S)

    world.away = set()
    await world.work()
    await world.say(requested, to=("credit",))
    await world.work()

    await world.assert_over(send, "closed")
    assert [one.credits for one in await said(world, "credit", "CreditsReserved")] == [0, 0]


async def test_a_stop_while_the_ledger_is_away(world: Platform) -> None:
    send = await sent(world)
    world.away = {"credit"}
    requested = send.requested()
    await world.say(requested, send.chunk(1), send.chunk(2), to=("dispatch",))
    await world.control(send, Control.STOP)
    await world.work()

    seen = await world.seen(send)
    assert (seen.state, seen.problem) == ("closed", None)
    world.away = set()
    await world.say(requested, to=("credit",))
    await world.work()
    await world.assert_over(send, "closed")


async def test_credits_reserved_for_a_send_whose_request_is_never_heard(world: Platform) -> None:
    send = await sent(world)
    await world.say(send.requested(), to=("credit",))
    await world.carry()
    assert (await saga_row(world.dbs["dispatch"], send))["reserved"] == 20

    await world.later(3_700)

    await world.assert_over(send, "closed")
    assert (await world.seen(send)).state == "closed"


async def test_a_send_known_only_from_chunks(world: Platform) -> None:
    send = await sent(world)
    await world.say(send.chunk(1), send.chunk(2))

    await world.later(3_700)

    await world.assert_over(send, "closed")


@pytest.mark.parametrize("control", [Control.PAUSE, Control.STOP])
async def test_a_send_known_only_from_a_control(world: Platform, control: Control) -> None:
    send = await sent(world)
    world.lost = {"BulkSmsControlled", "BulkSmsWithdrawn"}
    await world.control(send, control)

    await world.later(30 * DAY_S)
    assert (await saga_row(world.dbs["dispatch"], send))["state"] == "waiting"
    await world.later(2 * DAY_S)

    await world.assert_over(send, "closed")


async def test_a_control_of_a_send_that_was_never_confirmed_is_answered_at_once(world: Platform) -> None:
    send = Send(recipients=10)

    await world.control(send, Control.PAUSE)

    row = await saga_row(world.dbs["dispatch"], send)
    assert (row["state"], row["withdrawn"], row["parked"]) == ("closed", True, "")


async def test_a_settlement_that_is_never_answered_is_asked_for_each_hour_until_it_is(world: Platform) -> None:
    send = await sent(world)
    await world.say(send.requested(), send.chunk(1), send.chunk(2))
    world.lost = {"BulkSmsAccounted"}
    await world.control(send, Control.STOP)
    await world.work()
    before = len(await said(world, "dispatch", "BulkSmsAccounted"))

    for _ in range(3):
        await world.later(3_700)

    said_again = await said(world, "dispatch", "BulkSmsAccounted")
    assert len(said_again) == before + 3
    assert {one.version for one in said_again[before - 1 :]} == {said_again[-1].version}
    assert metrics.sends_waiting_oldest_seconds.labels("settlement")._value.get() > 2 * 3_600
    world.lost = set()
    await world.later(3_700)
    await world.assert_over(send, "closed")
    assert metrics.sends_waiting.labels("settlement")._value.get() == 0


async def test_a_parked_send_that_nobody_looks_at(world: Platform) -> None:
    send = await sent(world)
    await world.say(send.requested(), send.chunk(1), send.chunk(2))
    await world.carry()
    await world.say(CreditsRefused(tenant_id=str(send.tenant_id), bulk_id=str(send.bulk_id)), to=("dispatch",))
    await world.work()
    seen = await world.seen(send)
    assert seen.state == "paused"
    assert seen.problem is not None
    assert seen.problem["code"] == "parked"

    await world.later(3_700)

    row = await saga_row(world.dbs["dispatch"], send)
    assert (row["state"], row["used"], row["released"], row["held"]) == ("closed", 0, 20, 0)
    assert row["parked"] == "refused after it was reserved", "the alarm stays until an operator has looked"
    async with world.dbs["credit"].worker() as tx:
        assert await tx.fetchval("SELECT reserved FROM account WHERE tenant_id = $1", send.tenant_id) == 0
    assert (await world.seen(send)).state == "closed"


async def test_outcomes_that_stay_unknown_say_what_they_hold_and_until_when_and_end_by_the_rule(
    world: Platform,
) -> None:
    send = await sent(world, chunks=1)
    await world.say(send.requested(), send.chunk(1))
    await world.carry()
    await world.crash_in_the_middle(4)
    await world.control(send, Control.STOP)
    await world.work()

    seen = await world.seen(send)
    assert (seen.state, seen.credits_held, seen.credits_released) == ("stopping", 4, 6)
    assert seen.waiting_for is not None
    assert (seen.waiting_for["messages"], seen.waiting_for["credits"]) == (4, 4)
    assert (await saga_row(world.dbs["dispatch"], send))["wait"] == "outcomes"
    await world.later(71 * 3_600)
    assert (await world.seen(send)).state == "stopping"
    await world.later(2 * 3_600)

    await world.assert_over(send, "closed")
    after = await world.seen(send)
    assert (after.state, after.waiting_for, after.credits_held) == ("closed", None, 0)


async def test_a_send_that_is_paused_for_ever_ends_with_its_time(world: Platform) -> None:
    send = await sent(world)
    await world.say(send.requested(), send.chunk(1), send.chunk(2))
    await world.control(send, Control.PAUSE)
    assert (await saga_row(world.dbs["dispatch"], send))["wait"] == "paused"

    await world.later(3_700)

    await world.assert_over(send, "closed")
