"""What a carrier may do to a sender: odd receipts, ids in two bases, small windows; nothing is lost or mixed up."""

import asyncio
from collections import Counter
from dataclasses import replace
from functools import partial

import dispatch_world as world
import pytest
from dispatch_world import Running, Send

from muster.events.v1 import common_pb2
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.behaviour import Behaviour
from muster.local.carrier.deliveries import Inbound
from muster.local.carrier.server import Carrier
from muster.smpp import Deliver, ReceiptState, Tag

ACCEPTED, UNKNOWN = common_pb2.LEFT_ACCEPTED, common_pb2.LEFT_UNKNOWN
DELIVERED, UNDELIVERED = common_pb2.RECEIPT_STATE_DELIVERED, common_pb2.RECEIPT_STATE_UNDELIVERED
LONG = "Our salon moves to the other side of the road. " * 18  # 6 parts
ESM_RECEIPT = 4


@pytest.mark.parametrize("window", [1, 4, 9])
async def test_a_message_of_more_parts_than_the_window_is_sent_all_the_same(
    db: Database, carrier: Carrier, window: int
) -> None:
    send = Send(recipients=7, text=LONG)
    assert send.parts == 6
    await world.queue(db, send)

    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_window=window)):
        await eventually(partial(world.closed, db, send))

    assert set(carrier.stats.by_destination.values()) == {6}
    assert carrier.stats.duplicates == 0
    assert await world.lefts(db, send) == {ACCEPTED: 7}
    async with db.worker() as tx:
        intents = await tx.fetchval("SELECT jsonb_array_length(intents) FROM attempt")
    assert intents <= 7 * -(-6 // window) + 1, "no window is intended twice"
    await world.assert_laws(db)


async def test_of_messages_that_were_given_one_id_each_has_the_end_that_its_own_receipt_said(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=400, chunk_size=100)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, id_repeat=0.3, undelivered_ratio=0.5, receipt_delay_ms=800))

    settings = world.settings(carrier_port=carrier.port, dispatch_refused_percent_max=100)
    async with world.sending(db, settings):
        await eventually(lambda: all_have_receipts(db, send))

    assert carrier.stats.ids_repeated > 50
    await assert_ends(db, send, Behaviour(carrier.options))


async def assert_ends(db: Database, send: Send, fate: Behaviour) -> None:
    """Each message has the end that the carrier made of its number."""
    told = {}
    for fact in await world.said(db, "SmsStatusChanged"):
        told.update(zip(fact.seq, fact.receipt, strict=True))
    for seq, number in enumerate(send.numbers, 1):
        delivered = fate.state_of(str(number)) is ReceiptState.DELIVERED
        assert told[seq] == (DELIVERED if delivered else UNDELIVERED)
    assert 100 < Counter(told.values())[UNDELIVERED] < 300


async def test_early_receipts_are_not_given_to_another_message_whose_id_is_written_alike(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=400, chunk_size=100)
    await world.queue(db, send)
    # Ids from 1, hexadecimal in the answers and decimal in the receipts: "10" is two messages.
    carrier._next_id = 1
    carrier.use(
        replace(
            carrier.options,
            id_format="hex",
            receipt_id_format="dec",
            undelivered_ratio=0.5,
            receipt_reorder=0.3,
            receipt_duplicate=0.3,
            response_delay_ms=50,
        )
    )

    # Half of them fail, which would pause the send.
    settings = world.settings(carrier_port=carrier.port, carrier_window=40, dispatch_refused_percent_max=100)
    async with world.sending(db, settings):
        await eventually(partial(world.closed, db, send))
        await eventually(lambda: all_have_receipts(db, send))

    await assert_ends(db, send, Behaviour(carrier.options))


async def all_have_receipts(db: Database, send: Send) -> bool:
    return (await world.receipts(db, send)).total() == send.recipients


def deliver(payload: bytes, source: str = "61411000003", esm_class: int = ESM_RECEIPT, **tlvs: bytes) -> Deliver:
    return Deliver(
        *(0, source, world.REPLY_NUMBER.removeprefix("+"), payload),
        esm_class=esm_class,
        tlvs={Tag[name.upper()]: value for name, value in tlvs.items()},
    )


