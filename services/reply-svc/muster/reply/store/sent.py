"""SQL of what was sent: chunks as they came, when they left, and the search for the message a reply answers."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from muster.kit.pg import Tx, array
from muster.reply.domain import Tenant

# Arrays within rows: unnest would flatten them.
_ADD_CHUNK = """
INSERT INTO sent_chunk (tenant_id, bulk_id, chunk, due_at, keys, payload)
VALUES ($1, $2, $3, $4, $5::text::bigint[], $6)
ON CONFLICT (tenant_id, bulk_id, chunk) DO NOTHING
"""


async def add_chunks(tx: Tx, chunks: Iterable[tuple[UUID, UUID, int, datetime, Sequence[int], bytes]]) -> None:
    """Keep chunks (tenant id, bulk id, chunk, due at, keys, payload); one that is there stays as it is."""
    rows = [(*key, array(keys), payload) for *key, keys, payload in chunks]
    await tx.executemany(_ADD_CHUNK, sorted(rows, key=itemgetter(0, 1, 2)))


_ADD_DISPATCH = """
INSERT INTO dispatched AS d (tenant_id, bulk_id, chunk, first_at, last_at, unsent) VALUES ($1, $2, $3, $4, $4, $5)
ON CONFLICT (tenant_id, bulk_id, chunk) DO UPDATE
SET first_at = least(d.first_at, excluded.first_at), last_at = greatest(d.last_at, excluded.last_at),
    unsent = ARRAY(SELECT DISTINCT unnest(d.unsent || excluded.unsent) ORDER BY 1)
WHERE least(d.first_at, excluded.first_at) IS DISTINCT FROM d.first_at
    OR greatest(d.last_at, excluded.last_at) IS DISTINCT FROM d.last_at OR NOT d.unsent @> excluded.unsent
"""


async def add_dispatches(tx: Tx, steps: Iterable[tuple[UUID, UUID, int, datetime | None, Sequence[int]]]) -> None:
    """Note (tenant id, bulk id, chunk, sent at, seq of those that never leave), in any order, any number of times."""
    await tx.executemany(_ADD_DISPATCH, sorted(steps, key=itemgetter(0, 1, 2)))


# The newest chunks that hold a key. A message that was planned only is as old as the time it was due. Single messages
# of one moment share a chunk, so a number may stand in it more than once.
_CANDIDATES = """
SELECT w.tenant_id, w.key, c.bulk_id, c.chunk, c.payload, c.sent_at, c.dispatched, c.unsent, place - 1 AS place
FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::bigint[])) AS w (tenant_id, key)
CROSS JOIN LATERAL (
    SELECT c.bulk_id, c.chunk, c.payload, c.keys, coalesce(d.last_at, c.due_at) AS sent_at,
        d.last_at IS NOT NULL AS dispatched, coalesce(d.unsent, '{}') AS unsent
    FROM sent_chunk c
    LEFT JOIN dispatched d ON d.tenant_id = c.tenant_id AND d.bulk_id = c.bulk_id AND d.chunk = c.chunk
    WHERE c.tenant_id = w.tenant_id AND c.keys @> ARRAY[w.key]
        AND coalesce(d.last_at, c.due_at) BETWEEN $3 AND $4
    ORDER BY sent_at DESC, c.bulk_id DESC, c.chunk DESC LIMIT $5
) c CROSS JOIN LATERAL unnest(array_positions(c.keys, w.key)) AS place
"""


async def chunks_with(
    tx: Tx, keys: Collection[tuple[UUID, int]], oldest: datetime, newest: datetime, limit: int
) -> list[dict[str, Any]]:
    """For each (tenant id, key) its newest chunks in that time, at most `limit`, with each place of the recipient."""
    tenant_ids, numbers = [tenant_id for tenant_id, _ in keys], [key for _, key in keys]
    return [dict(row) for row in await tx.fetch(_CANDIDATES, tenant_ids, numbers, oldest, newest, limit)]


# A send is as old as its id says, also where it is due later.
_CHUNKS_TO_BLANK = """
SELECT bulk_id, chunk, payload, ARRAY(SELECT unnest(array_positions(keys, $2)) - 1) AS places FROM sent_chunk
WHERE tenant_id = $1 AND keys @> ARRAY[$2::bigint] AND coalesce(uuid_extract_timestamp(bulk_id) <= $3, true)
ORDER BY bulk_id, chunk FOR UPDATE
"""
_REPLACE_PAYLOAD = "UPDATE sent_chunk SET payload = $4 WHERE tenant_id = $1 AND bulk_id = $2 AND chunk = $3"


async def chunks_to_blank(tx: Tx, tenant_id: UUID, key: int, until: datetime) -> list[dict[str, Any]]:
    """The chunks that hold a key, of sends that were begun until a moment, locked."""
    return [dict(row) for row in await tx.fetch(_CHUNKS_TO_BLANK, tenant_id, key, until)]


async def replace_payload(tx: Tx, tenant_id: UUID, bulk_id: UUID, chunk: int, payload: bytes) -> None:
    """Put another payload into a chunk."""
    await tx.execute(_REPLACE_PAYLOAD, tenant_id, bulk_id, chunk, payload)


_SAVE_TENANT = """
INSERT INTO tenant AS t (tenant_id, version, name, country, time_zone, allow_sms_replies, reception_email, closed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (tenant_id) DO UPDATE
SET version = excluded.version, name = excluded.name, country = excluded.country, time_zone = excluded.time_zone,
    allow_sms_replies = excluded.allow_sms_replies, reception_email = excluded.reception_email,
    closed = excluded.closed
WHERE t.version < excluded.version
"""


async def save_tenants(tx: Tx, tenants: Iterable[Tenant]) -> None:
    """Keep the settings of tenants; a version that is not higher changes nothing."""
    rows = [
        (t.tenant_id, t.version, t.name, t.country, t.time_zone, t.allow_sms_replies, t.reception_email, t.closed)
        for t in tenants
    ]
    await tx.executemany(_SAVE_TENANT, sorted(rows, key=itemgetter(0)))


_TENANTS = """
SELECT tenant_id, version, name, country, time_zone, allow_sms_replies, reception_email, closed
FROM tenant WHERE tenant_id = ANY($1::uuid[])
"""


async def tenants(tx: Tx, tenant_ids: Collection[UUID]) -> dict[UUID, Tenant]:
    """The settings of these tenants, as far as they were heard of."""
    return {row["tenant_id"]: Tenant(**row) for row in await tx.fetch(_TENANTS, list(tenant_ids))}


_FORGET_CHUNKS = """
DELETE FROM sent_chunk WHERE (tenant_id, bulk_id, chunk) IN (
    SELECT tenant_id, bulk_id, chunk FROM sent_chunk WHERE heard_at < kit_now() - make_interval(days => $1)
    LIMIT $2 FOR UPDATE SKIP LOCKED)
"""
_FORGET_DISPATCHED = """
DELETE FROM dispatched WHERE (tenant_id, bulk_id, chunk) IN (
    SELECT tenant_id, bulk_id, chunk FROM dispatched WHERE heard_at < kit_now() - make_interval(days => $1)
    LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


async def forget(tx: Tx, kept_days: int, limit: int) -> int:
    """Delete at most `limit` chunks that were heard longer ago; how many went."""
    count = 0
    for statement in (_FORGET_CHUNKS, _FORGET_DISPATCHED):
        count += int((await tx.execute(statement, kept_days, limit)).rpartition(" ")[2])
    return count
