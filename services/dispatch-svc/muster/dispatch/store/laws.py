"""What the laws are checked on: read by the operator's worker, over all tenants."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from muster.dispatch.events import ChunkKey
from muster.dispatch.store.chunks import key_columns, key_of
from muster.events import NIL_TENANT
from muster.kit.pg import Record, Tx

_BULKS: Final = """
SELECT tenant_id, bulk_id, state, coalesce(reserved, 0) AS reserved, used, released, held, refunded,
    state IN ('closed', 'refused') AS closed, recipients, accepted, unknown, rejected, stopped, suppressed,
    account_version AS version, settled_version, parked,
    greatest(recipients - accepted - unknown - rejected - stopped - suppressed, 0) AS queued, 0 AS submitting
FROM saga WHERE (tenant_id, bulk_id) > ($1, $2) ORDER BY tenant_id, bulk_id LIMIT $3
"""


async def bulks(tx: Tx, after: tuple[UUID, UUID] | None, limit: int) -> list[dict[str, Any]]:
    """Sends with their sums, in order of tenant and id, after `after`."""
    return [dict(row) for row in await tx.fetch(_BULKS, *(after or (NIL_TENANT, NIL_TENANT)), limit)]


_RESERVED: Final = """
SELECT tenant_id, bulk_id, reserved, used, released, held FROM saga
WHERE account_version > 0 AND reserved IS DISTINCT FROM used + released + held LIMIT 101
"""
_ACCOUNTED: Final = "SELECT count(*) FROM saga WHERE account_version > 0 AND tenant_id IS NOT NULL"


async def unbalanced(tx: Tx) -> tuple[int, list[Record]]:
    """How many sends have totals, and which do not balance."""
    return await tx.fetchval(_ACCOUNTED), await tx.fetch(_RESERVED)


_USED: Final = """
SELECT s.tenant_id, s.bulk_id, s.used, s.refunded, s.accepted, s.recipients, s.unknown, s.rejected, s.stopped,
    s.suppressed, c.*
FROM saga s CROSS JOIN LATERAL (
    SELECT coalesce(sum(c.used), 0) AS chunk_used, coalesce(sum(c.refunded), 0) AS chunk_refunded,
        coalesce(sum(c.recipients), 0) AS chunk_recipients,
        coalesce(sum(c.open), 0) AS chunk_open, coalesce(sum(c.accepted), 0) AS chunk_accepted
    FROM chunk c WHERE c.tenant_id = s.tenant_id AND c.bulk_id = s.bulk_id) c
WHERE s.state IN ('closed', 'refused') AND s.updated_at < kit_now() - interval '2 seconds'
"""


async def ended(tx: Tx) -> list[Record]:
    """Ended sends beside the sums of their chunks."""
    return await tx.fetch(_USED)


_NEWEST: Final = """
SELECT c.tenant_id, c.bulk_id, c.chunk, c.message_class, c.parts, c.slots, c.accepted, c.unknown, c.used,
    c.open_credits, c.created_at, c.send_by, b.plain, s.reserved
FROM chunk c JOIN chunk_body b USING (tenant_id, bulk_id, chunk) JOIN saga s USING (tenant_id, bulk_id)
ORDER BY c.bulk_id DESC, c.chunk DESC LIMIT $1
"""


async def newest_chunks(tx: Tx, limit: int) -> list[Record]:
    """The newest chunks with their slots and prices."""
    return await tx.fetch(_NEWEST, limit)


_ATTEMPTS: Final = """
SELECT tenant_id, bulk_id, chunk, attempt, slot_order, intents, intent_upto FROM attempt
WHERE (tenant_id, bulk_id, chunk) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[]))
    AND jsonb_array_length(intents) > 0
ORDER BY tenant_id, bulk_id, chunk, attempt
"""


async def intents(tx: Tx, keys: Collection[ChunkKey]) -> dict[ChunkKey, list[Record]]:
    """Attempts that were intended, by chunk."""
    found: dict[ChunkKey, list[Record]] = {}
    for row in await tx.fetch(_ATTEMPTS, *key_columns(keys)):
        found.setdefault(key_of(row), []).append(row)
    return found


_BARRED: Final = """
SELECT tenant_id, number_hash, scope, changed_at AS since, NULL::timestamptz AS until FROM suppression WHERE suppressed
UNION ALL SELECT tenant_id, number_hash, scope, created_at, released_at FROM hold
"""


async def bars(tx: Tx) -> list[Record]:
    """Who may not be texted, from when to when: suppressions that stand, and all holds."""
    return await tx.fetch(_BARRED)


_CROSSING: Final = """
SELECT c.tenant_id, c.bulk_id FROM chunk c JOIN saga s ON s.bulk_id = c.bulk_id AND s.tenant_id <> c.tenant_id LIMIT 101
"""
_CHILDREN: Final = "SELECT count(*) FROM chunk WHERE tenant_id IS NOT NULL"


async def crossing(tx: Tx) -> tuple[int, list[Record]]:
    """How many chunks there are, and which belong to another tenant's send."""
    return await tx.fetchval(_CHILDREN), await tx.fetch(_CROSSING)


_UNBOUNDED: Final = """
SELECT tenant_id, bulk_id, CASE WHEN parked <> '' THEN 'parked: ' || parked
    WHEN account_version > settled_version AND accounted_at < kit_now() - interval '2 hours' THEN 'totals not answered'
    ELSE 'not ended long after send_by' END AS why
FROM saga WHERE parked <> ''
    OR (state NOT IN ('closed', 'refused') AND send_by < kit_now() - interval '5 minutes' AND held = 0)
    OR (account_version > settled_version AND accounted_at < kit_now() - interval '2 hours')
LIMIT 101
"""
_SAGAS: Final = "SELECT count(*) FROM saga WHERE tenant_id IS NOT NULL"


async def unbounded(tx: Tx) -> tuple[int, list[Record]]:
    """How many sends there are, and which do not come to their end."""
    return await tx.fetchval(_SAGAS), await tx.fetch(_UNBOUNDED)
