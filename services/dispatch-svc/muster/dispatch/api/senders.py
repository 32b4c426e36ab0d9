"""The register of senders: seen by their businesses, kept by the operator."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, StringConstraints

from muster.dispatch.domain.senders import (
    LEASE,
    Kind,
    Registration,
    Standing,
    is_sender,
    is_shown_unverified,
    kind_of,
    leased_until,
    normal,
)
from muster.dispatch.events.senders import Sender
from muster.dispatch.handlers.senders import give, release, store
from muster.dispatch.store import senders, suspensions
from muster.dispatch.store.senders import Asked
from muster.events import NIL_TENANT, is_sandbox
from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Role, Tx, requires, tenant_tx
from muster.kit.desk import Desk
from muster.kit.http import Flag, Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.problems import conflict, not_found, unprocessable

router = APIRouter(prefix="/v1/senders", tags=["senders"])

Operator = Annotated[Caller, requires(Permission.RUN_CARRIERS)]
_WRITTEN: Final = 16
_ACTS: Final = {
    Registration.UNREGISTERED: Act.SENDER_UNREGISTERED,
    Registration.PENDING: Act.SENDER_PENDING,
    Registration.REGISTERED: Act.SENDER_REGISTERED,
    Registration.REJECTED: Act.SENDER_REJECTED,
}
Written = Annotated[str, StringConstraints(min_length=1, max_length=_WRITTEN)]
Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class SenderIn(Model):
    """A sender for a business: a number in E.164, or a name of at most 11 characters. receives_replies: what is written
    to the number comes to us, true unless said; a name gets no replies."""

    tenant_id: UUID
    sender: Written
    receives_replies: Flag | None = None
    reason: Why


class RegistrationIn(Model):
    """What a register says of a sender. reference: under which it is kept there; reason: told to the business where it
    was rejected."""

    registration: Registration
    reference: Annotated[str, Field(max_length=100)] = ""
    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""


class ReleaseIn(Model):
    """Why; told to the business where it still wants to send by it."""

    reason: Why


class WarningOut(Model):
    """What a business should know of a sender by which it may send all the same."""

    code: str
    message: str


class SenderOut(Model):
    """A sender of a business and how it stands. until: when its lease (replies still reach the business) or quarantine
    (nobody has it) ends; by_operator: settings of the business do not change it."""

    tenant_id: UUID
    sender: str
    kind: Kind
    receives_replies: bool
    standing: Standing
    until: datetime | None
    registration: Registration
    reference: str
    reason: str
    by_operator: bool
    version: int
    changed_at: datetime
    warnings: list[WarningOut]


@router.get("")
async def read_senders(
    caller: Annotated[Caller, requires(Permission.READ_SENDERS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
    tenant_id: Annotated[UUID | None, Query(description="of this business; the operator's to ask")] = None,
    sender: Annotated[Written | None, Query()] = None,
    standing: Annotated[Standing | None, Query()] = None,
    registration: Annotated[Registration | None, Query()] = None,
) -> Page[SenderOut]:
    """Senders: a business's own, and all of them for the operator."""
    of = tenant_id if caller.role is Role.OPERATOR else caller.tenant_id
    after: dict[str, Any] = {"sender": "", "tenant_id": NIL_TENANT}
    if cursor:
        after = decode_cursor(cursor, {"sender": str, "tenant_id": UUID})
    asked = Asked(of, normal(sender) if sender else None, standing, registration)
    found = await senders.page(tx, (after["sender"], after["tenant_id"]), asked, limit + 1)
    return page_of(found, limit, _out, lambda one: {"sender": one.sender, "tenant_id": one.owner_tenant_id})


