"""Attempts that end without their sender: dead leases, queued ones of sends that are over, held ones to hurry."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from muster.dispatch.store.chunks import key_columns, key_of
from muster.dispatch.store.queue import AttemptKey
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class Taken:
    """An attempt that is to be ended or recovered, locked."""

    key: AttemptKey
    order: list[int] | None
    intent_upto: int


_LOCK_DEAD: Final = """
SELECT tenant_id, bulk_id, chunk, attempt, lease_epoch, slot_order, intent_upto FROM attempt
WHERE account = $1 AND state = 1 AND ($2 OR lease_until < kit_now())
ORDER BY tenant_id, bulk_id, chunk LIMIT $3 FOR UPDATE
"""


async def lock_dead(tx: Tx, account: str, limit: int, *, every: bool) -> list[Taken]:
    """Lock attempts whose sender is dead: their lease is over, or (`every`) the account has a new owner."""
    return [_taken(row) for row in await tx.fetch(_LOCK_DEAD, account, every, limit)]


_LOCK_QUEUED: Final = """
SELECT tenant_id, bulk_id, chunk, attempt, lease_epoch, slot_order, intent_upto FROM attempt
WHERE tenant_id = $1 AND bulk_id = $2 AND state = 0 ORDER BY chunk LIMIT $3 FOR UPDATE
"""


async def lock_queued(tx: Tx, tenant_id: UUID, bulk_id: UUID, limit: int) -> list[Taken]:
    """Lock queued attempts of a send, the first ones first."""
    return [_taken(row) for row in await tx.fetch(_LOCK_QUEUED, tenant_id, bulk_id, limit)]


_HAS_QUEUED: Final = "SELECT EXISTS (SELECT FROM attempt WHERE tenant_id = $1 AND bulk_id = $2 AND state = 0)"


async def has_queued(tx: Tx, tenant_id: UUID, bulk_id: UUID) -> bool:
    """Whether anything of a send is queued. Read after its saga was locked, it is the last word."""
    found: bool = await tx.fetchval(_HAS_QUEUED, tenant_id, bulk_id)
    return found


_HAS_LEASED: Final = "SELECT EXISTS (SELECT FROM attempt WHERE tenant_id = $1 AND bulk_id = $2 AND state = 1)"


async def has_leased(tx: Tx, tenant_id: UUID, bulk_id: UUID) -> bool:
    """Whether some sender holds a chunk of a send."""
    found: bool = await tx.fetchval(_HAS_LEASED, tenant_id, bulk_id)
    return found


_LOCK_OVER: Final = """
SELECT tenant_id, bulk_id, chunk, attempt, lease_epoch, slot_order, intent_upto FROM attempt
WHERE state = 0 AND send_by <= kit_now() ORDER BY tenant_id, bulk_id, chunk LIMIT $1 FOR UPDATE SKIP LOCKED
"""


async def lock_over(tx: Tx, limit: int) -> list[Taken]:
    """Lock queued attempts whose time is over by the database's clock."""
    return [_taken(row) for row in await tx.fetch(_LOCK_OVER, limit)]


def _taken(row: Record) -> Taken:
    key = AttemptKey(key_of(row), row["attempt"], row["lease_epoch"])
    return Taken(key=key, order=row["slot_order"], intent_upto=row["intent_upto"])


# allow ordered-locks: this transaction has locked them, in order
_END: Final = """
UPDATE attempt t SET state = CASE WHEN n.queued THEN 0 ELSE 2 END, lease_owner = NULL, lease_until = NULL,
    lease_epoch = lease_epoch + 1
FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::bool[]) AS n(tenant_id, bulk_id, chunk, attempt, queued)
WHERE t.tenant_id = n.tenant_id AND t.bulk_id = n.bulk_id AND t.chunk = n.chunk AND t.attempt = n.attempt
"""


async def end(tx: Tx, ended: Sequence[tuple[AttemptKey, bool]]) -> None:
    """End attempts that this transaction has locked (True: back to the queue). Who had leased them is fenced off."""
    if ended:
        await tx.execute(
            _END,
            *key_columns([key.chunk for key, _ in ended]),
            *([key.attempt for key, _ in ended], [queued for _, queued in ended]),
        )


_HURRY: Final = """
UPDATE attempt a SET due_at = kit_now() FROM (
    SELECT tenant_id, bulk_id, chunk, attempt FROM attempt
    WHERE tenant_id = ANY ($1) AND state = 0 AND why = 'held' AND due_at > kit_now()
    ORDER BY tenant_id, bulk_id, chunk FOR UPDATE SKIP LOCKED) h
WHERE (a.tenant_id, a.bulk_id, a.chunk, a.attempt) = (h.tenant_id, h.bulk_id, h.chunk, h.attempt)
"""


async def hurry_held(tx: Tx, tenants: Collection[UUID]) -> None:
    """Holds of these tenants have ended: look at once at what waited for them."""
    await tx.execute(_HURRY, list(tenants))
