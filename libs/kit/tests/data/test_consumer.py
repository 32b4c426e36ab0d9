"""The consumer on real Kafka and PostgreSQL. `heard` counts each application: 1 everywhere is exactly once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from muster.events.v1.bulk_pb2 import BulkSmsRequested, BulkSmsWithdrawn
from muster.kit.consumer import (
    Consumer,
    ConsumerSettings,
    LogMismatch,
    Poison,
    PoisonFlood,
    PoisonLimit,
    Received,
    wait_until_read,
)
from muster.kit.ids import uuid7
from muster.kit.pg import Database, Overloaded, Tx
from muster.kit.producer import Producer
from muster.kit.testing import eventually

from .log import NULL, TENANT, hear, heard, offsets, wire

NewTopic = Callable[..., Awaitable[str]]
Running = Callable[..., asyncio.Task[None]]
Make = Callable[..., Consumer]
QUICK = ConsumerSettings(session_timeout_ms=3_000, fetch_wait_ms_max=500)


@pytest.fixture
def group() -> str:
    return f"g-{uuid4().hex[:12]}"


@pytest.fixture
def make(db: Database, kafka_server: str, group: str) -> Make:
    def consumer(topic: str, handler: Any = hear, **options: Any) -> Consumer:
        handlers = options.pop("handlers", {"BulkSmsRequested": handler})
        options = {"settings": QUICK, "compacted": frozenset[str](), **options}
        return Consumer(db, bootstrap=kafka_server, group=group, topics=[topic], handlers=handlers, **options)

    return consumer


async def test_each_event_is_applied_once_with_its_offset(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make, group: str, running: Running
) -> None:
    topic, seen = await new_topic(partitions=3), []
    await producer.publish([wire(chunk, topic, bulk=f"b{chunk % 7}") for chunk in range(700)])
    consumer = make(topic, batch_max=50, after_commit=seen.extend)
    running(consumer.run())
    await consumer.wait_until_read([topic])

    counts: dict[int, int] = {}
    for bulk in range(7):
        counts |= await heard(db, f"b{bulk}")
    assert counts == dict.fromkeys(range(700), 1)
    assert sum(next_offset for _, _, next_offset in await offsets(db, group)) == 700
    assert set(seen) == {"BulkSmsRequested"}


async def test_events_without_a_handler_are_passed_by_and_runs_keep_their_order(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make, running: Running
) -> None:
    topic, runs = await new_topic(), []

    async def note(tx: Tx, events: Sequence[Received[BulkSmsRequested]]) -> None:
        runs.append([event.message.chunks for event in events])

    other = [wire(9, topic, ce_type="BulkSmsWithdrawn", value=b"") for _ in range(2)]
    alien = [wire(9, topic, ce_type="NobodyKnowsThis", value=b"\xff")]
    await producer.publish([wire(1, topic), wire(2, topic), *alien, *other, wire(3, topic)])
    consumer = make(topic, note)
    running(consumer.run())
    await consumer.wait_until_read([topic])

    assert [chunk for run in runs for chunk in run] == [1, 2, 3]


async def test_in_a_batch_of_several_types_each_handler_gets_its_own_events_alone(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make, running: Running
) -> None:
    topic, runs = await new_topic(partitions=1), []

    def noting(of: str) -> Any:
        async def note(tx: Tx, events: Sequence[Received[Any]]) -> None:
            runs.append((of, [event.message.DESCRIPTOR.name for event in events]))

        return note

    withdrawn = BulkSmsWithdrawn(tenant_id=str(TENANT), bulk_id="b").SerializeToString()
    other = wire(0, topic, ce_type="BulkSmsWithdrawn", value=withdrawn)
    await producer.publish([wire(1, topic), wire(2, topic), other, wire(3, topic), other])
    names = ("BulkSmsRequested", "BulkSmsWithdrawn")
    consumer = make(topic, handlers={name: noting(name) for name in names})
    running(consumer.run())
    await consumer.wait_until_read([topic])

    assert {of for of, _ in runs} == set(names)
    assert all(set(types) == {of} for of, types in runs)


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


async def test_what_is_transient_is_tried_again_and_a_bug_is_not(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make
) -> None:
    topic = await new_topic()
    troubles: list[Exception] = [
        Overloaded("busy"),
        asyncpg.DeadlockDetectedError("x"),
        asyncpg.LockNotAvailableError("x"),
        ConnectionResetError(),
    ]

    async def moody(tx: Tx, events: Sequence[Received[BulkSmsRequested]]) -> None:
        if troubles:
            raise troubles.pop()
        await hear(tx, events)
        if events[-1].message.chunks == 9:
            raise LookupError("a bug")

    await producer.publish([wire(chunk, topic) for chunk in range(10)])
    with pytest.raises(LookupError, match="a bug"):
        await asyncio.wait_for(make(topic, moody, batch_max=5).run(), 30)

    assert troubles == []
    done = await heard(db)
    assert set(done.values()) == {1}
    assert 9 not in done


async def test_a_commit_whose_answer_was_lost_is_not_applied_twice(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await new_topic()
    await producer.publish([wire(chunk, topic) for chunk in range(10)])
    consumer = make(topic)
    real, lost = consumer._applier._transaction, []

    async def loses_the_answer(work: Any, batch: Any) -> None:
        stored = work.partition.next_offset
        await real(work, batch)
        if not lost:
            lost.append(stored)
            work.partition.next_offset = stored
            raise ConnectionResetError("after the commit")

    monkeypatch.setattr(consumer._applier, "_transaction", loses_the_answer)
    running(consumer.run())
    await consumer.wait_until_read([topic])
    await producer.publish([wire(chunk, topic) for chunk in range(10, 20)])
    await consumer.wait_until_read([topic])

    assert lost == [0]
    assert await heard(db) == dict.fromkeys(range(20), 1)


async def test_a_zombie_is_fenced_by_compare_and_set(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make, group: str, running: Running
) -> None:
    """Whoever holds an older epoch applies nothing; if nobody else came after all, it takes over anew."""
    topic = await new_topic()
    consumer = make(topic)
    running(consumer.run())
    await producer.publish([wire(1, topic)])
    await consumer.wait_until_read([topic])
    async with db.worker() as tx:
        await tx.execute("UPDATE consumer_offset SET epoch = epoch + 1 WHERE consumer_group = $1", group)

    await producer.publish([wire(2, topic)])
    await consumer.wait_until_read([topic])

    assert await heard(db) == {1: 1, 2: 1}
    assert await offsets(db, group) == [(0, 3, 2)]


async def test_a_zombie_in_the_middle_of_a_batch_rolls_back(
    db: Database, kafka_server: str, producer: Producer, new_topic: NewTopic, make: Make, group: str, running: Running
) -> None:
    """Fault 23: it loses its transaction while it sleeps, another applies the batch, then it wakes."""
    topic, asleep, awake = await new_topic(), asyncio.Event(), asyncio.Event()

    async def sleeper(tx: Tx, events: Sequence[Received[BulkSmsRequested]]) -> None:
        await hear(tx, events)
        if not asleep.is_set():
            pid = await tx.fetchval("SELECT pg_backend_pid()")
            asleep.set()
            async with db.worker() as other:
                await other.execute("SELECT pg_terminate_backend($1)", pid)
            await awake.wait()

    zombie = make(topic, sleeper)
    running(zombie.run())
    await producer.publish([wire(chunk, topic) for chunk in range(5)])
    await asleep.wait()
    async with db.worker() as tx:
        await tx.execute(
            "UPDATE consumer_offset SET epoch = epoch + 1, next_offset = 5, event_id = NULL WHERE consumer_group = $1",
            group,
        )
        await tx.execute("INSERT INTO heard SELECT $1, 'b', generate_series(0, 4)", TENANT)
    awake.set()
    await producer.publish([wire(5, topic)])
    await wait_until_read(db, bootstrap=kafka_server, group=group, topics=[topic])

    assert await heard(db) == dict.fromkeys(range(6), 1)


async def test_a_rebalance_loses_nothing_and_doubles_nothing(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make, group: str, running: Running
) -> None:
    topic = await new_topic(partitions=4)
    first, second = make(topic, batch_max=10), make(topic, batch_max=10)
    running(first.run())
    for chunk in range(0, 600, 100):
        await producer.publish([wire(n, topic, bulk=f"b{n % 9}") for n in range(chunk, chunk + 100)])
        if chunk == 100:
            second_run = running(second.run())
            await eventually(lambda: _are_shared(first, second))
        if chunk == 400:
            await second.stop()
            await second_run
    await first.wait_until_read([topic])

    counts: dict[int, int] = {}
    for bulk in range(9):
        counts |= await heard(db, f"b{bulk}")
    assert counts == dict.fromkeys(range(600), 1)
    assert len(await offsets(db, group)) == 4


async def _are_shared(*consumers: Consumer) -> bool:
    return all(len(consumer._held) == 2 for consumer in consumers)


async def test_nothing_is_delivered_before_a_partition_is_taken_over(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make, group: str, running: Running
) -> None:
    """aiokafka#738. The stored offset is 3, Kafka knows of none and would begin at 0."""
    topic = await new_topic()
    ids = [uuid7() for _ in range(6)]
    await producer.publish([wire(n, topic, ce_id=str(ids[n])) for n in range(6)])
    await store_offset(db, group, topic, 3, ids[2])
    consumer = make(topic)
    take_over = consumer._take_over

    async def late(kafka: Any) -> None:
        for _ in range(5):
            assert await kafka.getmany(timeout_ms=100) == {}
        await take_over(kafka)

    consumer._take_over = late  # type: ignore[method-assign]
    running(consumer.run())
    await consumer.wait_until_read([topic])

    assert await heard(db) == {3: 1, 4: 1, 5: 1}


