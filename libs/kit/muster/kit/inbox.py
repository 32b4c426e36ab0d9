"""For effects that have no natural key: each event is taken once by each consumer."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from muster.kit import metrics
from muster.kit.consumer.received import Received
from muster.kit.pg import Tx

_TAKE = """
INSERT INTO inbox (consumer, event_id) SELECT $1, id FROM unnest($2::uuid[]) AS id ORDER BY id
ON CONFLICT (consumer, event_id) DO NOTHING RETURNING event_id
"""
_FORGET = """
DELETE FROM inbox WHERE (consumer, event_id) IN (
    SELECT consumer, event_id FROM inbox WHERE received_at < kit_now() - $1::interval FOR UPDATE SKIP LOCKED)
"""


async def first_time(tx: Tx, consumer: str, events: Sequence[Received[Any]]) -> list[Received[Any]]:
    """Those of the events that this consumer has not taken before, once each, in order; they count as taken now."""
    rows = await tx.fetch(_TAKE, consumer, sorted({event.event_id for event in events}))
    fresh: set[UUID] = {row["event_id"] for row in rows}
    found = []
    for event in events:
        if event.event_id in fresh:
            fresh.discard(event.event_id)
            found.append(event)
    metrics.consumer_duplicates.labels(group=consumer, cause="inbox").inc(len(events) - len(found))
    return found


async def forget(tx: Tx, older_than: timedelta) -> None:
    """Drop entries that are older than the log's retention, after which nothing can come again."""
    await tx.execute(_FORGET, older_than)
