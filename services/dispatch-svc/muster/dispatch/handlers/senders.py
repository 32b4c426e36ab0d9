"""Senders are chosen, given, given up, and free again after a while."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from muster.dispatch.domain.senders import Kind, Standing, kind_of, leased_until, time_over
from muster.dispatch.events.senders import Sender, sender_changed
from muster.dispatch.store import senders
from muster.kit import clock
from muster.kit.outbox import emit
from muster.kit.pg import Database, Tx

ANOTHERS: Final = "It is another business's."
NOT_GIVEN: Final = "The operator has not given it to this business."
_AT_ONCE: Final = 100


async def choose(tx: Tx, tenant_id: UUID, sender: str, *, claims: bool) -> None:
    """The settings of a business name this sender ("": none any more); what they named before is given up.

    It has it from now on, unless it is a number that somebody else has, or that the operator must give (not `claims`).
    The number must be locked.
    """
    changed = [await _given_up(tx, one) for one in await senders.chosen_before(tx, tenant_id, sender)]
    if sender:
        changed += await _chosen(tx, tenant_id, sender, claims=claims)
    await emit(tx, *map(sender_changed, changed))


async def _chosen(tx: Tx, tenant_id: UUID, sender: str, *, claims: bool) -> list[Sender]:
    found = await senders.find(tx, tenant_id, sender)
    if found is not None and (found.active or found.by_operator):
        return []
    now = found or senders.a_new(tenant_id, sender, clock.now())
    why = "" if claims or now.standing in (Standing.LEASED, Standing.QUARANTINED) else NOT_GIVEN
    if not why and await senders.other_holder(tx, tenant_id, sender):
        why = ANOTHERS
    if why and now.standing is Standing.WITHHELD and now.reason == why:
        return []
    standing = Standing.WITHHELD if why else Standing.ACTIVE
    return [await senders.put(tx, replace(now, standing=standing, reason=why, until=None))]


async def give(tx: Tx, tenant_id: UUID, sender: str, *, receives_replies: bool) -> Sender | None:
    """An operator gives a business a sender; None where it is a number that somebody else has."""
    await senders.lock(tx, [sender])
    if await senders.other_holder(tx, tenant_id, sender):
        return None
    found = await senders.find(tx, tenant_id, sender) or senders.a_new(tenant_id, sender, clock.now())
    replies = receives_replies and kind_of(sender) is Kind.NUMBER
    return await store(
        tx,
        replace(found, standing=Standing.ACTIVE, receives_replies=replies, reason="", by_operator=True, until=None),
    )


async def release(tx: Tx, one: Sender, until: datetime, reason: str) -> Sender:
    """An operator takes a sender from a business; until when replies still reach it."""
    after = replace(one, standing=Standing.LEASED, until=until, reason=reason, by_operator=True)
    return await store(tx, after)


async def store(tx: Tx, one: Sender) -> Sender:
    """Keep and say how a sender stands."""
    after = await senders.put(tx, one)
    await emit(tx, sender_changed(after))
    return after


async def _given_up(tx: Tx, one: Sender) -> Sender:
    standing, until = Standing.FREE, None
    if one.active:
        use = await senders.use_of(tx, one.owner_tenant_id, one.sender)
        standing, until = Standing.LEASED, leased_until(use, clock.now())
    return await senders.put(tx, replace(one, standing=standing, until=until, reason=""))


async def sweep(db: Database, quarantine_days: int) -> bool:
    """Leases that are over become quarantines, and those end; True where there is more to do."""
    async with db.worker() as tx:
        over = await senders.due(tx, _AT_ONCE)
        for one in over:
            use = await senders.use_of(tx, one.owner_tenant_id, one.sender)
            standing, until = time_over(one.standing, use, timedelta(days=quarantine_days), clock.now())
            await store(tx, replace(one, standing=standing, until=until))
    return len(over) == _AT_ONCE