@pytest.mark.parametrize(
    ("next_offset", "known", "why"),
    [(3, False, "the record before it is"), (9, True, "the log ends at 6"), (1, True, "the log starts at 2")],
    ids=["another log", "truncated or made again", "retention overtook us"],
)
async def test_a_log_that_is_not_the_one_that_was_read_halts_the_consumer(
    db: Database,
    kafka_server: str,
    producer: Producer,
    new_topic: NewTopic,
    make: Make,
    group: str,
    next_offset: int,
    known: bool,
    why: str,
) -> None:
    """Fault 29: halt and say so; never a silent reset."""
    topic = await new_topic()
    await producer.publish([wire(n, topic) for n in range(6)])
    await store_offset(db, group, topic, next_offset, uuid7())
    if next_offset == 1:
        await delete_before(kafka_server, topic, 2)

    with pytest.raises(
        LogMismatch, match=f"group {group}, topic {topic}, partition 0, next offset {next_offset}: {why}"
    ):
        await asyncio.wait_for(make(topic).run(), 30)

    assert await heard(db) == {}
    assert [row[2] for row in await offsets(db, group)] == [next_offset]


@pytest.mark.parametrize("next_offset", [3, 9], ids=["another record before it", "beyond the end"])
async def test_a_compacted_topic_in_doubt_is_read_again_from_its_start(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make, group: str, running: Running, next_offset: int
) -> None:
    topic = await new_topic(compacted=True)
    await producer.publish([wire(n, topic, bulk="b") for n in range(6)])
    await store_offset(db, group, topic, next_offset, uuid7())
    consumer = make(topic, compacted=frozenset({topic}))
    running(consumer.run())
    await eventually(lambda: _all_heard(db, 6))

    assert await offsets(db, group) == [(0, 2, 6)]


