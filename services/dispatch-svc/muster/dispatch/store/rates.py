"""What tenants may write a second, over all carriers and senders: a row for each that has a rate, and what it saved up.

Who commits intents locks the rows of its tenants before anything else but their advisory locks, and takes from them in
the same transaction: so no two senders spend the same part, and what was not committed was not spent.
"""

from collections.abc import Collection, Mapping
from typing import Final
from uuid import UUID

from muster.kit.pg import Tx

_LOCK: Final = """
SELECT tenant_id, floor(parts_saved(saved, parts_per_second, at))::int AS parts FROM tenant_rate
WHERE tenant_id = ANY ($1) ORDER BY tenant_id FOR UPDATE
"""


async def lock(tx: Tx, tenants: Collection[UUID]) -> dict[UUID, int]:
    """How many parts may be written now for those of these tenants that have a rate; below 1 for none."""
    if not tenants:
        return {}
    return {row["tenant_id"]: row["parts"] for row in await tx.fetch(_LOCK, list(tenants))}


# Of takers those of late are enough.
# allow ordered-locks: _LOCK has locked them, in order
_SPEND: Final = """
UPDATE tenant_rate r SET saved = parts_saved(r.saved, r.parts_per_second, r.at) - n.parts, at = kit_now(),
    takers = (array_remove(r.takers, $3) || $3)[greatest(1, cardinality(array_remove(r.takers, $3)) - 6):]
FROM unnest($1::uuid[], $2::int[]) AS n(tenant_id, parts) WHERE r.tenant_id = n.tenant_id
"""


async def spend(tx: Tx, account: str, parts: Mapping[UUID, int]) -> None:
    """So many are going to be written by this account for these tenants, whose rows this transaction has locked."""
    if parts:
        await tx.execute(_SPEND, list(parts), list(parts.values()), account)


# allow tenant-in-tenant-sql: for the promised finish, all that have one
_EVERY: Final = "SELECT tenant_id, parts_per_second FROM tenant_rate"


async def every(tx: Tx) -> dict[UUID, float]:
    """The rates of all tenants that have one, in parts a second."""
    return {row["tenant_id"]: row["parts_per_second"] for row in await tx.fetch(_EVERY)}


# What was saved up by the old rate stays, as far as the new one lets it.
_CHANGE: Final = """
INSERT INTO tenant_rate AS r (tenant_id, parts_per_second, saved, at)
SELECT tenant_id, parts, parts, kit_now() FROM unnest($1::uuid[], $2::int[]) AS n(tenant_id, parts)
WHERE parts > 0 ORDER BY tenant_id
ON CONFLICT (tenant_id) DO UPDATE SET parts_per_second = EXCLUDED.parts_per_second, at = EXCLUDED.at,
    saved = least(parts_saved(r.saved, r.parts_per_second, r.at), EXCLUDED.saved)
WHERE r.parts_per_second <> EXCLUDED.parts_per_second
"""
_LIFT: Final = """
DELETE FROM tenant_rate WHERE tenant_id IN (
    SELECT tenant_id FROM tenant_rate WHERE tenant_id = ANY ($1) ORDER BY tenant_id FOR UPDATE)
"""


async def change(tx: Tx, rates: Mapping[UUID, int]) -> None:
    """From now on these tenants have these rates; 0 for none."""
    await tx.execute(_CHANGE, list(rates), list(rates.values()))
    if lifted := [tenant_id for tenant_id, rate in rates.items() if not rate]:
        await tx.execute(_LIFT, lifted)
