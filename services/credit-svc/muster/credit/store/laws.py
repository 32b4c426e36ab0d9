"""SQL of the laws: what must hold over the whole ledger, and the sums per send that those of others must equal."""

from typing import Any, Final
from uuid import UUID

from muster.kit.pg import Record, Tx
from muster.laws.ledger import Account, Send, Statement, Transfer, Wallet
from muster.laws.system import Reference

# Each account, its entries added up, and what the last of them left behind.
_ACCOUNTS: Final = """
WITH said AS (
    SELECT tenant_id, count(*) AS lines, max(account_version) AS last,
        sum(CASE kind WHEN 'top_up' THEN credits WHEN 'transfer_in' THEN credits
            WHEN 'reversal' THEN -credits WHEN 'transfer_out' THEN -credits ELSE 0 END) AS granted,
        sum(CASE kind WHEN 'post' THEN credits WHEN 'refund' THEN -credits ELSE 0 END) AS consumed,
        sum(CASE kind WHEN 'pending' THEN credits WHEN 'post' THEN -credits WHEN 'void' THEN -credits ELSE 0 END)
            AS reserved
    FROM entry GROUP BY tenant_id
)
SELECT a.tenant_id, a.granted, a.owed, a.available, a.reserved, a.consumed, a.version, coalesce(said.lines, 0) AS lines,
    coalesce(said.last, 0) AS last_version, coalesce(said.granted, 0)::bigint AS said_granted,
    coalesce(said.reserved, 0)::bigint AS said_reserved, coalesce(said.consumed, 0)::bigint AS said_consumed,
    e.granted_after, e.owed_after, e.available_after, e.reserved_after, e.consumed_after, e.account_version
FROM account a
LEFT JOIN said ON said.tenant_id = a.tenant_id
LEFT JOIN entry e ON e.tenant_id = a.tenant_id AND e.account_version = said.last
"""


async def accounts(tx: Tx) -> list[tuple[Account, Statement]]:
    """Each account beside what its entries come to."""
    return [(_account(row), _statement(row)) for row in await tx.fetch(_ACCOUNTS)]


def _account(row: Record) -> Account:
    return Account(*(row[name] for name in Account.__slots__))


def _statement(row: Record) -> Statement:
    after = ("granted_after", "owed_after", "available_after", "reserved_after", "consumed_after", "account_version")
    return Statement(
        lines=row["lines"],
        last_version=row["last_version"],
        granted=row["said_granted"],
        reserved=row["said_reserved"],
        consumed=row["said_consumed"],
        left=Account(row["tenant_id"], *(row[name] for name in after)) if row["account_version"] else None,
    )


# Both lines of a transfer refer to it; a line that refers to none is unlike too.
_TRANSFERS: Final = """
WITH said AS (
    SELECT reference, min(tenant_id::text)::uuid AS tenant_id,
        sum(credits) FILTER (WHERE kind = 'transfer_out') AS gone,
        sum(credits) FILTER (WHERE kind = 'transfer_in') AS come
    FROM entry WHERE kind IN ('transfer_out', 'transfer_in') GROUP BY reference
)
SELECT coalesce(t.from_tenant, said.tenant_id) AS tenant_id, coalesce(t.credits, 0) AS credits,
    coalesce(said.gone, 0)::bigint AS gone, coalesce(said.come, 0)::bigint AS come
FROM transfer t FULL JOIN said ON said.reference = t.transfer_id::text
WHERE (t.credits, t.credits) IS DISTINCT FROM (said.gone, said.come) LIMIT 101
"""
_COUNT_TRANSFERS: Final = "SELECT count(tenant_id) FROM transfer"


async def transfers_unlike(tx: Tx) -> tuple[int, list[Transfer]]:
    """How many transfers there are, and those whose two sides do not fit."""
    count = await tx.fetchval(_COUNT_TRANSFERS)
    return count, [Transfer(**row) for row in await tx.fetch(_TRANSFERS)]


