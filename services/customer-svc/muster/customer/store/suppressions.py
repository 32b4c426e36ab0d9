"""Suppressions: the state of each number, and every version of it."""

from collections.abc import Sequence
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


# A number that nothing was said of yet has no row to lock: the advisory lock keeps two first words apart. All that
# change single numbers share the tenant's; who changes thousands at once takes that alone.
_LOCK = """
SELECT pg_advisory_xact_lock_shared(hashtextextended('suppressions/' || $1::text, 0)),
    pg_advisory_xact_lock(hashtextextended($1::text || encode($2::bytea, 'hex'), 0))
"""
_LOCK_ALL = "SELECT pg_advisory_xact_lock(hashtextextended('suppressions/' || $1::text, 0))"
_STATE = """
SELECT s.version, s.suppressed, s.scope, coalesce(own.source, v.source) AS source,
    coalesce(v.given_at, v.changed_at) AS since
FROM suppression s JOIN suppression_version v USING (tenant_id, number_hash, version)
    -- What the person has asked for since it was lifted last is not forgotten when somebody enters the number too.
    LEFT JOIN LATERAL (
        SELECT o.source FROM suppression_version o
        WHERE o.tenant_id = s.tenant_id AND o.number_hash = s.number_hash AND o.suppressed
            AND o.source NOT IN ('person', 'upload') AND o.version > (
                SELECT coalesce(max(l.version), 0) FROM suppression_version l
                WHERE l.tenant_id = s.tenant_id AND l.number_hash = s.number_hash AND NOT l.suppressed)
        ORDER BY o.version DESC LIMIT 1) own ON true
WHERE s.tenant_id = $1 AND s.number_hash = $2
"""
_CURRENT = "SELECT suppressed, scope FROM suppression WHERE tenant_id = $1 AND number_hash = $2"


async def lock_suppression(tx: Tx, tenant_id: UUID, number_hash: bytes) -> Suppression:
    """The state of a number, for a change. Who changes several locks them in the order of their hashes."""
    await tx.execute(_LOCK, str(tenant_id), number_hash)
    row = await tx.fetchrow(_STATE, tenant_id, number_hash)
    return Suppression(**{**row, "scope": Scope(row["scope"])}) if row else Suppression()


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
                                 changed_by, given_at, wording, address, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, kit_now())
RETURNING number_hash, version, suppressed, scope, source, inbound_id, changed_at
"""


async def save_suppression(tx: Tx, tenant_id: UUID, number_hash: bytes, after: Suppression, wish: Wish) -> Version:
    """Store the next version of a number; the primary key refuses a second one with the same number."""
    row = await tx.fetchrow(
        _SAVE,
        *(tenant_id, number_hash, after.version, after.suppressed, int(after.scope)),
        *(wish.source, wish.inbound_id, wish.reason, wish.by, wish.given_at, wish.wording, wish.address),
    )
    assert row is not None
    return _version(row)


# Who asked for all or nothing keeps it where a narrower wish comes later.
_SUPPRESS_ALL = """
WITH changed AS (
    INSERT INTO suppression (tenant_id, number_hash, version, suppressed, scope, changed_at)
    SELECT DISTINCT $1::uuid, h, 1, true, $3::smallint, kit_now() FROM unnest($2::bytea[]) h ORDER BY h
    ON CONFLICT (tenant_id, number_hash) DO UPDATE SET version = suppression.version + 1, suppressed = true,
        scope = excluded.scope, changed_at = kit_now()
    WHERE NOT suppression.suppressed OR suppression.scope < excluded.scope
    RETURNING number_hash, version, scope
)
INSERT INTO suppression_version (tenant_id, number_hash, version, suppressed, scope, source, reason, changed_by,
                                 given_at, wording, address, changed_at)
SELECT $1, number_hash, version, true, scope, $4, $5, $6, $7, $8, $9, kit_now() FROM changed
RETURNING number_hash, version, suppressed, scope, source, inbound_id, changed_at
"""


async def lock_all(tx: Tx, tenant_id: UUID) -> None:
    """Let nobody else change a suppression of the tenant until the transaction ends. Who changes customers too does
    this first: locks of numbers are taken before those of customers."""
    await tx.execute(_LOCK_ALL, str(tenant_id))


async def suppress_all(tx: Tx, tenant_id: UUID, hashes: Sequence[bytes], wish: Wish) -> list[Version]:
    """Suppress these numbers; the new versions of those that were not, or not as widely."""
    await lock_all(tx, tenant_id)
    told = (wish.source, wish.reason, wish.by, wish.given_at, wish.wording, wish.address)
    return [_version(row) for row in await tx.fetch(_SUPPRESS_ALL, tenant_id, list(hashes), int(wish.scope), *told)]


_PAGE = """
SELECT s.number_hash, s.version, s.scope, s.changed_at, v.source, v.reason, n.number, n.country, n.customer_id
FROM suppression s
    JOIN suppression_version v ON v.tenant_id = s.tenant_id AND v.number_hash = s.number_hash AND v.version = s.version
    LEFT JOIN LATERAL (SELECT number, country, customer_id FROM customer_number c
        WHERE c.tenant_id = s.tenant_id AND c.number_hash = s.number_hash ORDER BY customer_id LIMIT 1) n ON true
WHERE s.tenant_id = $1 AND s.suppressed AND ($2::bytea IS NULL OR s.number_hash > $2)
    AND ($4::bytea IS NULL OR s.number_hash = $4)
ORDER BY s.number_hash LIMIT $3
"""


async def page_of_suppressions(
    tx: Tx, tenant_id: UUID, after: bytes | None, limit: int, only: bytes | None = None
) -> list[Record]:
    """Numbers that are suppressed now (or one of them), with the oldest customer who has them."""
    return await tx.fetch(_PAGE, tenant_id, after, limit, only)


_VERSIONS = """
SELECT version, suppressed, scope, source, inbound_id, reason, wording, given_at, address, changed_by, changed_at
FROM suppression_version WHERE tenant_id = $1 AND number_hash = $2 AND version > $3 ORDER BY version LIMIT $4
"""


async def page_of_versions(tx: Tx, tenant_id: UUID, number_hash: bytes, after: int, limit: int) -> list[Record]:
    """All that was ever said of a number."""
    return await tx.fetch(_VERSIONS, tenant_id, number_hash, after, limit)


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
