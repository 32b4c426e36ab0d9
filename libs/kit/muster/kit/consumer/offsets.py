"""How far a group has read, in PostgreSQL: taken over with a new epoch, advanced by compare-and-set, judged at a
takeover against what the log holds.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from uuid import UUID

from aiokafka import TopicPartition

from muster.kit.pg import Tx

_SEEN_MAX = 1_000  # twice what a relay publishes at once
_TAKE_OVER = """
INSERT INTO consumer_offset (consumer_group, topic, partition, epoch, next_offset, topic_id)
SELECT $1, topic, partition, 1, log_start, topic_id
FROM unnest($2::text[], $3::int[], $4::bigint[], $5::uuid[]) AS taken (topic, partition, log_start, topic_id)
ORDER BY topic, partition
ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET epoch = consumer_offset.epoch + 1, updated_at = kit_now(),
    topic_id = coalesce(consumer_offset.topic_id, excluded.topic_id)
RETURNING topic, partition, epoch, next_offset, event_id, topic_id
"""
_FREE = """
SELECT a.topic, a.partition FROM unnest($2::text[], $3::int[]) AS a (topic, partition)
WHERE NOT EXISTS (SELECT FROM consumer_offset o
    WHERE o.consumer_group = $1 AND o.topic = a.topic AND o.partition = a.partition)
UNION ALL
SELECT topic, partition FROM (
    SELECT topic, partition FROM consumer_offset JOIN unnest($2::text[], $3::int[]) AS a (topic, partition)
        USING (topic, partition) WHERE consumer_group = $1 FOR UPDATE OF consumer_offset SKIP LOCKED) free
