"""What nobody says: time that passes, and what an ended send leaves behind.

Each answers True where there is more to do at once.
"""

from muster.dispatch import events
from muster.dispatch.domain import slots
from muster.dispatch.domain.saga import SendByPassed, Swept
from muster.dispatch.domain.slots import SLOT_OF_REASON, Reason, Slot
from muster.dispatch.events import UNKNOWN_RULE_CHARGE
from muster.dispatch.handlers import outcomes
from muster.dispatch.handlers.sagas import advance_locked, apply_facts
from muster.dispatch.store import chunks, endings, platform, receipts, sagas
from muster.dispatch.store.sagas import SagaKey
from muster.kit import clock
from muster.kit.outbox import emit
from muster.kit.pg import Database, Tx

_AT_ONCE = 100


async def end_past_send_by(db: Database) -> bool:
    """Sends and single chunks whose time is over, by the database's clock."""
    async with db.worker() as tx:
        over = await sagas.past_send_by(tx, _AT_ONCE)
        await apply_facts(tx, {key: [SendByPassed()] for key in over})
    async with db.worker() as tx:
        taken = await endings.lock_over(tx, _AT_ONCE)
        if taken:
            await outcomes.end_queued(tx, taken, Slot.SEND_BY)
    return len(over) == _AT_ONCE or len(taken) == _AT_ONCE


async def sweep_ended(db: Database, chunks_max: int) -> bool:
    """Chunks that are queued though their send has ended. A stop locks none of them, so it is done here."""
    async with db.worker() as tx:
        ended = await sagas.to_sweep(tx, _AT_ONCE)
    for key in ended:
        async with db.worker() as tx:
            await _sweep(tx, key, chunks_max)
    return bool(ended)


async def _sweep(tx: Tx, key: SagaKey, chunks_max: int) -> None:
    bulk = await sagas.read(tx, *key)
    taken = await endings.lock_queued(tx, *key, chunks_max)
    if taken and bulk is not None:
        await outcomes.end_queued(tx, taken, SLOT_OF_REASON[bulk.ending or Reason.STOPPED])
        return
    before = await sagas.lock(tx, [key])
    if not await endings.has_queued(tx, *key):
        await advance_locked(tx, before, {key: [Swept()]})


async def recover_expired(db: Database, account: str) -> bool:
    """Leases that ran out: their sender died, or slept too long and is fenced off now."""
    return await recover_account(db, account, every=False)


async def recover_account(db: Database, account: str, *, every: bool) -> bool:
    """The same, or (`every`) all leases of an account, by its new owner."""
    async with db.worker() as tx:
        taken = await endings.lock_dead(tx, account, _AT_ONCE, every=every)
        if taken:
            await outcomes.recover(tx, taken)
    return len(taken) == _AT_ONCE


async def settle_unknowns(db: Database, kept_s: float) -> bool:
    """Outcomes that stayed unknown: the tenant's rule charges or releases them for good."""
    async with db.worker() as tx:
        aged = await chunks.with_aged_unknowns(tx, kept_s, _AT_ONCE)
        if not aged:
            return False
        rules = await platform.unknown_rules(tx, {key.tenant_id for key in aged})
        homes = await chunks.lock(tx, aged)
        changes = [
            outcomes.changed(home, slots.settle(home.slots, charge=rules.get(key.tenant_id) == UNKNOWN_RULE_CHARGE))
            for key, home in homes.items()
        ]
        await outcomes.store(tx, changes)
        await outcomes.tell_sagas(tx, changes)
    return len(aged) == _AT_ONCE


async def repeat_accounts(db: Database, every_s: float) -> bool:
    """Totals that credit-svc has not answered are said again, with the same version."""
    async with db.worker() as tx:
        keys = await sagas.take_unsettled(tx, every_s, _AT_ONCE)
        now = clock.unix_ms()
        facts = []
        for key in keys:
            bulk = await sagas.read(tx, *key)
            if bulk is not None:
                facts.append(events.accounted(*key, bulk, closed=bulk.ended, at_unix_ms=now))
        await emit(tx, *facts)
    return len(keys) == _AT_ONCE


async def drop_old(db: Database, waiting_s: float) -> bool:
    """What was kept for a while only."""
    async with db.worker() as tx:
        await receipts.drop_old(tx, waiting_s, waiting_s)
    return False