ODD = (
    deliver(b""),
    deliver(b"id: stat: err:"),
    deliver(b"id:\x00\x00 stat:DELIVRD err:\x00"),
    deliver(b"id:1\x002 sub:1 dlvrd:1 submit date:1 done date:1 stat:DELIVRD err:000"),
    deliver(b"id:77 stat:DELIVRD err:" + b"9" * 5_000),
    deliver(b"id:78 submit date:0000000000 done date:9999999999 stat:DELIVRD err:0"),
    deliver(b"id:79 stat:DELIVRD err:0", source="\xfcnicode"),
    deliver(b"", receipted_message_id=b"8\n0\0", message_state=b"\x02"),
    deliver(b"", receipted_message_id=b"\xff" * 300, message_state=b"\x05"),
    deliver(b"\xff\x00hello", source="\xfcnicode", esm_class=0),
    deliver(b"\xd8\x00\x00", source="Name", esm_class=0),
    deliver(b"\x05\x00\x03\x01\x02\x01\x00\x00", esm_class=0x40),
    deliver(b"", source="", esm_class=0),
)


async def test_odd_receipts_and_texts_are_taken_and_keep_nothing_else_from_being_stored(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=10)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, receipt_delay_ms=300))

    async with world.sending(db, world.settings(carrier_port=carrier.port)) as running:
        await eventually(lambda: is_bound(running))
        odd = [Inbound(one) for one in ODD]
        carrier.accounts["muster"].deliver(odd)
        answers = await asyncio.gather(*(one.answer for one in odd))
        await eventually(lambda: all_have_receipts(db, send))
        assert running.sender.link.session is not None
        assert running.sender.link.session.counts.malformed == 0

    assert set(answers) == {0}
    assert await world.receipts(db, send) == {DELIVERED: 10}


async def is_bound(running: Running) -> bool:
    return running.sender.link.session is not None


async def test_of_a_message_in_parts_the_error_is_that_of_the_part_that_failed(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=3, text="Our salon moves to the other side of the road. " * 5)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, receipt_loss=1.0))

    async with world.sending(db, world.settings(carrier_port=carrier.port)) as running:
        await eventually(partial(world.closed, db, send))
        ids = {}
        for number, _, submit in carrier.stats.messages:
            ids.setdefault(submit.destination, []).append(number)
        words = ((b"UNDELIV", b"00A"), (b"DELIVRD", b"000"))
        told = [
            Inbound(deliver(b"id:%d stat:%b err:%b" % (number, *word), source=destination))
            for destination, parts in ids.items()
            for number, word in zip(parts, words, strict=True)
        ]
        carrier.accounts["muster"].deliver(told)
        assert running.sender.link.session is not None
        await eventually(lambda: all_have_receipts(db, send))

    facts = await world.said(db, "SmsStatusChanged")
    assert {(state, error) for fact in facts for state, error in zip(fact.receipt, fact.error, strict=True)} == {
        (UNDELIVERED, "00A")
    }


async def test_a_late_word_that_it_was_too_much_releases_what_was_unknown(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=20)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=600, throttle_ratio=1.0))

    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_response_timeout_s=0.2)):
        await eventually(partial(world.closed, db, send))

    assert carrier.stats.accepted == 0
    assert await world.money(db, send) == (20, 0, 20, 0)
    assert await world.lefts(db, send) == {common_pb2.LEFT_REJECTED: 20}


async def test_receipts_that_come_faster_than_they_can_be_stored_slow_the_sending_and_none_is_refused(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=600, chunk_size=100)
    await world.queue(db, send)
    slow, window = 50, 20
    conf = world.settings(
        carrier_port=carrier.port,
        carrier_window=window,
        dispatch_delivers_batch_max=10,
        dispatch_delivers_slow_min=slow,
    )

    async with world.sending(db, conf) as running:
        async with running.sender.deliveries._storing:
            await eventually(partial(backlog, running, slow))
            await asyncio.sleep(0.3)  # six looks for work
            assert len(carrier.stats.by_destination) <= slow + 10 + 2 * window
        await eventually(partial(world.closed, db, send))
        await eventually(partial(all_delivered, db, send))

    assert carrier.stats.receipts_refused == 0


async def backlog(running: Running, at_least: int) -> bool:
    """Whether the sender has so many deliver_sm that nobody has looked at."""
    session = running.sender.link.session
    return session is not None and session.delivers.waiting >= at_least


async def all_delivered(db: Database, send: Send) -> bool:
    return await world.receipts(db, send) == {DELIVERED: send.recipients}