@router.post("", response_model=SenderOut, status_code=201)
async def give_sender(
    request: Request,
    body: SenderIn,
    caller: Operator,
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Give a business a sender, besides those it has. 409 for a number that somebody else has, or that is leased to who
    had it, or in quarantine."""
    sender = normal(body.sender)
    if not is_sender(body.sender):
        message = "must be a number in E.164 (+61400000000) or a name of 1 to 11 letters and digits"
        raise unprocessable("sender", "sender_not_valid", message)
    if body.receives_replies and kind_of(sender) is Kind.NAME:
        raise unprocessable("receives_replies", "name_gets_no_replies", "a name gets no replies")
    if is_sandbox(body.tenant_id):
        raise unprocessable("tenant_id", "sandbox", "a sandbox has no sender but what it calls itself")
    desk: Desk = request.app.state.desk

    async def make() -> tuple[int, SenderOut]:
        if not await desk.ask(lambda worker: suspensions.is_known(worker, body.tenant_id)):
            raise not_found("tenant")
        given = await give(tx, body.tenant_id, sender, receives_replies=body.receives_replies is not False)
        if given is None:
            raise await _held(tx, body.tenant_id, sender)
        await _audit(tx, caller, Act.SENDER_GIVEN, given, body.reason)
        return 201, _out(given)

    return await once.answer(tx, caller, body, make)


@router.put("/{tenant_id}/{sender}/registration", response_model=SenderOut)
async def set_registration(
    tenant_id: UUID,
    sender: str,
    body: RegistrationIn,
    caller: Operator,
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Say how a sender stands with the register of names. Nothing is sent by one that was rejected."""
    if body.registration is Registration.REJECTED and not body.reason:
        raise unprocessable("reason", "missing", "say why it was rejected: its business is told")
    if body.registration is Registration.REGISTERED and not body.reference:
        raise unprocessable("reference", "missing", "say under which reference it is registered")

    async def make() -> tuple[int, SenderOut]:
        found = await _found(tx, tenant_id, sender)
        after = await store(
            tx, replace(found, registration=body.registration, reference=body.reference, reason=body.reason)
        )
        await _audit(tx, caller, _ACTS[body.registration], after, body.reason)
        return 200, _out(after)

    return await once.answer(tx, caller, body, make)


@router.post("/{tenant_id}/{sender}/release", response_model=SenderOut)
async def release_sender(
    request: Request,
    tenant_id: UUID,
    sender: str,
    body: ReleaseIn,
    caller: Operator,
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Take a sender from a business. It sends nothing by it any more; replies and opt-outs reach it until 30 days after
    its last marketing message, then nobody has the number for the time of the quarantine."""
    desk: Desk = request.app.state.desk

    async def make() -> tuple[int, SenderOut]:
        found = await _found(tx, tenant_id, sender)
        if not found.active:
            raise conflict("not_active", "This business does not have it now", f"It is {found.standing}.")
        # What it has sent is the business's own, which an operator's request does not see.
        use = await desk.ask(lambda worker: senders.use_of(worker, tenant_id, found.sender))
        after = await release(tx, found, leased_until(use, clock.now()), body.reason)
        await _audit(tx, caller, Act.SENDER_RELEASED, after, body.reason)
        return 200, _out(after)

    return await once.answer(tx, caller, body, make)


async def _found(tx: Tx, tenant_id: UUID, sender: str) -> Sender:
    found = await senders.find(tx, tenant_id, normal(sender))
    if found is None:
        raise not_found("sender")
    return found


async def _held(tx: Tx, tenant_id: UUID, sender: str) -> Exception:
    held = await senders.other_holder(tx, tenant_id, sender)
    assert held is not None, "it was not given"
    day = f"{held.until:%Y-%m-%d}" if held.until else ""
    said = {
        Standing.ACTIVE: "Another business has it.",
        Standing.LEASED: f"Replies reach who had it until {day}, {LEASE.days} days after its last marketing.",
        Standing.QUARANTINED: f"It is in quarantine until {day}.",
    }
    owner, until = str(held.owner_tenant_id), held.until.isoformat() if held.until else None
    members = {"owner_tenant_id": owner, "standing": held.standing.value, "until": until}
    return conflict("sender_taken", "This number is not free", said[held.standing], **members)


async def _audit(tx: Tx, caller: Caller, act: Act, one: Sender, reason: str) -> None:
    await emit(tx, audit.record(caller, act, f"{one.owner_tenant_id}/{one.sender}", reason))


def _out(one: Sender) -> SenderOut:
    warnings = []
    if is_shown_unverified(one.sender, one.registration, "AU"):
        message = 'Phones in Australia show "Unverified" in its place until it is registered.'
        warnings.append(WarningOut(code="shown_unverified", message=message))
    return SenderOut(
        tenant_id=one.owner_tenant_id,
        sender=f"+{one.sender}" if one.kind is Kind.NUMBER else one.sender,
        kind=one.kind,
        receives_replies=one.receives_replies,
        standing=one.standing,
        until=one.until,
        registration=one.registration,
        reference=one.reference,
        reason=one.reason,
        by_operator=one.by_operator,
        version=one.version,
        changed_at=one.changed_at,
        warnings=warnings,
    )
