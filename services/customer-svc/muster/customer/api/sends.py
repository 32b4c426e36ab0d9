"""/v1/bulk-sms: the front door of a send."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from muster.customer.api.again import under_way
from muster.customer.api.approvals import approval_needed
from muster.customer.api.check_shapes import OVERRIDES_MAX, OverrideIn
from muster.customer.api.common import (
    hours_of,
    problem_of,
    refuse_suspended,
    sending_tenant_of,
    settings_of,
    usable_sender,
)
from muster.customer.api.send_out import BulkOut, bulk_out
from muster.customer.api.when import wall_text
from muster.customer.domain.approvals import Bound, Needed, Subject
from muster.customer.domain.gate import BLOCKED, Override, judge_overrides
from muster.customer.domain.hours import judge_local_time
from muster.customer.domain.notices import changed_since
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.sends import Phase, judge_send_by
from muster.customer.events import MessageClass, MessageKind, Partial
from muster.customer.handlers.approving import allow
from muster.customer.handlers.checking import checks_of
from muster.customer.handlers.requesting import Terms, request_send
from muster.customer.store import again, bulks, plans, quotes
from muster.customer.store.hours import hours_of_customers
from muster.customer.store.quotes import Quote
from muster.customer.store.reference import Tenant
from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Int, Model, Moment
from muster.kit.idempotency import Once, idempotent, idempotent_required
from muster.kit.ids import verify_checked
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import Problem, conflict, forbidden, not_found, unprocessable

router = APIRouter(prefix="/v1")

PartialWord = Literal["nothing", "first_n"]
KindWord = Literal["bulk", "single", "reminder", "reply"]


class BulkIn(Model):
    """A quote that is confirmed. partial: where credits are short, send nothing, or to the first whom they cover. text:
    what is meant to be sent, as it was written or as it leaves, if that is to be checked: 422 with the place where the
    quote says something else. overrides: checks of the quote that block it, which an admin overrides."""

    quote_id: UUID
    text: str | None = None
    send_by: Moment | None = None
    partial: PartialWord = "nothing"
    overrides: Annotated[tuple[OverrideIn, ...], Field(max_length=OVERRIDES_MAX)] = ()


class ConfirmIn(Model):
    """What the user agrees to pay for a send that came to cost more than its quote."""

    credits: Annotated[Int, Field(ge=0)]


@router.post("/bulk-sms", status_code=202, response_model=BulkOut)
async def send(
    body: BulkIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.SEND)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent_required],
) -> Response:
    """Confirm a quote: it is planned, credits are reserved, and then it is sent. 409 `checks_blocked` where the law of
    a recipient's country blocks it and no admin has overridden that, check by check."""

    async def make() -> tuple[int, Model]:
        return 202, await _send(request, tx, caller, body)

    return await once.answer(tx, caller, body, make)


@router.get("/bulk-sms")
async def list_sends(
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_SENDS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
    kind: Annotated[KindWord | None, Query()] = None,
    schedule_id: Annotated[UUID | None, Query(description="only the sends of this schedule")] = None,
) -> Page[BulkOut]:
    """Sends, the newest first."""
    before = decode_cursor(cursor, {"id": UUID})["id"] if cursor else None
    number = MessageKind[kind.upper()] if kind else None
    rows = await bulks.page_of_bulks(tx, caller.tenant_id, before, number, schedule_id, limit + 1)
    return page_of(rows, limit, lambda row: _out(request, row), lambda row: {"id": row["bulk_id"]})


@router.get("/bulk-sms/{bulk_id}")
async def get_send(
    bulk_id: UUID,
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_SENDS)],
    tx: Annotated[Tx, tenant_tx],
) -> BulkOut:
    """A send as it stands."""
    return _out(request, await _bulk(request, tx, caller, bulk_id))


