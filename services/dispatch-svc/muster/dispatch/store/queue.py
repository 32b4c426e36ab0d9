"""The queue: attempts that are leased are intended, renewed and ended here.

Claims and intents share the advisory lock of their tenants, taken in a statement of its own, so that the statement
after it sees every suppression and hold that was committed before.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from muster.dispatch.events import ChunkKey
from muster.dispatch.store.chunks import key_columns, key_of
from muster.events import NIL_TENANT
from muster.kit.pg import Tx

_SHARE_TENANTS: Final = """
SELECT pg_advisory_xact_lock_shared(k) FROM (
    SELECT DISTINCT tenant_lock_key(t) AS k FROM unnest($1::uuid[]) AS t ORDER BY 1) keys
"""


async def share_tenants(tx: Tx, tenants: Collection[UUID]) -> None:
    """Nobody changes what these tenants may text, suspends one or stops the platform until this transaction ends."""
    await tx.execute(_SHARE_TENANTS, [*tenants, NIL_TENANT])


@dataclass(frozen=True, slots=True)
class AttemptKey:
    """Which attempt, under which lease."""

    chunk: ChunkKey
    attempt: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Intent:
    """How far an attempt may be written: slots of its order below `upto`. `counter` is that of its last join."""

    key: AttemptKey
    upto: int
    counter: int


_INTEND: Final = """
WITH n AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::int[], $6::int[], $7::bigint[])
    AS n(tenant_id, bulk_id, chunk, attempt, epoch, upto, counter)
), a AS (
    SELECT t.tenant_id, t.bulk_id, t.chunk, t.attempt, n.upto, n.counter FROM attempt t JOIN n
        USING (tenant_id, bulk_id, chunk, attempt)
    WHERE t.state = 1 AND t.lease_owner = $8 AND t.lease_epoch = n.epoch AND t.send_by > kit_now()
        AND (t.allowed IS NULL OR t.allowed @> kit_now())
    ORDER BY t.tenant_id, t.bulk_id, t.chunk FOR UPDATE OF t
), s AS (
    SELECT tenant_id, bulk_id FROM saga
    WHERE bulk_id = ANY ((SELECT array_agg(bulk_id) FROM a)::uuid[]) AND tenant_id = ANY ($1)
        AND state = 'sending' AND ending = '' AND parked = ''
        AND NOT EXISTS (SELECT FROM suspension h WHERE h.suspended AND h.tenant_id IN (saga.tenant_id, $10))
    ORDER BY tenant_id, bulk_id FOR SHARE
), going AS MATERIALIZED (
    SELECT a.* FROM a JOIN s USING (tenant_id, bulk_id)
)
UPDATE attempt t SET intent_upto = a.upto, suppression_counter = a.counter,
    lease_until = kit_now() + make_interval(secs => $9),
    intents = t.intents || jsonb_build_array(jsonb_build_array(a.upto, extract(epoch FROM kit_now())))
FROM going a
WHERE t.tenant_id = a.tenant_id AND t.bulk_id = a.bulk_id AND t.chunk = a.chunk AND t.attempt = a.attempt
    AND a.counter = coalesce((SELECT k.counter FROM tenant_counter k WHERE k.tenant_id = a.tenant_id), 0)
RETURNING t.tenant_id, t.bulk_id, t.chunk
"""


async def intend(tx: Tx, intents: Sequence[Intent], owner: UUID, lease_s: float) -> set[ChunkKey]:
    """Store how far these attempts may be written, and answer which may: the lease is ours, the send goes on, its time
    is not over, its recipients may be texted at this hour, nobody has suspended its tenant, and nothing has changed
    since the last join with suppressions and holds."""
    rows = await tx.fetch(
        _INTEND,
        *key_columns([one.key.chunk for one in intents]),
        *([one.key.attempt for one in intents], [one.key.epoch for one in intents]),
        *([one.upto for one in intents], [one.counter for one in intents], owner, lease_s),
        NIL_TENANT,
    )
    return {key_of(row) for row in rows}


_STANDING: Final = """
SELECT a.tenant_id, a.bulk_id, a.chunk, a.lease_epoch, coalesce(k.counter, 0) AS counter,
    a.state = 1 AND a.lease_owner = $4 AS leased, a.send_by <= kit_now() AS over,
    a.allowed IS NOT NULL AND NOT a.allowed @> kit_now() AS quiet,
    s.state = 'sending' AND s.ending = '' AND s.parked = '' AND NOT EXISTS (
        SELECT FROM suspension h WHERE h.suspended AND h.tenant_id IN (a.tenant_id, $5)) AS going, s.ending,
    EXISTS (SELECT FROM tenant_rate r WHERE r.tenant_id = a.tenant_id) AS limited
