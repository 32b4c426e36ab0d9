"""Applies records of any topic: one transaction with the offsets it covers; poison is parked, the rest retried."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from muster.kit import metrics, observe, spans
from muster.kit.consumer import PoisonLimit, decode, halts
from muster.kit.consumer.apply import PoisonGauge, is_poison
from muster.kit.consumer.decode import headers_of, type_of
from muster.kit.consumer.letters import park, reason_of
from muster.kit.pg import RETRIABLE, Database, Tx
from muster.report.domain import runs
from muster.report.handlers import HANDLERS
from muster.report.store import offsets

GROUP: Final = "report"
_PAUSE_MIN_S, _PAUSE_MAX_S = 0.1, 5.0
_HALTED_S: Final = 2.0

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


class Halted(Exception):
    """An operator must decide before more of this topic is applied."""


_poison = PoisonGauge(PoisonLimit())


async def apply(db: Database, records: Sequence[Record], *, wait: bool = True) -> None:
    """Apply records of one topic, however often it takes. Returns when they are committed.

    Where the topic is halted this waits until it is resumed, and raises Halted without `wait`.
    """
    pause = _PAUSE_MIN_S
    while True:
        try:
            await _apply(db, records)
        except Halted:
            if not wait:
                raise
            await asyncio.sleep(_HALTED_S)
        except RETRIABLE as error:
            metrics.consumer_retries.labels(group=GROUP, cause=type(error).__name__).inc()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSE_MAX_S)
        else:
            return


async def _apply(db: Database, records: Sequence[Record]) -> None:
    try:
        async with db.worker() as tx:
            await _go_on(tx, records[0].topic)
            await _handle(tx, records)
            await _cover(tx, records)
        _poison.note_good(records[0].topic, len(records))
    except Exception as error:
        if not is_poison(error):
            raise
        if len(records) > 1:
            for record in records:
                await _apply(db, [record])
        else:
            await _park(db, records[0], reason_of(error))


async def _go_on(tx: Tx, topic: str) -> None:
    """Halted where the topic is: an agent has one place in all its partitions."""
    standing = await halts.find(tx, GROUP, topic, None)
    metrics.consumer_halted.labels(group=GROUP, topic=topic).set(len(standing))
    if standing:
        raise Halted(standing[0].reason)


async def _handle(tx: Tx, records: Sequence[Record]) -> None:
    """Runs of one type, in order. Types of no interest are skipped."""
    for event_type, run in groupby(records, key=_type):
        if event_type in HANDLERS:
            events = [decode(record) for record in run]
            with metrics.consumer_batch_seconds.labels(group=GROUP).time(), spans.hearing(GROUP, events):
                await HANDLERS[event_type](tx, events)


async def _cover(tx: Tx, records: Sequence[Record]) -> None:
    by_partition: dict[tuple[str, int], list[int]] = {}
    for record in records:
        by_partition.setdefault((record.topic, record.partition), []).append(record.offset)
    for (topic, partition), found in sorted(by_partition.items()):
        await offsets.cover(tx, topic, partition, runs(found))
        metrics.consumer_records.labels(group=GROUP, topic=topic).inc(len(found))


async def _park(db: Database, record: Record, reason: str) -> None:
    """Park what can never be applied, with its offset, in one transaction; too many of them halt their topic."""
    log.error("report.poison", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason)
    async with db.worker() as tx:
        await _go_on(tx, record.topic)
        new = await park(tx, GROUP, record, reason)
        await _cover(tx, [record])
        flood = _poison.overflow(record.topic) if new else ""
        if flood:
            tp = (record.topic, record.partition)
            await halts.halt(tx, GROUP, tp, halts.HaltKind.POISON_FLOOD, f"{flood}; the last: {reason}")
    if new:
        metrics.consumer_poison.labels(group=GROUP, topic=record.topic).inc()
        _poison.note_poison(record.topic)
    if flood:
        log.error("report.halted", topic=record.topic, why=flood)
        _poison.forget(record.topic)


def _type(record: Any) -> str:
    return type_of(headers_of(record))