@router.post("/bulk-sms/{bulk_id}/confirm", status_code=202, response_model=BulkOut)
async def confirm(
    bulk_id: UUID,
    body: ConfirmIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.SEND)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Agree to what a send costs now, where that is more than was quoted."""

    async def make() -> tuple[int, Model]:
        bulk = await _bulk(request, tx, caller, bulk_id, lock=True)
        if bulk["phase"] != Phase.NEEDS_CONFIRMATION:
            detail = (
                "Only a send whose state is needs_confirmation can be confirmed; what was agreed to goes on by itself."
            )
            raise conflict("nothing_to_confirm", "This send does not wait for a confirmation", detail)
        if bulk["send_by"] <= clock.now():
            raise conflict("too_late", "The time of this send is over", "Nothing of it may be sent after its send_by.")
        await refuse_suspended(tx, caller.tenant_id)
        if body.credits < bulk["credits"]:
            raise unprocessable(
                "credits", "too_few", f"the send costs {bulk['credits']} credits", credits=bulk["credits"]
            )
        bound, recipients = Bound(Subject.SEND, bulk_id, bulk["credits"]), bulk["recipients"]
        allowed = await allow(tx, caller.tenant_id, bound, bulk_id, body.credits, recipients)
        if isinstance(allowed, Needed):
            raise approval_needed(allowed)
        await bulks.confirm_credits(tx, caller.tenant_id, bulk_id, body.credits, allowed)
        await plans.restart_plan(tx, caller.tenant_id, bulk_id, "add_up")
        await emit(tx, audit.record(caller, Act.BULK_CONFIRMED, str(bulk_id)))
        return 202, _out(request, await _bulk(request, tx, caller, bulk_id))

    return await once.answer(tx, caller, body, make)


async def _bulk(request: Request, tx: Tx, caller: Caller, bulk_id: UUID, *, lock: bool = False) -> Record:
    """A send; 404 for what was never given to this tenant."""
    if not verify_checked(settings_of(request).bulk_id_key_bytes, caller.tenant_id, bulk_id):
        raise not_found("bulk-sms")
    bulk = await (bulks.lock_bulk if lock else bulks.bulk_of)(tx, caller.tenant_id, bulk_id)
    if bulk is None:
        raise not_found("bulk-sms")
    return bulk


def _out(request: Request, bulk: Record) -> BulkOut:
    return bulk_out(bulk, settings_of(request).dispatch_unknown_kept_s)


async def _send(request: Request, tx: Tx, caller: Caller, body: BulkIn) -> BulkOut:
    tenant = await sending_tenant_of(request, tx, caller.tenant_id)
    await refuse_suspended(tx, caller.tenant_id)
    now = clock.now()
    quote = await quotes.lock_quote(tx, caller.tenant_id, body.quote_id)
    if quote is None:
        raise not_found("quote")
    _usable(quote)
    changed = None if body.text is None else changed_since(body.text, quote.text, quote.added)
    if changed is not None:
        raise problem_of(changed)
    if quote.local is not None and judge_local_time(quote.local.wall, ZoneInfo(tenant.time_zone), now) is not None:
        when = wall_text(quote.local.wall)
        raise conflict("local_time_past", "The time of this quote is past", f"It was for {when}. Ask for a new one.")
    await usable_sender(request, tx, tenant, quote.sender)
    starts = await _starts(tx, tenant, quote, now)
    send_by = judge_send_by(now, body.send_by, starts)
    if isinstance(send_by, Refusal):
        raise problem_of(send_by)
    overrides = _overrides(caller, body, quote)
    partial, key = Partial[body.partial.upper()], settings_of(request).bulk_id_key_bytes
    terms = Terms(partial, send_by, caller.user_id, caller.role, quote.credits, overrides=overrides)
    bulk_id = await request_send(tx, tenant, key, quote, terms, settings_of(request).limits)
    if isinstance(bulk_id, Needed):
        raise approval_needed(bulk_id)
    if isinstance(bulk_id, Refusal):
        raise _refused(bulk_id)
    if quote.audience.again is not None:
        await _send_again(tx, caller.tenant_id, bulk_id, quote)
    await emit(tx, audit.record(caller, Act.BULK_REQUESTED, str(bulk_id)))
    return _out(request, await _bulk(request, tx, caller, bulk_id))


def _overrides(caller: Caller, body: BulkIn, quote: Quote) -> list[Override]:
    overrides = [one.override() for one in body.overrides]
    if overrides and caller.role not in Permission.OVERRIDE_CHECKS.roles:
        allowed = sorted(Permission.OVERRIDE_CHECKS.roles)
        raise forbidden(f"Checks are overridden by an admin; your role is {caller.role}.", roles=allowed)
    faults = judge_overrides(checks_of(quote), overrides)
    if faults:
        raise problem_of(faults)
    return overrides


def _refused(refusal: Refusal) -> Problem:
    if refusal.code != BLOCKED:
        return problem_of(refusal)
    way = "An admin may override it with a reason (overrides); or leave out who it is about, and quote again."
    detail = f"{refusal.message} {way}"
    return conflict(BLOCKED, "The law of a recipient's country blocks it", detail, **refusal.more)


async def _send_again(tx: Tx, tenant_id: UUID, bulk_id: UUID, quote: Quote) -> None:
    """Of two sends to those who did not get one, the second knows whom the first has texted: nobody gets it twice."""
    assert quote.audience.again is not None
    of = quote.audience.again.bulk_id
    await bulks.lock_bulk(tx, tenant_id, of)
    made = await again.newest(tx, tenant_id, of)
    if made is not None and made["created_at"] >= quote.created_at:
        raise under_way(made["bulk_id"])
    await again.set_again_of(tx, tenant_id, bulk_id, of)


async def _starts(tx: Tx, tenant: Tenant, quote: Quote, now: datetime) -> tuple[datetime, datetime] | None:
    """When the first and the last of the tenant's customers may be texted; None where nobody quoted has hours."""
    hours = hours_of(tenant, now, quote.message_class == MessageClass.MARKETING, quote.local)
    if not hours.matter(quote.details["by_country"]):
        return None
    found = await hours_of_customers(tx, tenant.tenant_id, hours)
    starts = [] if found.classes is None else found.classes.starts
    if not starts:
        return None
    return datetime.fromtimestamp(starts[0], UTC), datetime.fromtimestamp(starts[-1], UTC)


def _usable(quote: Quote) -> None:
    if quote.used_by is not None:
        used_by = str(quote.used_by)
        raise conflict("quote_used", "This quote was used before", "A quote is for one send.", bulk_id=used_by)
    if quote.expires_at <= clock.now():
        raise conflict(
            "quote_expired", "This quote has expired", "Ask for a new one.", expires_at=str(quote.expires_at)
        )
