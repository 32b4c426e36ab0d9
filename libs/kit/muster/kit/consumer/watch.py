"""Waiting until a group has applied what its topics hold."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from muster.kit.broker import Broker, connection
from muster.kit.closing import closed
from muster.kit.consumer.offsets import next_offsets
from muster.kit.pg import Database

_POLL_S = 0.2
_RETRY_S = 1.0


async def wait_until_read(db: Database, *, bootstrap: Broker | str, group: str, topics: Sequence[str]) -> None:
    """Until the stored offsets of the group reach the ends that the topics have at this moment.

    It does not matter which processes consume; waits for ever for a group that nobody serves.
    """
    ends = await _ends(bootstrap, topics)
    while True:
        async with db.worker() as tx:
            read = await next_offsets(tx, group, topics)
        if all(read.get(tp, 0) >= end for tp, end in ends.items()):
            return
        await asyncio.sleep(_POLL_S)


async def _ends(bootstrap: Broker | str, topics: Sequence[str]) -> dict[TopicPartition, int]:
    while True:
        kafka = AIOKafkaConsumer(**connection(bootstrap))
        try:
            await kafka.start()
            tps = [TopicPartition(topic, number) for topic in topics for number in await _partitions(kafka, topic)]
            ends: dict[TopicPartition, int] = await kafka.end_offsets(tps)
            return ends
        except (KafkaError, OSError):
            await asyncio.sleep(_RETRY_S)
        finally:
            await closed(kafka.stop(), 5)


async def _partitions(kafka: AIOKafkaConsumer, topic: str) -> set[int]:
    """Of a topic; asks until the broker knows it."""
    while not (numbers := kafka.partitions_for_topic(topic)):
        await kafka._client._wait_on_metadata(topic)
    return set(numbers)
