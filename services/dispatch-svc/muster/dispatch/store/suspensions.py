"""Tenants that nothing is sent for, and the platform itself, which is the nil tenant.

Who claims or intends shares the advisory locks of its tenants and of the platform, so that whoever suspends one waits
for those under way, and all that come later see it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from muster.dispatch.store.suppressions import lock_tenants
from muster.events import NIL_TENANT
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class Suspension:
    """Whether a tenant (the nil tenant: the platform) is suspended, since when, why and by whom."""

    tenant_id: UUID
    version: int
    suspended: bool
    reason: str
    user_id: str
    changed_at: datetime


async def lock(tx: Tx, tenant_id: UUID) -> None:
    """Claims and intents that are under way are waited for; later ones wait, and see what is changed here."""
    await lock_tenants(tx, {tenant_id})


_FIND: Final = "SELECT * FROM suspension WHERE tenant_id = $1"


async def find(tx: Tx, tenant_id: UUID) -> Suspension | None:
    """How it stands; None if it was never suspended."""
    row = await tx.fetchrow(_FIND, tenant_id)
    return Suspension(**dict(row)) if row else None


_SAVE: Final = """
INSERT INTO suspension AS s (tenant_id, version, suspended, reason, user_id) VALUES ($1, 1, $2, $3, $4)
ON CONFLICT (tenant_id) DO UPDATE SET version = s.version + 1, suspended = EXCLUDED.suspended,
    reason = EXCLUDED.reason, user_id = EXCLUDED.user_id, changed_at = kit_now()
RETURNING *
"""


async def save(tx: Tx, tenant_id: UUID, *, suspended: bool, reason: str, user_id: str) -> Suspension:
    """Suspend a tenant, or lift it; it must be locked."""
    row = await tx.fetchrow(_SAVE, tenant_id, suspended, reason, user_id)
    assert row is not None
    return Suspension(**dict(row))


# allow tenant-in-tenant-sql: for the operator, all tenants that are suspended
_NOW: Final = "SELECT * FROM suspension WHERE suspended AND tenant_id > $1 ORDER BY tenant_id LIMIT $2"
# allow tenant-in-tenant-sql: for the operator, and to say them again, all that ever were
_EVER: Final = "SELECT * FROM suspension WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2"


async def suspended(tx: Tx, after: UUID, limit: int) -> list[Suspension]:
    """Who is suspended, by tenant, as the worker. The platform is not among them."""
    return _all(await tx.fetch(_NOW, after, limit))


async def ever(tx: Tx, after: UUID, limit: int) -> list[Suspension]:
    """All that were ever said, by tenant, as the worker; not the platform."""
    return _all(await tx.fetch(_EVER, after, limit))


def _all(rows: Sequence[Record]) -> list[Suspension]:
    return [Suspension(**dict(row)) for row in rows]


# allow tenant-in-tenant-sql: the operator stops all of them
_LEASED: Final = """
SELECT EXISTS (SELECT FROM attempt WHERE state = 1 AND (tenant_id = $1 OR $2))
"""


async def has_leased(tx: Tx, tenant_id: UUID) -> bool:
    """Whether some sender holds anything of a tenant, or of anybody for the platform, as the worker."""
    found: bool = await tx.fetchval(_LEASED, tenant_id, tenant_id == NIL_TENANT)
    return found


# allow tenant-in-tenant-sql: a gauge of the platform
_COUNT: Final = """
SELECT count(*) FILTER (WHERE tenant_id <> $1) AS tenants, count(*) FILTER (WHERE tenant_id = $1) AS platform
FROM suspension WHERE suspended
"""


async def count(tx: Tx) -> tuple[int, int]:
    """(suspended tenants, 1 if the platform is stopped), as the worker."""
    row = await tx.fetchrow(_COUNT, NIL_TENANT)
    assert row is not None
    return row["tenants"], row["platform"]


_KNOWN: Final = "SELECT EXISTS (SELECT FROM tenant WHERE tenant_id = $1)"


async def is_known(tx: Tx, tenant_id: UUID) -> bool:
    """Whether such a tenant was heard of."""
    found: bool = await tx.fetchval(_KNOWN, tenant_id)
    return found
