"""What a tenant may write a second, shared by all senders through the database, by a clock that the test moves."""

from collections import Counter
from uuid import UUID, uuid4

import dispatch_world as world
import pytest
from clocked_world import Clocked, SenderAt, turns
from dispatch_world import Send

from muster.dispatch.domain.fairness import NO_TURNS, Waiting
from muster.dispatch.domain.saga import Control, Controlled
from muster.dispatch.handlers.sagas import apply_facts
from muster.dispatch.store import rates
from muster.dispatch.store.sagas import SagaKey
from muster.events.v1 import common_pb2

REMINDER = common_pb2.MESSAGE_KIND_REMINDER


async def test_two_senders_of_two_carriers_keep_a_tenant_s_rate_together(clocked: Clocked) -> None:
    send, more = Send(1_000), Send(1_000, first_number=61_422_000_000)
    more.tenant_id = send.tenant_id
    await clocked.put(send, rate=40, account="one")
    await clocked.put(more, account="two")
    senders = [SenderAt(clocked.db, "one"), SenderAt(clocked.other, "two")]

    written = await turns(clocked, senders, 10.0)

    assert written[0] == 40, "a second's worth was saved up"
    windows = [sum(written[at : at + 10]) for at in range(1, 91)]
    assert max(windows) <= 40 + 32, "what was saved up may stand at the edge of a second"
    assert 40 + 9 * 40 <= sum(written) <= 40 + 10 * 40
    shares = [sum(parts for _, parts in one.link.written) for one in senders]
    assert min(shares) > 150, "who looks first leaves the next turn to the other"
    assert max(max(one.link.numbers.values()) for one in senders) == 1
    await world.assert_laws(clocked.db)


async def test_a_tenant_that_waits_for_its_rate_holds_nobody_up_nor_a_chunk(clocked: Clocked) -> None:
    slow, fast = Send(1_000), Send(1_000)
    await clocked.put(slow, rate=10)
    await clocked.put(fast, rate=0)
    sender = SenderAt(clocked.db, "smpp")

    await clocked.at(0)
    await sender.turn()

    assert Counter(dict(sender.link.written).keys()) == {slow.bulk_id: 1, fast.bulk_id: 1}
    assert sum(parts for bulk_id, parts in sender.link.written if bulk_id == fast.bulk_id) == 1_000
    assert sum(parts for bulk_id, parts in sender.link.written if bulk_id == slow.bulk_id) == 10
    assert not sender.shared.jobs
    before = len(sender.link.written)
    assert not await sender.feeder._step(), "and nothing is claimed for the next part alone"
    await clocked.at(0.7)
    assert not await sender.feeder._step()
    await clocked.at(0.8)
    assert await sender.turn() == 8
    assert len(sender.link.written) == before + 1


async def test_a_stop_is_exact_at_once_while_a_send_waits_for_its_rate(clocked: Clocked) -> None:
    send = Send(100)
    await clocked.put(send, rate=10)
    sender = SenderAt(clocked.db, "smpp")
    await clocked.at(0)
    await sender.turn()

    async with clocked.db.worker() as tx:
        await apply_facts(tx, {SagaKey(send.tenant_id, send.bulk_id): [Controlled(Control.STOP)]})
    assert await world.money(clocked.db, send) == (100, 10, 90, 0)
    await clocked.at(60)

    assert await sender.turn() == 0
    await world.sweep(clocked.db)
    assert (await world.saga(clocked.db, send))["state"] == "closed"
    await world.assert_laws(clocked.db)


@pytest.mark.parametrize("account", ["smpp", "another"])
async def test_a_single_message_goes_before_the_rest_of_a_bulk_of_the_same_tenant_by_whatever_carrier(
    clocked: Clocked, account: str
) -> None:
    bulk = Send(100)
    await clocked.put(bulk, rate=2)
    senders = [SenderAt(clocked.db, "smpp"), SenderAt(clocked.other, account)][: 1 + (account != "smpp")]
    await turns(clocked, senders, 0.1)
    single = Send(1, kind=REMINDER, tenant_id=bulk.tenant_id, first_number=61_433_000_000)
    await clocked.put(single, account=account)

    assert await turns(clocked, senders, 0.5) == [0] * 5, "the rate is the tenant's, for messages of all kinds"
    await clocked.at(0.8 if account == "smpp" else 0.5)
    assert sum([await one.turn() for one in senders]) == 1
    assert senders[-1].link.written[-1] == (single.bulk_id, 1)


