"""Poison is parked, overload slowed, and a bug ends the consumer: three outcomes besides success."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from muster.events.v1.bulk_pb2 import BulkSmsRequested
from muster.kit.consumer import Poison, PoisonLimit, Received, halts
from muster.kit.pg import Database, Overloaded, Tx
from muster.kit.producer import Producer
from muster.kit.testing import eventually

from .conftest import QUICK
from .log import NULL, Make, NewTopic, Running, hear, heard, read, wire


class AsBytes(str):
    """A header's name that goes out as the bytes that it was made of."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> bytes:
        return super().encode(encoding, "surrogateescape")


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
        if any(event.message.chunks == 16 for event in events):
            UUID("the handler's own words")
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
        *(wire(chunk, topic) for chunk in (13, 14, 15, 16)),
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
    assert "thirteen" in parked[-4]["why"]
    assert "CheckViolationError" in parked[-3]["why"]
    assert "DataError" in parked[-2]["why"]
    assert parked[-1]["why"].startswith("builtins.ValueError")
    assert "words" not in parked[-1]["why"]


async def test_too_much_poison_halts_its_partition_for_good_and_the_others_flow(
    producer: Producer, new_topic: NewTopic, make: Make, db: Database, group: str, running: Running
) -> None:
    """Until an operator resumes it: also across restarts, and without parking twenty more at each."""
    bad, good = await new_topic(), await new_topic()
    await producer.publish([wire(1, bad, value=b"\xff") for _ in range(10)])
    settings = replace(QUICK, poison=PoisonLimit(count_min=4))
    consumer = make(bad, topics=[bad, good], settings=settings)
    run = asyncio.create_task(consumer.run())

    async def is_halted() -> Any:
        async with db.worker() as tx:
            return await tx.fetchrow("SELECT * FROM consumer_halt WHERE consumer_group = $1", group)

    halt = await eventually(is_halted)
    await producer.publish([wire(7, good)])
    await consumer.wait_until_read([good])
    await consumer.stop()
    await asyncio.wait_for(run, 120)
    again = make(bad, topics=[bad, good], settings=settings)
    running(again.run())
    await producer.publish([wire(8, good)])
    await again.wait_until_read([good])

    assert (halt["kind"], halt["topic"]) == ("poison_flood", bad)
    assert halt["reason"].startswith(f"4 of the last 4 records of {bad} could not be applied; the last: Poison: not a")
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT count(*) FROM outbox WHERE topic = $1", f"{group}-dlq") == 4
        assert await tx.fetchval("SELECT count(*) FROM dead_letter WHERE consumer_group = $1", group) == 4
        [found] = await halts.find(tx, group, bad, None)
        await halts.resume(tx, group, bad, found)
    await eventually(is_halted)
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT count(*) FROM dead_letter WHERE consumer_group = $1", group) == 8
    assert await heard(db) == {7: 1, 8: 1}


async def test_what_is_resumed_does_not_wait_behind_a_fetch_that_waits_for_records(
    producer: Producer, new_topic: NewTopic, make: Make, db: Database, group: str, running: Running
) -> None:
    """A broker answers a connection in order: each question of a takeover would wait as long as the fetch does."""
    topic = await new_topic(partitions=3)
    await producer.publish([wire(n, topic, value=b"\xff") for n in range(6)])
    settings = replace(QUICK, fetch_wait_ms_max=8_000, poison=PoisonLimit(count_min=4))
    running(make(topic, settings=settings).run())

    async def parked(n: int) -> bool:
        async with db.worker() as tx:
            return bool(await tx.fetchval("SELECT count(*) = $1 FROM dead_letter", n))

    async def is_halted() -> bool:
        async with db.worker() as tx:
            return bool(await halts.find(tx, group, topic, None))

    await eventually(is_halted)
    async with db.worker() as tx:
        [found] = await halts.find(tx, group, topic, None)
        await halts.resume(tx, group, topic, found)
    await eventually(lambda: parked(6))


async def test_a_header_whose_name_is_not_utf_8_ends_nobody_and_costs_no_other_record(
    producer: Producer,
    new_topic: NewTopic,
    make: Make,
    db: Database,
    running: Running,
    kafka_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """aiokafka decodes names strictly, raises at that record for ever, and loses what it had of other partitions."""
    topic = await new_topic(partitions=3)
    odd = wire(50, topic, bulk="odd")
    odd = replace(odd, headers=[*odd.headers, (AsBytes("na\udcffme"), b"x"), ("gr\u00fc\u00df", b"y")])
    # The other builder is compiled, and asks nobody how a name is encoded.
    for module in ("message_accumulator", "producer"):
        name = f"aiokafka.producer.{module}.DefaultRecordBatchBuilder"
        monkeypatch.setattr(name, _DefaultRecordBatchBuilderPy)
    for start in (0, 20):
        await producer.publish([wire(n, topic, bulk=f"b{n % 5}") for n in range(start, start + 20)])
        await producer.publish([odd])
    consumer = make(topic)
    running(consumer.run())
    await consumer.wait_until_read([topic])

    counts: dict[int, int] = {}
    for bulk in range(5):
        counts |= await heard(db, f"b{bulk}")
    assert counts == dict.fromkeys(range(40), 1)
    assert await heard(db, "odd") == {50: 2}
    [record] = [one for one in await read(kafka_server, topic, 42) if one.key == b"odd"][:1]
    assert dict(record.headers)["na\\xffme"] == b"x"
    assert dict(record.headers)["gr\u00fc\u00df"] == b"y"


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
        await asyncio.wait_for(make(topic, moody, batch_max=5).run(), 120)

    assert troubles == []
    assert sizes == [5, 2, 1, 1, 1, 2, 4, 3]
    done = await heard(db)
    assert set(done.values()) == {1}
    assert 9 not in done
