"""SQL of what happens when credits run low: thresholds, and the charges of automatic top-ups."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from muster.credit.domain.watch import Wanted, Watch
from muster.kit.pg import Tx

_WATCHES = """
SELECT tenant_id, alert_below, alert_armed, top_up_below, top_up_armed, amount, currency, monthly_max FROM watch
WHERE tenant_id = ANY($1::uuid[]) AND (alert_below IS NOT NULL OR top_up_below IS NOT NULL)
"""


async def watches(tx: Tx, tenant_ids: Collection[UUID]) -> dict[UUID, Watch]:
    """The thresholds of those of these tenants who have any; ask only with their accounts locked."""
    return {row["tenant_id"]: Watch(**row) for row in await tx.fetch(_WATCHES, list(tenant_ids))}


# allow ordered-locks: whoever changes what is watched of an account holds the account
_SAVE_ARMED = """
UPDATE watch w SET alert_armed = v.alert_armed, top_up_armed = v.top_up_armed
FROM unnest($1::uuid[], $2::boolean[], $3::boolean[]) AS v (tenant_id, alert_armed, top_up_armed)
WHERE w.tenant_id = v.tenant_id
"""


async def save_armed(tx: Tx, changed: Iterable[Watch]) -> None:
    """Which thresholds are armed."""
    rows = [(one.tenant_id, one.alert_armed, one.top_up_armed) for one in changed]
    if rows:
        await tx.execute(_SAVE_ARMED, *(list(column) for column in zip(*rows, strict=True)))


_SAVE = """
INSERT INTO watch (tenant_id, alert_below, alert_armed, top_up_below, top_up_armed, amount, currency, monthly_max)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (tenant_id) DO UPDATE SET alert_below = $2, alert_armed = $3, top_up_below = $4, top_up_armed = $5,
    amount = $6, currency = $7, monthly_max = $8
"""


async def save(tx: Tx, tenant_id: UUID, one: Watch) -> None:
    """What a tenant wants from now on; its account must be locked."""
    armed = (one.alert_below, one.alert_armed, one.top_up_below, one.top_up_armed)
    await tx.execute(_SAVE, tenant_id, *armed, one.amount, one.currency, one.monthly_max)


# What may still be paid counts: only a charge that failed gives its money back to the month.
_CHARGED = """
SELECT coalesce(sum(amount), 0)::bigint FROM charge WHERE tenant_id = $1 AND month = $2 AND currency = $3
    AND state <> 'failed'
"""


async def charged(tx: Tx, tenant_id: UUID, month: str, currency: str) -> int:
    """Minor units of a currency charged in a month, or about to be; ask only with the account locked."""
    total: int = await tx.fetchval(_CHARGED, tenant_id, month, currency)
    return total


_INTEND = """
INSERT INTO charge (tenant_id, charge_id, account_version, amount, currency, month) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant_id, charge_id) DO NOTHING
"""


async def intend(tx: Tx, tenant_id: UUID, wanted: Wanted) -> None:
    """A charge is to be made; before this is committed nobody asks the provider."""
    told = (wanted.charge_id, wanted.account_version, wanted.amount, wanted.currency, wanted.month)
    await tx.execute(_INTEND, tenant_id, *told)


@dataclass(frozen=True, slots=True)
class Due:
    """A charge whose outcome is not known: to be asked for, again with the same key. `age_s` since it was intended."""

    tenant_id: UUID
    charge_id: UUID
    amount: int
    currency: str
    attempts: int
    age_s: float


# A lease is a later due_at: who takes a charge and dies leaves it to the next after that.
_LEASE = """
WITH due AS (
    SELECT tenant_id, charge_id FROM charge WHERE state = 'intended' AND due_at <= kit_now()
    ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE charge c SET attempts = c.attempts + 1, due_at = kit_now() + make_interval(secs => $2)
FROM due WHERE c.tenant_id = due.tenant_id AND c.charge_id = due.charge_id
RETURNING c.tenant_id, c.charge_id, c.amount, c.currency, c.attempts,
    extract(epoch FROM kit_now() - c.intended_at)::float8 AS age_s
"""


async def lease(tx: Tx, limit: int, lease_s: float) -> list[Due]:
    """Take charges that are due, as the worker."""
    return [Due(**row) for row in await tx.fetch(_LEASE, limit, lease_s)]


_POSTPONE = """
UPDATE charge SET due_at = kit_now() + make_interval(secs => $4), reason = $5
WHERE tenant_id = $1 AND charge_id = $2 AND state = 'intended' AND attempts = $3
"""


async def postpone(tx: Tx, tenant_id: UUID, due: Due, pause_s: float, reason: str) -> None:
    """The outcome is still not known; a later attempt or a webhook that was faster stays as it is."""
    await tx.execute(_POSTPONE, tenant_id, due.charge_id, due.attempts, pause_s, reason)


_END_PAID = """
UPDATE charge SET state = 'paid', payment_id = $3, reason = '', ended_at = kit_now()
WHERE tenant_id = $1 AND charge_id = $2 AND state <> 'paid'
"""
_END_FAILED = """
UPDATE charge SET state = 'failed', reason = $3, ended_at = kit_now()
WHERE tenant_id = $1 AND charge_id = $2 AND state = 'intended' RETURNING amount, currency
"""


async def end_paid(tx: Tx, tenant_id: UUID, charge_id: UUID, payment_id: str) -> None:
    """The money came, also where the charge was given up before."""
    await tx.execute(_END_PAID, tenant_id, charge_id, payment_id)


async def end_failed(tx: Tx, tenant_id: UUID, charge_id: UUID, reason: str) -> tuple[int, str] | None:
    """No money came: (amount, currency); None where the charge had ended before, or there is none."""
    row = await tx.fetchrow(_END_FAILED, tenant_id, charge_id, reason)
    return (row["amount"], row["currency"]) if row else None


_CHARGES = """
SELECT charge_id, amount, currency, state, reason, payment_id, intended_at, ended_at FROM charge
WHERE tenant_id = $1 ORDER BY intended_at DESC, charge_id LIMIT $2
"""


async def charges(tx: Tx, tenant_id: UUID, limit: int) -> list[dict[str, Any]]:
    """The newest charges of a tenant."""
    return [dict(row) for row in await tx.fetch(_CHARGES, tenant_id, limit)]
