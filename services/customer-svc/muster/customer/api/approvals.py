"""/v1/approvals: a second person lets through what is more than one may send alone."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, StringConstraints

from muster.customer.api.common import settings_of
from muster.customer.domain.approvals import (
    FIELDS,
    NOTE_CHARACTERS_MAX,
    Bound,
    Decision,
    Needed,
    NotDecided,
    Rule,
    State,
    Subject,
)
from muster.customer.domain.schedules import State as ScheduleState
from muster.customer.domain.sends import Phase
from muster.customer.handlers import approving
from muster.customer.handlers.approving import bound_to, until
from muster.customer.settings import CustomerSettings
from muster.customer.store import approvals, bulks, quotes, schedules
from muster.customer.store.approvals import Asked
from muster.kit import clock
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import uuid7, verify_checked
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import Problem, conflict, not_found, unprocessable

router = APIRouter(prefix="/v1/approvals")

StateWord = Literal["open", "approved", "refused", "withdrawn", "expired", "void", "used"]
Sender = Annotated[Caller, requires(Permission.SEND)]
OwnTx = Annotated[Tx, tenant_tx]
OnceOnly = Annotated[Once, idempotent]
_Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=NOTE_CHARACTERS_MAX)]


class ApprovalIn(Model):
    """What is to be approved: a quote, a send that `needs_confirmation`, or a schedule as it is now. note: for whoever
    decides."""

    quote_id: UUID | None = None
    bulk_id: UUID | None = None
    schedule_id: UUID | None = None
    note: _Words = ""


class ApproveIn(Model):
    """What whoever approves has to say."""

    reason: _Words = ""


class RefuseIn(Model):
    """Why it is refused."""

    reason: Annotated[_Words, Field(min_length=1)]


class ApprovalOut(Model):
    """A request for approval. credits: as many may be spent by it, of a schedule at each start; version: of the
    schedule that it is of, and of no later one; made_by: who made the quote, send or schedule. It can be decided, and
    used, until expires_at. `void`: what it was for was changed, sent without it or ended; `used` by the send used_by.
    """

    id: UUID
    state: StateWord
    subject: Literal["quote", "send", "schedule"]
    quote_id: UUID | None = None
    bulk_id: UUID | None = None
    schedule_id: UUID | None = None
    version: int | None = None
    credits: int
    recipients: int | None
    note: str
    made_by: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str
    used_by: UUID | None


class ApprovalShown(ApprovalOut):
    """The same with what would be sent. sender: null where a schedule takes that of the settings."""

    text: str | None = None
    sender: str | None = None


@router.post("", status_code=201, response_model=ApprovalOut)
async def ask(body: ApprovalIn, request: Request, caller: Sender, tx: OwnTx, once: OnceOnly) -> Response:
    """Ask a second person to approve. Who asks for what waits already gets the same request (200)."""

    async def make() -> tuple[int, Model]:
        asked = await _asked(request, tx, caller, body)
        settings = settings_of(request)
        await approvals.alone(tx, caller.tenant_id, asked.bound)
        last = await approvals.last_of(tx, caller.tenant_id, asked.bound)
        if last is not None and last["state"] in (State.OPEN, State.APPROVED):
            return 200, _out(last)
        if last is not None and last["state"] == State.REFUSED:
            raise _refused_before(last)
        if await approvals.count_open(tx, caller.tenant_id) >= settings.customer_approvals_open_max:
            detail = f"{settings.customer_approvals_open_max} requests wait, which is the limit. Decide some first."
            raise conflict("too_many_approvals", "No more requests are taken", detail)
        return 201, _out(await approving.ask(tx, caller, asked))

    return await once.answer(tx, caller, body, make)


@router.get("")
async def list_approvals(
    caller: Sender,
    tx: OwnTx,
    limit: Limit = 50,
    cursor: CursorText = None,
    state: Annotated[StateWord | None, Query()] = None,
    subject_id: Annotated[UUID | None, Query(description="only those of this quote, send or schedule")] = None,
) -> Page[ApprovalOut]:
    """Requests, the newest first."""
    before = decode_cursor(cursor, {"id": UUID})["id"] if cursor else None
    rows = await approvals.page(tx, caller.tenant_id, state, before, subject_id, limit + 1)
    return page_of(rows, limit, _out, lambda row: {"id": row["approval_id"]})


@router.get("/{approval_id}")
async def get_approval(approval_id: UUID, caller: Sender, tx: OwnTx) -> ApprovalShown:
    """A request, with the text that it is about."""
    row = await approvals.approval_of(tx, caller.tenant_id, approval_id)
    if row is None:
        raise not_found("approval")
    said = await approvals.text_of(tx, caller.tenant_id, row)
    return ApprovalShown(**_out(row).model_dump(), **dict(said or {}))


@router.post("/{approval_id}/approve", response_model=ApprovalOut)
async def approve(
    approval_id: UUID,
    request: Request,
    caller: Sender,
    tx: OwnTx,
    once: OnceOnly,
    body: ApproveIn | None = None,
) -> Response:
    """Let it be sent. Not by who asked for it, nor by who made it."""

    async def make() -> tuple[int, Model]:
        reason = body.reason if body else ""
        return 200, await _decided(request, tx, caller, approval_id, Decision.APPROVED, reason)

    return await once.answer(tx, caller, body, make)


@router.post("/{approval_id}/refuse", response_model=ApprovalOut)
async def refuse(
    approval_id: UUID, body: RefuseIn, request: Request, caller: Sender, tx: OwnTx, once: OnceOnly
) -> Response:
    """Do not let it be sent: it is not asked for again, but another quote or version may be. By who asked for it, the
    request is withdrawn."""

    async def make() -> tuple[int, Model]:
        return 200, await _decided(request, tx, caller, approval_id, Decision.REFUSED, body.reason)

    return await once.answer(tx, caller, body, make)


def approval_needed(needed: Needed) -> Problem:
    """409: this is more than one person alone may send."""
    members = {FIELDS[needed.bound.subject]: str(needed.bound.subject_id)}
    above = {"credits_above": needed.rule.credits_above, "recipients_above": needed.rule.recipients_above}
    detail = f"{needed.message[:1].upper()}{needed.message[1:]}."
    figures = {"credits": needed.credits, "recipients": needed.recipients}
    return conflict("approval_needed", "A second person must approve this", detail, **members, **figures, **above)


_SAID: Final = {
    NotDecided.SAME_PERSON: ("It needs another person", "Who asked for it, or made it, cannot approve it."),
    NotDecided.DECIDED: ("It was decided before", "A decision stands."),
    NotDecided.EXPIRED: ("This request has expired", "Nobody decided it in time; ask for it again."),
    NotDecided.VOID: ("There is nothing to decide any more", "What it was for was changed, sent without it, or ended."),
}


async def _decided(
    request: Request, tx: Tx, caller: Caller, approval_id: UUID, decision: Decision, reason: str
) -> ApprovalOut:
    days = settings_of(request).customer_approval_schedule_d
    found = await approving.decide(tx, caller, approval_id, decision, reason, days)
    if found is None:
        raise not_found("approval")
    if isinstance(found, NotDecided):
        title, detail = _SAID[found]
        if found is NotDecided.SAME_PERSON:
            raise Problem(403, found.value, title, detail)
        row = await approvals.approval_of(tx, caller.tenant_id, approval_id)
        assert row is not None, "it was there"
        who = {"decided_by": row["decided_by"]} if found is NotDecided.DECIDED else {}
        raise conflict(found.value, title, detail, state=row["state"], **who)
    return _out(found)


async def _asked(request: Request, tx: Tx, caller: Caller, body: ApprovalIn) -> Asked:
    """What is asked for, which is there and needs it."""
    given = [name for name in FIELDS.values() if getattr(body, name) is not None]
    if len(given) != 1:
        raise unprocessable("quote_id", "one_subject", f"give one of {', '.join(FIELDS.values())}")
    find: Any = {"quote_id": _quote, "bulk_id": _send, "schedule_id": _schedule}[given[0]]
    rule = await approvals.rule_of(tx, caller.tenant_id)
    found: Asked = await find(request, tx, caller, body, rule)
    return found


async def _quote(request: Request, tx: Tx, caller: Caller, body: ApprovalIn, rule: Rule) -> Asked:
    assert body.quote_id is not None
    quote = await quotes.quote_of(tx, caller.tenant_id, body.quote_id)
    if quote is None:
        raise not_found("quote")
    if quote.used_by is not None:
        used_by = str(quote.used_by)
        raise conflict("quote_used", "This quote was used before", "A quote is for one send.", bulk_id=used_by)
    if quote.expires_at <= clock.now():
        raise conflict("quote_expired", "This quote has expired", "Ask for a new one.")
    _needed(rule, quote.credits, quote.recipients)
    end, bound = until(quote.expires_at, _hours(request)), Bound(Subject.QUOTE, quote.quote_id)
    figures = quote.credits, quote.recipients, body.note, quote.created_by
    return Asked(uuid7(), bound, *figures, caller.user_id, end)


async def _send(request: Request, tx: Tx, caller: Caller, body: ApprovalIn, rule: Rule) -> Asked:
    assert body.bulk_id is not None
    known = verify_checked(settings_of(request).bulk_id_key_bytes, caller.tenant_id, body.bulk_id)
    bulk = await bulks.bulk_of(tx, caller.tenant_id, body.bulk_id) if known else None
    if bulk is None:
        raise not_found("bulk-sms")
    if bulk["phase"] != Phase.NEEDS_CONFIRMATION:
        detail = "Only a send whose state is needs_confirmation may need an approval; before, its quote does."
        raise conflict("nothing_to_confirm", "This send does not wait for a confirmation", detail)
    if bulk["send_by"] <= clock.now():
        raise conflict("too_late", "The time of this send is over", "Nothing of it may be sent after its send_by.")
    _needed(rule, bulk["credits"], bulk["recipients"])
    end, bound = until(bulk["send_by"], _hours(request)), Bound(Subject.SEND, body.bulk_id, bulk["credits"])
    figures = bulk["credits"], bulk["recipients"], body.note, bulk["created_by"]
    return Asked(uuid7(), bound, *figures, caller.user_id, end)


async def _schedule(request: Request, tx: Tx, caller: Caller, body: ApprovalIn, rule: Rule) -> Asked:
    assert body.schedule_id is not None
    schedule = await schedules.schedule_of(tx, caller.tenant_id, body.schedule_id)
    if schedule is None:
        raise not_found("schedule")
    if schedule.state not in (ScheduleState.ACTIVE, ScheduleState.PAUSED):
        raise conflict("not_active", "This schedule is not active", f"It is {schedule.state.value}.")
    if rule.recipients_above is None:
        _needed(rule, schedule.credits_max, 0)
    figures = schedule.credits_max, None, body.note, schedule.changed_by
    end = until(None, _hours(request))
    return Asked(uuid7(), bound_to(schedule), *figures, caller.user_id, end, schedule.name)


def _hours(request: Request) -> int:
    settings: CustomerSettings = settings_of(request)
    return settings.customer_approval_asked_h


def _needed(rule: Rule, credits: int, recipients: int) -> None:
    if not rule.needs(credits, recipients):
        detail = f"One person alone may send up to {rule.words}." if rule.words else "The business asks for none."
        raise conflict("approval_not_needed", "This needs no approval", detail)


def _refused_before(row: Record) -> Problem:
    detail = f"It was refused: {row['reason']}. Make another quote, or change the schedule, and ask for that."
    return conflict("approval_refused", "This was refused", detail, approval_id=str(row["approval_id"]))


def _out(row: Record) -> ApprovalOut:
    subject = Subject(row["subject"])
    named: dict[str, Any] = {FIELDS[subject]: row["subject_id"]}
    version = row["version"] if subject is Subject.SCHEDULE else None
    shared = set(ApprovalOut.model_fields) - {"id", "version", *FIELDS.values()}
    return ApprovalOut(id=row["approval_id"], version=version, **named, **{name: row[name] for name in shared})
