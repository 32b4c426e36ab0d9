"""Top-ups by operators: granted at once, or above a limit confirmed by a second one; taken back."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, NoReturn
from uuid import UUID, uuid5

from fastapi import APIRouter, Path, Request, Response

from muster.credit import handlers
from muster.credit.api.amounts import Credits, Reason, Reference
from muster.credit.domain.approvals import NotDecided, State
from muster.credit.domain.top_ups import Granted, GrantRefused, TopUp
from muster.credit.handlers import approving
from muster.credit.settings import CreditSettings
from muster.credit.store import approvals, ledger
from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Begin, Caller, Permission, Tx, requires, tx_of_tenant
from muster.kit.desk import Desk
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import uuid7
from muster.kit.outbox import Fact, emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.problems import conflict, forbidden, not_found, unprocessable

router = APIRouter(prefix="/v1/credits", tags=["credits"])

_TENANT_POLL_S = 0.05


class TopUpIn(Model):
    """Credits for a tenant, with the reason that its statement shows."""

    tenant_id: UUID
    credits: Credits
    reason: Reason
    reference: Reference = ""


class ReversalIn(Model):
    """Why a top-up is taken back."""

    tenant_id: UUID
    reason: Reason


class RejectionIn(Model):
    """Why a top-up is not confirmed."""

    tenant_id: UUID
    reason: Reason


class ConfirmationIn(Model):
    """Whose top-up is confirmed."""

    tenant_id: UUID


class TopUpOut(Model):
    """A grant (or, reversed, what was taken back) and what was available after it."""

    id: UUID
    tenant_id: UUID
    credits: int
    available: int
    reversed: bool = False


class WaitingOut(Model):
    """A top-up above the limit: nothing is granted before another operator than `asked_by` confirms it."""

    id: UUID
    tenant_id: UUID
    credits: int
    state: State
    reason: str
    reference: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None
    decision_reason: str = ""


@router.post(
    "/top-ups",
    status_code=201,
    response_model=TopUpOut,
    responses={202: {"model": WaitingOut, "description": "It waits for a second operator"}},
)
async def top_up(
    request: Request,
    body: TopUpIn,
    caller: Annotated[Caller, requires(Permission.SELL_CREDITS)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Grant credits. The same Idempotency-Key grants once, however long ago it was used.

    Above the limit of one person it is answered by 202, and granted when another operator confirms it.
    """
    settings: CreditSettings = request.app.state.settings
    await _until_known(begin, body.tenant_id, settings)
    top_up_id = uuid5(body.tenant_id, f"top-up/{once.key}") if once.key else uuid7()
    wanted = TopUp(body.tenant_id, top_up_id, body.credits, body.reason, body.reference, caller.user_id)
    limits = (settings.credit_top_up_alone_max, settings.credit_confirmation_h)

    async with begin(body.tenant_id) as tx:

        async def make() -> tuple[int, Model]:
            done = await approving.ask(tx, wanted, *limits)
            if isinstance(done, GrantRefused):
                _refuse(done)
            if isinstance(done, Granted):
                await emit(tx, _act(caller, Act.TOP_UP_GRANTED, body.tenant_id, top_up_id))
                return 201, _granted(done, done.available)
            await emit(tx, _act(caller, Act.TOP_UP_ASKED, body.tenant_id, top_up_id))
            return 202, _as_asked(done)

        return await once.answer(tx, caller, body, make, tenant_id=body.tenant_id)


