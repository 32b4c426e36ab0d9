"""What this service does on each event: load, decide, save, emit. One batch is one transaction and one group commit."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from muster.credit import events
from muster.credit.domain import reservations, top_ups
from muster.credit.domain.reservations import Batch, Key, Reservation
from muster.credit.domain.top_ups import Granted, GrantRefused, TopUp
from muster.credit.handlers.low import follow
from muster.credit.store import ledger, rates
from muster.kit import metrics, observe
from muster.kit.consumer import Handler
from muster.kit.outbox import emit
from muster.kit.pg import Tx

log = observe.logger(__name__)


async def on_tenant_changed(tx: Tx, batch: Sequence[events.TenantHeard]) -> None:
    """A tenant has an account; a closed tenant reserves no more."""
    tenants = sorted(map(events.tenant_of, batch), key=lambda tenant: tenant.version)
    latest = {tenant.tenant_id: tenant for tenant in tenants}  # the last one of each stands
    await ledger.save_tenants(tx, latest.values())


async def on_bulk_sms_requested(tx: Tx, batch: Sequence[events.RequestHeard]) -> None:
    """Reserve for the waiting sends of all tenants at once."""
    requests = [events.request_of(received) for received in batch]
    accounts = await ledger.lock_accounts(tx, {request.tenant_id for request in requests})
    known = await ledger.reservations(tx, {(request.tenant_id, request.bulk_id) for request in requests})
    done = reservations.decide(accounts, known, requests)
    await ledger.save(tx, done)
    await follow(tx, done.entries)
    answers = zip(done.answers, batch, strict=True)
    await emit(tx, *(events.answered(row, received.event_id) for row, received in answers))


async def on_bulk_sms_accounted(tx: Tx, batch: Sequence[events.TotalsHeard]) -> None:
    """Bring the sends of all tenants to their running totals at once, and answer each."""
    totals = [events.totals_of(received) for received in batch]
    accounts = await ledger.lock_accounts(tx, {total.tenant_id for total in totals})
    known = await ledger.reservations(tx, {(total.tenant_id, total.bulk_id) for total in totals})
    done = reservations.account_for(accounts, known, totals)
    await ledger.save(tx, done)
    _alarm(known, done)
    await follow(tx, done.entries)
    answers = zip(done.answers, batch, strict=True)
    await emit(tx, *(events.settled(row, received.event_id) for row, received in answers))


def _alarm(known: Mapping[Key, Reservation], done: Batch) -> None:
    """What was said to be used beyond a reservation is not charged; law 2 names it until it is put right."""
    for key, row in done.reservations.items():
        before = known.get(key)
        if row.excess > (before.excess if before else 0):
            metrics.settlements_beyond_reservation.inc()
            ids = {"tenant_id": str(row.tenant_id), "bulk_id": str(row.bulk_id)}
            log.error("settlement.beyond_reservation", **ids, reserved=row.reserved, excess=row.excess)


async def top_up(tx: Tx, wanted: TopUp) -> Granted | GrantRefused:
    """Grant credits, in a request for that tenant."""
    account = await ledger.lock_account(tx, wanted.tenant_id)
    step = top_ups.grant(account, await ledger.find_top_up(tx, wanted.tenant_id, wanted.top_up_id), wanted)
    if isinstance(step, GrantRefused):
        return step
    if step.entry is not None:
        await ledger.add_top_up(tx, wanted.tenant_id, wanted, step.entry)
        await emit(tx, events.topped_up(wanted.top_up_id, step.entry))
        await follow(tx, [step.entry])
    return step.granted


async def reverse_top_up(tx: Tx, tenant_id: UUID, top_up_id: UUID, reason: str, actor: str) -> Granted | GrantRefused:
    """Take a grant back, in a request for that tenant."""
    account = await ledger.lock_account(tx, tenant_id)
    known = await ledger.find_top_up(tx, tenant_id, top_up_id)
    step = top_ups.take_back(account, known, reason, actor)
    if isinstance(step, GrantRefused) or account is None:
        return GrantRefused.UNKNOWN_TOP_UP
    if step.granted != known:
        left = step.entry.account if step.entry else account
        await ledger.save_taken_back(tx, tenant_id, step.granted, left, step.entry)
    if step.entry is not None:
        await emit(tx, events.topped_up(top_up_id, step.entry))
        await follow(tx, [step.entry])
    return step.granted


async def say_all_rates(tx: Tx) -> None:
    """Publish every rate in force: at the start of a worker, since the topic may have lost its last words."""
    await rates.take_unsaid_rates(tx)
    await emit(tx, *map(events.rate_changed, await rates.rates(tx)))


async def say_new_rates(tx: Tx) -> None:
    """Publish the rates that came into force."""
    await emit(tx, *map(events.rate_changed, await rates.take_unsaid_rates(tx)))


HANDLERS: Mapping[str, Handler] = {
    "TenantChanged": on_tenant_changed,
    "BulkSmsRequested": on_bulk_sms_requested,
    "BulkSmsAccounted": on_bulk_sms_accounted,
}
