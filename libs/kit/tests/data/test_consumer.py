"""The consumer on real Kafka and PostgreSQL. `heard` counts each application: 1 everywhere is exactly once."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from muster.events.v1.bulk_pb2 import BulkSmsRequested, BulkSmsWithdrawn
from muster.kit import metrics
from muster.kit.consumer import Consumer, ConsumerSettings, Received
from muster.kit.consumer.client import new_client
from muster.kit.pg import Database, Tx
from muster.kit.producer import Producer
from muster.kit.testing import eventually

from .log import TENANT, Make, NewTopic, Running, hear, heard, offsets, wire


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


@pytest.mark.parametrize("batch_max", [10, 4])
async def test_a_commit_whose_answer_was_lost_is_not_applied_twice_and_what_follows_is_applied(
    batch_max: int,
    db: Database,
    producer: Producer,
    new_topic: NewTopic,
    make: Make,
    group: str,
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topic = await new_topic()
    await producer.publish([wire(chunk, topic) for chunk in range(10)])
    consumer = make(topic, batch_max=batch_max)
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
    async with asyncio.timeout(120):
        await consumer.wait_until_read([topic])
        await producer.publish([wire(chunk, topic) for chunk in range(10, 20)])
        await consumer.wait_until_read([topic])

    assert lost == [0]
    assert metrics.consumer_duplicates.labels(group=group, cause="commit")._value.get() == batch_max
    assert await heard(db) == dict.fromkeys(range(20), 1)


async def test_what_a_relay_says_again_is_counted(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make, group: str, running: Running
) -> None:
    topic = await new_topic()
    records = [wire(chunk, topic) for chunk in range(30)]
    for said in (records, records[10:], [wire(99, topic)]):
        await producer.publish(said)
    consumer = make(topic)
    running(consumer.run())
    await consumer.wait_until_read([topic])

    assert metrics.consumer_duplicates.labels(group=group, cause="key")._value.get() == 20


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


async def test_a_consumer_whose_group_does_not_answer_while_the_broker_does_is_made_anew(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen when a broker was killed again and again: aiokafka's coordinator waits for ever, and fetches go on."""
    topic, wedged, commit = await new_topic(), list[AIOKafkaConsumer](), AIOKafkaConsumer.commit

    async def hangs_at_first(kafka: AIOKafkaConsumer, offsets: Any) -> None:
        if not wedged:
            wedged.append(kafka)
        if kafka in wedged:
            await asyncio.Event().wait()
        await commit(kafka, offsets)

    monkeypatch.setattr(AIOKafkaConsumer, "commit", hangs_at_first)
    monkeypatch.setattr("muster.kit.consumer.loop._REPORT_S", 0.1)
    consumer = make(topic)
    running(consumer.run())
    await producer.publish([wire(1, topic)])
    await consumer.wait_until_read([topic])

    async def is_replaced() -> bool:
        return bool(wedged) and wedged[0]._closed

    await eventually(is_replaced)
    await producer.publish([wire(2, topic)])
    await consumer.wait_until_read([topic])
    assert await heard(db) == {1: 1, 2: 1}


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
        await asyncio.wait_for(run, 120)

    assert await heard(db) == dict.fromkeys(range(20), 1)
    assert await offsets(db, group) == [(0, 2, 20)]


async def test_a_consumer_that_is_cancelled_in_a_batch_leaves_all_of_it_to_the_next(
    db: Database, producer: Producer, new_topic: NewTopic, make: Make, group: str, running: Running
) -> None:
    topic, begun = await new_topic(), asyncio.Event()

    async def never_ends(tx: Tx, events: Sequence[Received[Any]]) -> None:
        await hear(tx, events)
        begun.set()
        await asyncio.Event().wait()

    await producer.publish([wire(n, topic) for n in range(10)])
    run = asyncio.create_task(make(topic, never_ends).run())
    await asyncio.wait_for(begun.wait(), 120)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert await heard(db) == {}

    successor = make(topic)
    running(successor.run())
    await successor.wait_until_read([topic])
    assert await heard(db) == dict.fromkeys(range(10), 1)
    assert await offsets(db, group) == [(0, 2, 10)]


@pytest.mark.parametrize(
    ("session_ms", "heartbeat_ms", "rebalance_ms"),
    [(45_000, 3_000, 60_000), (6_000, 2_000, 18_000), (3_000, 1_000, 9_000)],
)
def test_two_heartbeats_may_be_lost_and_a_join_is_waited_for_as_long_as_the_group_may_take(
    session_ms: int, heartbeat_ms: int, rebalance_ms: int
) -> None:
    settings = ConsumerSettings(session_ms)
    assert (settings.heartbeat_interval_ms, settings.rebalance_timeout_ms) == (heartbeat_ms, rebalance_ms)
    assert 3 * settings.heartbeat_interval_ms <= session_ms
    assert settings.request_timeout_ms > settings.rebalance_timeout_ms


async def test_stop_is_bounded_while_the_broker_is_down(db: Database, unused_tcp_port: int) -> None:
    consumer = Consumer(db, bootstrap=f"127.0.0.1:{unused_tcp_port}", group="g", topics=["t"], handlers={})
    run = asyncio.create_task(consumer.run())
    await asyncio.sleep(0.3)
    await consumer.stop()
    await asyncio.wait_for(run, 120)


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


async def test_nothing_is_committed_to_kafka_by_itself_and_members_agree_on_one_assignor() -> None:
    """What is committed on its own is what nobody applied; several assignors need not have one in common."""
    kafka = new_client("127.0.0.1:1", "g", ConsumerSettings())
    assert not kafka._enable_auto_commit
    assert kafka._partition_assignment_strategy == (RoundRobinPartitionAssignor,)
    assert kafka._group_instance_id is None
    assert kafka._session_timeout_ms >= 3 * kafka._heartbeat_interval_ms
    await kafka.stop()
