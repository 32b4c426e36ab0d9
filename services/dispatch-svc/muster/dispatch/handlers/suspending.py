"""Suspend a tenant or stop the platform, and lift that: said and stored in one transaction."""

from uuid import UUID

from muster.dispatch.events.suspensions import suspension_changed
from muster.dispatch.store import suspensions
from muster.dispatch.store.suspensions import Suspension
from muster.events import NIL_TENANT
from muster.kit.outbox import Fact, emit
from muster.kit.pg import Tx

_PAGE = 1_000


async def suspend(tx: Tx, tenant_id: UUID, *, suspended: bool, reason: str, user_id: str) -> Suspension:
    """Suspend, or lift it. What is so already stays as it is, with the reason that it was given first."""
    # Two at once take turns here: the second finds what the first has done.
    await suspensions.lock(tx, tenant_id)
    before = await suspensions.find(tx, tenant_id)
    if before is not None and before.suspended == suspended:
        return before
    after = await suspensions.save(tx, tenant_id, suspended=suspended, reason=reason, user_id=user_id)
    await emit(tx, _fact(after))
    return after


async def say_again(tx: Tx) -> None:
    """Say all that was ever said, once more: the topic is compacted, and an older word may have come last."""
    platform = await suspensions.find(tx, NIL_TENANT)
    await emit(tx, *([_fact(platform)] if platform else []))
    after = NIL_TENANT
    while page := await suspensions.ever(tx, after, _PAGE):
        await emit(tx, *map(_fact, page))
        after = page[-1].tenant_id


def _fact(one: Suspension) -> Fact:
    return suspension_changed(
        one.tenant_id,
        version=one.version,
        suspended=one.suspended,
        reason=one.reason,
        user_id=one.user_id,
        at_unix_ms=round(one.changed_at.timestamp() * 1000),
    )
