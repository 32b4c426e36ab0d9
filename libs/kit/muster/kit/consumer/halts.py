"""Partitions that a group reads no further until an operator says so: in the database, so a halt outlives restarts.

A flood of poison is resumed where it stopped. A log that is not the one that was read is resumed by accepting the loss
of what it does not hold any more: the consumer then reads it from its start.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from aiokafka import TopicPartition

from muster.kit.pg import Record, Tx

_HALT = """
INSERT INTO consumer_halt (consumer_group, topic, partition, kind, reason) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET kind = $4, reason = $5, halted_at = kit_now(),
    loss_accepted = false
"""
_STANDING = """
SELECT h.topic, h.partition, h.loss_accepted FROM consumer_halt h
JOIN unnest($2::text[], $3::int[]) AS asked (topic, partition) USING (topic, partition) WHERE consumer_group = $1
"""
_LIFT = "DELETE FROM consumer_halt WHERE consumer_group = $1 AND topic = $2 AND partition = $3"
_LIFT_ALL = "DELETE FROM consumer_halt WHERE consumer_group = $1 AND topic = $2"
_FIND = """
SELECT partition, kind, reason, loss_accepted FROM consumer_halt
WHERE consumer_group = $1 AND topic = $2 AND ($3::int IS NULL OR partition = $3) ORDER BY partition FOR UPDATE
"""
_ACCEPT = "UPDATE consumer_halt SET loss_accepted = true WHERE consumer_group = $1 AND topic = $2 AND partition = $3"
_PLACES = """
SELECT consumer_group, topic, partition, o.epoch, o.next_offset, o.updated_at,
    h.kind, h.reason, h.halted_at, coalesce(h.loss_accepted, false) AS loss_accepted
FROM consumer_offset o FULL JOIN consumer_halt h USING (consumer_group, topic, partition)
WHERE ($1::text IS NULL OR (consumer_group, topic, partition) > ($1, $2::text, $3::int))
    AND (NOT $4 OR h.kind IS NOT NULL)
ORDER BY consumer_group, topic, partition LIMIT $5
"""


class HaltKind(StrEnum):
    """Why nothing more is read."""

    POISON_FLOOD = "poison_flood"
    LOG_MISMATCH = "log_mismatch"


@dataclass(frozen=True, slots=True)
class Halt:
    """A partition that is halted, and whether the operator has accepted what its log has lost."""

    partition: int
    kind: HaltKind
    reason: str
    loss_accepted: bool


async def halt(tx: Tx, group: str, tp: tuple[str, int], kind: HaltKind, reason: str) -> None:
    """Nobody of the group reads on in this partition, until it is lifted."""
    await tx.execute(_HALT, group, *tp, kind, reason)


async def halted(tx: Tx, group: str, tps: Collection[TopicPartition]) -> Mapping[TopicPartition, bool]:
    """Those of the partitions that are halted: True where the loss is accepted."""
    rows = await tx.fetch(_STANDING, group, [tp.topic for tp in tps], [tp.partition for tp in tps])
    return {TopicPartition(row["topic"], row["partition"]): row["loss_accepted"] for row in rows}


async def lift(tx: Tx, group: str, tp: TopicPartition) -> None:
    """Read on."""
    await tx.execute(_LIFT, group, tp.topic, tp.partition)


async def lift_all(tx: Tx, group: str, topic: str) -> None:
    """Read on in all of a topic."""
    await tx.execute(_LIFT_ALL, group, topic)


async def find(tx: Tx, group: str, topic: str, partition: int | None) -> list[Halt]:
    """The halts of a topic, or of one partition of it; locked."""
    rows = await tx.fetch(_FIND, group, topic, partition)
    return [Halt(row["partition"], HaltKind(row["kind"]), row["reason"], row["loss_accepted"]) for row in rows]


async def resume(tx: Tx, group: str, topic: str, one: Halt) -> None:
    """Lift a flood's halt; let whoever holds the partition read another log from its start."""
    if one.kind is HaltKind.LOG_MISMATCH:
        await tx.execute(_ACCEPT, group, topic, one.partition)
    else:
        await lift(tx, group, TopicPartition(topic, one.partition))


Place = tuple[str, str, int]


async def places(tx: Tx, after: Place | None, limit: int, *, halted_only: bool) -> list[Record]:
    """How far each group has read and what is halted, in order of group, topic and partition."""
    return await tx.fetch(_PLACES, *(after or (None, None, None)), halted_only, limit)
