"""Finds and applies what the stream processor skipped: every offset old enough that no range covers.

What lies behind the last range is not skipped while that range still grows: it waits for its turn. Only where nothing
was applied since the last round is it taken for skipped too.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

from aiokafka import AIOKafkaConsumer, TopicPartition  # allow connections-from-the-kit: reads without a group
from aiokafka.admin import AIOKafkaAdminClient  # allow connections-from-the-kit: which partitions there are
from aiokafka.errors import KafkaError  # allow connections-from-the-kit: what that reading raises

from muster.kit import observe
from muster.kit.pg import RETRIABLE, Database, Overloaded
from muster.report.domain import Range, gaps
from muster.report.events import HEARD
from muster.report.settings import ReportSettings
from muster.report.store import offsets
from muster.report.stream.applier import apply, record_of

_READ_MS: Final = 1_000
_READ_RECORDS: Final = 100

log = observe.logger(__name__)


class Auditor:
    """Remembers the ends and the last ranges of a round ago, so that what is still being applied is left alone."""

    def __init__(self, settings: ReportSettings, db: Database, topics: Iterable[str] = HEARD) -> None:
        self._settings = settings
        self._db = db
        self._topics = tuple(topics)
        self._ends: dict[TopicPartition, int] = {}
        self._tops: dict[TopicPartition, int] = {}

    async def run(self) -> NoReturn:
        """A round each report_audit_s. Trouble with Kafka or the database is met by the next round."""
        while True:
            try:
                await self.round()
            except (KafkaError, *RETRIABLE, Overloaded) as error:
                log.warning("audit.postponed", why=type(error).__name__)
            await asyncio.sleep(self._settings.report_audit_s)

    async def round(self) -> int:
        """Apply what is missing up to the ends of the last round; how many records that were."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 << 20,
        )
        await consumer.start()
        try:
            partitions = await _partitions(self._settings.kafka, self._topics)
            starts = await consumer.beginning_offsets(partitions)
            applied = sum([await self._audit(consumer, tp, starts[tp], self._ends.get(tp, 0)) for tp in partitions])
            self._ends = await consumer.end_offsets(partitions)
        finally:
            await consumer.stop()
        return applied

    async def _audit(self, consumer: Any, tp: TopicPartition, start: int, end: int) -> int:
        async with self._db.worker() as tx:
            ranges = await offsets.covered(tx, tp.topic, tp.partition)
        top = max((last + 1 for _, last in ranges), default=0)
        stands_still = self._tops.get(tp) == top
        self._tops[tp] = top
        missing = gaps(ranges, start, end if stands_still else min(top, end))
        return sum([await self._repair(consumer, tp, gap) for gap in missing])

    async def _repair(self, consumer: Any, tp: TopicPartition, gap: Range) -> int:
        """Apply a gap and mark all of it, also where the log has nothing any more. How many records that were."""
        first, last = gap
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
                await apply(self._db, records)
            applied += len(records)
        async with self._db.worker() as tx:
            await offsets.cover(tx, tp.topic, tp.partition, [gap])
        log.warning("audit.repaired", topic=tp.topic, partition=tp.partition, first_offset=first, records=applied)
        return applied


async def _partitions(bootstrap: str, topics: Sequence[str]) -> list[TopicPartition]:
    """The partitions of those topics that exist. A consumer that has not subscribed to a topic knows none of its."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        found = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    return sorted(TopicPartition(topic["topic"], one["partition"]) for topic in found for one in topic["partitions"])
