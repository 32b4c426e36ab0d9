"""Applies a batch of one partition: one transaction with its offset; three outcomes besides success.

Poison is parked, record by record; a flood of it halts the partition. What is transient is tried again with back-off
and smaller batches. A bug ends the process.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice

import asyncpg
import structlog
from aiokafka import ConsumerRecord

from muster.kit import failpoint, metrics, spans
from muster.kit.consumer.decode import decode, event_id_of, headers_of, type_of
from muster.kit.consumer.halts import HaltKind, halt
from muster.kit.consumer.letters import park, reason_of
from muster.kit.consumer.offsets import Partition, advance, was_advanced
from muster.kit.consumer.received import Handler, Poison
from muster.kit.pg import RETRIABLE, Database, Tx

_RETRY_MIN_S, _RETRY_MAX_S = 0.1, 5.0
_BY_DATA = (
    Poison,
    ValueError,  # what Python, protobuf or the driver cannot make anything of: no UUID, no number, no text, no time
    OverflowError,  # a time or a number beyond what there is
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.CardinalityViolationError,  # the same row twice in one event
)

log = structlog.get_logger(__name__)


class PoisonFlood(Exception):
    """So many records of a topic cannot be applied that the fault is rather here than in them: its partition halts."""


@dataclass(frozen=True, slots=True)
class PoisonLimit:
    """Halt when at least `count_min` of the last `window` records, and more than `ratio_max` of them, were poison."""

    window: int = 1000
    count_min: int = 20
    ratio_max: float = 0.1


class PoisonGauge:
    """Of each topic, how many of the last records were poison: where they are too many, each partition that brings
    another one halts, and those that bring none flow on.
    """

    def __init__(self, limit: PoisonLimit) -> None:
        self._limit = limit
        self._recent: dict[str, deque[bool]] = {}

    def note_good(self, topic: str, n: int) -> None:
        """These were applied."""
        self._of(topic).extend([False] * min(n, self._limit.window))

    def note_poison(self, topic: str) -> None:
        """One more was parked."""
        self._of(topic).append(True)

    def overflow(self, topic: str) -> str:
        """What one more would be too many of; an empty string if it would not."""
        recent = self._of(topic)
        bad, seen = sum(recent) + 1, min(len(recent) + 1, self._limit.window)
        too_many = bad >= self._limit.count_min and bad > self._limit.ratio_max * seen
        return f"{bad} of the last {seen} records of {topic} could not be applied" if too_many else ""

    def forget(self, topic: str) -> None:
        """An operator has resumed it: count anew."""
        self._recent.pop(topic, None)

    def _of(self, topic: str) -> deque[bool]:
        return self._recent.setdefault(topic, deque(maxlen=self._limit.window))


@dataclass(slots=True)
class _Work:
    """The records of one `apply` that are left, and what is known about them."""

    partition: Partition
    rest: deque[ConsumerRecord]
    singly_until: int = 0
    reasons: dict[int, str] = field(default_factory=dict)
    doubtful_offset: int | None = None

    def next_batch(self) -> list[ConsumerRecord]:
        """What comes next: nothing when all is done or the partition was revoked, one record where one is poison."""
        while self.rest and self.rest[0].offset < self.partition.next_offset:
            self.rest.popleft()
        if not self.rest or self.partition.revoked:
            return []
        size = 1 if self.rest[0].offset < self.singly_until else self.partition.batch_max
        return list(islice(self.rest, size))

    def suspect(self, batch: Sequence[ConsumerRecord], error: Exception) -> None:
        """Something in the batch is poison: try one by one, and park the one that it is."""
        if len(batch) == 1:
            self.reasons[batch[0].offset] = reason_of(error)
        self.singly_until = batch[-1].offset + 1

    def fell_through(self, batch: Sequence[ConsumerRecord]) -> None:
        """The database is slow or away: smaller batches; and the answer to a commit may have been lost."""
        self.partition.batch_max = max(1, len(batch) // 2)
        self.doubtful_offset = batch[-1].offset + 1


class Applier:
    """Applies batches of any partition for one group."""

    def __init__(
        self,
        db: Database,
        group: str,
        handlers: Mapping[str, Handler],
        batch_max: int,
        limit: PoisonLimit,
        after_commit: Callable[[Sequence[str]], None] | None,
    ) -> None:
        self._db = db
        self._group = group
        self._handlers = handlers
        self._batch_max = batch_max
        self.poison = PoisonGauge(limit)
        self._after_commit = after_commit

    async def apply(self, partition: Partition, records: Sequence[ConsumerRecord]) -> None:
        """Apply records that follow the stored offset; returns early when the partition is revoked.

        Raises Fenced, PoisonFlood once the partition is halted, and whatever a handler raises that is neither poison
        nor transient.
        """
        work, pause = _Work(partition, deque(records)), _RETRY_MIN_S
        while batch := work.next_batch():
            try:
                with metrics.consumer_batch_seconds.labels(group=self._group).time():
                    await self._attempt(work, batch)
                pause = _RETRY_MIN_S
            except RETRIABLE as error:
                work.fell_through(batch)
                metrics.consumer_retries.labels(group=self._group, cause=type(error).__name__).inc()
                log.warning("consumer.retry", group=self._group, topic=partition.tp.topic, error=repr(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_MAX_S)

    async def _attempt(self, work: _Work, batch: Sequence[ConsumerRecord]) -> None:
        if (doubtful := work.doubtful_offset) is not None:
            was_committed = await self._was_committed(work.partition, doubtful)
            work.doubtful_offset = None
            if was_committed:
                applied = [record for record in work.rest if record.offset < doubtful]
                metrics.consumer_duplicates.labels(group=self._group, cause="commit").inc(len(applied))
                self._committed(work.partition, doubtful, applied, sorted(self._handlers))
                return
        try:
            await self._transaction(work, batch)
        except Exception as error:
            if not is_poison(error):
                raise
            work.suspect(batch, error)

    async def _was_committed(self, partition: Partition, next_offset: int) -> bool:
        async with self._db.worker() as tx:
            return await was_advanced(tx, self._group, partition, next_offset)

    async def _transaction(self, work: _Work, batch: Sequence[ConsumerRecord]) -> None:
        last, reason = batch[-1], work.reasons.get(batch[0].offset)
        types: list[str] = []
        flood = ""
        async with self._db.worker() as tx:
            # First, so that a zombie loses before it works, and one who takes over waits until this is decided.
            await advance(tx, self._group, work.partition, last.offset + 1, event_id_of(last))
            if reason is None:
                types = await self._handle(tx, batch)
            elif await park(tx, self._group, batch[0], reason):
                flood = await self._halt_if_flooded(tx, work.partition, reason)
            failpoint.hit("consumer.before_commit")
        failpoint.hit("consumer.after_commit")
        self._committed(work.partition, last.offset + 1, batch, types)
        if repeated := work.partition.seen.repeated(headers_of(record).get("ce_id") for record in batch):
            metrics.consumer_duplicates.labels(group=self._group, cause="key").inc(repeated)
        if reason is None:
            self.poison.note_good(last.topic, len(batch))
        else:
            self._say_parked(batch[0], reason)
        if flood:
            raise PoisonFlood(flood)

    async def _halt_if_flooded(self, tx: Tx, partition: Partition, reason: str) -> str:
        flood = self.poison.overflow(partition.tp.topic)
        if flood:
            await halt(tx, self._group, partition.tp, HaltKind.POISON_FLOOD, f"{flood}; the last: {reason}")
        return flood

    async def _handle(self, tx: Tx, batch: Sequence[ConsumerRecord]) -> list[str]:
        """Call the handlers for each run of events of one type, in order; the types that were applied."""
        # A list: a generator would set the name of the next run while this one is still being read.
        wanted = [(kind, record) for record in batch if (kind := _type(record)) in self._handlers]
        applied = []
        for event_type, run in groupby(wanted, key=lambda pair: pair[0]):
            events = [decode(record) for _, record in run]
            with spans.hearing(self._group, events):
                await self._handlers[event_type](tx, events)
            applied.append(event_type)
        return applied

    def _committed(
        self, partition: Partition, next_offset: int, batch: Sequence[ConsumerRecord], types: Sequence[str]
    ) -> None:
        partition.next_offset = next_offset
        partition.batch_max = min(partition.batch_max * 2, self._batch_max)
        metrics.consumer_records.labels(group=self._group, topic=partition.tp.topic).inc(len(batch))
        if types and self._after_commit is not None:
            self._after_commit(types)

    def _say_parked(self, record: ConsumerRecord, reason: str) -> None:
        self.poison.note_poison(record.topic)
        metrics.consumer_poison.labels(group=self._group, topic=record.topic).inc()
        where = f"{record.topic}/{record.partition}@{record.offset}"
        log.error("consumer.poison", group=self._group, record=where, reason=reason)


def is_poison(error: Exception) -> bool:
    """The data is at fault. One record must not end a process that would read it again as soon as it is back: where it
    is our fault all the same, the record waits for the mended version, and a flood of them halts.
    """
    return isinstance(error, _BY_DATA)


def _type(record: ConsumerRecord) -> str:
    return type_of(headers_of(record))
