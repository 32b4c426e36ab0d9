"""The loop of a consumer: takes partitions over, fetches, applies, and gives them back.

Delivery is gated here: aiokafka can hand out records before its own assignment callback has ended (#738), and only
logs what that callback raises. A partition is paused when it is assigned, and resumed after its takeover.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError

from muster.events import TOPICS
from muster.kit import clock, metrics
from muster.kit.closing import cancelled, closed
from muster.kit.consumer.apply import Applier, PoisonLimit
from muster.kit.consumer.decode import event_id_of
from muster.kit.consumer.offsets import Fenced, LogMismatch, Partition, Verdict, judge, rewind, take_over
from muster.kit.consumer.received import Handler
from muster.kit.consumer.watch import wait_until_read
from muster.kit.pg import RETRIABLE, Database

STOP_LIMIT_S = 5.0
_POLL_MS = 1000
_REPORT_S = 5.0
_RETRY_MIN_S, _RETRY_MAX_S = 0.2, 5.0
T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """45 s let a cluster's broker restart without a rebalance; one machine and tests want 6 s or less."""

    session_timeout_ms: int = 45_000
    fetch_wait_ms_max: int = 5_000
    partition_fetch_bytes_max: int = 4 * 1024 * 1024
    fetch_bytes_max: int = 16 * 1024 * 1024
    partitions_at_once: int = 4
    metadata_age_ms_max: int = 60_000
    poison: PoisonLimit = field(default_factory=PoisonLimit)

    @property
    def rebalance_timeout_ms(self) -> int:
        """How long the group waits for a member that does not come to a rebalance, such as one that died with it."""
        return min(60_000, 3 * self.session_timeout_ms)

    @property
    def request_timeout_ms(self) -> int:
        """Longer than a rebalance may take: aiokafka gives up on a JoinGroup as on any other request, and then asks
        again from the beginning, which the others wait for in turn.
        """
        return self.rebalance_timeout_ms + 5_000

    @property
    def heartbeat_interval_ms(self) -> int:
        """A third of the session: two may be lost; at most 3 s, which is how soon a rebalance is heard of."""
        return min(3_000, self.session_timeout_ms // 3)


class Consumer:
    """Applies the events of some topics to a service's database, each batch in one transaction with its offset."""

    def __init__(
        self,
        db: Database,
        *,
        bootstrap: str,
        group: str,
        topics: Sequence[str],
        handlers: Mapping[str, Handler],
        batch_max: int = 500,
        settings: ConsumerSettings | None = None,
        after_commit: Callable[[Sequence[str]], None] | None = None,
        compacted: frozenset[str] | None = None,
    ) -> None:
        """`handlers` by event type: other types are skipped. `after_commit` gets the types of each committed batch.

        `compacted` names those of the topics that the broker compacts: by the registry unless said.
        """
        self._db = db
        self._bootstrap = bootstrap
        self._group = group
        self._topics = tuple(topics)
        self._batch_max = batch_max
        self._settings = settings or ConsumerSettings()
        by_registry = frozenset(name for name, topic in TOPICS.items() if topic.compacted)
        self._compacted = by_registry if compacted is None else compacted
        self._applier = Applier(db, group, handlers, batch_max, self._settings.poison, after_commit)
        self._held: dict[TopicPartition, Partition] = {}
        # Assigned and not taken over yet, with the time before which that is not tried.
        self._waiting: dict[TopicPartition, float] = {}
        self._assignment = 0
        self._signal, self._stopping, self._idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Consume until `stop`. Raises LogMismatch, PoisonFlood and the bugs of handlers; what passes is waited out."""
        pause = _RETRY_MIN_S
        while not self._stopping.is_set():
            kafka = self._new()
            try:
                await self._or_stop(kafka.start())
                if self._stopping.is_set():
                    return
                # Fetch again only when all that was fetched is taken. Else, 0.1 s into a slow batch, aiokafka asks
                # for the other partitions alone, and the slow one is left out for as long as that question waits:
                # with a handler of 250 ms and waits of 5 s, the median event came 3.9 s late instead of 0.6 s.
                kafka._fetcher._prefetch_backoff = 3600
                kafka.subscribe(self._topics, listener=_Listener(self, kafka))
                pause = _RETRY_MIN_S
                await self._consume(kafka)
            except (KafkaError, OSError) as error:
                log.warning("consumer.kafka_lost", group=self._group, error=repr(error))
                await self._or_stop(asyncio.sleep(pause))
                pause = min(pause * 2, _RETRY_MAX_S)
            finally:
                self.revoke()
                await _end(kafka)

    async def stop(self) -> None:
        """End after the batches in hand; `run` returns then."""
        self._stopping.set()
        self._signal.set()

    async def wait_until_read(self, topics: Sequence[str]) -> None:
        """Until this group, in whatever processes, has applied what the topics hold at this moment."""
        await wait_until_read(self._db, bootstrap=self._bootstrap, group=self._group, topics=topics)

    # --- called by the listener ---

    def assigned(self, tps: set[TopicPartition]) -> None:
        """Take note of a new assignment; the loop takes it over."""
        self._assignment += 1
        self._waiting = dict.fromkeys(tps, clock.monotonic())
        self._signal.set()

    def revoke(self) -> None:
        """From now on nothing of these partitions is begun."""
        self._assignment += 1
        for partition in self._held.values():
            partition.revoked = True
        self._held.clear()
        self._waiting.clear()

    async def idle(self) -> None:
        """Until what was begun is decided; not for ever: compare-and-set holds without this."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), self._settings.rebalance_timeout_ms / 2000)

    # --- the loop ---

    async def _consume(self, kafka: AIOKafkaConsumer) -> None:
        report = clock.monotonic() + _REPORT_S
        while not self._stopping.is_set():
            if any(due <= clock.monotonic() for due in self._waiting.values()):
                await self._take_over(kafka)
            fetched = await self._fetch(kafka)
            if fetched:
                await self._apply(kafka, fetched)
            if clock.monotonic() >= report:
                await self._report(kafka)
                report = clock.monotonic() + _REPORT_S

    async def _fetch(self, kafka: AIOKafkaConsumer) -> dict[TopicPartition, list[ConsumerRecord]]:
        """What has arrived; nothing when a second is over, or something else is to be done."""
        fetching = asyncio.ensure_future(kafka.getmany(timeout_ms=_POLL_MS))
        signal = asyncio.ensure_future(self._signal.wait())
        try:
            await asyncio.wait({fetching, signal}, return_when=asyncio.FIRST_COMPLETED)
            if fetching.done():
                return dict(fetching.result())
            return {}
        finally:
            self._signal.clear()
            # Records are taken and returned in one step: whoever is still waiting has none to lose.
            await cancelled((fetching, signal))

    async def _apply(self, kafka: AIOKafkaConsumer, fetched: Mapping[TopicPartition, list[ConsumerRecord]]) -> None:
        at_once = asyncio.Semaphore(self._settings.partitions_at_once)

        async def one(partition: Partition, records: list[ConsumerRecord]) -> None:
            async with at_once:
                await self._apply_partition(kafka, partition, records)

        self._idle.clear()
        tasks = [
            asyncio.ensure_future(one(self._held[tp], records)) for tp, records in fetched.items() if tp in self._held
        ]
        try:
            # The first that raises ends the process; the others come to their own end first.
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
        finally:
            self._idle.set()

    async def _apply_partition(
        self, kafka: AIOKafkaConsumer, partition: Partition, records: list[ConsumerRecord]
    ) -> None:
        try:
            if doubt := self._doubt(partition, records):
                await self._reread(kafka, partition, doubt)
            else:
                await self._applier.apply(partition, records)
        except Fenced as fenced:
            self._lose(kafka, partition, fenced)

    def _doubt(self, partition: Partition, records: Sequence[ConsumerRecord]) -> str:
        """Why these records cannot follow what was read, empty if they do; the applier skips those before."""
        first = records[0]
        if not partition.verified:
            partition.verified = True
            if first.offset == partition.next_offset - 1:
                found = event_id_of(first)
                return (
                    "" if found == partition.event_id else f"the record before it is {found}, not {partition.event_id}"
                )
        gap = first.offset - partition.next_offset
        if gap < 0 or (gap > 0 and not partition.compacted):
            return f"the log goes on at {first.offset}"
        return ""

    async def _reread(self, kafka: AIOKafkaConsumer, partition: Partition, why: str) -> None:
        """From the start of the log: a compacted topic holds versions. What else is in doubt halts the consumer."""
        if not partition.compacted:
            raise LogMismatch(self._group, partition.tp, partition.next_offset, why)
        log.warning("consumer.reread", group=self._group, topic=partition.tp.topic, why=why)
        starts = await kafka.beginning_offsets([partition.tp])
        try:
            async with self._db.worker() as tx:
                await rewind(tx, self._group, partition, starts[partition.tp])
        except RETRIABLE as error:
            raise Fenced(f"not rewound: {error!r}") from error
        partition.next_offset = starts[partition.tp]
        if not partition.revoked:
            kafka.seek(partition.tp, partition.next_offset)

    def _lose(self, kafka: AIOKafkaConsumer, partition: Partition, why: Fenced) -> None:
        """Another process took it over, and the group will tell us soon. If not, it is ours: take it over again."""
        metrics.consumer_fenced.labels(group=self._group).inc()
        log.warning("consumer.fenced", group=self._group, partition=str(why))
        if not partition.revoked:
            partition.revoked = True
            del self._held[partition.tp]
            kafka.pause(partition.tp)
            self._waiting[partition.tp] = clock.monotonic() + 2 * self._settings.heartbeat_interval_ms / 1000

    # --- takeover ---

    async def _take_over(self, kafka: AIOKafkaConsumer) -> None:
        """Begin an epoch of each waiting partition, judge it, and let its records come."""
        assignment = self._assignment
        tps = [tp for tp, due in self._waiting.items() if due <= clock.monotonic()]
        try:
            starts, ends = await kafka.beginning_offsets(tps), await kafka.end_offsets(tps)
            if assignment != self._assignment:
                return
            async with self._db.worker() as tx:
                taken = await take_over(tx, self._group, starts)
        except RETRIABLE as error:
            log.warning("consumer.takeover_failed", group=self._group, error=repr(error))
            self._waiting.update(dict.fromkeys(tps, clock.monotonic() + 1))
            return
        if assignment != self._assignment:
            return
        metrics.consumer_assignments.labels(group=self._group).inc(len(tps))
        for tp, (epoch, next_offset, event_id) in taken.items():
            partition = Partition(tp, epoch, next_offset, event_id, tp.topic in self._compacted, self._batch_max)
            await self._begin(kafka, partition, starts[tp], ends[tp])

    async def _begin(self, kafka: AIOKafkaConsumer, partition: Partition, log_start: int, log_end: int) -> None:
        verdict, why = judge(partition, log_start, log_end)
        if partition.tp not in self._waiting:
            return
        partition.verified = verdict is not Verdict.VERIFY
        kafka.seek(partition.tp, max(0, partition.next_offset - (verdict is Verdict.VERIFY)))
        try:
            if verdict is Verdict.DOUBT:
                await self._reread(kafka, partition, why)
        except Fenced as fenced:
            log.warning("consumer.takeover_failed", group=self._group, error=str(fenced))
            self._waiting[partition.tp] = clock.monotonic() + 1
            return
        # A rebalance may have come meanwhile.
        if self._waiting.pop(partition.tp, None) is not None:
            self._held[partition.tp] = partition
            kafka.resume(partition.tp)

    # --- the rest ---

    async def _report(self, kafka: AIOKafkaConsumer) -> None:
        """Lag as a metric; offsets to Kafka too, for those who watch lag there: nobody starts from them."""
        lags: dict[str, int] = defaultdict(int)
        for tp, partition in self._held.items():
            lags[tp.topic] += max(0, (kafka.highwater(tp) or 0) - partition.next_offset)
        for topic in self._topics:
            metrics.consumer_lag.labels(group=self._group, topic=topic).set(lags[topic])
        offsets = {tp: partition.next_offset for tp, partition in self._held.items()}
        if offsets:
            try:
                await asyncio.wait_for(kafka.commit(offsets), 1)
            except (KafkaError, TimeoutError) as error:
                log.info("consumer.offsets_not_shown", group=self._group, error=repr(error))

    async def _or_stop(self, work: Coroutine[Any, Any, T]) -> None:
        """Do this, unless we are stopped."""
        task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            await cancelled((task, stopping))

    def _new(self) -> AIOKafkaConsumer:
        settings = self._settings
        return AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._group,
            client_id=f"muster-{self._group}",
            enable_auto_commit=False,
            # Where aiokafka resets on its own, the offsets that come show it, and the consumer halts.
            auto_offset_reset="earliest",
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
            rebalance_timeout_ms=settings.rebalance_timeout_ms,
            request_timeout_ms=settings.request_timeout_ms,
            fetch_max_wait_ms=settings.fetch_wait_ms_max,
            max_partition_fetch_bytes=settings.partition_fetch_bytes_max,
            fetch_max_bytes=settings.fetch_bytes_max,
            metadata_max_age_ms=settings.metadata_age_ms_max,
        )


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, consumer: Consumer, kafka: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._kafka = kafka

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._consumer.revoke()
        await self._consumer.idle()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._kafka.pause(*assigned)
        self._consumer.assigned(assigned)


async def _end(kafka: AIOKafkaConsumer) -> None:
    """In order if the broker lets us and nobody hurries; else what would go on trying is ended here."""
    in_order = False
    try:
        in_order = await closed(kafka.stop(), STOP_LIMIT_S)
    finally:
        if not in_order:
            await _cut(kafka)


async def _cut(kafka: AIOKafkaConsumer) -> None:
    if (coordinator := kafka._coordinator) is not None:
        tasks = (coordinator._coordination_task, coordinator._heartbeat_task, coordinator._commit_refresh_task)
        await cancelled(task for task in tasks if task is not None)
    if kafka._fetcher is not None:
        await closed(kafka._fetcher.close(), 1)
    await closed(kafka._client.close(), 1)