FROM attempt a JOIN saga s USING (tenant_id, bulk_id) LEFT JOIN tenant_counter k USING (tenant_id)
WHERE (a.tenant_id, a.bulk_id, a.chunk) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[])) AND a.state <> 2
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Why an intent was refused, or how a leased attempt stands: `going` unless its send was stopped, paused or
    parked, its tenant suspended, or the platform stopped; `quiet` outside the hours of its recipients; `limited` where
    its tenant has a rate."""

    epoch: int
    leased: bool
    over: bool
    quiet: bool
    going: bool
    ending: str
    counter: int
    limited: bool


async def standings(tx: Tx, keys: Collection[ChunkKey], owner: UUID) -> dict[ChunkKey, Standing]:
    """How the live attempts of these chunks stand, without a lock."""
    return {
        key_of(row): Standing(
            epoch=row["lease_epoch"],
            leased=row["leased"],
            over=row["over"],
            quiet=row["quiet"],
            going=row["going"],
            ending=row["ending"],
            counter=row["counter"],
            limited=row["limited"],
        )
        for row in await tx.fetch(_STANDING, *key_columns(keys), owner, NIL_TENANT)
    }


_RENEW: Final = """
UPDATE attempt SET lease_until = kit_now() + make_interval(secs => $3)
WHERE (tenant_id, bulk_id, chunk, attempt) IN (
    SELECT tenant_id, bulk_id, chunk, attempt FROM attempt WHERE account = $1 AND state = 1 AND lease_owner = $2
    ORDER BY tenant_id, bulk_id, chunk FOR UPDATE)
"""


async def renew(tx: Tx, account: str, owner: UUID, lease_s: float) -> None:
    """Hold all leases of this sender for as long again."""
    await tx.execute(_RENEW, account, owner, lease_s)


_WRITTEN_BY_OTHERS: Final = """
SELECT tenant_id, bulk_id, chunk FROM attempt
WHERE account = $1 AND state = 1 AND lease_owner <> $2 AND intent_upto > 0
"""


async def written_by_others(tx: Tx, account: str, owner: UUID) -> list[ChunkKey]:
    """Chunks of which another sender, who may be dead, has written something, and not stored what became of it."""
    return [key_of(row) for row in await tx.fetch(_WRITTEN_BY_OTHERS, account, owner)]


_RELEASE_ORPHANS: Final = """
UPDATE attempt SET state = 0, lease_owner = NULL, lease_until = NULL, intent_upto = 0
WHERE (tenant_id, bulk_id, chunk, attempt) IN (
    SELECT tenant_id, bulk_id, chunk, attempt FROM attempt WHERE account = $1 AND state = 1 AND lease_owner = $2
        AND (tenant_id, bulk_id, chunk) NOT IN (SELECT * FROM unnest($3::uuid[], $4::uuid[], $5::int[]))
    ORDER BY tenant_id, bulk_id, chunk FOR UPDATE)
"""


async def release_orphans(tx: Tx, account: str, owner: UUID, known: Collection[ChunkKey]) -> None:
    """Give back leases of this sender that it does not know: their claim was committed and its answer lost, so nothing
    of them was written. Slots below an earlier intent have outcomes, hence the next claim may begin at 0."""
    await tx.execute(_RELEASE_ORPHANS, account, owner, *key_columns(known))


@dataclass(frozen=True, slots=True)
class Release:
    """The end of a lease by its owner: the attempt is `queued` again from `intent_upto` on, or done."""

    key: AttemptKey
    queued: bool
    intent_upto: int


# The lock first, in order: the update below finds the rows locked whatever way it takes.
_LOCK_LEASES: Final = """
SELECT t.tenant_id, t.bulk_id, t.chunk
FROM attempt t JOIN unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::int[])
    AS n(tenant_id, bulk_id, chunk, attempt, epoch) USING (tenant_id, bulk_id, chunk, attempt)
