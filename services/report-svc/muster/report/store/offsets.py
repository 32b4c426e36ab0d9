"""Which offsets were applied, as ranges."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from muster.kit.pg import Record, Tx
from muster.report.domain import Range, union

_GROW: Final = """
UPDATE applied_range a SET last_offset = greatest(last_offset, $4)
WHERE topic = $1 AND partition = $2 AND first_offset <= $3 AND last_offset >= $3 - 1
    AND NOT EXISTS (SELECT FROM applied_range b WHERE b.topic = $1 AND b.partition = $2
        AND b.first_offset > a.first_offset AND b.first_offset <= $4 + 1)
"""
# Waits for whoever else merges: two that find no row to lock would both add the same range.
_TURN: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, $2))"
_LOCK: Final = """
SELECT first_offset, last_offset FROM applied_range WHERE topic = $1 AND partition = $2
ORDER BY first_offset FOR UPDATE
"""
_CLEAR: Final = "DELETE FROM applied_range WHERE topic = $1 AND partition = $2"
_ADD: Final = "INSERT INTO applied_range (topic, partition, first_offset, last_offset) VALUES ($1, $2, $3, $4)"


async def cover(tx: Tx, topic: str, partition: int, new: Sequence[Range]) -> None:
    """Remember that these offsets are applied. Nearly always one range grows at its end."""
    for first, last in new:
        if not (await tx.execute(_GROW, topic, partition, first, last)).endswith(" 1"):
            await _merge(tx, topic, partition, (first, last))


async def _merge(tx: Tx, topic: str, partition: int, new: Range) -> None:
    await tx.execute(_TURN, topic, partition)
    merged = union([*await covered(tx, topic, partition), new])
    await tx.execute(_CLEAR, topic, partition)
    await tx.executemany(_ADD, sorted((topic, partition, first, last) for first, last in merged))


async def covered(tx: Tx, topic: str, partition: int) -> list[Range]:
    """The ranges that were applied, locked, in order."""
    return [(row["first_offset"], row["last_offset"]) for row in await tx.fetch(_LOCK, topic, partition)]


_TORN: Final = """
SELECT topic, partition, array_agg(first_offset ORDER BY first_offset) AS firsts,
    array_agg(last_offset ORDER BY first_offset) AS lasts
FROM applied_range GROUP BY topic, partition HAVING count(*) > 1 ORDER BY topic, partition
"""


async def torn(tx: Tx) -> dict[tuple[str, int], list[Range]]:
    """The ranges of those (topic, partition) that have a hole."""
    return {
        (row["topic"], row["partition"]): list(zip(row["firsts"], row["lasts"], strict=True))
        for row in await tx.fetch(_TORN)
    }


# Up to the first hole, which the auditor fills. What the watch halts, a whole topic, stands at its partition 0.
_PLACES: Final = """
SELECT consumer_group, topic, partition, NULL::bigint AS epoch, o.next_offset, NULL::timestamptz AS updated_at,
    h.kind, h.reason, h.halted_at, coalesce(h.loss_accepted, false) AS loss_accepted
FROM (SELECT 'report' AS consumer_group, topic, partition, min(last_offset) + 1 AS next_offset
        FROM applied_range GROUP BY topic, partition) o
    FULL JOIN consumer_halt h USING (consumer_group, topic, partition)
WHERE ($1::text IS NULL OR (consumer_group, topic, partition) > ($1, $2::text, $3::int))
    AND (NOT $4 OR h.kind IS NOT NULL)
ORDER BY consumer_group, topic, partition LIMIT $5
"""


async def places(tx: Tx, after: tuple[str, str, int] | None, limit: int, *, halted_only: bool) -> list[Record]:
    """How far the stream has applied each partition without a hole and what is halted, in order of topic and
    partition."""
    return await tx.fetch(_PLACES, *(after or (None, None, None)), halted_only, limit)


_TOPICS: Final = "SELECT topic, topic_id FROM heard_topic"
_SAVE_TOPIC: Final = """
INSERT INTO heard_topic (topic, topic_id) VALUES ($1, $2) ON CONFLICT (topic) DO UPDATE SET topic_id = $2
"""
_FORGET: Final = "DELETE FROM applied_range WHERE topic = $1"


async def topics(tx: Tx) -> dict[str, UUID]:
    """Which topic the offsets are of, by its name."""
    return {row["topic"]: row["topic_id"] for row in await tx.fetch(_TOPICS)}


async def save_topic(tx: Tx, topic: str, topic_id: UUID) -> None:
    """From now on the offsets are of this one."""
    await tx.execute(_SAVE_TOPIC, topic, topic_id)


async def forget(tx: Tx, topic: str) -> None:
    """Nothing of this topic counts as applied any more."""
    await tx.execute(_FORGET, topic)
