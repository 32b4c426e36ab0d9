"""A topic that is not the one that was read: the report halts it, and says so, until the operator accepts the loss."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from report_world import ACCEPTED, Send, headers_of, rows_of

from muster.kit.consumer import PoisonLimit, halts
from muster.kit.consumer.apply import PoisonGauge
from muster.kit.pg import Database
from muster.kit.producer import Producer, WireRecord
from muster.kit.testing import eventually
from muster.kit.topics import Wanted, ensure
from muster.report.settings import ReportSettings
from muster.report.stream import applier
from muster.report.stream.applier import GROUP, Halted, Record, apply
from muster.report.stream.auditor import Auditor
from muster.report.stream.watch import Watch

Make = Callable[[], Awaitable[None]]


@pytest.fixture
def topic() -> str:
    return f"sms-{uuid4().hex[:12]}"


async def made(kafka: str, topic: str) -> bool:
    """A deletion takes a moment, and until then the name is taken."""
    try:
        return await ensure(kafka, [Wanted(topic, 1, 1, {"cleanup.policy": "delete"})]) == []
    except KafkaError:
        return False


async def publish(kafka: str, topic: str, seqs: range) -> None:
    producer = Producer(kafka)
    messages = [Send().dispatched([ACCEPTED], first=seq) for seq in seqs]
    await producer.publish([WireRecord(topic, b"k", one.SerializeToString(), headers_of(one)) for one in messages])
    await producer.stop()


async def seqs_of(db: Database) -> list[int]:
    return sorted(row["seq"] for row in await rows_of(db, "message"))


async def resume(db: Database, topic: str) -> None:
    async with db.worker() as tx:
        [found] = await halts.find(tx, GROUP, topic, None)
        await halts.resume(tx, GROUP, topic, found)


async def test_a_topic_that_was_made_again_is_halted_and_read_from_its_start_once_its_loss_is_accepted(
    db: Database, kafka_server: str, topic: str
) -> None:
    settings = ReportSettings(kafka=kafka_server)
    watch, auditor = Watch(settings, db, [topic]), Auditor(settings, db, [topic])
    assert await made(kafka_server, topic)
    await publish(kafka_server, topic, range(1, 4))
    await watch.look()
    await auditor.round()
    await auditor.round()
    assert await seqs_of(db) == [1, 2, 3]

    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_server)
    await admin.start()
    await admin.delete_topics([topic])
    await admin.close()
    await eventually(lambda: made(kafka_server, topic))
    await publish(kafka_server, topic, range(11, 13))
    await watch.look()

    record = Record(topic, 0, 0, b"k", b"", [("ce_type", b"SmsDispatched")])
    with pytest.raises(Halted, match="made again"):
        await apply(db, [record], wait=False)
    await watch.look()
    assert await seqs_of(db) == [1, 2, 3]

    await resume(db, topic)
    await watch.look()
    again = Auditor(settings, db, [topic])
    await again.round()
    await again.round()
    assert await seqs_of(db) == [1, 2, 3, 11, 12]


async def test_a_flood_of_poison_halts_its_topic_and_parks_nothing_twice(
    db: Database, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applier, "_poison", PoisonGauge(PoisonLimit(count_min=3)))
    bad = [Record(topic, 0, offset, b"k", b"\xff", [("ce_type", b"SmsDispatched")]) for offset in range(10)]
    for record in bad[:3]:
        await apply(db, [record], wait=False)
    with pytest.raises(Halted, match="3 of the last 3 records"):
        await apply(db, bad, wait=False)

    async with db.worker() as tx:
        parked = "SELECT count(*) FROM dead_letter WHERE topic = $1"
        assert await tx.fetchval(parked, topic) == 3
    await resume(db, topic)
    for record in bad[:5]:
        await apply(db, [record], wait=False)
    async with db.worker() as tx:
        assert await tx.fetchval(parked, topic) == 5
