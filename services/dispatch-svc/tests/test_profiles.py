"""However a carrier wants long messages, numbers and codings: every text arrives once and is charged as priced."""

from dataclasses import replace
from functools import partial
from typing import Any, Literal

import dispatch_world as world
import pytest
from dispatch_world import Send

from muster.dispatch.domain.carriers import Account, Long
from muster.events.v1 import common_pb2
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.server import Carrier
from muster.smpp import Concat, Submit, build_udh, read_concat
from muster.text import split

# With a pair wherever a part may end: one is cut short of its limit, and a pair is whole.
LONG = "The salon is open again from Monday on, and everyone who comes in the first week gets a coffee. " * 3
LONG += "€" * 160
GREEK = "Ο Ιούλιος είναι μεγάλος μήνας. " * 4 + "👩\u200d👧" * 40
ACCEPTED, DELIVERED = common_pb2.LEFT_ACCEPTED, common_pb2.RECEIPT_STATE_DELIVERED


def account(carrier: Carrier, **profile: Any) -> Account:
    """The account of this carrier, with that profile."""
    base = world.settings(carrier_port=carrier.port).account()
    return replace(base, window=profile.pop("window", 1000), options=replace(base.options, **profile))


async def delivered(db: Database, send: Send) -> bool:
    return (await world.receipts(db, send)) == {DELIVERED: send.recipients}


def as_they_leave(form: Long, reference: int, text: str, bits: Literal[8, 16]) -> list[bytes]:
    """Each part of a text byte for byte, cut as a quote has counted it."""
    payloads = split(text, bits)
    if form is Long.PAYLOAD:
        return [b"".join(payloads)]
    if form is Long.SAR:
        return payloads
    return [build_udh(Concat(reference, len(payloads), at), bits) + part for at, part in enumerate(payloads, 1)]


def assert_came_as_cut(carrier: Carrier, form: Long, text: str, bits: Literal[8, 16]) -> None:
    """What the carrier was given for each number is the list of parts, and nothing else."""
    came: dict[str, list[Submit]] = {}
    for _, _, submit in carrier.stats.messages:
        came.setdefault(submit.destination, []).append(submit)
    for submits in came.values():
        concat, _ = read_concat(submits[0])
        expected = as_they_leave(form, concat.reference if concat else 0, text, bits)
        assert [submit.payload for submit in submits] == expected


@pytest.mark.parametrize("text", [LONG, GREEK])
@pytest.mark.parametrize(
    ("long_messages", "reference_bits", "counted"),
    [
        (Long.HEADER, 8, "parts_header_8"),
        (Long.HEADER, 16, "parts_header_16"),
        (Long.SAR, 8, "parts_sar"),
        (Long.SAR, 16, "parts_sar"),
        (Long.PAYLOAD, 8, "payloads"),
    ],
)
async def test_a_long_text_arrives_as_one_message_in_whatever_form_it_goes(
    db: Database, carrier: Carrier, long_messages: Long, reference_bits: Literal[8, 16], counted: str, text: str
) -> None:
    send = Send(recipients=20, text=text, reference_bits=reference_bits)
    await world.queue(db, send)

    async with world.sending(db, world.settings(), account=account(carrier, long_messages=long_messages)):
        await eventually(partial(world.closed, db, send))
        await eventually(partial(delivered, db, send))

    submits = 20 if long_messages is Long.PAYLOAD else 20 * send.parts
    assert send.parts > 1
    assert (carrier.stats.submits, getattr(carrier.stats, counted), carrier.stats.duplicates) == (submits, submits, 0)
    arrived = carrier.stats.last_messages(None, 100)
    assert [one["text"] for one in arrived] == [text] * 20
    assert_came_as_cut(carrier, long_messages, text, reference_bits)
    assert await world.lefts(db, send) == {ACCEPTED: 20}
    assert await world.money(db, send) == (send.credits, send.credits, 0, 0)
    await world.assert_laws(db)


async def test_a_message_of_more_parts_than_the_window_goes_out_as_parts_where_others_go_out_whole(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=3, text=LONG)
    await world.queue(db, send)
    conf = account(carrier, long_messages=Long.PAYLOAD, window=send.parts - 1)
    async with world.sending(db, world.settings(), account=conf):
        await eventually(partial(world.closed, db, send))

    assert [one["text"] for one in carrier.stats.last_messages(None, 10)] == [LONG] * 3
    assert (carrier.stats.payloads, carrier.stats.parts_header_8) == (0, 3 * send.parts)


