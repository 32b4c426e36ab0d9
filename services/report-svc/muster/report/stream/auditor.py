"""Finds and applies what the stream processor skipped: offsets that no range covers.

At once: what lies between two ranges, since a partition is applied in its order, and what lies before the offset that
the group has committed, since nobody will read that again. What lies behind both waits for its turn, and is taken for
skipped only where it was there a round ago and nothing was applied since. Applying twice is harmless.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn

from aiokafka import AIOKafkaConsumer, TopicPartition  # allow connections-from-the-kit: reads without a group
from aiokafka.admin import AIOKafkaAdminClient  # allow connections-from-the-kit: which partitions there are
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaError,
)  # allow connections-from-the-kit: what that reading raises

from muster.kit import clock, metrics, observe
from muster.kit.broker import Broker
from muster.kit.pg import RETRIABLE, Database
from muster.report.domain import Range, gaps
from muster.report.events import HEARD
from muster.report.settings import ReportSettings
from muster.report.store import offsets
from muster.report.stream.applier import GROUP, Halted, apply, record_of

_READ_MS: Final = 1_000
_READ_RECORDS: Final = 100

log = observe.logger(__name__)


class Auditor:
    """Remembers the ends and the last ranges of a round ago, so that what is still being applied is left alone."""

    def __init__(self, settings: ReportSettings, db: Database, topics: Iterable[str] = HEARD) -> None:
        self._settings = settings
        self._db = db
        self._topics = tuple(topics)
        for topic in self._topics:
            metrics.report_lost_offsets.labels(topic=topic)  # from 0 on, so that an alert sees the first
        self._ends: dict[TopicPartition, int] = {}
        self._tops: dict[TopicPartition, int] = {}

    async def run(self) -> NoReturn:
        """Look for holes each report_hole_s, and make a round each report_audit_s, the first at once.

        Trouble with Kafka or the database is met by the next look.
        """
        due = clock.monotonic()
        while True:
            try:
                if clock.monotonic() >= due:
                    await self.round()
                    due = clock.monotonic() + self._settings.report_audit_s
                else:
                    await self.fill()
            except (KafkaError, *RETRIABLE) as error:
                log.warning("audit.postponed", why=type(error).__name__)
            await asyncio.sleep(self._settings.report_hole_s)

    async def fill(self) -> int:
        """Apply what is missing between ranges; how many records that were. Asks Kafka only where there is a hole."""
        async with self._db.worker() as tx:
            torn = await offsets.torn(tx)
        holes = [(key, gap) for key, ranges in torn.items() for gap in gaps(ranges, ranges[0][0], ranges[-1][1])]
        if not holes:
            return 0
        async with _consumer(self._settings.broker) as consumer:
            return sum([await self._repair(consumer, TopicPartition(*key), gap) for key, gap in holes])

    async def round(self) -> int:
        """Apply what is missing up to the committed offsets and the ends of the last round; how many records."""
        async with _consumer(self._settings.broker) as consumer:
            partitions, committed = await _known(self._settings.broker, self._topics)
            starts = await consumer.beginning_offsets(partitions)
            applied = sum([await self._audit(consumer, tp, starts[tp], committed.get(tp, 0)) for tp in partitions])
            self._ends = await consumer.end_offsets(partitions)
        return applied

    async def _audit(self, consumer: Any, tp: TopicPartition, start: int, committed: int) -> int:
        async with self._db.worker() as tx:
            ranges = await offsets.covered(tx, tp.topic, tp.partition)
        top = max((last + 1 for _, last in ranges), default=0)
        end = self._ends.get(tp, 0)
        stands_still = self._tops.get(tp) == top
        self._tops[tp] = top
        missing = gaps(ranges, start, max(committed, end if stands_still else min(top, end)))
        return sum([await self._repair(consumer, tp, gap) for gap in missing])

    async def _repair(self, consumer: Any, tp: TopicPartition, gap: Range) -> int:
        """Apply a gap and mark all of it, also where the log has nothing any more. How many records that were."""
        first, last = gap
        lost = min(last + 1, (await consumer.beginning_offsets([tp]))[tp]) - first
        if lost > 0:
            metrics.report_lost_offsets.labels(topic=tp.topic).inc(lost)
            log.error("audit.lost", topic=tp.topic, partition=tp.partition, first_offset=first, records=lost)
        consumer.assign([tp])
        consumer.seek(tp, first)
        applied = 0
        while (at := await consumer.position(tp)) <= last:
            found = (await consumer.getmany(tp, timeout_ms=_READ_MS, max_records=_READ_RECORDS)).get(tp, [])
            if not found and (await consumer.end_offsets([tp]))[tp] > at:
                return applied  # A slow broker, not an empty log: the next round finds the rest of the gap.
            if not found:
                break
            records = [record_of(one) for one in found if first <= one.offset <= last]
            if records:
                try:
                    await apply(self._db, records, wait=False)
                except Halted:
                    return applied  # An operator decides about this topic; the others are gone through meanwhile.
                metrics.report_audited_records.labels(topic=tp.topic).inc(len(records))
            applied += len(records)
        async with self._db.worker() as tx:
            await offsets.cover(tx, tp.topic, tp.partition, [gap])
        log.warning("audit.repaired", topic=tp.topic, partition=tp.partition, first_offset=first, records=applied)
        return applied


@asynccontextmanager
async def _consumer(bootstrap: Broker) -> AsyncIterator[Any]:
    """A consumer of no group."""
    consumer = AIOKafkaConsumer(
        **bootstrap.options(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 << 20,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def _known(bootstrap: Broker, topics: Sequence[str]) -> tuple[list[TopicPartition], Mapping[TopicPartition, int]]:
    """The partitions of those topics that exist, and what the group has committed of them.

    A consumer that has not subscribed to a topic knows none of its partitions.
    """
    admin = AIOKafkaAdminClient(**bootstrap.options())
    try:
        await admin.start()
        found = await admin.describe_topics(list(topics))
        partitions = [TopicPartition(one["topic"], part["partition"]) for one in found for part in one["partitions"]]
        committed = await _committed(admin, partitions)
    finally:
        await admin.close()
    return sorted(partitions), committed


async def _committed(admin: Any, partitions: list[TopicPartition]) -> Mapping[TopicPartition, int]:
    try:
        found = await admin.list_consumer_group_offsets(GROUP, partitions=partitions)
    except GroupCoordinatorNotAvailableError:
        return {}  # A cluster has none before its first group has been there.
    return {tp: at.offset for tp, at in found.items()}
