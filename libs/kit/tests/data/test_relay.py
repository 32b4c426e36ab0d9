import asyncio
from typing import Any

import asyncpg
import pytest

from muster.kit import metrics
from muster.kit import relay as relay_module
from muster.kit.consumer.decode import decode, event_id_of, headers_of
from muster.kit.outbox import Fact, Lane, emit
from muster.kit.pg import Database
from muster.kit.producer import Producer, PublishFailed
from muster.kit.relay import Relay
from muster.kit.testing import ServiceDatabases, eventually

from .log import TENANT, NewTopic, Running, fact, read, requested

LANES = (Lane.SMALL, Lane.LARGE)


async def pending(db: Database) -> int:
    async with db.worker() as tx:
        n: int = await tx.fetchval("SELECT count(*) FROM outbox")
        return n


async def none_pending(db: Database) -> bool:
    return await pending(db) == 0


async def test_facts_of_a_request_arrive_as_cloud_events_in_order(
    db: Database, producer: Producer, new_topic: NewTopic, kafka_server: str, running: Running
) -> None:
    topic = await new_topic()
    relay = Relay(db, producer, LANES, source="notes")
    running(relay.run())
    async with db.request(TENANT) as tx:
        await emit(tx, *(fact(chunk, topic) for chunk in range(300)))
    relay.wake()

    records = await read(kafka_server, topic, 300)

    events = [decode(record) for record in records]
    assert [event.message.chunks for event in events] == list(range(300))
    assert {(event.tenant_id, event.correlation, event.key) for event in events} == {(TENANT, "b", b"b")}
    headers = headers_of(records[0])
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_source"] == b"notes"
    assert headers["ce_type"] == b"BulkSmsRequested"
    await eventually(lambda: none_pending(db))
    await relay.stop()


async def test_a_relay_that_dies_between_acknowledgement_and_delete_repeats_the_same_event_ids(
    db: Database, new_topic: NewTopic, kafka_server: str, running: Running
) -> None:
    class Dies(Producer):
        """Ends the process where the fault scenario wants it."""

        async def publish(self, records: Any) -> None:
            await super().publish(records)
            raise SystemError("killed")

    topic = await new_topic()
    async with db.worker() as tx:
        await emit(tx, *(fact(chunk, topic) for chunk in range(5)))
    dying, healthy = Dies(kafka_server), Producer(kafka_server)

    with pytest.raises(ExceptionGroup) as killed:
        await Relay(db, dying, LANES).run()
    assert killed.value.subgroup(SystemError)
    assert await pending(db) == 5
    running(Relay(db, healthy, LANES).run())

    records = await read(kafka_server, topic, 10)
    assert [event_id_of(record) for record in records[:5]] == [event_id_of(record) for record in records[5:]]
    await eventually(lambda: none_pending(db))
    await dying.stop()
    await healthy.stop()


async def test_ids_that_commit_out_of_order_are_not_lost(
    db: Database, producer: Producer, new_topic: NewTopic, kafka_server: str, running: Running
) -> None:
    topic = await new_topic()
    running(Relay(db, producer, LANES).run())
    async with db.worker() as slow:
        await emit(slow, fact(1, topic))
        async with db.worker() as quick:
            await emit(quick, fact(2, topic))
        assert [decode(record).message.chunks for record in await read(kafka_server, topic, 1)] == [2]

    assert [decode(record).message.chunks for record in await read(kafka_server, topic, 2)] == [2, 1]