# The sends that law 2 has something to say about: a test holds this against the law.
UNLIKE: Final = """
reserved <> used + released + held OR least(reserved, used, released, held, refunded) < 0
    OR refunded > used OR excess > 0 OR closed AND held <> 0
"""
_SENDS: Final = f"""
SELECT tenant_id, bulk_id, reserved, used, released, held, refunded, excess, closed FROM reservation
WHERE {UNLIKE} LIMIT 101
"""  # noqa: S608 - the condition is the constant above
_COUNT_SENDS: Final = "SELECT count(tenant_id) FROM reservation"


async def sends_unlike(tx: Tx) -> tuple[int, list[Send]]:
    """How many sends there are, and those whose sums do not fit."""
    count = await tx.fetchval(_COUNT_SENDS)
    return count, [Send(**row) for row in await tx.fetch(_SENDS)]


_WALLETS: Final = """
WITH sends AS (
    SELECT tenant_id, sum(held) AS held, sum(used - refunded) AS consumed FROM reservation GROUP BY tenant_id
)
SELECT a.tenant_id, a.reserved, a.consumed, coalesce(sends.held, 0)::bigint AS sends_held,
    coalesce(sends.consumed, 0)::bigint AS sends_consumed
FROM account a LEFT JOIN sends ON sends.tenant_id = a.tenant_id
WHERE (a.reserved, a.consumed) IS DISTINCT FROM (coalesce(sends.held, 0), coalesce(sends.consumed, 0)) LIMIT 101
"""


async def wallets_unlike(tx: Tx) -> list[Wallet]:
    """Accounts that differ from the sums of their sends."""
    return [Wallet(**row) for row in await tx.fetch(_WALLETS)]


_ORPHANS: Final = """
SELECT c.tenant_id, c.what FROM (
    SELECT tenant_id, 'entry' AS what FROM entry UNION SELECT tenant_id, 'reservation' FROM reservation
    WHERE answer IS NOT NULL UNION SELECT tenant_id, 'top_up' FROM top_up
) c LEFT JOIN account a ON a.tenant_id = c.tenant_id WHERE a.tenant_id IS NULL LIMIT 101
"""
# A send's id is unique by chance alone: one that two tenants hold has crossed.
_SHARED: Final = """
SELECT bulk_id, min(tenant_id::text)::uuid AS tenant_id, max(tenant_id::text)::uuid AS owner, 'reservation' AS what
FROM reservation GROUP BY bulk_id HAVING count(DISTINCT tenant_id) > 1 LIMIT 101
"""
_FOREIGN: Final = """
SELECT e.tenant_id, e.bulk_id, 'entry' AS what FROM entry e
LEFT JOIN reservation r ON r.tenant_id = e.tenant_id AND r.bulk_id = e.bulk_id
WHERE e.bulk_id IS NOT NULL AND r.tenant_id IS NULL LIMIT 101
"""
_COUNT_ROWS: Final = """
SELECT (SELECT count(tenant_id) FROM account) + (SELECT count(tenant_id) FROM entry)
    + (SELECT count(tenant_id) FROM reservation)
"""


async def rows_crossing(tx: Tx) -> tuple[int, list[Reference]]:
    """How many rows there are, and those whose tenant is not that of what they belong to."""
    found = [Reference(**row) for sql in (_ORPHANS, _SHARED, _FOREIGN) for row in await tx.fetch(sql)]
    return await tx.fetchval(_COUNT_ROWS), found


_BULKS = """
SELECT tenant_id, bulk_id, reserved, used, released, held, refunded, closed, version FROM reservation
WHERE $1::uuid IS NULL OR (tenant_id, bulk_id) > ($1, $2) ORDER BY tenant_id, bulk_id LIMIT $3
"""


async def bulks(tx: Tx, after: tuple[UUID, UUID] | None, limit: int) -> list[dict[str, Any]]:
    """The sums of each send of all tenants, by (tenant id, bulk id) after `after`."""
    tenant_id, bulk_id = after or (None, None)
    return [dict(row) for row in await tx.fetch(_BULKS, tenant_id, bulk_id, limit)]
