"""SQL of transfers, and of the caps of an account."""

from collections.abc import Collection
from uuid import UUID

from muster.credit.domain.transfers import Transfer, Transferred
from muster.kit.pg import Tx

_ADD = """
INSERT INTO transfer (tenant_id, transfer_id, from_tenant, to_tenant, credits, reason, actor, from_available,
    to_available)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


async def add(tx: Tx, tenant_id: UUID, made: Transferred) -> None:
    """A transfer that this tenant asked for."""
    one = made.transfer
    told = (one.transfer_id, one.from_tenant, one.to_tenant, one.credits, one.reason, one.actor)
    await tx.execute(_ADD, tenant_id, *told, made.from_available, made.to_available)


_FIND = """
SELECT from_tenant, to_tenant, credits, reason, actor, from_available, to_available FROM transfer
WHERE tenant_id = $1 AND transfer_id = $2
"""


async def find(tx: Tx, tenant_id: UUID, transfer_id: UUID) -> Transferred | None:
    """A transfer that this tenant asked for before; ask only with `lock` held."""
    row = await tx.fetchrow(_FIND, tenant_id, transfer_id)
    if row is None:
        return None
    told = (row["from_tenant"], row["to_tenant"], row["credits"], row["reason"], row["actor"])
    return Transferred(Transfer(tenant_id, transfer_id, *told), row["from_available"], row["to_available"])


# Before the accounts' locks everywhere: the same transfer, asked for twice at once, waits here.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('transfer/' || $1::uuid || '/' || $2::uuid, 0))"


async def lock(tx: Tx, tenant_id: UUID, transfer_id: UUID) -> None:
    """Nobody else makes this transfer until the transaction ends."""
    await tx.execute(_LOCK, tenant_id, transfer_id)


_SAVE_CAPS = "UPDATE account SET cap_daily = $2, cap_monthly = $3 WHERE tenant_id = $1"


async def save_caps(tx: Tx, tenant_id: UUID, daily: int | None, monthly: int | None) -> None:
    """The caps of an account, which must be locked."""
    await tx.execute(_SAVE_CAPS, tenant_id, daily, monthly)


_KNOWN = "SELECT tenant_id FROM account WHERE tenant_id = ANY($1::uuid[])"


async def known(tx: Tx, tenant_ids: Collection[UUID]) -> set[UUID]:
    """Those of these tenants who have an account, as the worker."""
    return {row["tenant_id"] for row in await tx.fetch(_KNOWN, list(tenant_ids))}
