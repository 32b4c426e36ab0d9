"""What the laws are checked on: read by the operator's worker, over all tenants."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from muster.dispatch.events import ChunkKey
from muster.dispatch.store.chunks import key_columns, key_of
from muster.events import NIL_TENANT
from muster.kit.pg import Record, Tx
from muster.laws.ledger import Send
from muster.laws.sending import Bar, Ended
from muster.laws.system import OVERDUE_MAX_S, UNANSWERED_MAX_S, Progress, Reference

# Closed for who compares is a send that has ended and of which nothing is left in the queue to be said of.
_BULKS: Final = """
SELECT tenant_id, bulk_id, state, coalesce(reserved, 0) AS reserved, used, released, held, refunded,
    state IN ('closed', 'refused') AND NOT sweep AS closed, recipients, accepted, unknown, rejected, stopped,
    suppressed, account_version AS version, settled_version, parked,
    greatest(recipients - accepted - unknown - rejected - stopped - suppressed, 0) AS queued, 0 AS submitting
FROM saga WHERE (tenant_id, bulk_id) > ($1, $2) ORDER BY tenant_id, bulk_id LIMIT $3
"""


async def bulks(tx: Tx, after: tuple[UUID, UUID] | None, limit: int) -> list[dict[str, Any]]:
    """Sends with their sums, in order of tenant and id, after `after`."""
    return [dict(row) for row in await tx.fetch(_BULKS, *(after or (NIL_TENANT, NIL_TENANT)), limit)]


# The sends that law 2 has something to say about: a test holds this against the law.
UNLIKE: Final = """
coalesce(reserved, 0) <> used + released + held
    OR least(coalesce(reserved, 0), used, released, held, refunded) < 0 OR refunded > used
    OR state IN ('closed', 'refused') AND held <> 0
"""
_SENDS: Final = f"""
SELECT tenant_id, bulk_id, coalesce(reserved, 0) AS reserved, used, released, held, refunded,
    state IN ('closed', 'refused') AS closed
FROM saga WHERE account_version > 0 AND ({UNLIKE}) LIMIT 101
"""  # noqa: S608 - the condition is the constant above
_ACCOUNTED: Final = "SELECT count(*) FROM saga WHERE account_version > 0 AND tenant_id IS NOT NULL"


async def sends_unlike(tx: Tx) -> tuple[int, list[Send]]:
    """How many sends have totals, and which do not balance."""
    return await tx.fetchval(_ACCOUNTED), [Send(**row) for row in await tx.fetch(_SENDS)]


_ENDED: Final = """
SELECT s.tenant_id, s.bulk_id, s.used, s.refunded, s.accepted, s.unknown, s.rejected, s.stopped, s.suppressed, c.*
FROM saga s CROSS JOIN LATERAL (
    SELECT coalesce(sum(c.used), 0)::bigint AS chunks_used, coalesce(sum(c.refunded), 0)::bigint AS chunks_refunded,
        coalesce(sum(c.accepted), 0) AS chunks_accepted,
        greatest(coalesce(sum(c.recipients), 0), s.recipients) AS chunks_recipients,
        coalesce(sum(c.open), 0) AS chunks_open
    FROM chunk c WHERE c.tenant_id = s.tenant_id AND c.bulk_id = s.bulk_id) c
WHERE s.state IN ('closed', 'refused') AND NOT s.sweep AND s.updated_at < kit_now() - interval '2 seconds'
"""


async def ended(tx: Tx) -> list[Ended]:
    """Ended sends beside the sums of their chunks."""
    return [Ended(**row) for row in await tx.fetch(_ENDED)]


_NEWEST: Final = """
SELECT c.tenant_id, c.bulk_id, c.chunk, c.message_class, c.parts, c.slots, c.accepted, c.unknown, c.used,
    c.open_credits, c.created_at, c.send_by, b.plain, s.reserved,
    s.state IN ('closed', 'refused') AND NOT s.sweep AND s.updated_at < kit_now() - interval '2 seconds' AS ended
