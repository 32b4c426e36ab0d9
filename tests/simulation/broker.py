"""The bus in memory: partitions with offsets, groups that rebalance, and clients with the faces of aiokafka's.

Order holds within a partition alone: each partition shows its new records after a time of its own. Everything that
consumes and publishes is the real code.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5
from zlib import crc32

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from muster.events import TOPICS
from muster.kit.consumer.topic_ids import ASIDE
from muster.kit.producer import PublishFailed, WireRecord

if TYPE_CHECKING:
    from simulation.world import World

SESSION_S: Final = 6.0
_PARTITIONS: Final = 2
_BATCH_MAX: Final = 40


@dataclass(slots=True)
class Log:
    """One partition: its records, and up to which consumers see them."""

    records: list[ConsumerRecord] = field(default_factory=list)
    visible: int = 0


@dataclass(slots=True)
class Group:
    """A consumer group. `topics`: all that its members have ever asked for, also while none is there."""

    members: list["SimConsumer"] = field(default_factory=list)
    topics: set[str] = field(default_factory=set)
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    due: bool = False


class Broker:
    """All topics of the registry, and dead-letter topics when they are written to."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.logs: dict[TopicPartition, Log] = {}
        self.groups: dict[str, Group] = defaultdict(Group)
        self.news: dict[asyncio.Event, None] = {}
        for topic in TOPICS:
            for number in range(_PARTITIONS):
                self.logs[TopicPartition(topic, number)] = Log()

    def append(self, record: WireRecord) -> None:
        """At the end of the partition of its key, to be seen a little later."""
        tp = TopicPartition(record.topic, crc32(record.key) % _PARTITIONS)
        log = self.logs.setdefault(tp, Log())
        offset = len(log.records)
        log.records.append(
            ConsumerRecord(
                topic=tp.topic, partition=tp.partition, offset=offset, timestamp=0, timestamp_type=0, key=record.key,
                value=record.value, checksum=None, serialized_key_size=0, serialized_value_size=0,
                headers=tuple(record.headers),
            )
        )  # fmt: skip
        delay = self.world.faults.delivery(tp)
        self.world.loop.call_later(delay, self._show, log, offset + 1, context=self.world.context)

    def _show(self, log: Log, end: int) -> None:
        if end > log.visible:
            log.visible = end
            for event in self.news:
                event.set()

    def joined(self, name: str) -> None:
        """A group has changed: it is assigned anew a moment later."""
        group = self.groups[name]
        if not group.due:
            group.due = True
            self.world.loop.call_later(0.1, self._assign, name, context=self.world.context)

    def _assign(self, name: str) -> None:
        group = self.groups[name]
        group.due = False
        group.members = [one for one in group.members if not one.node.dead and not one.stopped]
        alive = [one for one in group.members if not one.expelled()]
        self.world.trace.add("broker", f"assign {name}", len(alive))
        by_member: dict[SimConsumer, set[TopicPartition]] = {one: set() for one in alive}
        for at, tp in enumerate(sorted(self.logs)):
            takers = [one for one in alive if tp.topic in one.topics]
            if takers:
                by_member[takers[at % len(takers)]].add(tp)
        for one, tps in by_member.items():
            one.reassign(tps)

    def lag(self, topics: Collection[str], read: Mapping[TopicPartition, int]) -> int:
        """How many records of these topics are not read."""
        return sum(len(log.records) - read.get(tp, 0) for tp, log in self.logs.items() if tp.topic in topics)


class SimProducer:
    """The face of `muster.kit.producer.Producer`."""

    def __init__(self, *_: object, **__: object) -> None:
        raise NotImplementedError

    @staticmethod
    def of(world: "World") -> type["SimProducer"]:
        """The class for one world."""

        class Producer(SimProducer):
            def __init__(self, *_: object, **__: object) -> None:
                self._world = world

        return Producer

    _world: "World"

    async def stop(self) -> None:
        """Nothing is held."""

    async def publish(self, records: Sequence[WireRecord]) -> None:
        """Append all, or by the seed's will a part, and say that it failed, whatever was written."""
        world = self._world
        node = world.here()
        written, failed = await world.faults.publish(node, len(records))
        # What was sent is on its way, whatever becomes of the process; what is dead sends nothing.
        for record in records[:written]:
            world.broker.append(record)
        world.trace.add(node.name, f"publish {written}/{len(records)}", "failed" if failed else "acknowledged")
        await world.faults.after(node, "publish")
        world.check(node)
        if failed:
            raise PublishFailed("not acknowledged")


@cache
def _topic_id(name: str) -> UUID:
    return uuid5(NAMESPACE_URL, name)


async def _close() -> None:
    """Of what aiokafka has inside."""