async def test_a_lane_has_one_relay_and_who_takes_over_when_its_connection_dies_says_recent_keys_again(
    service_database: ServiceDatabases,
    db: Database,
    producer: Producer,
    new_topic: NewTopic,
    kafka_server: str,
    running: Running,
) -> None:
    topic, led = await new_topic(), asyncio.Queue[str]()

    async def say_again() -> None:
        led.put_nowait("again")

    for _ in range(2):
        running(Relay(db, producer, LANES, on_lead=say_again).run())
    admin = await asyncpg.connect(service_database.admin_dsn(db))
    held = (
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND objid = 1"
    )
    try:
        holder = await eventually(lambda: admin.fetchval(held))
        assert len(await admin.fetch(held)) == 1
        await asyncio.wait_for(led.get(), 120)
        assert led.empty()
        await admin.execute("SELECT pg_terminate_backend($1)", holder)
        async with db.worker() as tx:
            await emit(tx, *(fact(chunk, topic) for chunk in range(3)))
        assert len(await read(kafka_server, topic, 3)) == 3
        assert await eventually(lambda: admin.fetchval(held)) != holder
        await asyncio.wait_for(led.get(), 120)
    finally:
        await admin.close()


async def test_a_zombie_relay_says_old_facts_again_and_takes_nothing_from_its_successor(
    service_database: ServiceDatabases, db: Database, new_topic: NewTopic, kafka_server: str, running: Running
) -> None:
    """Fault 4: it sleeps between reading and publishing, its backend is ended, another takes over, it wakes."""
    asleep, awake = asyncio.Event(), asyncio.Event()

    class Sleeps(Producer):
        async def publish(self, records: Any) -> None:
            asleep.set()
            await awake.wait()
            await super().publish(records)

    topic, zombie, successor = await new_topic(), Sleeps(kafka_server), Producer(kafka_server)
    async with db.worker() as tx:
        await emit(tx, *(fact(chunk, topic) for chunk in range(3)))
    running(Relay(db, zombie, (Lane.SMALL,)).run())
    await asyncio.wait_for(asleep.wait(), 120)
    admin = await asyncpg.connect(service_database.admin_dsn(db))
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
    await admin.close()
    running(Relay(db, successor, (Lane.SMALL,)).run())
    await eventually(lambda: none_pending(db))
    async with db.worker() as tx:
        await emit(tx, fact(3, topic))
    awake.set()

    records = await read(kafka_server, topic, 7)
    ids = [event_id_of(record) for record in records]
    assert ids[:3] == [one for one in ids[3:] if one in ids[:3]]
    assert len(set(ids)) == 4
    await eventually(lambda: none_pending(db))
    await zombie.stop()
    await successor.stop()


async def test_what_cannot_be_published_stays_and_is_tried_again(
    db: Database, new_topic: NewTopic, kafka_server: str, running: Running
) -> None:
    class Refuses(Producer):
        refusals = 2

        async def publish(self, records: Any) -> None:
            self.refusals -= 1
            if self.refusals >= 0:
                raise PublishFailed("no")
            await super().publish(records)

    topic = await new_topic()
    producer = Refuses(kafka_server)
    async with db.worker() as tx:
        await emit(tx, fact(1, topic))
    running(Relay(db, producer, LANES).run())

    assert len(await read(kafka_server, topic, 1)) == 1
    assert producer.refusals < 0
    await producer.stop()