@router.get("/top-ups")
async def list_top_ups(
    request: Request,
    _: Annotated[Caller, requires(Permission.SELL_CREDITS)],
    tenant_id: UUID | None = None,
    state: State | None = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[WaitingOut]:
    """The top-ups that needed a second operator, newest first; those that still do by `state=awaiting_confirmation`."""
    place = decode_cursor(cursor, {"at": datetime.fromisoformat, "id": UUID}) if cursor else None
    before = (place["at"], place["id"]) if place else None

    async def work(tx: Tx) -> list[dict[str, Any]]:
        return await approvals.listed(tx, tenant_id, state, before, limit + 1)

    desk: Desk = request.app.state.desk
    rows = await desk.ask(work)
    return page_of(rows, limit, _waiting, lambda row: {"at": row["asked_at"], "id": row["top_up_id"]})


@router.post("/top-ups/{top_up_id}/confirmation", status_code=201, response_model=TopUpOut)
async def confirm_top_up(
    top_up_id: Annotated[UUID, Path()],
    body: ConfirmationIn,
    caller: Annotated[Caller, requires(Permission.SELL_CREDITS)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Agree to another operator's top-up, which is granted now, once."""
    async with begin(body.tenant_id) as tx:

        async def make() -> tuple[int, TopUpOut]:
            act = _act(caller, Act.TOP_UP_CONFIRMED, body.tenant_id, top_up_id)
            done = await approving.confirm(tx, body.tenant_id, top_up_id, caller.user_id, act)
            if isinstance(done, NotDecided):
                _not_decided(done)
            if isinstance(done, GrantRefused):
                _refuse(done)
            return 201, _granted(done, done.available)

        return await once.answer(tx, caller, body, make, tenant_id=body.tenant_id)


@router.post("/top-ups/{top_up_id}/rejection", status_code=201, response_model=WaitingOut)
async def reject_top_up(
    top_up_id: Annotated[UUID, Path()],
    body: RejectionIn,
    caller: Annotated[Caller, requires(Permission.SELL_CREDITS)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Say no to a top-up that waits, with a reason; who asked for it may withdraw it so."""
    async with begin(body.tenant_id) as tx:

        async def make() -> tuple[int, WaitingOut]:
            act = _act(caller, Act.TOP_UP_REJECTED, body.tenant_id, top_up_id, body.reason)
            done = await approving.reject(tx, body.tenant_id, top_up_id, caller.user_id, body.reason, act)
            if isinstance(done, NotDecided):
                _not_decided(done)
            return 201, _waiting(done)

        return await once.answer(tx, caller, body, make, tenant_id=body.tenant_id)


@router.post("/top-ups/{top_up_id}/reversal", status_code=201, response_model=TopUpOut)
async def reverse_top_up(
    top_up_id: Annotated[UUID, Path()],
    body: ReversalIn,
    caller: Annotated[Caller, requires(Permission.SELL_CREDITS)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Take a top-up back, once. What is not available any more is owed, and blocks sends until it is paid."""
    async with begin(body.tenant_id) as tx:

        async def make() -> tuple[int, TopUpOut]:
            done = await handlers.reverse_top_up(tx, body.tenant_id, top_up_id, body.reason, caller.user_id)
            if isinstance(done, GrantRefused):
                _refuse(done)
            await emit(tx, _act(caller, Act.TOP_UP_REVERSED, body.tenant_id, top_up_id))
            return 201, _granted(done, done.reversed_available or 0)

        return await once.answer(tx, caller, body, make, tenant_id=body.tenant_id)


def _act(caller: Caller, act: Act, tenant_id: UUID, top_up_id: UUID, reason: str = "") -> Fact:
    return audit.record(caller, act, str(top_up_id), reason, tenant_id=tenant_id)


async def _until_known(begin: Begin, tenant_id: UUID, settings: CreditSettings) -> None:
    """A tenant made a moment ago is on its way here: wait for it a little rather than say that there is none."""
    until = clock.monotonic() + settings.credit_tenant_wait_ms_max / 1000
    while True:
        async with begin(tenant_id) as tx:
            if await ledger.is_known(tx, tenant_id):
                return
        if clock.monotonic() >= until:
            raise not_found("tenant")
        await asyncio.sleep(_TENANT_POLL_S)


def _granted(done: Granted, available: int) -> TopUpOut:
    top_up = done.top_up
    taken_back = done.reversed_available is not None
    return TopUpOut(
        id=top_up.top_up_id,
        tenant_id=top_up.tenant_id,
        credits=top_up.credits,
        available=available,
        reversed=taken_back,
    )


def _waiting(row: dict[str, Any]) -> WaitingOut:
    same = ("tenant_id", "credits", "state", "reason", "reference", "asked_at", "expires_at", "decided_by",
            "decided_at", "decision_reason")  # fmt: skip
    return WaitingOut(id=row["top_up_id"], asked_by=row["actor"], **{name: row[name] for name in same})


def _as_asked(row: dict[str, Any]) -> WaitingOut:
    """As it was answered when it was asked for, whatever was decided since."""
    undecided = {"state": State.AWAITING, "decided_by": "", "decided_at": None, "decision_reason": ""}
    return _waiting({**row, **undecided})


def _refuse(refused: GrantRefused) -> NoReturn:
    match refused:
        case GrantRefused.UNKNOWN_TENANT:
            raise not_found("tenant")
        case GrantRefused.UNKNOWN_TOP_UP:
            raise not_found("top-up")
        case GrantRefused.CLOSED:
            raise conflict("account_closed", "The account is closed", "Open the tenant first.", field="tenant_id")
        case GrantRefused.BEYOND_LIMIT:
            raise unprocessable("credits", "beyond_limit", "is more than the account can hold")
        case GrantRefused.OTHER_TOP_UP:
            raise conflict("idempotency_key_reused", "This idempotency key was used before", field="Idempotency-Key")


def _not_decided(why: NotDecided) -> NoReturn:
    match why:
        case NotDecided.UNKNOWN:
            raise not_found("top-up")
        case NotDecided.SAME_PERSON:
            raise forbidden("Another operator than the one who asked for it confirms a top-up.", reason=why)
        case NotDecided.EXPIRED:
            raise conflict("expired", "The top-up expired", "It was not confirmed in time. Ask for it again.")
        case NotDecided.REJECTED | NotDecided.CONFIRMED:
            raise conflict(why, f"The top-up was {why} already", "A decision is for good.")
