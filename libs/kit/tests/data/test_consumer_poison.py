"""Poison is parked, overload slowed, and a bug ends the consumer: three outcomes besides success."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import asyncpg
import pytest

from muster.events.v1.bulk_pb2 import BulkSmsRequested
from muster.kit.consumer import ConsumerSettings, Poison, PoisonFlood, PoisonLimit, Received
from muster.kit.pg import Database, Overloaded, Tx
from muster.kit.producer import Producer

from .log import NULL, Make, NewTopic, Running, hear, heard, offsets, wire


async def test_poison_is_parked_with_its_offset_in_one_transaction_and_others_flow(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make, group: str, running: Running
) -> None:
    """Fault 26: random bytes, no key, headers missing or wrong, another tenant's, refused by handler or database."""

    async def picky(tx: Tx, events: Sequence[Received[BulkSmsRequested]]) -> None:
        if any(event.message.chunks == 13 for event in events):
            raise Poison("thirteen")
        if any(event.message.chunks == 14 for event in events):
            await tx.execute("INSERT INTO note (tenant_id, text) VALUES ($1, 'bad')", uuid4())
        if any(event.message.chunks == 15 for event in events):
            await tx.execute("SELECT $1::int", 2**40)
        await hear(tx, events)

    topic = await new_topic()
    poison = [
        wire(0, topic, value=b"\xff\xff\xff"),
        wire(0, topic, key=b""),
        wire(0, topic, ce_type=None),
        wire(0, topic, ce_id=None),
        wire(0, topic, ce_id="none"),
        wire(0, topic, ce_time="yesterday"),
        wire(0, topic, tenant=str(uuid4())),
        wire(0, topic, value=b"\x0a\x24" + b"x" * 36),
        wire(0, topic, value=b"\xff" * 1_000_000),
        wire(0, topic, ce_type=NULL),
        wire(0, topic, ce_id=NULL),
        wire(0, topic, value=b"\xff", ce_subject="a\0b", correlation=NULL),
        wire(0, topic, value=b"\xff", key=b"k" * 1_000_000, ce_subject="s" * 500_000, **{"x" * 500_000: "y"}),
        wire(0, topic, value=b"\xff" * 1_500_000, key=b"k" * 500_000),
        *(wire(chunk, topic) for chunk in (13, 14, 15)),
    ]
    mixed = [record for number, bad in enumerate(poison) for record in (wire(100 + number, topic), bad)]
    await producer.publish(mixed)
    consumer = make(topic, picky)
    running(consumer.run())
    await consumer.wait_until_read([topic])

    assert await heard(db) == dict.fromkeys(range(100, 100 + len(poison)), 1)
    async with db.worker() as tx:
        parked = await tx.fetch(
            "SELECT topic, value, headers ->> 'dlq_offset' AS o, headers ->> 'dlq_reason' AS why FROM outbox"
            " ORDER BY id"
        )
    assert {row["topic"] for row in parked} == {f"{group}-dlq"}
    assert [int(row["o"]) for row in parked] == [1 + 2 * number for number in range(len(poison))]
    assert parked[0]["value"] == b"\xff\xff\xff"
    assert "thirteen" in parked[-3]["why"]
    assert "CheckViolationError" in parked[-2]["why"]
    assert "DataError" in parked[-1]["why"]


async def test_too_much_poison_stops_the_consumer(
    producer: Producer, new_topic: NewTopic, make: Make, db: Database, group: str
) -> None:
    topic = await new_topic()
    await producer.publish([wire(1, topic, value=b"\xff") for _ in range(10)])
    consumer = make(topic, settings=ConsumerSettings(3_000, poison=PoisonLimit(count_min=4)))

    with pytest.raises(PoisonFlood, match="4 of the last 4 records"):
        await asyncio.wait_for(consumer.run(), 30)

    async with db.worker() as tx:
        assert await tx.fetchval("SELECT count(*) FROM outbox WHERE topic = $1", f"{group}-dlq") == 4
    assert await offsets(db, group) == [(0, 1, 4)]


async def test_what_is_transient_is_tried_again_in_smaller_batches_and_a_bug_is_not(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make
) -> None:
    topic, sizes = await new_topic(), []
    troubles: list[Exception] = [
        Overloaded("busy"),
        asyncpg.DeadlockDetectedError("x"),
        asyncpg.LockNotAvailableError("x"),
        ConnectionResetError(),
    ]

    async def moody(tx: Tx, events: Sequence[Received[BulkSmsRequested]]) -> None:
        sizes.append(len(events))
        if troubles:
            raise troubles.pop()
        await hear(tx, events)
        if events[-1].message.chunks == 9:
            raise LookupError("a bug")

    await producer.publish([wire(chunk, topic) for chunk in range(10)])
    with pytest.raises(LookupError, match="a bug"):
        await asyncio.wait_for(make(topic, moody, batch_max=5).run(), 30)

    assert troubles == []
    assert sizes == [5, 2, 1, 1, 1, 2, 4, 3]
    done = await heard(db)
    assert set(done.values()) == {1}
    assert 9 not in done
