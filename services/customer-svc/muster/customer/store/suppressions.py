"""Suppressions: the state of each number, and every version of it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from muster.customer.domain.suppression import Scope, Suppression, Wish
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a number's suppression, as it is told to others."""

    number_hash: bytes
    version: int
    suppressed: bool
    scope: Scope
    source: str
    inbound_id: str
    changed_at: datetime


# A number that nothing was said of yet has no row to lock: the advisory lock keeps two first words apart.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1::text || encode($2::bytea, 'hex'), 0))"
_CURRENT = "SELECT version, suppressed, scope FROM suppression WHERE tenant_id = $1 AND number_hash = $2"


async def lock_suppression(tx: Tx, tenant_id: UUID, number_hash: bytes) -> Suppression:
    """The state of a number, for a change."""
    await tx.execute(_LOCK, str(tenant_id), number_hash)
    row = await tx.fetchrow(_CURRENT, tenant_id, number_hash)
    return Suppression(row["version"], row["suppressed"], Scope(row["scope"])) if row else Suppression()


async def is_suppressed(tx: Tx, tenant_id: UUID, number_hash: bytes, *, marketing: bool) -> bool:
    """Whether a message of this kind may not go to the number."""
    row = await tx.fetchrow(_CURRENT, tenant_id, number_hash)
    return row is not None and row["suppressed"] and (marketing or row["scope"] == Scope.ALL)


_VERSION = "number_hash, version, suppressed, scope, source, inbound_id, changed_at"
_BY_INBOUND = f"SELECT {_VERSION} FROM suppression_version WHERE tenant_id = $1 AND inbound_id = $2"  # noqa: S608


async def version_of_inbound(tx: Tx, tenant_id: UUID, inbound_id: str) -> Version | None:
    """The version that an inbound message has made already."""
    row = await tx.fetchrow(_BY_INBOUND, tenant_id, inbound_id)
    return _version(row) if row else None


_SAVE = """
WITH kept AS (
    INSERT INTO suppression (tenant_id, number_hash, version, suppressed, scope, changed_at)
    VALUES ($1, $2, $3, $4, $5, kit_now())
    ON CONFLICT (tenant_id, number_hash) DO UPDATE
        SET version = $3, suppressed = $4, scope = $5, changed_at = kit_now() WHERE suppression.version = $3 - 1
)
INSERT INTO suppression_version (tenant_id, number_hash, version, suppressed, scope, source, inbound_id, reason,
                                 changed_by, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, kit_now())
RETURNING number_hash, version, suppressed, scope, source, inbound_id, changed_at
"""


async def save_suppression(tx: Tx, tenant_id: UUID, number_hash: bytes, after: Suppression, wish: Wish) -> Version:
    """Store the next version of a number; the primary key refuses a second one with the same number."""
    row = await tx.fetchrow(
        _SAVE,
        *(tenant_id, number_hash, after.version, after.suppressed, int(after.scope)),
        *(wish.source, wish.inbound_id, wish.reason, wish.by),
    )
    assert row is not None
    return _version(row)


_PAGE = """
SELECT s.number_hash, s.version, s.scope, s.changed_at, v.source, v.reason, n.number, n.country, n.customer_id
FROM suppression s
    JOIN suppression_version v ON v.tenant_id = s.tenant_id AND v.number_hash = s.number_hash AND v.version = s.version
    LEFT JOIN LATERAL (SELECT number, country, customer_id FROM customer_number c
        WHERE c.tenant_id = s.tenant_id AND c.number_hash = s.number_hash ORDER BY customer_id LIMIT 1) n ON true
WHERE s.tenant_id = $1 AND s.suppressed AND ($2::bytea IS NULL OR s.number_hash > $2)
ORDER BY s.number_hash LIMIT $3
"""


async def page_of_suppressions(tx: Tx, tenant_id: UUID, after: bytes | None, limit: int) -> list[Record]:
    """Numbers that are suppressed now, with the oldest customer who has them."""
    return await tx.fetch(_PAGE, tenant_id, after, limit)


_RECENT = """
SELECT s.tenant_id, v.number_hash, v.version, v.suppressed, v.scope, v.source, v.inbound_id, v.changed_at
FROM suppression_version v JOIN suppression s USING (tenant_id, number_hash, version)
WHERE v.changed_at > kit_now() - make_interval(mins => $1) ORDER BY v.changed_at LIMIT $2
"""


async def recent_versions(tx: Tx, minutes: int, limit: int) -> list[tuple[UUID, Version]]:
    """Current versions that changed within the last minutes, of all tenants (worker)."""
    return [(row["tenant_id"], _version(row)) for row in await tx.fetch(_RECENT, minutes, limit)]


def _version(row: Record) -> Version:
    return Version(
        row["number_hash"],
        row["version"],
        row["suppressed"],
        Scope(row["scope"]),
        row["source"],
        row["inbound_id"],
        row["changed_at"],
    )
