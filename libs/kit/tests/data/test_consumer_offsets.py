"""Who may read on, and from where: the fence against zombies, and the log that is not the one that was read."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import KafkaError

from muster.events.v1.bulk_pb2 import BulkSmsRequested
from muster.kit import metrics
from muster.kit.consumer import Received, halts, loop, wait_until_read
from muster.kit.consumer.topic_ids import topic_ids
from muster.kit.ids import uuid7
from muster.kit.pg import Database, Tx
from muster.kit.producer import Producer, WireRecord
from muster.kit.testing import eventually

from .log import TENANT, Make, NewTopic, Running, hear, heard, offsets, wire


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
    assert metrics.consumer_fenced.labels(group=group)._value.get() == 1


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


async def test_a_partition_that_a_sleeping_process_holds_keeps_no_other_from_being_taken_over(
    db: Database, kafka_server: str, producer: Producer, new_topic: NewTopic, make: Make, group: str, running: Running
) -> None:
    topic = await new_topic(partitions=2)
    await producer.publish([wire(n, topic, bulk=f"b{n}") for n in range(12)])
    await store_offset(db, group, topic, 0, None)

    async def other_is_read() -> bool:
        return any(partition == 1 and next_offset > 0 for partition, _, next_offset in await offsets(db, group))

    async with db.worker() as asleep:
        await asleep.execute("SELECT FROM consumer_offset WHERE consumer_group = $1 FOR UPDATE", group)
        running(make(topic).run())
        await eventually(other_is_read)
        assert (await offsets(db, group))[0] == (0, 1, 0)
    await wait_until_read(db, bootstrap=kafka_server, group=group, topics=[topic])


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


async def test_one_that_slept_while_another_read_on_does_not_doubt_the_log(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make, group: str, running: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It had looked at the log before three records came, which another has read by the time it takes over."""
    topic = await new_topic()
    ids = [uuid7() for _ in range(4)]
    slept = asyncio.Event()

    async def sleep_once(*asked: Any) -> Any:
        answer = await topic_ids(*asked)
        if not slept.is_set():
            slept.set()
            await producer.publish([wire(n, topic, ce_id=str(ids[n])) for n in range(3)])
            await store_offset(db, group, topic, 3, ids[2])
        return answer

    monkeypatch.setattr(loop, "topic_ids", sleep_once)
    consumer = make(topic)
    running(consumer.run())
    await slept.wait()
    await producer.publish([wire(3, topic, ce_id=str(ids[3]))])

    await consumer.wait_until_read([topic])

    assert await heard(db) == {3: 1}
    async with db.worker() as tx:
        assert await halts.halted(tx, group, [TopicPartition(topic, 0)]) == {}


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
    running: Running,
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

    running(make(topic).run())

    halt = await eventually(lambda: halt_of(db, group))

    assert (halt["kind"], halt["topic"], halt["partition"]) == ("log_mismatch", topic, 0)
    assert halt["reason"].startswith(f"next offset {next_offset}: {why}")
    assert await heard(db) == {}
    assert [row[2] for row in await offsets(db, group)] == [next_offset]
    assert metrics.consumer_halted.labels(group=group, topic=topic)._value.get() == 1


@pytest.mark.parametrize("grown_to", [2, 40], ids=["shorter than the one before", "grown beyond it"])
async def test_a_topic_that_is_deleted_and_made_again_under_a_running_consumer_halts_it_until_the_loss_is_accepted(
    db: Database,
    kafka_server: str,
    producer: Producer,
    new_topic: NewTopic,
    make: Make,
    group: str,
    running: Running,
    grown_to: int,
) -> None:
    """Kafka's client would begin at the new start, or read on at the old place, and say nothing."""
    topic = await new_topic()
    await producer.publish([wire(n, topic) for n in range(6)])
    consumer = make(topic)
    running(consumer.run())
    await consumer.wait_until_read([topic])

    await delete(kafka_server, topic)
    await made_again(new_topic, topic)
    await publish_anew(kafka_server, [wire(100 + n, topic) for n in range(grown_to)])

    halt = await eventually(lambda: halt_of(db, group))
    assert halt["kind"] == "log_mismatch"
    assert halt["reason"].startswith("next offset ")
    before = {n: times for n, times in (await heard(db)).items() if n < 100}
    assert before == dict.fromkeys(range(6), 1)

    async with db.worker() as tx:
        [found] = await halts.find(tx, group, topic, None)
        await halts.resume(tx, group, topic, found)
    await eventually(lambda: all_known(db, [*range(6), *range(100, 100 + grown_to)]))
    assert await halt_of(db, group) is None


async def test_a_halt_outlives_the_process_and_the_other_partitions_flow(
    db: Database,
    kafka_server: str,
    producer: Producer,
    new_topic: NewTopic,
    make: Make,
    group: str,
    running: Running,
) -> None:
    topic = await new_topic(partitions=2)
    async with db.worker() as tx:
        await halts.halt(tx, group, TopicPartition(topic, 0), halts.HaltKind.POISON_FLOOD, "by a process before")
    await producer.publish([wire(n, topic, bulk=f"b{n}") for n in range(12)])
    running(make(topic).run())

    async def rest_is_read() -> bool:
        return [row[0] for row in await offsets(db, group)] == [1] and (await offsets(db, group))[0][2] > 0

    await eventually(rest_is_read)
    async with db.worker() as tx:
        [found] = await halts.find(tx, group, topic, 0)
        await halts.resume(tx, group, topic, found)
    await wait_until_read(db, bootstrap=kafka_server, group=group, topics=[topic])
    assert sum(row[2] for row in await offsets(db, group)) == 12


async def test_retention_that_overtook_us_is_read_on_from_the_start_of_the_log_once_its_loss_is_accepted(
    db: Database,
    kafka_server: str,
    producer: Producer,
    new_topic: NewTopic,
    make: Make,
    group: str,
    running: Running,
) -> None:
    topic = await new_topic()
    await producer.publish([wire(n, topic) for n in range(6)])
    await store_offset(db, group, topic, 1, uuid7())
    await delete_before(kafka_server, topic, 4)
    running(make(topic).run())
    await eventually(lambda: halt_of(db, group))
    async with db.worker() as tx:
        [found] = await halts.find(tx, group, topic, None)
        await halts.resume(tx, group, topic, found)

    await wait_until_read(db, bootstrap=kafka_server, group=group, topics=[topic])

    assert await heard(db) == {4: 1, 5: 1}
    assert await halt_of(db, group) is None


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


async def halt_of(db: Database, group: str) -> Any:
    async with db.worker() as tx:
        return await tx.fetchrow("SELECT * FROM consumer_halt WHERE consumer_group = $1", group)


async def all_known(db: Database, chunks: list[int]) -> bool:
    return set(await heard(db)) == set(chunks)


async def delete(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_topics([topic])
    await admin.close()


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


async def made_again(new_topic: NewTopic, name: str) -> None:
    """A deletion takes a moment, and until then the name is taken."""

    async def made() -> bool:
        try:
            return bool(await new_topic(name=name))
        except (KafkaError, AssertionError):
            return False

    await eventually(made)


async def publish_anew(bootstrap: str, records: list[WireRecord]) -> None:
    """By a producer that knows nothing of the topic that was."""
    producer = Producer(bootstrap)
    await producer.publish(records)
    await producer.stop()