async def test_recent_keys_are_said_again_by_a_producer_that_replaces_one_and_once_more_when_nothing_can_be_late(
    db: Database, new_topic: NewTopic, kafka_server: str, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refuses(Producer):
        refuse = False

        async def publish(self, records: Any) -> None:
            if self.refuse:
                self.refuse = False
                said.append("replaced")
                raise PublishFailed("no")
            await super().publish(records)
            said.append("published")

    said: list[str] = []

    async def say_again() -> None:
        said.append("again")

    async def heard(expected: list[str]) -> bool:
        return said == expected

    monkeypatch.setattr(relay_module, "LATE_WRITE_S", 0.05)
    topic, producer = await new_topic(), Refuses(kafka_server)
    running(Relay(db, producer, (Lane.SMALL,), on_lead=say_again).run())
    await eventually(lambda: heard(["again"]))
    async with db.worker() as tx:
        await emit(tx, fact(1, topic))
    await eventually(lambda: heard(["again", "published"]))
    producer.refuse = True
    async with db.worker() as tx:
        await emit(tx, fact(2, topic))
    await eventually(lambda: heard(["again", "published", "replaced", "published", "again", "again"]))
    async with db.worker() as tx:
        await emit(tx, fact(3, topic))
    await eventually(lambda: heard(["again", "published", "replaced", "published", "again", "again", "published"]))
    await producer.stop()


async def test_who_leads_tells_what_waits_and_how_old_the_oldest_is_and_nobody_else_does(
    db: Database, running: Running
) -> None:
    class Refuses(Producer):
        async def publish(self, records: Any) -> None:
            raise PublishFailed("no")

    def told() -> dict[str, float]:
        return {
            name: metric.labels(lane="SMALL")._value.get()
            for name, metric in (("pending", metrics.outbox_pending), ("oldest", metrics.outbox_oldest_seconds))
            if ("SMALL",) in metric._metrics
        }

    async with db.worker() as tx:
        await emit(tx, *(fact(chunk, "t") for chunk in range(3)))
        await tx.execute("DELETE FROM outbox WHERE id = 1")
        columns = "lane, event_id, tenant_id, topic, key, value, type, time_unix_ms"
        await tx.execute(
            f"INSERT INTO outbox ({columns}) SELECT {columns.replace('time_unix_ms', 'time_unix_ms - 3600000')}"
            " FROM outbox WHERE id = 2"
        )
        await tx.execute("DELETE FROM outbox WHERE id = 2")
    relay = Relay(db, Refuses("nowhere:1"), (Lane.SMALL,))
    run = running(relay.run())

    async def is_told() -> bool:
        return told().get("pending") == 2

    await eventually(is_told)
    assert 3_600 <= told()["oldest"] < 3_700
    await relay.stop()
    await asyncio.wait_for(run, 120)
    assert told() == {}


async def test_what_waits_is_told_also_while_the_broker_does_not_answer(
    db: Database, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hangs(Producer):
        async def publish(self, records: Any) -> None:
            hangs.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(relay_module, "_MEASURE_S", 0.05)
    hangs = asyncio.Event()
    async with db.worker() as tx:
        await emit(tx, fact(0, "t"))
    running(Relay(db, Hangs("nowhere:1"), (Lane.SMALL,)).run())
    await hangs.wait()
    async with db.worker() as tx:
        await emit(tx, *(fact(chunk, "t") for chunk in range(1, 5)))

    async def is_told() -> bool:
        return metrics.outbox_pending.labels(lane="SMALL")._value.get() == 5

    await eventually(is_told)


async def test_a_batch_is_bounded_in_bytes_and_always_moves(db: Database, running: Running) -> None:
    class Counts(Producer):
        sizes: list[int] = []  # noqa: RUF012 - of this test alone

        async def publish(self, records: Any) -> None:
            self.sizes.append(len(records))

    async with db.worker() as tx:
        for size in (1_400_000, 1_400_000, 10, 10):
            await emit(tx, Fact(requested(1, "x" * size), key=b"k", topic="t"))
    running(Relay(db, Counts("nowhere:1"), LANES).run())
    await eventually(lambda: none_pending(db))

    assert Counts.sizes == [2, 2]


async def test_lanes_do_not_wait_for_each_other(
    db: Database, new_topic: NewTopic, kafka_server: str, running: Running
) -> None:
    topic, stuck = await new_topic(), asyncio.Event()

    class Stuck(Producer):
        async def publish(self, records: Any) -> None:
            if records[0].key == b"giant":
                await stuck.wait()
            await super().publish(records)

    producer = Stuck(kafka_server)
    async with db.worker() as tx:
        await emit(tx, fact(1, topic, bulk="giant", lane=Lane.LARGE), fact(2, topic, bulk="small"))
    running(Relay(db, producer, LANES).run())

    assert [decode(record).message.chunks for record in await read(kafka_server, topic, 1)] == [2]
    stuck.set()
    assert len(await read(kafka_server, topic, 2)) == 2
    await producer.stop()