async def _all_heard(db: Database, n: int) -> bool:
    return await heard(db) == dict.fromkeys(range(n), 1)


async def test_a_restart_goes_on_where_the_transaction_says(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make, group: str
) -> None:
    topic = await new_topic()
    for start in (0, 10):
        await producer.publish([wire(n, topic) for n in range(start, start + 10)])
        consumer = make(topic)
        run = asyncio.create_task(consumer.run())
        await consumer.wait_until_read([topic])
        await consumer.stop()
        await asyncio.wait_for(run, 10)

    assert await heard(db) == dict.fromkeys(range(20), 1)
    assert await offsets(db, group) == [(0, 2, 20)]


async def test_stop_is_bounded_while_the_broker_is_down(db: Database, unused_tcp_port: int) -> None:
    consumer = Consumer(db, bootstrap=f"127.0.0.1:{unused_tcp_port}", group="g", topics=["t"], handlers={})
    run = asyncio.create_task(consumer.run())
    await asyncio.sleep(0.3)
    await consumer.stop()
    await asyncio.wait_for(run, 10)


async def test_the_knob_that_keeps_slow_partitions_in_the_fetch_is_there(kafka_server: str) -> None:
    """It is a private one of aiokafka: an upgrade that renames it must not go unseen."""
    kafka = AIOKafkaConsumer(bootstrap_servers=kafka_server)
    await kafka.start()
    # aiokafka 0.14 cannot be stopped before its tasks have run once: it raises CancelledError then.
    await asyncio.sleep(0.01)
    try:
        assert kafka._fetcher._prefetch_backoff == 0.1
    finally:
        await kafka.stop()


async def store_offset(db: Database, group: str, topic: str, next_offset: int, event_id: Any) -> None:
    async with db.worker() as tx:
        await tx.execute(
            "INSERT INTO consumer_offset (consumer_group, topic, partition, epoch, next_offset, event_id)"
            " VALUES ($1, $2, 0, 1, $3, $4)",
            *(group, topic, next_offset, event_id),
        )


async def delete_before(bootstrap: str, topic: str, offset: int) -> None:
    """Moves the start of the log, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(offset)})
    finally:
        await admin.close()
