"""Customers who are archived, and those who were merged into others."""

from typing import Final
from uuid import UUID

from muster.customer.domain.merging import MERGED_MAX
from muster.customer.store import lists
from muster.kit.pg import Tx

_ALONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended('merge/' || $1::uuid::text, 0))"
_LOCK_BOTH: Final = """
SELECT FROM customer WHERE tenant_id = $1 AND (customer_id = ANY($2::bigint[]) OR merged_into = ANY($2::bigint[]))
ORDER BY customer_id FOR UPDATE
"""


async def alone(tx: Tx, tenant_id: UUID) -> None:
    """Let a business merge one pair at a time, so that nobody else is merged into the two of them meanwhile."""
    await tx.execute(_ALONE, tenant_id)


async def lock_both(tx: Tx, tenant_id: UUID, one: int, other: int) -> None:
    """Lock two customers, and those who were merged into them, in the order in which everybody does."""
    await tx.execute(_LOCK_BOTH, tenant_id, [one, other])


_ARCHIVE: Final = """
UPDATE customer SET archived_at = kit_now(), changed_at = kit_now(), version = version + 1
WHERE tenant_id = $1 AND customer_id = $2
"""


async def archive(tx: Tx, tenant_id: UUID, customer_id: int) -> None:
    """Let nobody text a customer, nor find them who does not ask for the archive."""
    await tx.execute(_ARCHIVE, tenant_id, customer_id)


_UNARCHIVE: Final = """
UPDATE customer SET archived_at = NULL, changed_at = kit_now(), version = version + 1,
    joined_at = kit_now(), joined_xid = pg_current_xact_id()
WHERE tenant_id = $1 AND customer_id = $2
"""


async def unarchive(tx: Tx, tenant_id: UUID, customer_id: int) -> None:
    """Take a customer back: they may be texted from now on, if they allow it, and by no quote of before."""
    await tx.execute(_UNARCHIVE, tenant_id, customer_id)


# Both customers are locked, and whoever writes of their numbers' consent locks them first.
_MOVE: Final = """
INSERT INTO number_consent (tenant_id, customer_id, number_hash, kind, given_at)
SELECT n.tenant_id, $3, n.number_hash, n.kind, n.given_at
FROM number_consent n JOIN customer k ON k.tenant_id = $1 AND k.customer_id = $3
-- Who has withdrawn consent for all numbers has for those that come to them.
WHERE n.tenant_id = $1 AND n.customer_id = $2 AND (k.consent <> 'withdrawn' OR n.kind = 'withdrawn')
ORDER BY n.number_hash
ON CONFLICT (tenant_id, customer_id, number_hash) DO UPDATE SET kind = excluded.kind, given_at = excluded.given_at
    WHERE number_consent.kind <> 'withdrawn' AND (excluded.kind = 'withdrawn' OR excluded.kind = 'none')
"""
_GONE: Final = """
UPDATE customer SET merged_into = $3, archived_at = coalesce(archived_at, kit_now()), changed_at = kit_now(),
    version = version + 1
WHERE tenant_id = $1 AND customer_id IN (
    SELECT customer_id FROM customer WHERE tenant_id = $1 AND (customer_id = $2 OR merged_into = $2)
    ORDER BY customer_id FOR NO KEY UPDATE)
"""


async def move(tx: Tx, tenant_id: UUID, gone: int, kept: int) -> None:
    """Let a customer be another one from now on: what was said of their numbers is said of the other's, the other is on
    their lists, and who was merged into them before is the other too. Their own numbers must be stored with the other
    by the caller."""
    await tx.execute(_MOVE, tenant_id, gone, kept)
    await lists.move(tx, tenant_id, gone, kept)
    for table in ("number_consent", "customer_number", "customer_other_number"):
        await tx.execute(_FORGET.format(table=table), tenant_id, gone)
    await tx.execute(_GONE, tenant_id, gone, kept)


_FORGET: Final = "DELETE FROM {table} WHERE tenant_id = $1 AND customer_id = $2"


_MERGED: Final = """
SELECT customer_id FROM customer WHERE tenant_id = $1 AND merged_into = $2
UNION SELECT customer_id FROM merged_customer WHERE tenant_id = $1 AND merged_into = $2
ORDER BY 1 LIMIT $3
"""


async def merged_into(tx: Tx, tenant_id: UUID, customer_id: int, limit: int = MERGED_MAX) -> list[int]:
    """Those who are this customer now, the oldest first, also where both were removed since: what was said, changed and
    sent before that is kept under their ids. No more than MERGED_MAX are merged into one."""
    return [row["customer_id"] for row in await tx.fetch(_MERGED, tenant_id, customer_id, limit)]
