"""What the tests of outbox, relay and consumer share: events, a handler that counts, and reading a topic."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from muster.events.v1.bulk_pb2 import BulkSmsRequested
from muster.kit import clock
from muster.kit.consumer import Consumer, Received
from muster.kit.ids import uuid7
from muster.kit.outbox import Fact, Lane
from muster.kit.pg import Database, Tx
from muster.kit.producer import WireRecord

NewTopic = Callable[..., Awaitable[str]]
Running = Callable[..., asyncio.Task[None]]
Make = Callable[..., Consumer]

TENANT = uuid4()
NULL: Any = object()
_NULL: Any = None
_HEAR = """
INSERT INTO heard (tenant_id, bulk_id, chunk)
SELECT $1, bulk_id, chunk FROM unnest($2::text[], $3::bigint[]) AS e (bulk_id, chunk)
ON CONFLICT (tenant_id, bulk_id, chunk) DO UPDATE SET times = heard.times + 1
"""


def requested(chunk: int, bulk: str = "b", tenant: UUID = TENANT) -> BulkSmsRequested:
    return BulkSmsRequested(tenant_id=str(tenant), bulk_id=bulk, chunks=chunk)


def fact(chunk: int, topic: str, bulk: str = "b", lane: Lane = Lane.SMALL) -> Fact:
    return Fact(requested(chunk, bulk), key=bulk.encode(), topic=topic, lane=lane, correlation=bulk)


def wire(chunk: int, topic: str, bulk: str = "b", **replace: Any) -> WireRecord:
    """A record as the relay would publish it; `replace` gives other headers, key or value.

    A header that is None is left out, one that is NULL has a null value, as other clients can write it.
    """
    headers = {
        "ce_id": str(uuid7()),
        "ce_type": "BulkSmsRequested",
        "ce_time": clock.rfc3339(clock.unix_ms()),
        "tenant": str(TENANT),
    } | {name: value for name, value in replace.items() if name not in ("key", "value")}
    return WireRecord(
        topic,
        replace.get("key", bulk.encode()),
        replace.get("value", requested(chunk, bulk).SerializeToString()),
        [(name, _NULL if value is NULL else value.encode()) for name, value in headers.items() if value is not None],
    )


async def hear(tx: Tx, events: Sequence[Received[BulkSmsRequested]]) -> None:
    """Counts how often each event was applied: without a natural key on purpose."""
    for event in events:
        await tx.execute(_HEAR, TENANT, [event.message.bulk_id], [event.message.chunks])


async def heard(db: Database, bulk: str = "b") -> dict[int, int]:
    """How often each chunk was applied."""
    async with db.worker() as tx:
        rows = await tx.fetch("SELECT chunk, times FROM heard WHERE bulk_id = $1 ORDER BY chunk", bulk)
    return {row["chunk"]: row["times"] for row in rows}


async def offsets(db: Database, group: str) -> list[tuple[int, int, int]]:
    """Partition, epoch and next offset of a group."""
    async with db.worker() as tx:
        rows = await tx.fetch(
            "SELECT * FROM consumer_offset WHERE consumer_group = $1 ORDER BY topic, partition", group
        )
    return [(row["partition"], row["epoch"], row["next_offset"]) for row in rows]


async def read(bootstrap: str, topic: str, n: int) -> list[ConsumerRecord]:
    """The first n records of a topic, partition by partition; TimeoutError if there are not as many in two minutes."""
    kafka = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=100)
    await kafka.start()
    found: dict[TopicPartition, list[ConsumerRecord]] = {}
    try:
        async with asyncio.timeout(120):
            while sum(map(len, found.values())) < n:
                for tp, records in (await kafka.getmany(timeout_ms=500)).items():
                    found.setdefault(tp, []).extend(records)
    finally:
        await kafka.stop()
    return [record for tp in sorted(found) for record in found[tp]]
