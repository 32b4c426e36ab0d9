"""The queue, where a sender takes from it: what waits, and what it has leased."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from muster.dispatch.domain.fairness import Waiting
from muster.dispatch.events import ChunkFacts, ChunkKey
from muster.dispatch.store.chunks import about_of, key_columns, key_of
from muster.dispatch.store.queue import AttemptKey
from muster.events import NIL_TENANT
from muster.kit.pg import Record, Tx

# A few chunks of each send are enough to choose from; sends beyond the limit get their turn by lot. Of a tenant that
# has a rate nothing waits before it has saved up enough for a claim.
_WAITING: Final = """
SELECT q.*, s.saved FROM (
    SELECT g.tenant_id, g.bulk_id, floor(parts_saved(r.saved, r.parts_per_second, r.at))::int AS saved
    FROM saga g LEFT JOIN tenant_rate r ON r.tenant_id = g.tenant_id
    WHERE g.state = 'sending' AND g.ending = '' AND g.parked = '' AND NOT (g.requested AND g.done >= g.chunks)
        AND (g.due_at IS NULL OR g.due_at <= kit_now())
        AND NOT EXISTS (SELECT FROM suspension h WHERE h.suspended AND h.tenant_id IN (g.tenant_id, $4))
        AND (r.tenant_id IS NULL OR parts_saved(r.saved, r.parts_per_second, r.at)
            >= parts_worthwhile(r.parts_per_second, r.takers, $1))
    ORDER BY random() LIMIT $2) s
CROSS JOIN LATERAL (
    SELECT tenant_id, bulk_id, chunk, attempt, account,
        CASE WHEN s.saved IS NULL THEN parts ELSE greatest(1, parts - intent_upto) END AS parts, lane, kind
    FROM attempt a
    WHERE a.tenant_id = s.tenant_id AND a.bulk_id = s.bulk_id AND a.state = 0
        AND a.account = $1 AND a.due_at <= kit_now() AND a.send_by > kit_now()
        AND (a.allowed IS NULL OR a.allowed @> kit_now())
    ORDER BY a.chunk LIMIT $3) q
"""


async def waiting(tx: Tx, account: str, sends_max: int, chunks_max: int) -> list[Waiting]:
    """What could be claimed now; nothing is locked."""
    return [Waiting(**row) for row in await tx.fetch(_WAITING, account, sends_max, chunks_max, NIL_TENANT)]


def chunk_of(one: Waiting) -> ChunkKey:
    """The chunk of an attempt that waits."""
    return ChunkKey(one.tenant_id, one.bulk_id, one.chunk)


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attempt that this sender has leased, with all that is needed to send it. `order`: its slots, None for all.
    `valid_until`: the earlier of its send_by and the end of the hours that are allowed now."""

    key: AttemptKey
    about: ChunkFacts
    order: list[int] | None
    intent_upto: int
    valid_until: datetime
    reserved: int
    control_version: int
    upto: int
    reference_base: int
    reference_bits: int
    slots: bytes
    said: int
    carrier_ids: str | None
    receipts: bytes | None
    receipts_said: int
    joined_counter: int
    counter: int
    created_at: datetime
    plain: bytes
    personal: bytes
    why: str = "first"
    again: bool = False