async def test_what_the_carrier_refuses_of_a_whole_message_is_refused_of_all_its_parts(db: Database) -> None:
    send = Send(recipients=10, text=LONG)
    await world.queue(db, send)
    async with Carrier(CarrierOptions(password="muster", reject_ratio=0.5)) as carrier:
        async with world.sending(db, world.settings(), account=account(carrier, long_messages=Long.PAYLOAD)):
            await eventually(partial(world.closed, db, send))
        rejected = carrier.stats.rejected

    assert 0 < rejected < 10
    assert await world.lefts(db, send) == {ACCEPTED: 10 - rejected, common_pb2.LEFT_REJECTED: rejected}
    each = send.credits // 10
    assert await world.money(db, send) == (send.credits, each * (10 - rejected), each * rejected, 0)


async def test_a_receipt_resolves_all_parts_of_an_unknown_message_that_went_out_whole(
    db: Database, carrier: Carrier
) -> None:
    carrier.use(replace(carrier.options, response_loss=1.0, receipt_delay_ms=400))
    send = Send(recipients=5, text=LONG)
    await world.queue(db, send)
    whole = account(carrier, long_messages=Long.PAYLOAD, response_timeout_s=0.2)
    async with world.sending(db, world.settings(), account=whole):
        await eventually(partial(world.closed, db, send))
        await eventually(partial(delivered, db, send))

    assert await world.lefts(db, send) == {ACCEPTED: 5}
    assert await world.money(db, send) == (send.credits, send.credits, 0, 0)
    await world.assert_laws(db)


@pytest.mark.parametrize(("sender", "ton", "npi"), [("+61400000001", 2, 8), ("Salon", 3, 9), ("12345", 2, 8)])
async def test_types_of_number_codings_and_receipts_are_those_of_the_profile(
    db: Database, carrier: Carrier, sender: str, ton: int, npi: int
) -> None:
    send = Send(recipients=1, text=GREEK[:30], sender=sender)
    await world.queue(db, send)
    profile = account(
        carrier, number_ton=2, number_npi=8, name_ton=3, name_npi=9, destination_ton=4, destination_npi=6,
        ucs2_data_coding=24, gsm7_data_coding=17, registered_delivery=2, service_type="CMT",
    )  # fmt: skip
    async with world.sending(db, world.settings(), account=profile):
        await eventually(partial(world.closed, db, send))

    [(_, _, submit)] = carrier.stats.messages
    assert (submit.source, submit.source_ton, submit.source_npi) == (sender.removeprefix("+"), ton, npi)
    assert (submit.destination_ton, submit.destination_npi) == (4, 6)
    assert (submit.data_coding, submit.registered_delivery, submit.service_type) == (24, 2, b"CMT")
    assert carrier.stats.receipts_sent == 0, "a receipt of a failure alone was asked for"


async def test_a_code_means_of_a_message_what_its_carrier_means_by_it(db: Database, carrier: Carrier) -> None:
    carrier.use(replace(carrier.options, reject_ratio=1.0))
    send = Send(recipients=10)
    await world.queue(db, send)
    conf = world.settings(dispatch_retry_s_min=0.02, dispatch_retry_s_max=0.1)
    async with world.sending(db, conf, account=account(carrier, codes={"0xb": "not_sent"})):
        await eventually(partial(refused, carrier, 30))
        carrier.use(replace(carrier.options, reject_ratio=0.0))
        await eventually(partial(world.closed, db, send))
    assert await world.lefts(db, send) == {ACCEPTED: 10}

    carrier.use(replace(carrier.options, reject_ratio=1.0))
    other = Send(recipients=10, first_number=61_412_000_000)
    await world.queue(db, other)
    async with world.sending(db, conf, account=account(carrier, codes={"0x0000000B": "unknown"})):
        await eventually(partial(left, db, other, common_pb2.LEFT_UNKNOWN, 10))
    assert await world.money(db, other) == (10, 0, 0, 10), "held, and not sent again"
    assert carrier.stats.duplicates == 0


async def refused(carrier: Carrier, count: int) -> bool:
    return carrier.stats.rejected >= count


async def left(db: Database, send: Send, how: int, count: int) -> bool:
    return (await world.lefts(db, send))[how] == count
