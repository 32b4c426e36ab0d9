"""Who may not be texted: suppressions, holds, and the counter that tells senders to look again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from muster.kit.erasure import Erasure
from muster.kit.pg import Tx

_LOCK_TENANTS: Final = """
SELECT pg_advisory_xact_lock(k) FROM (
    SELECT DISTINCT tenant_lock_key(t) AS k FROM unnest($1::uuid[]) AS t ORDER BY 1) keys
"""


async def lock_tenants(tx: Tx, tenants: Collection[UUID]) -> None:
    """Wait until no claim or intent of these tenants is under way, and let none begin before this transaction ends."""
    await tx.execute(_LOCK_TENANTS, list(tenants))


_RAISE: Final = """
INSERT INTO tenant_counter (tenant_id, counter) SELECT DISTINCT t, 1 FROM unnest($1::uuid[]) AS t ORDER BY 1
ON CONFLICT (tenant_id) DO UPDATE SET counter = tenant_counter.counter + 1
"""


async def raise_counters(tx: Tx, tenants: Collection[UUID]) -> None:
    """What these tenants may text has changed. Their locks must be held."""
    await tx.execute(_RAISE, list(tenants))


@dataclass(frozen=True, slots=True)
class Change:
    """A suppression as customer-svc says it. `inbound_id` names the hold that it ends."""

    tenant_id: UUID
    number_hash: bytes
    version: int
    suppressed: bool
    scope: int
    inbound_id: UUID | None


_APPLY: Final = """
INSERT INTO suppression (tenant_id, number_hash, version, suppressed, scope)
SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::bool[], $5::smallint[]) AS n(tenant_id, number_hash)
ORDER BY n.tenant_id, n.number_hash
ON CONFLICT (tenant_id, number_hash) DO UPDATE SET version = EXCLUDED.version, suppressed = EXCLUDED.suppressed,
    scope = EXCLUDED.scope, changed_at = kit_now()
WHERE suppression.version < EXCLUDED.version
"""


async def apply(tx: Tx, changes: Sequence[Change]) -> None:
    """Store changes; the highest version of a number wins. One change for each number."""
    await tx.execute(
        _APPLY,
        *([one.tenant_id for one in changes], [one.number_hash for one in changes], [one.version for one in changes]),
        *([one.suppressed for one in changes], [one.scope for one in changes]),
    )


_ERASE: Final = """
INSERT INTO suppression (tenant_id, number_hash, version, suppressed, scope, erased_version, erased_at)
SELECT DISTINCT ON (tenant_id, number_hash) tenant_id, number_hash, 0, false, 2, version, erased_at
FROM unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::timestamptz[]) AS n (tenant_id, number_hash, version, erased_at)
ORDER BY tenant_id, number_hash, version DESC
ON CONFLICT (tenant_id, number_hash) DO UPDATE
    SET erased_version = EXCLUDED.erased_version, erased_at = EXCLUDED.erased_at
WHERE suppression.erased_version < EXCLUDED.erased_version
"""


async def erase(tx: Tx, erasures: Sequence[Erasure]) -> None:
    """Nothing of a send that was begun before goes to these numbers any more."""
    rows = [(one.tenant_id, one.number_hash, one.version, one.at) for one in erasures]
    await tx.execute(_ERASE, *map(list, zip(*rows, strict=True)))


_ADD_HOLD: Final = """
INSERT INTO hold (tenant_id, number_hash, inbound_id, scope) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""


async def add_hold(tx: Tx, tenant_id: UUID, number_hash: bytes, inbound_id: UUID, scope: int) -> None:
    """Text this number no more until the hold of this inbound message ends."""
    await tx.execute(_ADD_HOLD, tenant_id, number_hash, inbound_id, scope)


_RELEASE_HOLDS: Final = """
UPDATE hold SET released_at = kit_now() WHERE (tenant_id, number_hash, inbound_id) IN (
    SELECT tenant_id, number_hash, inbound_id FROM hold
    WHERE (tenant_id, inbound_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND released_at IS NULL
    ORDER BY tenant_id, number_hash, inbound_id FOR NO KEY UPDATE)
RETURNING tenant_id
"""


async def release_holds(tx: Tx, inbound: Sequence[tuple[UUID, UUID]]) -> set[UUID]:
    """End the holds of these (tenant, inbound message); the tenants of those that stood."""
    if not inbound:
        return set()
    rows = await tx.fetch(_RELEASE_HOLDS, [tenant for tenant, _ in inbound], [message for _, message in inbound])
    return {row["tenant_id"] for row in rows}


_NARROW: Final = """
WITH narrowed AS (
    SELECT tenant_id, number_hash, inbound_id, n.scope FROM hold h
    JOIN unnest($1::uuid[], $2::uuid[], $3::smallint[]) AS n(tenant_id, inbound_id, scope) USING (tenant_id, inbound_id)
    WHERE h.released_at IS NULL AND n.scope < h.scope
    ORDER BY tenant_id, number_hash, inbound_id FOR NO KEY UPDATE OF h
)
UPDATE hold h SET scope = n.scope FROM narrowed n
WHERE h.tenant_id = n.tenant_id AND h.number_hash = n.number_hash AND h.inbound_id = n.inbound_id
"""


async def narrow_holds(tx: Tx, scopes: Sequence[tuple[UUID, UUID, int]]) -> None:
    """What a hold reaches becomes less, never more."""
    await tx.execute(_NARROW, *map(list, zip(*scopes, strict=True)))


@dataclass(frozen=True, slots=True)
class Barred:
    """Which of some numbers may not be texted: `suppressed` for good, `held` until somebody has decided."""

    suppressed: frozenset[bytes]
    held: frozenset[bytes]


_BARRED: Final = """
SELECT number_hash, true AS suppressed FROM suppression
WHERE tenant_id = $1 AND number_hash = ANY ($2) AND ((suppressed AND scope >= $3) OR erased_at >= $4)
UNION ALL
SELECT number_hash, false FROM hold
WHERE tenant_id = $1 AND number_hash = ANY ($2) AND released_at IS NULL AND scope >= $3
"""


async def barred(tx: Tx, tenant_id: UUID, hashes: list[bytes], scope: int, begun_at: datetime) -> Barred:
    """Which numbers a message of this scope (1 marketing, 2 anything else) of a send begun then may not go to."""
    rows = await tx.fetch(_BARRED, tenant_id, hashes, scope, begun_at)
    return Barred(
        suppressed=frozenset(row["number_hash"] for row in rows if row["suppressed"]),
        held=frozenset(row["number_hash"] for row in rows if not row["suppressed"]),
    )
