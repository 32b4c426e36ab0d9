"""The loop of a consumer: takes partitions over, fetches, applies, and gives them back.

Delivery is gated here: aiokafka can hand out records before its own assignment callback has ended (#738), and only
logs what that callback raises. A partition is paused when it is assigned, and resumed after its takeover.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from muster.events import TOPICS
from muster.kit import clock, metrics
from muster.kit.broker import Broker
from muster.kit.closing import cancelled
from muster.kit.consumer import halts
from muster.kit.consumer.apply import Applier, PoisonFlood
from muster.kit.consumer.client import Listener, ask_aside, end_client, new_client
from muster.kit.consumer.decode import event_id_of
from muster.kit.consumer.halts import HaltKind
from muster.kit.consumer.offsets import Fenced, LogMismatch, Partition, Verdict, free_of, hold, judge, rewind, take_over
from muster.kit.consumer.received import Handler
from muster.kit.consumer.settings import ConsumerSettings
from muster.kit.consumer.topic_ids import TopicWatch, topic_ids
from muster.kit.consumer.watch import wait_until_read
from muster.kit.pg import RETRIABLE, Database

_POLL_MS, _BUSY_POLL_MS = 1000, 100
_REPORT_S, _UNANSWERED_MAX = 5.0, 3
# How soon a topic that was made again is noticed, and that an operator has resumed what is halted.
_CHECK_S = 2.0
_RETRY_MIN_S, _RETRY_MAX_S = 0.2, 5.0
T = TypeVar("T")

log = structlog.get_logger(__name__)


class Consumer:
    """Applies the events of some topics to a service's database, each batch in one transaction with its offset."""

    def __init__(
        self,
        db: Database,
        *,
        bootstrap: Broker | str,
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
        # Of these, those that wait for an operator.
        self._halted: set[TopicPartition] = set()
        self._watch = TopicWatch(group, topics)
        self._reachable, self._unanswered = False, 0
        self._assignment = 0
        self._signal, self._stopping, self._idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Consume until `stop`. Raises the bugs of handlers; what passes is waited out.

        A flood of poison and a log that is not the one that was read halt their partition until an operator resumes it.
        """
        pause = _RETRY_MIN_S
        while not self._stopping.is_set():
            kafka = new_client(self._bootstrap, self._group, self._settings)
            try:
                await self._or_stop(kafka.start())
                if self._stopping.is_set():
                    return
                # Fetch again only when all that was fetched is taken. Else, 0.1 s into a slow batch, aiokafka asks
                # for the other partitions alone, and the slow one is left out for as long as that question waits:
                # with a handler of 250 ms and waits of 5 s, the median event came 3.9 s late instead of 0.6 s.
                kafka._fetcher._prefetch_backoff = 3600
                ask_aside(kafka)
                kafka.subscribe(self._topics, listener=Listener(self, kafka))
                pause = _RETRY_MIN_S
                await self._consume(kafka)
            except (KafkaError, OSError) as error:
                log.warning("consumer.kafka_lost", group=self._group, error=repr(error))
                await self._or_stop(asyncio.sleep(pause))
                pause = min(pause * 2, _RETRY_MAX_S)
            finally:
                self.revoke()
                await end_client(kafka)

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
        self._halted.clear()

    async def idle(self) -> None:
        """Until what was begun is decided; not for ever: compare-and-set holds without this."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), self._settings.rebalance_timeout_ms / 2000)

    # --- the loop ---

    async def _consume(self, kafka: AIOKafkaConsumer) -> None:
        report, check = clock.monotonic() + _REPORT_S, clock.monotonic() + _CHECK_S
        while not self._stopping.is_set():
            if any(due <= clock.monotonic() for due in self._waiting.values()):
                await self._take_over(kafka)
            fetched = await self._fetch(kafka)
            if fetched:
                await self._apply(kafka, fetched)
            if clock.monotonic() >= report:
                await self._report(kafka)
                report = clock.monotonic() + _REPORT_S
            if clock.monotonic() >= check:
                await self._check_topics(kafka)
                check = clock.monotonic() + _CHECK_S

    async def _fetch(self, kafka: AIOKafkaConsumer) -> dict[TopicPartition, list[ConsumerRecord]]:
        """What has arrived; nothing when a second is over, or something else is to be done."""
        fetching = asyncio.ensure_future(kafka.getmany(timeout_ms=_BUSY_POLL_MS if self._waiting else _POLL_MS))
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
            metrics.consumer_fenced.labels(group=self._group).inc()
            log.warning("consumer.fenced", group=self._group, partition=str(fenced))
            self._lose(kafka, partition)
        except (PoisonFlood, LogMismatch) as why:
            self._say_halted(partition.tp, why)
            self._lose(kafka, partition)

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
        """From the start of the log: a compacted topic holds versions. What else is in doubt is halted: LogMismatch."""
        try:
            if not partition.compacted:
                await self._halt(partition, why)
            log.warning("consumer.reread", group=self._group, topic=partition.tp.topic, why=why)
            starts, ids = await kafka.beginning_offsets([partition.tp]), await topic_ids(kafka._client, self._topics)
            async with self._db.worker() as tx:
                await rewind(tx, self._group, partition, starts[partition.tp], ids.get(partition.tp.topic))
        except RETRIABLE as error:
            raise Fenced(f"not rewound: {error!r}") from error
        partition.next_offset = starts[partition.tp]
        partition.topic_id = ids.get(partition.tp.topic, partition.topic_id)
        if not partition.revoked:
            kafka.seek(partition.tp, partition.next_offset)

    async def _halt(self, partition: Partition, why: str) -> NoReturn:
        reason = f"next offset {partition.next_offset}: {why}"
        async with self._db.worker() as tx:
            await hold(tx, self._group, partition)
            await halts.halt(tx, self._group, partition.tp, HaltKind.LOG_MISMATCH, reason)
        raise LogMismatch(reason)

    def _say_halted(self, tp: TopicPartition, why: Exception) -> None:
        log.error("consumer.halted", group=self._group, topic=tp.topic, partition=tp.partition, why=str(why))
        self._halted.add(tp)
        self._show_halts()

    def _show_halts(self) -> None:
        for topic in self._topics:
            n = sum(tp.topic == topic for tp in self._halted)
            metrics.consumer_halted.labels(group=self._group, topic=topic).set(n)

    def _lose(self, kafka: AIOKafkaConsumer, partition: Partition) -> None:
        """Read no further. If the group does not take it from us meanwhile, it is ours: take it over again."""
        if not partition.revoked:
            partition.revoked = True
            del self._held[partition.tp]
            kafka.pause(partition.tp)
            self._waiting[partition.tp] = clock.monotonic() + 2 * self._settings.heartbeat_interval_ms / 1000

    # --- takeover ---

    async def _take_over(self, kafka: AIOKafkaConsumer) -> None:
        """Begin an epoch of each waiting partition, judge it, and let its records come."""
        assignment = self._assignment
        due = [tp for tp, at in self._waiting.items() if at <= clock.monotonic()]
        try:
            async with self._db.worker() as tx:
                halted = await halts.halted(tx, self._group, due)
            tps = self._without_halted(due, halted)
            if not tps:
                return
            starts, ids = await kafka.beginning_offsets(tps), await topic_ids(kafka._client, self._topics)
            if assignment != self._assignment:
                return
            async with self._db.worker() as tx:
                tps = await free_of(tx, self._group, tps)
                taken = await take_over(tx, self._group, {tp: starts[tp] for tp in tps}, ids)
            # The end of the log is asked for once the offset is ours: whoever slept since he asked for it would find it
            # behind what others have read meanwhile, and halt a log that is as it should be.
            ends, ids = await kafka.end_offsets(tps), await topic_ids(kafka._client, self._topics)
        except RETRIABLE as error:
            log.warning("consumer.takeover_failed", group=self._group, error=repr(error))
            self._waiting.update(dict.fromkeys((tp for tp in due if tp in self._waiting), clock.monotonic() + 1))
            return
        if assignment != self._assignment:
            return
        metrics.consumer_assignments.labels(group=self._group).inc(len(tps))
        for tp, (epoch, next_offset, event_id, topic_id) in taken.items():
            partition = Partition(
                *(tp, epoch, next_offset, event_id, topic_id), tp.topic in self._compacted, self._batch_max
            )
            judged = (Verdict.LOST, "") if tp in halted else judge(partition, starts[tp], ends[tp], ids.get(tp.topic))
            await self._begin(kafka, partition, *judged)

    def _without_halted(
        self, due: Sequence[TopicPartition], halted: Mapping[TopicPartition, bool]
    ) -> list[TopicPartition]:
        """Those that may be read; the others are asked for again in a moment."""
        standing = {tp for tp, loss_accepted in halted.items() if not loss_accepted}
        for tp in self._halted.intersection(due) - standing:
            log.warning("consumer.resumed", group=self._group, topic=tp.topic, partition=tp.partition)
            self._applier.poison.forget(tp.topic)
        self._halted = self._halted.difference(due) | standing
        self._waiting.update(dict.fromkeys(standing, clock.monotonic() + _CHECK_S))
        self._show_halts()
        return [tp for tp in due if tp not in standing]

    async def _begin(self, kafka: AIOKafkaConsumer, partition: Partition, verdict: Verdict, why: str) -> None:
        if partition.tp not in self._waiting:
            return
        partition.verified = verdict is not Verdict.VERIFY
        kafka.seek(partition.tp, max(0, partition.next_offset - (verdict is Verdict.VERIFY)))
        try:
            if verdict is Verdict.DOUBT:
                await self._reread(kafka, partition, why)
            if verdict is Verdict.LOST:
                await self._accept_loss(kafka, partition)
        except Fenced as fenced:
            log.warning("consumer.takeover_failed", group=self._group, error=str(fenced))
            self._waiting[partition.tp] = clock.monotonic() + 1
            return
        except LogMismatch as halted:
            self._say_halted(partition.tp, halted)
            self._waiting[partition.tp] = clock.monotonic() + _CHECK_S
            return
        # A rebalance may have come meanwhile.
        if self._waiting.pop(partition.tp, None) is not None:
            self._held[partition.tp] = partition
            kafka.resume(partition.tp)

    async def _accept_loss(self, kafka: AIOKafkaConsumer, partition: Partition) -> None:
        """The operator has accepted that what is not in this log any more is lost: read it from its start."""
        tp = partition.tp
        try:
            starts, ids = await kafka.beginning_offsets([tp]), await topic_ids(kafka._client, self._topics)
            async with self._db.worker() as tx:
                await rewind(tx, self._group, partition, starts[tp], ids.get(tp.topic))
                await halts.lift(tx, self._group, tp)
        except RETRIABLE as error:
            raise Fenced(f"not rewound: {error!r}") from error
        partition.next_offset, partition.event_id = starts[tp], None
        partition.topic_id = ids.get(tp.topic, partition.topic_id)
        kafka.seek(tp, partition.next_offset)

    async def _check_topics(self, kafka: AIOKafkaConsumer) -> None:
        """A topic that was made again is judged anew."""
        try:
            ids = await self._watch.look(kafka._client)
        except (KafkaError, OSError) as error:
            self._reachable = False
            log.info("consumer.topics_not_checked", group=self._group, error=repr(error))
            return
        self._reachable = True
        if ids.keys() - kafka._client.cluster.topics():
            # It was made after aiokafka had last asked, and would be read a minute from now.
            kafka._client.force_metadata_update()
        for tp, partition in list(self._held.items()):
            if partition.topic_id is not None and ids.get(tp.topic, partition.topic_id) != partition.topic_id:
                log.error("consumer.topic_made_again", group=self._group, topic=tp.topic, partition=tp.partition)
                self._lose(kafka, partition)
                self._waiting[tp] = clock.monotonic()

    # --- the rest ---

    async def _report(self, kafka: AIOKafkaConsumer) -> None:
        """Lag as a metric; offsets to Kafka too, for those who watch lag there: nobody starts from them.

        KafkaError where the group has not answered for long while the broker does: aiokafka's coordinator hangs at
        times after the broker was away, and then nobody would ever hear of a rebalance again.
        """
        lags: dict[str, int] = defaultdict(int)
        for tp, partition in self._held.items():
            lags[tp.topic] += max(0, (kafka.highwater(tp) or 0) - partition.next_offset)
        for topic in self._topics:
            metrics.consumer_lag.labels(group=self._group, topic=topic).set(lags[topic])
        offsets = {tp: partition.next_offset for tp, partition in self._held.items()}
        try:
            if offsets:
                await asyncio.wait_for(kafka.commit(offsets), 1)
            self._unanswered = 0
        except (KafkaError, TimeoutError) as error:
            self._unanswered = self._unanswered + 1 if self._reachable else 0
            log.info("consumer.offsets_not_shown", group=self._group, error=repr(error))
            if self._unanswered >= _UNANSWERED_MAX:
                self._unanswered = 0
                raise KafkaError("the group does not answer, and the broker does") from error

    async def _or_stop(self, work: Coroutine[Any, Any, T]) -> None:
        """Do this, unless we are stopped."""
        task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            await cancelled((task, stopping))
