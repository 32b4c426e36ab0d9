"""What a tenant decides about its credits: caps, the alert, automatic top-ups; and its transfers."""

from datetime import datetime
from typing import Annotated, NoReturn
from uuid import UUID, uuid5

from fastapi import APIRouter, Request, Response

from muster.credit.api.amounts import Credits, Currency, MinorUnits, Reason
from muster.credit.domain.account import Account
from muster.credit.domain.payments import PaymentRefused, credits_for
from muster.credit.domain.transfers import Transfer, Transferred, TransferRefused
from muster.credit.domain.watch import Watch, armed_at
from muster.credit.handlers import moving
from muster.credit.settings import CreditSettings
from muster.credit.store import ledger, payments, transfers, watch
from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Role, Tx, requires, tenant_tx
from muster.kit.desk import Desk
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent, idempotent_required
from muster.kit.outbox import emit
from muster.kit.pages import Page
from muster.kit.problems import Problem, conflict, forbidden, not_found, unprocessable

router = APIRouter(prefix="/v1/credits", tags=["credits"])

_CHARGES_SHOWN = 100


class AutomaticTopUp(Model):
    """Money that is charged once each time what is available falls below `below`; at most `monthly_max` in a month.

    `amount` and `monthly_max` are in minor units of the currency (cents).
    """

    below: Credits
    amount: MinorUnits
    currency: Currency
    monthly_max: MinorUnits


class WalletChange(Model):
    """What is to change; what is left out stays, null ends it."""

    daily_cap: Credits | None = None
    monthly_cap: Credits | None = None
    alert_below: Credits | None = None
    automatic_top_up: AutomaticTopUp | None = None


class WalletOut(Model):
    """Caps with what counts towards them (by the tenant's wall clock), the alert's threshold, automatic top-ups."""

    daily_cap: int | None
    used_today: int
    monthly_cap: int | None
    used_this_month: int
    alert_below: int | None
    automatic_top_up: AutomaticTopUp | None


class ChargeOut(Model):
    """An automatic top-up: `intended` until its outcome is known, then `paid` or `failed` with the reason."""

    id: UUID
    amount: int
    currency: str
    state: str
    reason: str
    payment_id: str
    intended_at: datetime
    ended_at: datetime | None


class TransferIn(Model):
    """Credits from one account to another: one of the two is the other's reseller."""

    from_tenant_id: UUID
    to_tenant_id: UUID
    credits: Credits
    reason: Reason


class TransferOut(Model):
    """A transfer that was made, and what was available just after it on the caller's side (the operator's: from)."""

    id: UUID
    from_tenant_id: UUID
    to_tenant_id: UUID
    credits: int
    available: int


@router.get("/settings")
async def read_wallet(
    caller: Annotated[Caller, requires(Permission.READ_SETTINGS)], tx: Annotated[Tx, tenant_tx]
) -> WalletOut:
    """The caller's business's caps, alert and automatic top-ups."""
    return await _wallet(tx, await ledger.balance(tx, caller.tenant_id))


