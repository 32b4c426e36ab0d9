import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    RecordListTooLargeError,
    UnknownProducerId,
)

from muster.kit import metrics
from muster.kit.consumer.decode import decode
from muster.kit.outbox import RECORD_BYTES_MAX, Oversize
from muster.kit.producer import Producer, PublishFailed, WireRecord

from .log import NewTopic, read, wire


def replaced(reason: str) -> float:
    return metrics.producer_replaced.labels(reason=reason)._value.get()


@pytest.mark.parametrize(
    "error",
    [OutOfOrderSequenceNumber, UnknownProducerId, InvalidProducerEpoch, ProducerFenced, RecordListTooLargeError],
)
async def test_a_wedged_producer_is_replaced_and_what_was_not_acknowledged_can_be_published(
    producer: Producer, new_topic: NewTopic, kafka_server: str, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    topic = await new_topic()
    await producer.publish([wire(1, topic)])
    wedged = producer._inner
    before = replaced(error.__name__)

    async def refuse(*_: Any, **__: Any) -> Any:
        future = asyncio.get_running_loop().create_future()
        future.set_exception(error())
        return future

    monkeypatch.setattr(wedged, "send", refuse)
    with pytest.raises(PublishFailed, match=error.__name__):
        await producer.publish([wire(2, topic)])
    assert replaced(error.__name__) == before + 1
    await producer.publish([wire(2, topic)])

    assert producer._inner is not wedged
    assert [decode(record).message.chunks for record in await read(kafka_server, topic, 2)] == [1, 2]


async def test_a_sequence_that_the_broker_refuses_really_wedges_the_producer_until_it_is_replaced(
    producer: Producer, new_topic: NewTopic, kafka_server: str
) -> None:
    """aiokafka#1017 at the real broker: a sequence number that ran ahead is never taken back."""
    topic = await new_topic()
    await producer.publish([wire(1, topic)])
    inner = producer._inner
    assert inner is not None
    assert inner._txn_manager.transactional_id is None  # aiokafka's transactions speak a protocol of the past
    for tp, number in list(inner._txn_manager._sequence_numbers.items()):
        inner._txn_manager._sequence_numbers[tp] = number + 5

    with pytest.raises(PublishFailed):
        await producer.publish([wire(2, topic)])
    await producer.publish([wire(2, topic)])

    assert [decode(record).message.chunks for record in await read(kafka_server, topic, 2)] == [1, 2]


async def test_a_publish_that_is_stuck_ends_at_its_limit_and_the_producer_is_replaced(
    new_topic: NewTopic, kafka_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, before = await new_topic(), replaced("stuck")
    producer = Producer(kafka_server, publish_limit_s=1)
    await producer.start()

    async def never(*_: Any, **__: Any) -> Any:
        return asyncio.get_running_loop().create_future()

    monkeypatch.setattr(producer._inner, "send", never)
    with pytest.raises(PublishFailed, match="TimeoutError"):
        await producer.publish([wire(1, topic)])

    assert replaced("stuck") == before + 1
    await producer.publish([wire(1, topic)])
    await producer.stop()


async def test_an_oversize_record_is_refused_before_anything_is_sent(
    producer: Producer, new_topic: NewTopic, kafka_server: str
) -> None:
    topic = await new_topic(**{"max.message.bytes": str(4 * 1024 * 1024)})
    with pytest.raises(Oversize, match=rf"{topic} has {RECORD_BYTES_MAX + 1} bytes; at most {RECORD_BYTES_MAX}"):
        await producer.publish([wire(1, topic), WireRecord(topic, b"k", b"x" * RECORD_BYTES_MAX)])

    largest = WireRecord(topic, b"k", bytes(range(256)) * (RECORD_BYTES_MAX // 256 - 1))
    await producer.publish([wire(2, topic), largest])
    records = await read(kafka_server, topic, 2)
    assert decode(records[0]).message.chunks == 2
    assert records[1].value == largest.value


async def test_stop_is_bounded_while_the_broker_is_down(unused_tcp_port: int) -> None:
    producer = Producer(f"127.0.0.1:{unused_tcp_port}", publish_limit_s=2)
    with pytest.raises(PublishFailed, match="no connection to Kafka"):
        await producer.publish([wire(1, "t")])
    await asyncio.wait_for(producer.stop(), 30)


async def test_stop_is_bounded_when_the_broker_died_under_an_idempotent_producer(
    new_topic: NewTopic, kafka_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka's own stop() waits for a flush that never comes, as it does while the broker is down."""
    monkeypatch.setattr("muster.kit.producer.STOP_LIMIT_S", 0.5)
    producer = Producer(kafka_server)
    await producer.start()
    inner = producer._inner
    assert isinstance(inner, AIOKafkaProducer)
    monkeypatch.setattr(inner._message_accumulator, "flush", asyncio.Event().wait)

    await asyncio.wait_for(producer.stop(), 30)

    assert inner._sender.sender_task.done()


async def test_a_producer_waits_for_all_replicas_and_sends_large_batches(
    producer: Producer, new_topic: NewTopic, kafka_server: str
) -> None:
    """aiokafka's default is 16 KiB: at one request for each partition in flight a chunk would take five round trips."""
    await producer.start()
    inner = producer._inner
    assert inner is not None
    assert inner._txn_manager is not None
    assert inner._sender._acks == -1
    assert inner._message_accumulator._batch_size >= 256 * 1024
