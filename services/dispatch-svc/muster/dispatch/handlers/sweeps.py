"""What nobody says: time that passes, and what an ended send leaves behind.

Each answers True where there is more to do at once.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from muster.dispatch import events
from muster.dispatch.domain import slots
from muster.dispatch.domain.receipts import Refund, refund
from muster.dispatch.domain.saga import Moved, SendByPassed, Swept
from muster.dispatch.domain.slots import SLOT_OF_REASON, Reason, Slot
from muster.dispatch.domain.waits import PATIENCE_S
from muster.dispatch.events import UNKNOWN_RULE_CHARGE, ChunkKey
from muster.dispatch.handlers import outcomes
from muster.dispatch.handlers.sagas import advance_locked, apply_facts
from muster.dispatch.store import (
    accounts,
    callbacks,
    chunks,
    endings,
    hours,
    inbound,
    platform,
    questions,
    receipts,
    refunds,
    sagas,
    suspensions,
    trials,
)
from muster.dispatch.store.chunks import Home
from muster.dispatch.store.sagas import SagaKey
from muster.kit import clock, metrics
from muster.kit.outbox import emit
from muster.kit.pg import Database, Tx

_AT_ONCE = 100
_LATER_S = 5.0
# A send may take 30 days at most: what was not requested by then will not be.
SILENT_S: Final = 31 * 24 * 3600.0


async def end_past_send_by(db: Database, silent_s: float = SILENT_S) -> bool:
    """Sends and single chunks whose time is over, by the database's clock. `silent_s`: of sends of which nobody has
    said until when."""
    async with db.worker() as tx:
        over = await sagas.past_send_by(tx, silent_s, _AT_ONCE)
        await apply_facts(tx, {key: [SendByPassed()] for key in over})
    async with db.worker() as tx:
        taken = await endings.lock_over(tx, _AT_ONCE)
        if taken:
            await outcomes.end_queued(tx, taken, Slot.SEND_BY)
    return len(over) >= _AT_ONCE or len(taken) == _AT_ONCE


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


async def recover_expired(db: Database) -> bool:
    """Leases of any account that ran out: their sender died, or slept too long and is fenced off now."""
    async with db.worker() as tx:
        names = await accounts.with_dead(tx)
    more = [await recover_account(db, name, every=False) for name in names]
    return any(more)


async def recover_account(db: Database, account: str, *, every: bool) -> bool:
    """Leases of one account that ran out, or (`every`) all of them, by its new owner."""
    async with db.worker() as tx:
        taken = await endings.lock_dead(tx, account, _AT_ONCE, every=every)
        if taken:
            await outcomes.recover(tx, taken)
    return len(taken) == _AT_ONCE


async def settle_unknowns(db: Database, kept_s: float) -> bool:
    """Outcomes that stayed unknown: the tenant's rule charges or releases them for good."""
    async with db.worker() as tx:
        aged = await chunks.with_aged_unknowns(tx, kept_s, _AT_ONCE)
        if aged:
            rules = await platform.unknown_rules(tx, {key.tenant_id for key in aged})
            given = await refunds.answers(tx, aged)
            await _settle(tx, {key: _is_charged(key, rules, given) for key in aged})
    return len(aged) == _AT_ONCE


def _is_charged(key: ChunkKey, rules: Mapping[UUID, int], given: Mapping[SagaKey, str]) -> bool:
    answer = given.get(SagaKey(key.tenant_id, key.bulk_id))
    return answer == "charge" if answer else rules.get(key.tenant_id) == UNKNOWN_RULE_CHARGE


async def settle_answered(db: Database) -> bool:
    """Outcomes that are unknown of sends for which somebody was asked and has answered."""
    async with db.worker() as tx:
        answered = await refunds.answered(tx, _AT_ONCE)
        if answered:
            await _settle(tx, {key: answer == "charge" for key, answer in answered.items()})
    return len(answered) == _AT_ONCE


async def _settle(tx: Tx, charged: Mapping[ChunkKey, bool]) -> None:
    homes = await chunks.lock(tx, charged)
    changes = [outcomes.changed(home, slots.settle(home.slots, charge=charged[key])) for key, home in homes.items()]
    await outcomes.store(tx, changes)
    await outcomes.tell_sagas(tx, changes)


def _refund(home: Home) -> Refund:
    each = home.recipients
    return refund(each.parts, each.prices, home.slots, home.receipts or bytes(len(home.slots)))


async def refund_failed(db: Database) -> bool:
    """Messages that a receipt says have failed, of tenants that do not pay for them: also of closed sends."""
    async with db.worker() as tx:
        homes = await refunds.lock_due(tx, _AT_ONCE)
        if not homes:
            return False
        found = {key: _refund(home) for key, home in homes.items()}
        await refunds.save(tx, {key: one.credits for key, one in found.items()})
        later = [key for key, one in found.items() if not one.final]
        await refunds.drop_due(tx, [key for key, one in found.items() if one.final], later, _LATER_S)
        await apply_facts(tx, {SagaKey(key.tenant_id, key.bulk_id): [Moved()] for key in found})
    return len(homes) == _AT_ONCE


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


async def drop_nobodys(db: Database, kept_days: int) -> bool:
    """What people wrote to numbers that no business has: kept to be looked at by the operator, and not for ever."""
    async with db.worker() as tx:
        return await inbound.drop_old(tx, kept_days, _AT_ONCE)


async def drop_old(db: Database, waiting_s: float, unknown_s: float) -> bool:
    """What was kept for a while only. A part that was settled is kept as long again as unknown ones are, and as long as
    a receipt waits: what is submitted beside it is unknown no longer than that."""
    async with db.worker() as tx:
        await receipts.drop_old(tx, waiting_s, waiting_s, unknown_s + waiting_s)
        await trials.drop_old(tx, unknown_s)
        await questions.drop_old(tx, unknown_s)
        await callbacks.drop_old(tx, waiting_s, unknown_s)
    return False


async def put_off(db: Database) -> bool:
    """Sends whose recipients may not be texted at this hour: nobody looks at them before the next that is allowed."""
    async with db.worker() as tx:
        due = await hours.lock_due(tx, _AT_ONCE)
        if due:
            await hours.put_off(tx, due)
    return False


async def count_waits(db: Database) -> bool:
    """Show how many sends wait for what, and for how long the oldest of them does."""
    async with db.worker() as tx:
        found = await sagas.waits(tx)
    for wait in PATIENCE_S:
        count, oldest_s = found.get(wait, (0, 0.0))
        metrics.sends_waiting.labels(wait).set(count)
        metrics.sends_waiting_oldest_seconds.labels(wait).set(oldest_s)
    return False


async def count_suspensions(db: Database) -> bool:
    """Show how many tenants are suspended, and whether the platform is stopped."""
    async with db.worker() as tx:
        tenants, platform = await suspensions.count(tx)
    metrics.suspended.labels("tenant").set(tenants)
    metrics.suspended.labels("platform").set(platform)
    return False
