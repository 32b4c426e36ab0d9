"""Money that came in, went back or did not come, as the payment provider tells it. As the worker: a call names its
tenant, and is believed for its signature."""

from uuid import UUID

from muster.credit import events
from muster.credit.domain import payments, top_ups
from muster.credit.domain.payments import Call, Failed, Paid, Payment, PaymentRefused, Return
from muster.credit.domain.top_ups import GrantRefused, TopUp
from muster.credit.handlers.low import follow
from muster.credit.store import ledger, watch
from muster.credit.store import payments as store
from muster.kit.outbox import emit
from muster.kit.pg import Tx

PROVIDER = "payment provider"
_REFUSED = {
    GrantRefused.UNKNOWN_TENANT: PaymentRefused.UNKNOWN_TENANT,
    GrantRefused.CLOSED: PaymentRefused.CLOSED,
    GrantRefused.BEYOND_LIMIT: PaymentRefused.TOO_LARGE,
    GrantRefused.OTHER_TOP_UP: PaymentRefused.OTHER_PAYMENT,
}


async def take(tx: Tx, told: Payment | Return | Failed, call: Call) -> Paid | int | PaymentRefused | None:
    """What a call tells: the payment as it was taken, the credits that were taken back, or None for a failure.

    Each of them happens once, whatever the call; but a call that was taken is not taken again.
    """
    taken: Paid | int | PaymentRefused | None = None
    match told:
        case Payment():
            taken = await take_payment(tx, told)
        case Return():
            taken = await take_return(tx, told)
        case Failed():
            await note_failure(tx, told)
    if not isinstance(taken, PaymentRefused) and not await store.add_call(tx, call):
        return PaymentRefused.REPLAYED
    return taken


async def take_payment(tx: Tx, told: Payment) -> Paid | PaymentRefused:
    """Grant what a payment is worth, once, however often and by however many calls it is told."""
    known = await store.lock_payment(tx, told.payment_id)
    if known is not None and not payments.same_payment(known, told):
        return PaymentRefused.OTHER_PAYMENT
    # The account before the charge, here as everywhere: two calls about one charge never wait for each other.
    account = await ledger.lock_account(tx, told.tenant_id)
    if told.charge_id is not None:
        await watch.end_paid(tx, told.tenant_id, told.charge_id, told.payment_id)
    if known is not None:
        return known
    credits = payments.credits_for(told.amount, told.currency, told.paid_at, await store.prices(tx, told.currency))
    if isinstance(credits, PaymentRefused):
        return credits
    wanted = TopUp(told.tenant_id, told.top_up_id, credits, "payment", told.payment_id, PROVIDER)
    step = top_ups.grant(account, await ledger.find_top_up(tx, told.tenant_id, told.top_up_id), wanted)
    if isinstance(step, GrantRefused):
        return _REFUSED[step]
    paid = Paid(told, credits)
    if step.entry is not None:
        await ledger.add_top_up(tx, told.tenant_id, wanted, step.entry)
        await emit(tx, events.topped_up(told.top_up_id, step.entry))
    await store.add_payment(tx, told.tenant_id, paid)
    if step.entry is not None:
        await follow(tx, [step.entry])
    return paid


async def take_return(tx: Tx, told: Return) -> int | PaymentRefused:
    """Take back the credits of money that went back, once; what is not available any more is owed."""
    known = await store.lock_payment(tx, told.payment_id)
    if known is None or known.payment.tenant_id != told.tenant_id:
        return PaymentRefused.UNKNOWN_PAYMENT
    before = await store.find_return(tx, told.tenant_id, told.payment_id, told.return_id)
    if before is not None:
        same = before[:2] == (told.amount, told.why) and told.currency == known.payment.currency
        return before[2] if same else PaymentRefused.OTHER_RETURN
    up_to = payments.taken_after(known, told)
    if isinstance(up_to, PaymentRefused):
        return up_to
    credits = await _take_back(tx, known.payment, told, up_to)
    await store.add_return(tx, told.tenant_id, told, credits)
    return credits


async def note_failure(tx: Tx, told: Failed) -> None:
    """A charge came to nothing: said once, and not tried again."""
    await ledger.lock_account(tx, told.tenant_id)
    await end_failed(tx, told.tenant_id, told.charge_id, told.reason)


async def end_failed(tx: Tx, tenant_id: UUID, charge_id: UUID, reason: str) -> None:
    """End a charge as failed and say so, unless it had ended before."""
    failed = await watch.end_failed(tx, tenant_id, charge_id, reason)
    if failed is not None:
        await emit(tx, events.top_up_failed(tenant_id, charge_id, *failed, reason))


async def _take_back(tx: Tx, payment: Payment, told: Return, up_to: int) -> int:
    account = await ledger.lock_account(tx, payment.tenant_id)
    granted = await ledger.find_top_up(tx, payment.tenant_id, payment.top_up_id)
    assert account is not None
    assert granted is not None, "a payment has its grant"
    step = top_ups.take_back_part(account, granted, up_to, told.why, told.return_id, PROVIDER)
    if step.entry is None:
        return 0
    await ledger.save_taken_back(tx, payment.tenant_id, step.granted, step.entry.account, step.entry)
    await emit(tx, events.topped_up(payment.top_up_id, step.entry))
    await follow(tx, [step.entry])
    return step.entry.credits
