"""The account, its statement, and top-ups."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, NoReturn
from uuid import UUID, uuid5

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field, StringConstraints

from muster.credit import handlers
from muster.credit.domain.account import CREDITS_MAX, CREDITS_MIN, Kind
from muster.credit.domain.top_ups import Granted, GrantRefused, TopUp
from muster.credit.settings import CreditSettings
from muster.credit.store import ledger
from muster.kit import audit, clock
from muster.kit.auth import ANY_TENANT_ROLE, Begin, Caller, Role, Tx, requires, tenant_tx, tx_of_tenant
from muster.kit.http import Int, Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.problems import conflict, not_found, unprocessable

router = APIRouter(prefix="/v1/credits", tags=["credits"])

_TENANT_POLL_S = 0.05
Reason = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Reference = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)]


class BalanceOut(Model):
    """An account: granted + owed = available + reserved + consumed; `conservation` is the difference and always 0."""

    granted: int
    owed: int
    available: int
    reserved: int
    consumed: int
    conservation: int
    version: int


class EntryOut(Model):
    """A line of the statement: `credits` is how many the entry moved, what is left is in the fields after."""

    id: str
    at: datetime
    kind: Kind
    bulk_id: UUID | None
    credits: int
    available_after: int
    reserved_after: int
    consumed_after: int
    owed_after: int
    account_version: int
    reason: str
    reference: str


class TopUpIn(Model):
    """Credits for a tenant, with the reason that its statement shows."""

    tenant_id: UUID
    credits: Annotated[Int, Field(ge=CREDITS_MIN, le=CREDITS_MAX)]
    reason: Reason
    reference: Reference = ""


class ReversalIn(Model):
    """Why a top-up is taken back."""

    tenant_id: UUID
    reason: Reason


class TopUpOut(Model):
    """A grant (or, reversed, what was taken back) and what was available after it."""

    id: UUID
    tenant_id: UUID
    credits: int
    available: int
    reversed: bool = False


@router.get("")
async def read_balance(
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)], tx: Annotated[Tx, tenant_tx]
) -> BalanceOut:
    """The credits of the caller's business."""
    account = await ledger.balance(tx, caller.tenant_id)
    return BalanceOut(
        granted=account.granted,
        owed=account.owed,
        available=account.available,
        reserved=account.reserved,
        consumed=account.consumed,
        conservation=account.conservation,
        version=account.version,
    )


@router.get("/statement")
async def read_statement(
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[EntryOut]:
    """Every entry of the account with the balance after it, newest first."""
    before = decode_cursor(cursor, {"before": int})["before"] if cursor else None
    rows = await ledger.statement(tx, caller.tenant_id, before, limit + 1)
    return page_of(rows, limit, _entry, lambda row: {"before": row["account_version"]})


def _entry(row: Mapping[str, Any]) -> EntryOut:
    return EntryOut(id=str(row["account_version"]), **row)


@router.post("/top-ups", status_code=201, response_model=TopUpOut)
async def top_up(
    request: Request,
    body: TopUpIn,
    caller: Annotated[Caller, requires(Role.OPERATOR)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Grant credits. The same Idempotency-Key grants once, however long ago it was used."""
    await _until_known(begin, body.tenant_id, request.app.state.settings)
    top_up_id = uuid5(body.tenant_id, f"top-up/{once.key}") if once.key else uuid7()
    wanted = TopUp(body.tenant_id, top_up_id, body.credits, body.reason, body.reference, caller.user_id)

    async with begin(body.tenant_id) as tx:

        async def make() -> tuple[int, TopUpOut]:
            done = await handlers.top_up(tx, wanted)
            if isinstance(done, GrantRefused):
                _refuse(done)
            await emit(tx, audit.record(caller, "top-up", "top-up", str(top_up_id), tenant_id=body.tenant_id))
            return 201, _granted(done, done.available)

        return await once.answer(tx, caller, body, make, tenant_id=body.tenant_id)


@router.post("/top-ups/{top_up_id}/reversal", status_code=201, response_model=TopUpOut)
async def reverse_top_up(
    top_up_id: Annotated[UUID, Path()],
    body: ReversalIn,
    caller: Annotated[Caller, requires(Role.OPERATOR)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Take a top-up back, once. What is not available any more is owed, and blocks sends until it is paid."""
    async with begin(body.tenant_id) as tx:

        async def make() -> tuple[int, TopUpOut]:
            done = await handlers.reverse_top_up(tx, body.tenant_id, top_up_id, body.reason, caller.user_id)
            if isinstance(done, GrantRefused):
                _refuse(done)
            await emit(tx, audit.record(caller, "reverse", "top-up", str(top_up_id), tenant_id=body.tenant_id))
            return 201, _granted(done, done.reversed_available or 0)

        return await once.answer(tx, caller, body, make, tenant_id=body.tenant_id)


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


def _refuse(refused: GrantRefused) -> NoReturn:
    match refused:
        case GrantRefused.UNKNOWN_TENANT:
            raise not_found("tenant")
        case GrantRefused.UNKNOWN_TOP_UP:
            raise not_found("top-up")
        case GrantRefused.BEYOND_LIMIT:
            raise unprocessable("credits", "beyond_limit", "is more than the account can hold")
        case GrantRefused.OTHER_TOP_UP:
            raise conflict("idempotency_key_reused", "This idempotency key was used before", field="Idempotency-Key")
