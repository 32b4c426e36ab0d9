"""SQL of the laws: what must hold over the whole ledger, and the sums per send that those of others must equal."""

from typing import Any
from uuid import UUID

from muster.kit.pg import Tx

# Each account against its entries: versions without a gap, the last one equal to the account, sums by kind.
_GRANTED = """
WITH said AS (
    SELECT tenant_id, count(*) AS entries, max(account_version) AS last,
        sum(CASE kind WHEN 'top_up' THEN credits WHEN 'reversal' THEN -credits ELSE 0 END) AS granted,
        sum(CASE kind WHEN 'post' THEN credits WHEN 'refund' THEN -credits ELSE 0 END) AS consumed,
        sum(CASE kind WHEN 'pending' THEN credits WHEN 'post' THEN -credits WHEN 'void' THEN -credits ELSE 0 END)
            AS reserved
    FROM entry GROUP BY tenant_id
)
SELECT a.tenant_id, coalesce(said.entries, 0) AS entries,
    a.granted + a.owed = a.available + a.reserved + a.consumed AS conserved,
    coalesce(said.entries, 0) = a.version AND coalesce(said.last, 0) = a.version AS gapless,
    (a.granted, a.reserved, a.consumed) = (coalesce(said.granted, 0), coalesce(said.reserved, 0),
        coalesce(said.consumed, 0)) AS summed,
    e.tenant_id IS NULL AND a.version = 0
        OR (a.granted, a.owed, a.available, a.reserved, a.consumed) = (e.granted_after, e.owed_after,
            e.available_after, e.reserved_after, e.consumed_after) AS last_equal
FROM account a
LEFT JOIN said ON said.tenant_id = a.tenant_id
LEFT JOIN entry e ON e.tenant_id = a.tenant_id AND e.account_version = a.version
"""


async def accounts_with_entries(tx: Tx) -> list[dict[str, Any]]:
    """Each account: how many entries it has, and whether it is conserved, gapless, summed and equal to the last."""
    return [dict(row) for row in await tx.fetch(_GRANTED)]


_BROKEN_BULKS = """
SELECT tenant_id, bulk_id, reserved, used, released, held, refunded, excess FROM reservation
WHERE reserved <> used + released + held OR refunded > used OR excess > 0 OR closed AND held > 0 LIMIT 101
"""
_COUNT_BULKS = "SELECT count(tenant_id) FROM reservation"
_UNEQUAL_ACCOUNTS = """
WITH held AS (
    SELECT tenant_id, sum(held) AS reserved, sum(used - refunded) AS consumed FROM reservation GROUP BY tenant_id
)
SELECT a.tenant_id, a.reserved, a.consumed, coalesce(held.reserved, 0)::bigint AS bulks_reserved,
    coalesce(held.consumed, 0)::bigint AS bulks_consumed
FROM account a LEFT JOIN held ON held.tenant_id = a.tenant_id
WHERE (a.reserved, a.consumed) IS DISTINCT FROM (coalesce(held.reserved, 0), coalesce(held.consumed, 0)) LIMIT 101
"""


async def bulks_checked(tx: Tx) -> tuple[int, list[dict[str, Any]], list[dict[str, Any]]]:
    """How many sends there are, those whose sums do not fit, and accounts that differ from the sums of their sends."""
    count = await tx.fetchval(_COUNT_BULKS)
    broken = await tx.fetch(_BROKEN_BULKS)
    unequal = await tx.fetch(_UNEQUAL_ACCOUNTS)
    return count, [dict(row) for row in broken], [dict(row) for row in unequal]


_ORPHANS = """
SELECT c.tenant_id, c.what FROM (
    SELECT tenant_id, 'entry' AS what FROM entry UNION SELECT tenant_id, 'reservation' FROM reservation
    WHERE answer IS NOT NULL UNION SELECT tenant_id, 'top_up' FROM top_up
) c LEFT JOIN account a ON a.tenant_id = c.tenant_id WHERE a.tenant_id IS NULL LIMIT 101
"""
# A send's id is unique by chance alone: one that two tenants hold has crossed.
_SHARED_BULKS = """
SELECT bulk_id, min(tenant_id::text)::uuid AS tenant_id FROM reservation
GROUP BY bulk_id HAVING count(DISTINCT tenant_id) > 1 LIMIT 101
"""
_FOREIGN_ENTRIES = """
SELECT e.tenant_id, e.bulk_id FROM entry e
LEFT JOIN reservation r ON r.tenant_id = e.tenant_id AND r.bulk_id = e.bulk_id
WHERE e.bulk_id IS NOT NULL AND r.tenant_id IS NULL LIMIT 101
"""
_COUNT_ROWS = """
SELECT (SELECT count(tenant_id) FROM account) + (SELECT count(tenant_id) FROM entry)
    + (SELECT count(tenant_id) FROM reservation)
"""


async def rows_crossing(tx: Tx) -> tuple[int, list[dict[str, Any]]]:
    """How many rows there are, and those whose tenant is not that of what they belong to."""
    count = await tx.fetchval(_COUNT_ROWS)
    found = [{**row, "bulk_id": None} for row in await tx.fetch(_ORPHANS)]
    found += [{**row, "what": "reservation"} for row in await tx.fetch(_SHARED_BULKS)]
    found += [{**row, "what": "entry"} for row in await tx.fetch(_FOREIGN_ENTRIES)]
    return count, found


_BULKS = """
SELECT tenant_id, bulk_id, reserved, used, released, held, refunded, closed, version FROM reservation
WHERE $1::uuid IS NULL OR (tenant_id, bulk_id) > ($1, $2) ORDER BY tenant_id, bulk_id LIMIT $3
"""


async def bulks(tx: Tx, after: tuple[UUID, UUID] | None, limit: int) -> list[dict[str, Any]]:
    """The sums of each send of all tenants, by (tenant id, bulk id) after `after`."""
    tenant_id, bulk_id = after or (None, None)
    return [dict(row) for row in await tx.fetch(_BULKS, tenant_id, bulk_id, limit)]