FROM chunk c JOIN chunk_body b USING (tenant_id, bulk_id, chunk) JOIN saga s USING (tenant_id, bulk_id)
ORDER BY c.bulk_id DESC, c.chunk DESC LIMIT $1
"""


async def newest_chunks(tx: Tx, limit: int) -> list[Record]:
    """The newest chunks with their slots and prices."""
    return await tx.fetch(_NEWEST, limit)


_NEXT_CHUNK: Final = """
SELECT c.tenant_id, c.bulk_id, c.chunk, c.parts, c.slots, c.receipts, b.plain
FROM chunk c JOIN chunk_body b USING (tenant_id, bulk_id, chunk)
WHERE c.tenant_id = $1 AND c.bulk_id = $2 AND c.chunk > $3 ORDER BY c.chunk LIMIT 2
"""


async def next_chunk(tx: Tx, tenant_id: UUID, bulk_id: UUID, after: int) -> tuple[Record | None, bool]:
    """The chunk of a send that follows chunk `after`, and whether there are more."""
    rows = await tx.fetch(_NEXT_CHUNK, tenant_id, bulk_id, after)
    return (rows[0] if rows else None), len(rows) > 1


_ATTEMPTS: Final = """
SELECT tenant_id, bulk_id, chunk, attempt, slot_order, intents, intent_upto, left_out,
    ARRAY(SELECT extract(epoch FROM lower(w))::float8 FROM unnest(allowed) w ORDER BY w) AS opens,
    ARRAY(SELECT extract(epoch FROM upper(w))::float8 FROM unnest(allowed) w ORDER BY w) AS closes
FROM attempt
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
SELECT tenant_id, number_hash AS number, scope, extract(epoch FROM changed_at)::float8 AS since, NULL::float8 AS until
FROM suppression WHERE suppressed
UNION ALL SELECT tenant_id, number_hash, scope, extract(epoch FROM created_at)::float8,
    extract(epoch FROM released_at)::float8
FROM hold
"""


async def bars(tx: Tx) -> list[Bar]:
    """Who may not be texted, from when to when: suppressions that stand, and all holds."""
    return [Bar(**row) for row in await tx.fetch(_BARRED)]


_CROSSING: Final = """
SELECT c.tenant_id, 'a chunk' AS what, s.tenant_id AS owner, c.bulk_id
FROM chunk c JOIN saga s ON s.bulk_id = c.bulk_id AND s.tenant_id <> c.tenant_id LIMIT 101
"""
_CHILDREN: Final = "SELECT count(*) FROM chunk WHERE tenant_id IS NOT NULL"


async def crossing(tx: Tx) -> tuple[int, list[Reference]]:
    """How many chunks there are, and which belong to another tenant's send."""
    return await tx.fetchval(_CHILDREN), [Reference(**row) for row in await tx.fetch(_CROSSING)]


# The sends that law 8 has something to say about: a test holds the condition against the law.
UNBOUNDED: Final = "parked <> '' OR NOT ended AND held = 0 AND overdue_s > $1 OR unanswered_s > $2"
_UNBOUNDED: Final = f"""
SELECT * FROM (
    SELECT tenant_id, bulk_id, state IN ('closed', 'refused') AS ended, parked, held,
        coalesce(extract(epoch FROM kit_now() - send_by), 0)::float8 AS overdue_s,
        CASE WHEN account_version > settled_version
            THEN coalesce(extract(epoch FROM kit_now() - unsettled_since), 0)::float8 ELSE 0 END AS unanswered_s
    FROM saga) s
WHERE {UNBOUNDED} LIMIT 101 -- tenant_id: of all of them
"""  # noqa: S608 - the condition is the constant above
_SAGAS: Final = "SELECT count(*) FROM saga WHERE tenant_id IS NOT NULL"


async def unbounded(tx: Tx) -> tuple[int, list[Progress]]:
    """How many sends there are, and which do not come to their end."""
    found = await tx.fetch(_UNBOUNDED, OVERDUE_MAX_S, UNANSWERED_MAX_S)
    return await tx.fetchval(_SAGAS), [Progress(**row) for row in found]
