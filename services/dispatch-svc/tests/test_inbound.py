"""What people write: joined, read, held before it is answered, passed on once."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from uuid import UUID

import dispatch_world as world
import pytest
from dispatch_world import REPLY_NUMBER, Running, Send

from muster.dispatch.events import ChunkKey
from muster.dispatch.handlers import sweeps
from muster.dispatch.store import queue
from muster.dispatch.store.queue import Retry
from muster.events import NIL_TENANT
from muster.events.v1 import common_pb2, replies_pb2
from muster.events.v1.replies_pb2 import OptOutReceived, ReplyReceived
from muster.events.v1.suppressions_pb2 import SuppressionChanged
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.deliveries import Inbound
from muster.local.carrier.inbound import deliver_pdus
from muster.local.carrier.server import Carrier
from muster.smpp import Deliver

WRITER = "+61411000003"
ACCEPTED, SUPPRESSED = common_pb2.LEFT_ACCEPTED, common_pb2.LEFT_SUPPRESSED


@pytest.fixture
async def send(db: Database) -> Send:
    """A send to ten, of which the fourth writes."""
    send = Send(recipients=10)
    await world.queue(db, send)
    return send


@pytest.fixture
async def bound(db: Database, carrier: Carrier, send: Send) -> AsyncIterator[Running]:
    """A sender that is bound and claims nothing."""
    async with world.sending(db, world.settings(carrier_port=carrier.port), feed=False) as running:
        await eventually(lambda: is_bound(running))
        yield running


async def is_bound(running: Running) -> bool:
    return running.sender.link.session is not None


async def write(carrier: Carrier, text: str, *, to: str = REPLY_NUMBER, **options: Any) -> list[int]:
    """Let somebody write; how the parts were answered."""
    [account] = carrier.accounts.values()
    parts = [Inbound(pdu) for pdu in deliver_pdus(WRITER, to, text, options, 7)]
    account.deliver(parts)
    return list(await asyncio.gather(*(part.answer for part in parts)))


async def holds(db: Database) -> list[Any]:
    async with db.worker() as tx:
        return await tx.fetch("SELECT * FROM hold WHERE released_at IS NULL AND tenant_id IS NOT NULL")


async def test_a_reply_is_passed_on_under_the_tenant_whose_number_it_is(
    db: Database, carrier: Carrier, send: Send, bound: Running
) -> None:
    assert await write(carrier, "Thank you, see you on Friday") == [0]

    [said] = await world.said(db, "SmsReceived")
    assert (said.tenant_id, said.number, said.text) == (str(send.tenant_id), WRITER, "Thank you, see you on Friday")
    assert said.number_hash == world.hash_of(send.tenant_id, send.numbers[3])
    assert await holds(db) == []


async def test_an_opt_out_holds_the_number_before_it_is_answered(
    db: Database, carrier: Carrier, send: Send, bound: Running
) -> None:
    await write(carrier, "STOP")

    [hold] = await holds(db)
    assert hold["number_hash"] == world.hash_of(send.tenant_id, send.numbers[3])
    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(lambda: sent(db, send, 9))
    assert WRITER.removeprefix("+") not in carrier.stats.by_destination
    await world.assert_laws(db)


async def test_who_is_held_is_not_texted_by_an_attempt_that_an_earlier_lease_has_looked_at(
    db: Database, carrier: Carrier, send: Send, bound: Running
) -> None:
    """Seed 12714 of the simulation: the answer to the commit of a claim was lost, the attempt was given back as looked
    at, and its next claim did not look again."""
    await write(carrier, "STOP")

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(lambda: sent(db, send, 9))
        await eventually(partial(attempts, db, 2))
        async with db.worker() as tx:
            await tx.execute(
                "UPDATE attempt SET due_at = kit_now(), "
                "suppression_counter = (SELECT max(counter) FROM tenant_counter) WHERE state = 0"
            )
        await eventually(partial(attempts, db, 3))

    assert WRITER.removeprefix("+") not in carrier.stats.by_destination
    await world.assert_laws(db)


async def attempts(db: Database, count: int) -> bool:
    async with db.worker() as tx:
        return bool(await tx.fetchval("SELECT count(*) FROM attempt WHERE tenant_id IS NOT NULL") == count)


async def sent(db: Database, send: Send, count: int) -> bool:
    return (await world.lefts(db, send))[ACCEPTED] == count


async def test_a_hold_ends_as_suppressed_or_sent_as_customer_svc_decides(
    db: Database, carrier: Carrier, send: Send, bound: Running
) -> None:
    await write(carrier, "STOP")
    [hold] = await holds(db)

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(lambda: sent(db, send, 9))
        await world.hear(db, suppression(send, hold["inbound_id"], suppressed=True))
        await eventually(partial(world.closed, db, send))

    assert (await world.left_by_seq(db, send))[4] == SUPPRESSED
    assert await world.money(db, send) == (10, 9, 1, 0)
    assert await holds(db) == []
    await world.assert_laws(db)


async def test_an_unclear_reply_that_is_read_as_ordinary_lets_the_message_go(
    db: Database, carrier: Carrier, send: Send, bound: Running
) -> None:
    await write(carrier, "please don't stop texting me about the stop sign")
    await write(carrier, "stop?? not sure what you mean")
    held = await holds(db)
    assert held, "unclear ones hold"

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(lambda: sent(db, send, 9))
        await world.hear(db, *(reply(send, hold["inbound_id"]) for hold in held))
        await eventually(partial(world.closed, db, send))

    assert await world.lefts(db, send) == {ACCEPTED: 10}


async def test_what_is_put_off_for_a_hold_that_ended_meanwhile_is_looked_at_again_at_once(
    db: Database, carrier: Carrier, send: Send, bound: Running
) -> None:
    await write(carrier, "stop?? not sure what you mean")
    [hold] = await holds(db)
    key = ChunkKey(send.tenant_id, send.bulk_id, 1)

    async def due_in_s(attempt: int) -> float:
        async with db.worker() as tx:
            await tx.execute("DELETE FROM attempt WHERE tenant_id = $1", send.tenant_id)
            await queue.add_retries(tx, [Retry(key, attempt, "held", [3], 60.0)])
        async with db.worker() as tx:
            due = "SELECT extract(epoch FROM due_at - kit_now()) FROM attempt WHERE tenant_id = $1 AND attempt = $2"
            return float(await tx.fetchval(due, send.tenant_id, attempt))

    assert await due_in_s(7) > 50

    await world.hear(db, reply(send, hold["inbound_id"]))

    assert await due_in_s(8) <= 1


def suppression(send: Send, inbound_id: UUID, *, suppressed: bool) -> SuppressionChanged:
    return SuppressionChanged(
        tenant_id=str(send.tenant_id),
        number_hash=world.hash_of(send.tenant_id, send.numbers[3]),
        version=1,
        suppressed=suppressed,
        scope=common_pb2.SUPPRESSION_SCOPE_MARKETING,
        inbound_id=str(inbound_id),
    )


def reply(send: Send, inbound_id: UUID, verdict: int = replies_pb2.REPLY_VERDICT_ORDINARY) -> ReplyReceived:
    return ReplyReceived(
        tenant_id=str(send.tenant_id),
        inbound_id=str(inbound_id),
        verdict=verdict,  # type: ignore[arg-type]
    )


async def test_the_verdict_opt_out_leaves_the_hold_and_the_opt_out_narrows_it(
    db: Database, carrier: Carrier, send: Send, bound: Running
) -> None:
    await write(carrier, "STOPALL")
    [hold] = await holds(db)
    assert hold["scope"] == common_pb2.SUPPRESSION_SCOPE_ALL

    await world.hear(db, reply(send, hold["inbound_id"], replies_pb2.REPLY_VERDICT_OPT_OUT))
    await world.hear(
        db,
        OptOutReceived(
            tenant_id=str(send.tenant_id),
            inbound_id=str(hold["inbound_id"]),
            scope=common_pb2.SUPPRESSION_SCOPE_MARKETING,
            opted_out=True,
        ),
    )

    [still] = await holds(db)
    assert still["scope"] == common_pb2.SUPPRESSION_SCOPE_MARKETING


@pytest.mark.parametrize("options", [{}, {"reversed": True}, {"reference_bits": 16}, {"parts": False}])
async def test_a_long_text_is_joined_from_its_parts_in_whatever_order_they_come(
    db: Database, carrier: Carrier, bound: Running, options: dict[str, Any]
) -> None:
    text = "I would like to come on Friday, but only if Ana is there. " * 6

    answers = await write(carrier, text, **options)

    assert set(answers) == {0}
    [said] = await world.said(db, "SmsReceived")
    assert said.text == text
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT count(*) FROM inbound_part WHERE joined_at IS NULL") == 0


def part_of(number: int, text: bytes, total: int = 3, data_coding: int = 0) -> Inbound:
    """One part of a message of three under reference 7."""
    header = bytes((5, 0, 3, 7, total, number))
    ends = (0, WRITER.removeprefix("+"), REPLY_NUMBER.removeprefix("+"))
    return Inbound(Deliver(*ends, header + text, data_coding=data_coding, esm_class=0x40))


async def write_parts(carrier: Carrier, *parts: Inbound) -> None:
    [account] = carrier.accounts.values()
    account.deliver(list(parts))
    assert [await part.answer for part in parts] == [0] * len(parts)


async def pass_time(db: Database, seconds: int) -> None:
    """As if the parts had come, and been read, so much earlier."""
    async with db.worker() as tx:
        earlier = "received_at - make_interval(secs => $1), joined_at = joined_at - make_interval(secs => $1)"
        await tx.execute(f"UPDATE inbound_part SET received_at = {earlier}", seconds)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({1: b"STOP"}, "STOP […]"),
        ({2: b"STOP"}, "[…] STOP […]"),
        ({3: b"STOP"}, "[…] STOP"),
        ({1: b"I said ", 2: b"STOP"}, "I said STOP […]"),
        ({1: b"Hi. ", 3: b"STOP"}, "Hi. […] STOP"),
    ],
)
async def test_a_message_whose_rest_never_comes_is_read_as_it_is_and_its_stop_holds(
    db: Database, carrier: Carrier, bound: Running, parts: dict[int, bytes], text: str
) -> None:
    await write_parts(carrier, *(part_of(number, octets) for number, octets in parts.items()))
    await bound.sender.inbox.take_late()
    assert await world.said(db, "SmsReceived") == []

    await pass_time(db, 121)
    await bound.sender.inbox.take_late()

    [said] = await world.said(db, "SmsReceived")
    assert said.text == text
    assert len(await holds(db)) == 1
    await bound.sender.inbox.take_late()
    assert len(await world.said(db, "SmsReceived")) == 1


async def test_a_part_that_comes_after_its_message_was_read_is_passed_on_by_itself(
    db: Database, carrier: Carrier, bound: Running
) -> None:
    await write_parts(carrier, part_of(1, b"I will ", total=2))
    await pass_time(db, 121)
    await bound.sender.inbox.take_late()
    await write_parts(carrier, part_of(2, b"come", total=2))
    await pass_time(db, 121)

    await bound.sender.inbox.take_late()

    assert [said.text for said in await world.said(db, "SmsReceived")] == ["I will […]", "[…] come"]


async def test_a_part_that_the_carrier_says_again_is_no_new_message_and_a_new_one_may_have_its_reference(
    db: Database, carrier: Carrier, bound: Running
) -> None:
    await write_parts(carrier, part_of(1, b"I will ", total=2), part_of(2, b"come", total=2))
    await write_parts(carrier, part_of(2, b"come", total=2))
    await pass_time(db, 121)
    await bound.sender.inbox.take_late()
    assert [said.text for said in await world.said(db, "SmsReceived")] == ["I will come"]

    await write_parts(carrier, part_of(2, b"not", total=2), part_of(1, b"I will ", total=2))

    assert [said.text for said in await world.said(db, "SmsReceived")] == ["I will come", "I will not"]
    await pass_time(db, 601)
    await bound.sender.inbox.take_late()
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT count(*) FROM inbound_part") == 0


@pytest.mark.parametrize(
    ("data_coding", "text", "cut"), [(8, "see you \N{WINKING FACE} there", 18), (0, "at 5 {pm}", 6)]
)
async def test_a_character_that_is_cut_between_two_parts_is_whole_again(
    db: Database, carrier: Carrier, bound: Running, data_coding: int, text: str, cut: int
) -> None:
    octets = text.encode("utf-16-be") if data_coding == 8 else b"at 5 \x1b\x28pm\x1b\x29"
    [account] = carrier.accounts.values()
    parts = [
        Inbound(
            Deliver(
                *(0, WRITER.removeprefix("+"), REPLY_NUMBER.removeprefix("+"), b"\5\0\3\7\2%c" % number + part),
                data_coding=data_coding,
                esm_class=0x40,
            )
        )
        for number, part in ((2, octets[cut:]), (1, octets[:cut]))
    ]

    account.deliver(parts)

    assert [await part.answer for part in parts] == [0, 0]
    [said] = await world.said(db, "SmsReceived")
    assert said.text == text


async def test_a_repetition_by_the_carrier_is_one_message_and_two_texts_of_a_person_are_two(
    db: Database, carrier: Carrier, bound: Running
) -> None:
    await write(carrier, "ok")
    await write(carrier, "ok")
    assert len(await world.said(db, "SmsReceived")) == 1

    async with db.worker() as tx:
        await tx.execute("UPDATE inbound_message SET received_at = received_at - interval '1 minute'")
    await write(carrier, "ok")
    assert len(await world.said(db, "SmsReceived")) == 2

    bound.sender.link.number += 1
    await write(carrier, "ok")
    assert len(await world.said(db, "SmsReceived")) == 2, "said again after a new bind"


async def test_what_is_written_to_nobodys_number_is_kept_for_the_operator(
    db: Database, carrier: Carrier, bound: Running
) -> None:
    assert await write(carrier, "hello?", to="+61499999999") == [0]

    assert await world.said(db, "SmsReceived") == []
    async with db.worker() as tx:
        row = await tx.fetchrow("SELECT * FROM inbound_message")
    assert row is not None
    assert (row["tenant_id"], row["number"], row["body"]) == (NIL_TENANT, WRITER, "hello?")

    async with db.worker() as tx:
        await tx.execute("UPDATE inbound_message SET received_at = received_at - interval '31 days'")
    assert await write(carrier, "hello again?", to="+61499999999") == [0]
    await sweeps.drop_nobodys(db, world.settings().dispatch_nobodys_kept_days)
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT array_agg(body) FROM inbound_message") == ["hello again?"]


async def test_one_that_cannot_be_stored_comes_again_alone(
    db: Database, carrier: Carrier, bound: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_whole = bound.sender.inbox._take_whole

    async def but_one(tx: Any, source: str, destination: str, text: str, reference: int) -> None:
        if text == "odd":
            raise ValueError(text)
        await take_whole(tx, source, destination, text, reference)

    monkeypatch.setattr(bound.sender.inbox, "_take_whole", but_one)
    [account] = carrier.accounts.values()
    parts = [Inbound(pdu) for text in ("one", "odd", "two") for pdu in deliver_pdus(WRITER, REPLY_NUMBER, text, {}, 7)]

    account.deliver(parts)

    assert [await part.answer for part in parts] == [0, 0x64, 0]
    assert [said.text for said in await world.said(db, "SmsReceived")] == ["one", "two"]
