"""A receipt whose id nobody was told resolves an unknown message if exactly one fits, and nothing else ever."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import dispatch_world as world
import pytest
from dispatch_world import Send

from muster.dispatch.domain.receipts import Receipt
from muster.dispatch.events import ChunkKey
from muster.dispatch.handlers import sweeps
from muster.dispatch.sender.fitting import fits, only_message
from muster.dispatch.store import receipts as store
from muster.dispatch.store.receipts import UnknownPart, WaitingReceipt
from muster.events.v1 import common_pb2
from muster.kit import clock
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.deliveries import Inbound
from muster.local.carrier.server import Carrier
from muster.smpp import Deliver

ACCEPTED, UNKNOWN = common_pb2.LEFT_ACCEPTED, common_pb2.LEFT_UNKNOWN
NOW = clock.now()
TENANT, BULK = uuid4(), uuid4()


def unknown(slot: int = 0, *, chunk: int = 1, bulk: UUID = BULK, sender: str = "+61400", after_s: float = 0.0) -> Any:
    return UnknownPart(ChunkKey(TENANT, bulk, chunk), slot, NOW + timedelta(seconds=after_s), sender, b"h")


def receipt(*, sender: str = "61400", dated: bool = True) -> WaitingReceipt:
    return WaitingReceipt("77", Receipt.DELIVERED, "000", NOW, NOW if dated else None, "61411", sender)


@pytest.mark.parametrize(
    ("after_s", "fitting"), [(0, True), (-60, True), (-61, False), (60, True), (119, True), (120, False)]
)
def test_a_receipt_fits_what_was_submitted_within_a_minute_of_the_minute_it_names(after_s: int, fitting: bool) -> None:
    assert fits(receipt(), unknown(after_s=after_s)) is fitting


def test_a_receipt_fits_only_its_sender_and_without_a_date_any_time_that_unknowns_wait() -> None:
    assert not fits(receipt(sender="61499"), unknown())
    assert fits(receipt(dated=False), unknown(after_s=-3600))
    assert not fits(receipt(dated=False), unknown(after_s=-73 * 3600))


def test_the_parts_of_one_message_are_resolved_together_and_two_messages_are_not() -> None:
    assert only_message([unknown(4)]) == [unknown(4)]
    assert only_message([unknown(6), unknown(5), unknown(4)]) == [unknown(4), unknown(5), unknown(6)]
    assert only_message([unknown(4), unknown(6)]) == []
    assert only_message([unknown(4), unknown(5, chunk=2)]) == []
    assert only_message([unknown(4), unknown(4, bulk=uuid4())]) == []
    assert only_message([unknown(4), unknown(5, after_s=1)]) == []


async def test_of_two_that_fit_both_stay_unknown_and_a_receipt_of_somebody_elses_message_changes_nothing(
    db: Database, carrier: Carrier
) -> None:
    alike, also, alone = Send(recipients=5), Send(recipients=5), Send(recipients=5, first_number=61_422_000_000)
    for send in (alike, also, alone):
        await world.queue(db, send)
    carrier.use(replace(carrier.options, response_loss=1.0, receipt_delay_ms=500))

    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_response_timeout_s=0.2)) as running:
        await eventually(lambda: waiting(db, 15))
        alien = Deliver(0, "61433000000", "61400000001", b"id:5 stat:DELIVRD err:000", esm_class=4)
        carrier.accounts["muster"].deliver([answered := Inbound(alien)])
        assert await answered.answer == 0
        await eventually(lambda: resolved(db, alone))
        await running.sender.deliveries.join()

    assert await world.lefts(db, alike) == {UNKNOWN: 5}
    assert await world.lefts(db, also) == {UNKNOWN: 5}
    assert await world.receipts(db, alone) == {common_pb2.RECEIPT_STATE_DELIVERED: 5}
    await world.assert_laws(db)


@pytest.mark.parametrize("forgotten", ["too old for memory", "reported before a restart"])
async def test_a_receipt_of_a_known_message_resolves_no_unknown_one_to_the_same_number(
    db: Database, carrier: Carrier, forgotten: str
) -> None:
    """Seeds 480 and 27 of the simulation: its id, which receipts write in another base, is not in memory any more."""
    unheard, known = (Send(recipients=1, tenant_id=TENANT) for _ in range(2))
    await world.queue(db, unheard)
    quiet = replace(carrier.options, receipt_loss=1.0, id_format="hex")
    carrier._next_id = 0xA008
    carrier.use(replace(quiet, response_loss=1.0))
    settings = world.settings(carrier_port=carrier.port, carrier_response_timeout_s=0.2)
    async with world.sending(db, settings):
        await eventually(lambda: left(db, unheard, UNKNOWN))
        carrier.use(quiet)
        await world.queue(db, known)
        await eventually(lambda: left(db, known, ACCEPTED))
        carrier_id = await id_of(db, known)
        if forgotten == "reported before a restart":
            await report(carrier, known, carrier_id)
            await eventually(lambda: delivered(db, known))
    if forgotten == "too old for memory":
        await age(db, known, carrier_id)

    async with world.sending(db, settings) as running:
        await report(carrier, known, carrier_id)
        await eventually(lambda: delivered(db, known))
        await eventually(lambda: nothing_waits(db))
        await running.sender.deliveries.join()

    assert await world.lefts(db, unheard) == {UNKNOWN: 1}
    await world.assert_laws(db)


async def test_a_receipt_resolves_nothing_while_another_sender_has_written_to_the_same_number(
    db: Database, carrier: Carrier
) -> None:
    """It may be of what a sender that has died wrote, which is unknown only when its lease has ended."""
    unheard, written = (Send(recipients=1, tenant_id=TENANT) for _ in range(2))
    await world.queue(db, unheard)
    carrier.use(replace(carrier.options, receipt_loss=1.0, response_loss=1.0))
    settings = world.settings(carrier_port=carrier.port, carrier_response_timeout_s=0.2)
    async with world.sending(db, settings) as running:
        await eventually(lambda: left(db, unheard, UNKNOWN))
        await world.queue(db, written)
        await eventually(lambda: left(db, written, UNKNOWN))
        async with db.worker() as tx:
            await tx.execute("DELETE FROM unknown_part WHERE bulk_id = $1", written.bulk_id)
            await tx.execute(_LEASED_BY_ANOTHER, uuid4(), written.bulk_id)
        await report(carrier, written, "a0ff")
        await eventually(lambda: waiting(db, 1))
        await running.sender.deliveries.join()
        assert await world.lefts(db, unheard) == {UNKNOWN: 1}

        async with db.worker() as tx:
            await tx.execute(_ENDED, written.bulk_id)
        await eventually(lambda: left(db, unheard, ACCEPTED))


async def test_a_receipt_that_fits_a_message_settled_by_rule_as_well_resolves_no_other(
    db: Database, carrier: Carrier
) -> None:
    """Seed 1431 of the simulation: one of two was released, and then its receipt seemed to fit the other alone."""
    settled, unheard = (Send(recipients=1, tenant_id=TENANT) for _ in range(2))
    carrier.use(replace(carrier.options, receipt_loss=1.0, response_loss=1.0))
    settings = world.settings(carrier_port=carrier.port, carrier_response_timeout_s=0.2)
    async with world.sending(db, settings) as running:
        await world.queue(db, settled)
        await eventually(lambda: left(db, settled, UNKNOWN))
        await sweeps.settle_unknowns(db, 0.0)
        await world.queue(db, unheard)
        await eventually(lambda: left(db, unheard, UNKNOWN))
        await report(carrier, settled, "a001")
        await eventually(lambda: waiting(db, 1))
        await running.sender.deliveries.join()

    assert await world.lefts(db, unheard) == {UNKNOWN: 1}
    assert not await world.receipts(db, unheard)
    await world.assert_laws(db)


async def test_a_receipt_says_how_a_settled_message_ended_and_is_that_messages_for_ever(
    db: Database, carrier: Carrier
) -> None:
    settled, unheard = (Send(recipients=1, tenant_id=TENANT) for _ in range(2))
    carrier.use(replace(carrier.options, receipt_loss=1.0, response_loss=1.0))
    settings = world.settings(carrier_port=carrier.port, carrier_response_timeout_s=0.2)
    async with world.sending(db, settings):
        await world.queue(db, settled)
        await eventually(lambda: left(db, settled, UNKNOWN))
        await sweeps.settle_unknowns(db, 0.0)
        paid = await sums(db, settled)
        await report(carrier, settled, "a001")
        await eventually(lambda: delivered(db, settled))
        await world.queue(db, unheard)
        await eventually(lambda: left(db, unheard, UNKNOWN))

    async with world.sending(db, settings) as running:  # it remembers no receipt that has come
        await report(carrier, settled, "a001")
        await eventually(lambda: nothing_waits(db))
        await running.sender.deliveries.join()

    assert await world.lefts(db, unheard) == {UNKNOWN: 1}
    assert await sums(db, settled) == paid
    await world.assert_laws(db)


async def test_settled_messages_are_forgotten_when_no_receipt_can_be_about_them_any_more(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=2)
    carrier.use(replace(carrier.options, receipt_loss=1.0, response_loss=1.0))
    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_response_timeout_s=0.2)):
        await world.queue(db, send)
        await eventually(lambda: left(db, send, UNKNOWN, 2))
        await sweeps.settle_unknowns(db, 0.0)
        await sweeps.drop_old(db, 60.0, 60.0)
        assert await candidates(db) == 2
        await sweeps.drop_old(db, 0.0, 0.0)
        assert await candidates(db) == 0


async def candidates(db: Database) -> int:
    async with db.worker() as tx:
        return int(await tx.fetchval("SELECT count(*) FROM unknown_part"))


async def sums(db: Database, send: Send) -> tuple[int, ...]:
    async with db.worker() as tx:
        found = await tx.fetchrow("SELECT used, released, held, refunded FROM saga WHERE bulk_id = $1", send.bulk_id)
        assert found is not None
        return tuple(found)


_LEASED_BY_ANOTHER = """
UPDATE attempt SET state = 1, lease_owner = $1, lease_until = kit_now() + interval '1 hour', intent_upto = 1
WHERE bulk_id = $2
"""
_ENDED = "UPDATE attempt SET state = 2, lease_owner = NULL, lease_until = NULL WHERE bulk_id = $1"


async def report(carrier: Carrier, send: Send, carrier_id: str) -> None:
    text = f"id:{int(carrier_id, 16)} stat:DELIVRD err:000".encode()
    receipt = Deliver(0, str(send.numbers[0]), send.sender.removeprefix("+"), text, esm_class=4)
    carrier.accounts["muster"].deliver([answered := Inbound(receipt)])
    assert await answered.answer == 0


async def nothing_waits(db: Database) -> bool:
    return not await waiting(db, 1)


async def id_of(db: Database, send: Send) -> str:
    async with db.worker() as tx:
        return str(await tx.fetchval("SELECT carrier_ids FROM chunk WHERE bulk_id = $1", send.bulk_id))


async def age(db: Database, send: Send, carrier_id: str) -> None:
    """Its id is too old for memory from now on."""
    async with db.worker() as tx:
        await store.keep_ids(tx, "smpp", [(ChunkKey(send.tenant_id, send.bulk_id, 1), 0, carrier_id)])
        await tx.execute("UPDATE chunk SET submitted_at = submitted_at - interval '2 days'")


async def left(db: Database, send: Send, state: Any, count: int = 1) -> bool:
    return await world.lefts(db, send) == {state: count}


async def delivered(db: Database, send: Send) -> bool:
    return (await world.receipts(db, send)).total() == 1


async def waiting(db: Database, count: int) -> bool:
    async with db.worker() as tx:
        return bool(await tx.fetchval("SELECT count(*) FROM receipt_waiting") >= count)


async def resolved(db: Database, send: Send) -> bool:
    return await world.lefts(db, send) == {ACCEPTED: 5} and (await world.receipts(db, send)).total() == 5