# The array of sagas is made before the first saga is locked: attempts first, then sagas. `going` is joined by itself:
# from a send alone the planner would look at all of its attempts, for each chunk.
_LEASE: Final = """
WITH a AS (
    SELECT tenant_id, bulk_id, chunk, attempt FROM attempt
    WHERE (tenant_id, bulk_id, chunk, attempt, account) IN (
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $8::text[]))
        AND state = 0 AND due_at <= kit_now() AND send_by > kit_now()
        AND (allowed IS NULL OR allowed @> kit_now())
    ORDER BY tenant_id, bulk_id, chunk FOR UPDATE SKIP LOCKED
), s AS (
    SELECT tenant_id, bulk_id, reserved, control_version FROM saga
    WHERE bulk_id = ANY ((SELECT array_agg(bulk_id) FROM a)::uuid[]) AND tenant_id = ANY ($1)
        AND state = 'sending' AND ending = '' AND parked = ''
        AND NOT EXISTS (SELECT FROM suspension h WHERE h.suspended AND h.tenant_id IN (saga.tenant_id, $7))
    ORDER BY tenant_id, bulk_id FOR SHARE
), going AS MATERIALIZED (
    SELECT a.*, s.reserved, s.control_version FROM a JOIN s USING (tenant_id, bulk_id)
)
UPDATE attempt t SET state = 1, lease_owner = $5, lease_epoch = lease_epoch + 1,
    lease_until = kit_now() + make_interval(secs => $6)
FROM going a
WHERE t.tenant_id = a.tenant_id AND t.bulk_id = a.bulk_id AND t.chunk = a.chunk AND t.attempt = a.attempt
RETURNING t.tenant_id, t.bulk_id, t.chunk, t.attempt, t.lease_epoch, t.slot_order, t.intent_upto,
    t.suppression_counter, t.why, a.reserved, a.control_version,
    least(t.send_by, (SELECT upper(w) FROM unnest(t.allowed) w WHERE w @> kit_now())) AS valid_until
"""

# A statement of its own: whoever held an attempt before, and stopped some of its messages, has committed that by now.
# In the statement that takes the lock it would be read as it was when that began.
_CONTENTS: Final = """
SELECT c.tenant_id, c.bulk_id, c.chunk, c.lane, c.message_class, c.kind, c.account, c.country, c.sender, c.traceparent,
    c.upto, c.reference_base, c.reference_bits, c.slots, c.said, c.carrier_ids, c.receipts, c.receipts_said,
    c.created_at, c.again, b.plain, b.personal, coalesce(k.counter, 0) AS counter
FROM chunk c JOIN chunk_body b USING (tenant_id, bulk_id, chunk) LEFT JOIN tenant_counter k USING (tenant_id)
WHERE (c.tenant_id, c.bulk_id, c.chunk) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[]))
ORDER BY c.tenant_id, c.bulk_id, c.chunk
"""


async def claim(tx: Tx, chosen: Sequence[Waiting], owner: UUID, lease_s: float) -> list[Claimed]:
    """Lease these attempts; those that somebody else has taken, that were led to another account meanwhile, or whose
    send may not go on are left out."""
    rows = await tx.fetch(
        _LEASE,
        *([one.tenant_id for one in chosen], [one.bulk_id for one in chosen]),
        *([one.chunk for one in chosen], [one.attempt for one in chosen], owner, lease_s, NIL_TENANT),
        [one.account for one in chosen],
    )
    leases = {key_of(row): row for row in rows}
    if not leases:
        return []
    return [_claimed(leases[key_of(row)], row) for row in await tx.fetch(_CONTENTS, *key_columns(leases))]


def _claimed(lease: Record, row: Record) -> Claimed:
    return Claimed(
        key=AttemptKey(key_of(row), lease["attempt"], lease["lease_epoch"]),
        about=about_of(row),
        order=lease["slot_order"],
        intent_upto=lease["intent_upto"],
        valid_until=lease["valid_until"],
        reserved=lease["reserved"],
        control_version=lease["control_version"],
        upto=row["upto"],
        reference_base=row["reference_base"],
        reference_bits=row["reference_bits"],
        slots=row["slots"],
        said=row["said"],
        carrier_ids=row["carrier_ids"],
        receipts=row["receipts"],
        receipts_said=row["receipts_said"],
        joined_counter=lease["suppression_counter"],
        counter=row["counter"],
        created_at=row["created_at"],
        plain=row["plain"],
        personal=row["personal"] or b"",
        why=lease["why"],
        again=row["again"],
    )