WHERE t.state = 1 AND t.lease_owner = $6 AND t.lease_epoch = n.epoch
ORDER BY t.tenant_id, t.bulk_id, t.chunk FOR UPDATE OF t
"""


async def lock_leases(tx: Tx, keys: Sequence[AttemptKey], owner: UUID) -> set[ChunkKey]:
    """Lock the attempts that this sender still leases; which those are."""
    rows = await tx.fetch(
        _LOCK_LEASES,
        *key_columns([key.chunk for key in keys]),
        *([key.attempt for key in keys], [key.epoch for key in keys], owner),
    )
    return {key_of(row) for row in rows}


# allow ordered-locks: _LOCK_LEASES has locked them, in order
_RELEASE: Final = """
UPDATE attempt t SET state = CASE WHEN n.queued THEN 0 ELSE 2 END, lease_owner = NULL, lease_until = NULL,
    intent_upto = n.intent_upto
FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::bool[], $6::int[])
    AS n(tenant_id, bulk_id, chunk, attempt, queued, intent_upto)
WHERE t.tenant_id = n.tenant_id AND t.bulk_id = n.bulk_id AND t.chunk = n.chunk AND t.attempt = n.attempt
"""


async def release(tx: Tx, releases: Sequence[Release]) -> None:
    """End leases that this transaction has locked."""
    if releases:
        await tx.execute(
            _RELEASE,
            *key_columns([one.key.chunk for one in releases]),
            *([one.key.attempt for one in releases], [one.queued for one in releases]),
            [one.intent_upto for one in releases],
        )


@dataclass(frozen=True, slots=True)
class Retry:
    """An attempt to come: these slots of a chunk, after `delay_s`."""

    chunk: ChunkKey
    attempt: int
    why: str
    order: list[int]
    delay_s: float


# Where a hold has just ended it may be the one that these were put off for: it was seen before, and is written now.
_RETRY: Final = """
INSERT INTO attempt (tenant_id, bulk_id, chunk, attempt, account, lane, kind, why, parts, slot_order, due_at, send_by,
    allowed)
SELECT c.tenant_id, c.bulk_id, c.chunk, n.attempt, c.account, c.lane, c.kind, n.why, n.parts,
    ARRAY(SELECT jsonb_array_elements_text(n.slot_order::jsonb)::smallint),
    kit_now() + make_interval(secs => CASE WHEN n.why = 'held' AND EXISTS (SELECT FROM hold h
        WHERE h.tenant_id = c.tenant_id AND h.released_at > kit_now() - interval '10 s') THEN 1 ELSE n.delay_s END),
    c.send_by, (SELECT a.allowed FROM attempt a
        WHERE a.tenant_id = c.tenant_id AND a.bulk_id = c.bulk_id AND a.chunk = c.chunk AND a.attempt = n.attempt - 1)
FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::text[], $6::int[], $7::text[], $8::float8[])
    AS n(tenant_id, bulk_id, chunk, attempt, why, parts, slot_order, delay_s)
JOIN chunk c USING (tenant_id, bulk_id, chunk)
"""


async def add_retries(tx: Tx, retries: Sequence[Retry]) -> None:
    """Queue attempts of slots that were certainly not sent, or may be sent again. The attempt before must be done."""
    if retries:
        # Arrays of different lengths do not fit into one array: they travel as text.
        await tx.execute(
            _RETRY,
            *key_columns([one.chunk for one in retries]),
            *([one.attempt for one in retries], [one.why for one in retries], [len(one.order) for one in retries]),
            *([json.dumps(one.order) for one in retries], [one.delay_s for one in retries]),
        )