@pytest.mark.parametrize("rate", [2, 0])
async def test_a_single_message_goes_first_whichever_of_the_two_sends_is_the_older(clocked: Clocked, rate: int) -> None:
    bulk = Send(100)
    await clocked.put(bulk, rate=rate)
    single = Send(1, kind=REMINDER, tenant_id=bulk.tenant_id, first_number=61_433_000_000)
    while single.bulk_id < bulk.bulk_id:  # claims come in the order of ids
        single = Send(1, kind=REMINDER, tenant_id=bulk.tenant_id, first_number=61_433_000_000)
    await clocked.put(single)
    sender = SenderAt(clocked.db, "smpp")
    sender.link.room = 2

    await clocked.at(0)
    await sender.turn()

    assert sender.link.written == [(single.bulk_id, 1), (bulk.bulk_id, 1)]


async def test_a_message_of_more_parts_than_its_rate_goes_out_whole_and_the_rest_waits_for_it(clocked: Clocked) -> None:
    send = Send(4, text="long " * 200)
    assert send.parts == 7
    await clocked.put(send, rate=2)

    written = await turns(clocked, [SenderAt(clocked.db, "smpp")], 11.0, 0.5)

    assert [(at / 2, parts) for at, parts in enumerate(written) if parts] == [(0.0, 7), (3.5, 7), (7.0, 7), (10.5, 7)]


async def test_a_rate_that_is_set_changed_or_lifted_holds_without_a_restart_also_in_the_middle_of_a_chunk(
    clocked: Clocked,
) -> None:
    send = Send(500)
    await clocked.put(send, rate=0)
    sender = SenderAt(clocked.db, "smpp")
    sender.link.room = 50
    await clocked.at(0)
    assert await sender.turn() == 50

    await world.hear(clocked.db, world.tenant(send, 2, parts_per_second=20))
    await sender.recorder.look()  # as it does five times a second
    sender.link.room = 10_000
    assert await sender.turn() == 20
    await world.hear(clocked.db, world.tenant(send, 3, parts_per_second=100), world.tenant(send, 2, parts_per_second=1))
    await clocked.at(1)
    assert await sender.turn() == 100
    await world.hear(clocked.db, world.tenant(send, 4))
    assert await sender.turn() == 330
    assert await world.closed(clocked.db, send)


async def test_what_is_saved_up_is_a_second_s_worth_and_a_clock_that_was_set_back_stops_nobody(
    clocked: Clocked,
) -> None:
    tenant_id = uuid4()

    async def saved() -> int:
        async with clocked.db.worker() as tx:
            return (await rates.lock(tx, {tenant_id, uuid4()}))[tenant_id]

    async with clocked.db.worker() as tx:
        await rates.change(tx, {tenant_id: 10})
    await clocked.at(3600)
    assert await saved() == 10
    async with clocked.db.worker() as tx:
        await rates.lock(tx, {tenant_id})
        await rates.spend(tx, "smpp", {tenant_id: 25})
    assert await saved() == -15
    await clocked.at(3602)
    assert await saved() == 5
    await clocked.at(0)
    assert await saved() == 10


def _waiting(tenant: int, chunk: int, parts: int, saved: int | None = None) -> Waiting:
    return Waiting(UUID(int=tenant), UUID(int=tenant), chunk, 0, parts, 2, 1, saved=saved)


def test_of_a_tenant_with_a_rate_as_much_is_chosen_as_it_may_write_and_no_more_counts_as_its_turn() -> None:
    limited = [_waiting(1, chunk, 30, saved=40) for chunk in range(4)]
    others = [_waiting(2, chunk, 500) for chunk in range(4)]

    turns, chosen = NO_TURNS.choose([*others, *limited], 1_100, 500)

    assert [(one.tenant_id.int, one.chunk, one.parts) for one in chosen] == [
        (2, 0, 500), (1, 0, 30), (1, 1, 10), (2, 1, 500),
    ]  # fmt: skip
    assert UUID(int=1) not in turns.deficits, "who may write no more saves nothing up either"
