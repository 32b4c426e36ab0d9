"""Applies records of any topic: one transaction with the offsets it covers; poison is parked, the rest retried."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

import asyncpg

from muster.kit import metrics, observe
from muster.kit.consumer import Poison, decode
from muster.kit.consumer.apply import parked
from muster.kit.consumer.decode import headers_of, type_of
from muster.kit.outbox import emit_raw
from muster.kit.pg import RETRIABLE, Database, Tx
from muster.report.domain import runs
from muster.report.handlers import HANDLERS
from muster.report.store import offsets

GROUP: Final = "report"
_BY_DATA: Final = (
    Poison,
    ValueError,
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.CardinalityViolationError,  # The same message twice in one event.
)
_PAUSE_MIN_S, _PAUSE_MAX_S = 0.1, 5.0

log = observe.logger(__name__)


class Record(NamedTuple):
    """What is read of a record, whoever read it."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes | None]]


def record_of(message: Any) -> Record:
    """The record of a message of Faust or aiokafka; headers are pairs or a dict, and may hold nulls."""
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    key, value = message.key or b"", message.value or b""
    return Record(message.topic, message.partition, message.offset, key, value, list(pairs))


async def apply(db: Database, records: Sequence[Record]) -> None:
    """Apply records of one topic, however often it takes. Returns when they are committed."""
    pause = _PAUSE_MIN_S
    while True:
        try:
            await _apply(db, records)
        except RETRIABLE as error:
            metrics.consumer_retries.labels(group=GROUP, cause=type(error).__name__).inc()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSE_MAX_S)
        else:
            return


async def _apply(db: Database, records: Sequence[Record]) -> None:
    try:
        async with db.worker() as tx:
            await _handle(tx, records)
            await _cover(tx, records)
    except _BY_DATA as error:
        if len(records) > 1:
            for record in records:
                await _apply(db, [record])
        else:
            await _park(db, records[0], f"{type(error).__name__}: {error}")


async def _handle(tx: Tx, records: Sequence[Record]) -> None:
    """Runs of one type, in order. Types of no interest are skipped."""
    for event_type, run in groupby(records, key=_type):
        if event_type in HANDLERS:
            with metrics.consumer_batch_seconds.labels(group=GROUP).time():
                await HANDLERS[event_type](tx, [decode(record) for record in run])


async def _cover(tx: Tx, records: Sequence[Record]) -> None:
    by_partition: dict[tuple[str, int], list[int]] = {}
    for record in records:
        by_partition.setdefault((record.topic, record.partition), []).append(record.offset)
    for (topic, partition), found in sorted(by_partition.items()):
        await offsets.cover(tx, topic, partition, runs(found))
        metrics.consumer_records.labels(group=GROUP, topic=topic).inc(len(found))


async def _park(db: Database, record: Record, reason: str) -> None:
    """Park what can never be applied, with its offset, in one transaction."""
    metrics.consumer_poison.labels(group=GROUP, topic=record.topic).inc()
    log.error("report.poison", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason)
    async with db.worker() as tx:
        await emit_raw(tx, parked(GROUP, record, reason))
        await _cover(tx, [record])


def _type(record: Any) -> str:
    return type_of(headers_of(record))