class Client:
    """What the kit asks of the client inside of a consumer: the ids of topics."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.cluster = self
        self._conns: dict[Any, Any] = {}

    def brokers(self) -> list[Any]:
        """There is one."""
        return [SimpleNamespace(nodeId=0)]

    def topics(self) -> set[str]:
        """Those that the client knows."""
        return {tp.topic for tp in self._world.broker.logs}

    async def send(self, _node: int, request: Any, *, group: int) -> Any:
        """The answer to a request for metadata; there is no other."""
        assert group == ASIDE, "not behind a fetch that waits"
        await asyncio.sleep(0.002)
        known = self.topics()
        ids = [(0, name, _topic_id(name)) for name in request._topics if name in known]
        return SimpleNamespace(topics=ids)

    async def close(self) -> None:
        """Nothing is held."""


class SimConsumer:
    """The face of `aiokafka.AIOKafkaConsumer`, as far as the kit looks at it."""

    world: "World"

    def __init__(self, **options: Any) -> None:
        self.group: str | None = options.get("group_id")
        self.node = self.world.here()
        self.topics: frozenset[str] = frozenset()
        self.stopped = False
        self._broker = self.world.broker
        self._fetcher = SimpleNamespace(_prefetch_backoff=0, close=_close, _proc_offset_request=None)
        self._client = Client(self.world)
        self._coordinator = None
        self._listener: Any = None
        self._assigned: set[TopicPartition] = set()
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._news = asyncio.Event()
        self._assigning: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect."""
        await asyncio.sleep(0.01)
        self.world.check(self.node)

    def subscribe(self, topics: Sequence[str], listener: Any = None) -> None:
        """Join the group."""
        self.topics, self._listener = frozenset(topics), listener
        self._broker.news[self._news] = None
        assert self.group is not None
        group = self._broker.groups[self.group]
        group.members.append(self)
        group.topics.update(self.topics)
        self._broker.joined(self.group)

    async def stop(self) -> None:
        """Leave the group."""
        self.stopped = True
        self._broker.news.pop(self._news, None)
        if self.group is not None and not self.node.dead:
            self._broker.joined(self.group)

    def expelled(self) -> bool:
        """Whether the group has given up on a process that is frozen for longer than a session."""
        return self.node.expelled

    def reassign(self, tps: set[TopicPartition]) -> None:
        """Give it these partitions instead of what it has; it hears of that in its own time."""
        if self._assigning is not None and not self._assigning.done():
            self._assigning.cancel()
        work = self._reassign(tps)
        self._assigning = self.world.loop.create_task(work, context=self.node.context.copy())

    async def _reassign(self, tps: set[TopicPartition]) -> None:
        await self._listener.on_partitions_revoked(set(self._assigned))
        self._assigned = set(tps)
        self._positions, self._paused = {}, set()
        await self._listener.on_partitions_assigned(set(tps))

    async def getmany(self, *, timeout_ms: int) -> dict[TopicPartition, list[ConsumerRecord]]:
        """What there is, or comes within the time."""
        until = self.world.loop.time() + timeout_ms / 1000
        while True:
            self._news.clear()
            found = self._take()
            left = until - self.world.loop.time()
            if found or left <= 0:
                return found
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                return {}

    def _take(self) -> dict[TopicPartition, list[ConsumerRecord]]:
        found = {}
        for tp in sorted(self._assigned - self._paused):
            log, at = self._broker.logs[tp], self._positions.get(tp, 0)
            if at < log.visible:
                records = log.records[at : min(log.visible, at + self.world.faults.batch(_BATCH_MAX))]
                found[tp] = records
                self._positions[tp] = at + len(records)
        return found

    async def beginning_offsets(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Nothing is ever dropped."""
        await asyncio.sleep(0.002)
        return dict.fromkeys(tps, 0)

    async def end_offsets(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """What was written by now."""
        await asyncio.sleep(0.002)
        return {tp: len(self._broker.logs[tp].records) for tp in tps}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        """Go on from here."""
        self._positions[tp] = offset

    def pause(self, *tps: TopicPartition) -> None:
        """Give nothing of these."""
        self._paused.update(tps)

    def resume(self, *tps: TopicPartition) -> None:
        """Give them again."""
        self._paused.difference_update(tps)
        self._news.set()

    def highwater(self, tp: TopicPartition) -> int:
        """The end of the log."""
        return len(self._broker.logs[tp].records)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Only shown."""
        assert self.group is not None
        if not self.node.dead:
            self._broker.groups[self.group].committed.update(offsets)

    def partitions_for_topic(self, topic: str) -> set[int]:
        """All topics are known."""
        return {tp.partition for tp in self._broker.logs if tp.topic == topic}