@router.patch("/settings", response_model=WalletOut)
async def change_wallet(
    request: Request,
    body: WalletChange,
    caller: Annotated[Caller, requires(Permission.CHANGE_SETTINGS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Change caps, alert and automatic top-ups. A threshold counts from when what is available is not below it."""
    settings: CreditSettings = request.app.state.settings

    async def make() -> tuple[int, WalletOut]:
        account = await ledger.lock_account(tx, caller.tenant_id)
        if account is None:
            raise not_found("tenant")
        if account.closed:
            raise conflict("account_closed", "The account is closed", "Nothing is changed in it.")
        await _change(tx, account, body, has_provider=bool(settings.credit_payment_url))
        await emit(tx, audit.record(caller, Act.WALLET_CHANGED, str(caller.tenant_id)))
        return 200, await _wallet(tx, await ledger.balance(tx, caller.tenant_id))

    return await once.answer(tx, caller, body, make)


@router.get("/charges")
async def list_charges(
    caller: Annotated[Caller, requires(Permission.READ_CREDITS)], tx: Annotated[Tx, tenant_tx]
) -> Page[ChargeOut]:
    """The newest automatic top-ups, at most a hundred, and what became of them."""
    rows = await watch.charges(tx, caller.tenant_id, _CHARGES_SHOWN)
    return Page(items=[ChargeOut(id=row.pop("charge_id"), **row) for row in rows])


@router.post("/transfers", status_code=201, response_model=TransferOut)
async def transfer_credits(
    request: Request,
    body: TransferIn,
    caller: Annotated[Caller, requires(Permission.TRANSFER_CREDITS)],
    once: Annotated[Once, idempotent_required],
) -> TransferOut:
    """Move credits between a reseller's account and a sub-account, both at once, once for each Idempotency-Key."""
    transfer_id = uuid5(caller.tenant_id, f"transfer/{once.key}")
    told = (body.from_tenant_id, body.to_tenant_id, body.credits, body.reason, caller.user_id)
    wanted = Transfer(caller.tenant_id, transfer_id, *told)
    act = audit.record(caller, Act.CREDITS_TRANSFERRED, str(transfer_id), tenant_id=body.from_tenant_id)
    by_operator = caller.role is Role.OPERATOR
    desk: Desk = request.app.state.desk
    done = await desk.ask(lambda tx: moving.transfer(tx, wanted, act, by_operator=by_operator))
    if isinstance(done, TransferRefused):
        _refuse(done)
    return _transferred(done)


async def _change(tx: Tx, account: Account, body: WalletChange, *, has_provider: bool) -> None:
    given, caps, tenant_id = body.model_fields_set, account.caps, account.tenant_id
    daily = body.daily_cap if "daily_cap" in given else caps.daily
    monthly = body.monthly_cap if "monthly_cap" in given else caps.monthly
    too_low = caps.too_low(daily if "daily_cap" in given else None, monthly if "monthly_cap" in given else None)
    if too_low is not None:
        used = caps.used_daily if too_low == "daily_cap" else caps.used_monthly
        raise unprocessable(too_low, "below_used", f"must not be below what is used already: {used}", used=used)
    await transfers.save_caps(tx, tenant_id, daily, monthly)
    before = (await watch.watches(tx, [tenant_id])).get(tenant_id, Watch(tenant_id))
    alert_below = body.alert_below if "alert_below" in given else before.alert_below
    automatic = body.automatic_top_up if "automatic_top_up" in given else _automatic(before)
    if body.automatic_top_up is not None:
        await _check(tx, body.automatic_top_up, has_provider=has_provider)
    wanted = (automatic.amount, automatic.currency, automatic.monthly_max) if automatic else (0, "", 0)
    below = automatic.below if automatic else None
    after = Watch(tenant_id, alert_below, True, below, True, *wanted)  # noqa: FBT003
    await watch.save(tx, tenant_id, armed_at(after, account.available))


async def _check(tx: Tx, wanted: AutomaticTopUp, *, has_provider: bool) -> None:
    if not has_provider:
        raise conflict(
            "no_payment_provider", "There is no payment provider", "Automatic top-ups cannot be charged here."
        )
    if wanted.monthly_max < wanted.amount:
        message = "must not be less than one top-up"
        raise unprocessable("automatic_top_up.monthly_max", "below_amount", message)
    worth = credits_for(wanted.amount, wanted.currency, clock.now(), await payments.prices(tx, wanted.currency))
    if worth is PaymentRefused.NO_PRICE:
        raise unprocessable("automatic_top_up.currency", worth, "has no price in credits")
    if isinstance(worth, PaymentRefused):
        raise unprocessable("automatic_top_up.amount", worth, "is not worth a number of credits that can be granted")


async def _wallet(tx: Tx, account: Account) -> WalletOut:
    found = (await watch.watches(tx, [account.tenant_id])).get(account.tenant_id, Watch(account.tenant_id))
    return WalletOut(
        daily_cap=account.caps.daily,
        used_today=account.caps.used_daily,
        monthly_cap=account.caps.monthly,
        used_this_month=account.caps.used_monthly,
        alert_below=found.alert_below,
        automatic_top_up=_automatic(found),
    )


def _automatic(found: Watch) -> AutomaticTopUp | None:
    if found.top_up_below is None:
        return None
    return AutomaticTopUp(
        below=found.top_up_below, amount=found.amount, currency=found.currency, monthly_max=found.monthly_max
    )


def _transferred(done: Transferred) -> TransferOut:
    one = done.transfer
    return TransferOut(
        id=one.transfer_id,
        from_tenant_id=one.from_tenant,
        to_tenant_id=one.to_tenant,
        credits=one.credits,
        # What the other side has is its own business.
        available=done.to_available if one.by_tenant == one.to_tenant else done.from_available,
    )


def _refuse(refused: TransferRefused) -> NoReturn:
    match refused:
        case TransferRefused.ITSELF:
            raise unprocessable("to_tenant_id", refused, "must be another account than the one that it comes from")
        case TransferRefused.STRANGER:
            raise Problem(
                404, "not_found", "Not found", "One of the two must be the other's reseller, and one of them yours.",
                kind="sub-account", field="to_tenant_id",
            )  # fmt: skip
        case TransferRefused.NOT_YOURS:
            raise forbidden("A sub-account can give credits back, and not take its reseller's.", reason=refused)
        case TransferRefused.CLOSED:
            raise conflict("account_closed", "One of the accounts is closed", "Nothing was moved.")
        case TransferRefused.OWED:
            raise conflict(refused, "The account owes credits", "They are paid first.", field="credits")
        case TransferRefused.SHORT:
            raise unprocessable("credits", refused, "is more than is available")
        case TransferRefused.BEYOND_LIMIT:
            raise unprocessable("credits", refused, "is more than the account can hold")
        case TransferRefused.OTHER_TRANSFER:
            raise conflict("idempotency_key_reused", "This idempotency key was used before", field="Idempotency-Key")
