"""The stream processor and its auditor over real Kafka."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from report_world import ACCEPTED, Send, headers_of, rows_of

from muster.kit import metrics
from muster.kit.pg import Database
from muster.kit.producer import Producer, WireRecord
from muster.kit.testing import eventually
from muster.kit.topics import Wanted, ensure
from muster.report.domain import union
from muster.report.settings import ReportSettings
from muster.report.store import offsets
from muster.report.stream.agents import Processor
from muster.report.stream.applier import GROUP
from muster.report.stream.auditor import Auditor


@pytest.fixture
async def topic(kafka_server: str) -> str:
    name = f"sms-{uuid4().hex[:12]}"
    assert await ensure(kafka_server, [Wanted(name, 1, 1, {"cleanup.policy": "delete"})]) == []
    return name


@pytest.fixture
def settings(kafka_server: str) -> ReportSettings:
    return ReportSettings(kafka=kafka_server, report_take_s=0.01)


async def publish(settings: ReportSettings, topic: str, seqs: range) -> Send:
    """One event for each message, at the offsets from 0."""
    send = Send()
    messages = [send.dispatched([ACCEPTED], first=seq) for seq in seqs]
    producer = Producer(settings.kafka)
    try:
        await producer.publish([WireRecord(topic, b"k", one.SerializeToString(), headers_of(one)) for one in messages])
    finally:
        await producer.stop()
    return send


async def seqs_of(db: Database) -> list[int]:
    return sorted(row["seq"] for row in await rows_of(db, "message"))


async def cover(db: Database, topic: str, first: int, last: int) -> None:
    async with db.worker() as tx:
        await offsets.cover(tx, topic, 0, [(first, last)])


async def covered(db: Database, topic: str) -> list[tuple[int, int]]:
    async with db.worker() as tx:
        return await offsets.covered(tx, topic, 0)


async def test_the_auditor_applies_a_gap_that_was_there_a_round_ago(
    db: Database, settings: ReportSettings, topic: str
) -> None:
    await publish(settings, topic, range(1, 7))
    await cover(db, topic, 0, 1)
    await cover(db, topic, 4, 5)
    auditor = Auditor(settings, db, [topic])

    rounds = [await auditor.round() for _ in range(3)]

    assert rounds == [0, 2, 0]
    assert await seqs_of(db) == [3, 4]
    assert union(await covered(db, topic)) == [(0, 5)]


async def test_a_hole_between_ranges_is_filled_without_waiting_for_a_round(
    db: Database, settings: ReportSettings, topic: str
) -> None:
    await publish(settings, topic, range(1, 7))
    await cover(db, topic, 0, 1)
    auditor = Auditor(settings, db, [topic])
    assert await auditor.fill() == 0

    await cover(db, topic, 4, 4)

    assert await auditor.fill() == 2
    assert await seqs_of(db) == [3, 4]
    assert await covered(db, topic) == [(0, 4)]


async def test_what_the_log_has_dropped_before_it_was_applied_is_said_and_counted(
    db: Database, settings: ReportSettings, topic: str
) -> None:
    await publish(settings, topic, range(1, 7))
    await cover(db, topic, 0, 0)
    await cover(db, topic, 5, 5)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(4)})
    await admin.close()

    assert await Auditor(settings, db, [topic]).fill() == 1

    assert await seqs_of(db) == [5]
    assert await covered(db, topic) == [(0, 5)]
    assert metrics.report_lost_offsets.labels(topic=topic)._value.get() == 3


async def test_what_the_group_has_committed_but_nobody_applied_is_applied_by_the_first_round(
    db: Database, settings: ReportSettings, topic: str
) -> None:
    await publish(settings, topic, range(1, 7))
    await cover(db, topic, 0, 1)
    partition = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, group_id=GROUP, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([partition])
    await consumer.commit({partition: 5})
    await consumer.stop()

    assert await Auditor(settings, db, [topic]).round() == 3

    assert await seqs_of(db) == [3, 4, 5]
    assert await covered(db, topic) == [(0, 4)]


async def test_the_auditor_leaves_a_tail_alone_until_it_stands_still(
    db: Database, settings: ReportSettings, topic: str
) -> None:
    await publish(settings, topic, range(1, 7))
    auditor = Auditor(settings, db, [topic])
    assert await auditor.round() == 0

    await cover(db, topic, 0, 2)
    assert await auditor.round() == 0
    assert await covered(db, topic) == [(0, 2)]

    assert await auditor.round() == 3
    assert await seqs_of(db) == [4, 5, 6]
    assert await covered(db, topic) == [(0, 5)]


async def test_the_processor_applies_what_is_said_and_covers_it(
    db: Database, settings: ReportSettings, topic: str
) -> None:
    await publish(settings, topic, range(1, 7))
    processor = Processor(settings, db, [topic])
    running = asyncio.create_task(processor.run())

    async def applied() -> bool:
        return await covered(db, topic) == [(0, 5)]

    await eventually(applied)
    await processor.stop()
    await running

    assert await seqs_of(db) == [1, 2, 3, 4, 5, 6]


async def test_an_error_that_no_retry_cures_ends_the_processor_and_the_batch_is_applied_by_the_next(
    db: Database, settings: ReportSettings, topic: str, service_database: Any
) -> None:
    admin = await asyncpg.connect(service_database.admin_dsn(db))
    await admin.execute("ALTER TABLE message RENAME TO mislaid")
    await publish(settings, topic, range(1, 4))
    processor = Processor(settings, db, [topic])

    with pytest.raises(RuntimeError, match="the stream processor failed") as failed:
        await asyncio.wait_for(processor.run(), 120)
    await processor.stop()

    assert isinstance(failed.value.__cause__, asyncpg.UndefinedTableError)
    assert await covered(db, topic) == []
    await admin.execute("ALTER TABLE mislaid RENAME TO message")
    await admin.close()
    following = Processor(settings, db, [topic])
    running = asyncio.create_task(following.run())

    async def applied() -> bool:
        return await covered(db, topic) == [(0, 2)]

    await eventually(applied)
    await following.stop()
    await running
    assert await seqs_of(db) == [1, 2, 3]
