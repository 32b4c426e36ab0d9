"""Fault 18 on one broker of the test's own: killed with -9 under relay and consumer, and started again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from muster.kit.consumer import Consumer, ConsumerSettings, Received
from muster.kit.inbox import first_time
from muster.kit.outbox import Lane, emit
from muster.kit.pg import Database, Tx
from muster.kit.producer import Producer
from muster.kit.relay import Relay
from muster.kit.testing import eventually
from muster.kit.topics import Wanted, ensure
from muster.local.kafka import Kafka

from .log import Running, fact, hear, heard


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Kafka]:
    kafka = Kafka(tmp_path)
    await asyncio.to_thread(kafka.start)
    yield kafka
    await asyncio.to_thread(kafka.stop)


@pytest.fixture
async def impatient(broker: Kafka) -> AsyncIterator[Producer]:
    producer = Producer(broker.bootstrap, publish_limit_s=5)
    yield producer
    await producer.stop()


def kill(broker: Kafka) -> None:
    assert broker._process is not None
    broker._process.kill()
    broker._process.wait(60)


async def test_a_killed_broker_costs_nothing_but_time_and_nobody_hangs_without_it(
    db: Database, broker: Kafka, impatient: Producer, running: Running
) -> None:
    await ensure(broker.bootstrap, [Wanted("t", 2, 1, {})])
    relay = Relay(db, impatient, (Lane.SMALL,))
    relay_run = running(relay.run())
    settings = ConsumerSettings(session_timeout_ms=3_000, fetch_wait_ms_max=500)

    async def hear_once(tx: Tx, events: Sequence[Received[Any]]) -> None:
        """A producer that was replaced may have written before: the same events, with the same ids."""
        await hear(tx, await first_time(tx, "g", events))

    handlers = {"BulkSmsRequested": hear_once}
    consumers = [
        Consumer(db, bootstrap=broker.bootstrap, group="g", topics=["t"], handlers=handlers, settings=settings)
        for _ in range(2)
    ]
    runs = [running(consumer.run()) for consumer in consumers]

    async def all_heard(n: int) -> bool:
        return await heard(db) == dict.fromkeys(range(n), 1)

    async with db.worker() as tx:
        await emit(tx, *(fact(chunk, "t") for chunk in range(20)))
    await eventually(lambda: all_heard(20))

    await asyncio.to_thread(kill, broker)
    async with db.worker() as tx:
        await emit(tx, *(fact(chunk, "t") for chunk in range(20, 40)))
    await consumers[1].stop()
    await asyncio.wait_for(runs[1], 60)
    assert await heard(db) == dict.fromkeys(range(20), 1)

    await asyncio.to_thread(broker.start)
    await eventually(lambda: all_heard(40))

    await asyncio.to_thread(kill, broker)
    await relay.stop()
    await consumers[0].stop()
    await asyncio.wait_for(asyncio.gather(runs[0], relay_run), 60)
    await asyncio.wait_for(impatient.stop(), 30)