"""
_ADVANCE = """
UPDATE consumer_offset SET next_offset = $6, event_id = $7, updated_at = kit_now()
WHERE consumer_group = $1 AND topic = $2 AND partition = $3 AND epoch = $4 AND next_offset = $5
"""
_REWIND = """
UPDATE consumer_offset SET next_offset = $5, event_id = NULL, topic_id = coalesce($6, topic_id), updated_at = kit_now()
WHERE consumer_group = $1 AND topic = $2 AND partition = $3 AND epoch = $4
"""
_STANDING = "SELECT epoch, next_offset FROM consumer_offset WHERE consumer_group = $1 AND topic = $2 AND partition = $3"
_ALL = "SELECT topic, partition, next_offset FROM consumer_offset WHERE consumer_group = $1 AND topic = ANY($2::text[])"


class Fenced(Exception):
    """Another epoch owns this partition: nothing of this batch was applied."""


class LogMismatch(Exception):
    """The log is not the one that the stored offset belongs to; a person must decide. Never a silent reset."""


class SeenIds:
    """The event ids of the last records of a partition: who publishes again what was not acknowledged repeats them."""

    def __init__(self, kept_max: int = _SEEN_MAX) -> None:
        self._order: deque[bytes] = deque(maxlen=kept_max)
        self._known: set[bytes] = set()

    def repeated(self, ids: Iterable[bytes | None]) -> int:
        """How many of these came before; they count as seen from now on."""
        count = 0
        for event_id in ids:
            if event_id is None:
                continue
            if event_id in self._known:
                count += 1
                continue
            if len(self._order) == self._order.maxlen:
                self._known.discard(self._order[0])
            self._order.append(event_id)
            self._known.add(event_id)
        return count


@dataclass(slots=True)
class Partition:
    """What one consumer knows of a partition that it holds. `revoked` is final."""

    tp: TopicPartition
    epoch: int
    next_offset: int
    event_id: UUID | None
    topic_id: UUID | None
    compacted: bool
    batch_max: int
    verified: bool = False
    revoked: bool = field(default=False)
    seen: SeenIds = field(default_factory=SeenIds)


class Verdict(Enum):
    """What to do with a partition that was taken over."""

    START = auto()
    VERIFY = auto()
    DOUBT = auto()
    LOST = auto()


def judge(partition: Partition, log_start: int, log_end: int, topic_id: UUID | None) -> tuple[Verdict, str]:
    """Whether the log can be the one that was read up to `next_offset`, with the reason where not.

    VERIFY asks for the id of the record before. Where none is stored there is nothing to compare: after a record
    without id, and where a person has set the offset.
    """
    if topic_id is not None and topic_id != partition.topic_id:
        return Verdict.DOUBT, f"the log is of another topic of this name ({topic_id}): it was deleted and made again"
    if log_end < partition.next_offset:
        return Verdict.DOUBT, f"the log ends at {log_end}: it was truncated, or deleted and made again"
    if log_start > partition.next_offset:
        return Verdict.DOUBT, f"the log starts at {log_start}: records were dropped before they were read"
    if log_start == partition.next_offset or partition.event_id is None:
        return Verdict.START, ""
    return Verdict.VERIFY, ""


async def free_of(tx: Tx, group: str, tps: Iterable[TopicPartition]) -> list[TopicPartition]:
    """Those of the partitions that no transaction of another process holds; locked.

    One that sleeps in the middle of a batch keeps its partition until the database ends it, and no other partition.
    """
    asked = list(tps)
    rows = await tx.fetch(_FREE, group, [tp.topic for tp in asked], [tp.partition for tp in asked])
    found = {TopicPartition(row["topic"], row["partition"]) for row in rows}
    return [tp for tp in asked if tp in found]


async def take_over(
    tx: Tx, group: str, log_starts: Mapping[TopicPartition, int], topic_ids: Mapping[str, UUID]
) -> dict[TopicPartition, tuple[int, int, UUID | None, UUID | None]]:
    """Begin a new epoch of each partition: (epoch, next offset, id of the event before it, id of its topic).

    New ones start the log that is there.
    """
    tps = list(log_starts)
    columns = ([tp.topic for tp in tps], [tp.partition for tp in tps], [log_starts[tp] for tp in tps])
    rows = await tx.fetch(_TAKE_OVER, group, *columns, [topic_ids.get(tp.topic) for tp in tps])
    return {
        TopicPartition(row["topic"], row["partition"]): (
            *(row["epoch"], row["next_offset"], row["event_id"], row["topic_id"]),
        )
        for row in rows
    }


async def advance(tx: Tx, group: str, partition: Partition, next_offset: int, event_id: UUID | None) -> None:
    """Store the new offset in the transaction of what was applied; Fenced if this epoch or offset is not the stored."""
    tag = await tx.execute(
        _ADVANCE,
        *(group, partition.tp.topic, partition.tp.partition, partition.epoch, partition.next_offset),
        *(next_offset, event_id),
    )
    if tag != "UPDATE 1":
        raise Fenced(f"{group} {partition.tp.topic}/{partition.tp.partition} at {partition.next_offset}")


async def hold(tx: Tx, group: str, partition: Partition) -> None:
    """Lock the partition's row until the end of this transaction; Fenced if another epoch owns it."""
    row = await tx.fetchrow(_STANDING + " FOR UPDATE", group, partition.tp.topic, partition.tp.partition)
    if row is None or row["epoch"] != partition.epoch:
        raise Fenced(f"{group} {partition.tp.topic}/{partition.tp.partition}")


async def rewind(tx: Tx, group: str, partition: Partition, log_start: int, topic_id: UUID | None) -> None:
    """Read this partition from the start of the log that is there; Fenced if another epoch owns it."""
    tp = partition.tp
    if await tx.execute(_REWIND, group, tp.topic, tp.partition, partition.epoch, log_start, topic_id) != "UPDATE 1":
        raise Fenced(f"{group} {tp.topic}/{tp.partition}")


async def was_advanced(tx: Tx, group: str, partition: Partition, next_offset: int) -> bool:
    """After a commit whose answer was lost: whether it happened; Fenced if neither old nor new offset is stored."""
    row = await tx.fetchrow(_STANDING, group, partition.tp.topic, partition.tp.partition)
    if row is None or row["epoch"] != partition.epoch or row["next_offset"] not in (partition.next_offset, next_offset):
        raise Fenced(f"{group} {partition.tp.topic}/{partition.tp.partition} at {partition.next_offset}")
    return bool(row["next_offset"] == next_offset)


async def next_offsets(tx: Tx, group: str, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """The stored offsets of a group, of all its processes."""
    rows = await tx.fetch(_ALL, group, list(topics))
    return {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
