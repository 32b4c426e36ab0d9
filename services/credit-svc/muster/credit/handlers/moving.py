"""Transfers between a reseller and its sub-accounts. As the worker: one transaction spans two tenants."""

from muster.credit import events
from muster.credit.domain import transfers
from muster.credit.domain.transfers import Transfer, Transferred, TransferRefused
from muster.credit.handlers.low import follow
from muster.credit.store import ledger
from muster.credit.store import transfers as store
from muster.kit.outbox import Fact, emit
from muster.kit.pg import Tx


async def transfer(tx: Tx, wanted: Transfer, act: Fact, *, by_operator: bool) -> Transferred | TransferRefused:
    """Move credits, once, with the act that is told of it; both accounts are locked in the order of all ledger work."""
    await store.lock(tx, wanted.by_tenant, wanted.transfer_id)
    known = await store.find(tx, wanted.by_tenant, wanted.transfer_id)
    sides = await store.known(tx, (wanted.from_tenant, wanted.to_tenant))
    accounts = await ledger.lock_accounts(tx, sides) if known is None else {}
    source, target = accounts.get(wanted.from_tenant), accounts.get(wanted.to_tenant)
    step = transfers.transfer(source, target, known, wanted, by_operator=by_operator)
    if isinstance(step, TransferRefused):
        return step
    if step.entries:
        await ledger.apply(tx, *step.entries)
        await store.add(tx, wanted.by_tenant, step.transferred)
        await emit(tx, *(events.topped_up(wanted.transfer_id, entry) for entry in step.entries), act)
        await follow(tx, step.entries)
    return step.transferred
