"""Stop, pause and resume a send."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from muster.dispatch.domain.accounting import Tally
from muster.dispatch.domain.saga import Bulk, Control, Controlled, State
from muster.dispatch.handlers.sagas import advance_locked
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import endings, sagas
from muster.dispatch.store.sagas import SagaKey
from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Begin, Caller, Permission, requires, tx_of_tenant
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import verify_checked
from muster.kit.outbox import emit
from muster.kit.pg import Tx
from muster.kit.problems import conflict, not_found
from muster.kit.settings import secret

router = APIRouter(prefix="/v1/bulk-sms", tags=["bulk-sms"])

_POLL_S: Final = 0.05
_ACTS: Final = {
    Control.PAUSE: Act.BULK_PAUSED,
    Control.RESUME: Act.BULK_RESUMED,
    Control.STOP: Act.BULK_STOPPED,
}


class ControlIn(Model):
    """Why; kept in the audit log."""

    reason: str = Field(default="", max_length=200)


class Counts(Model):
    """Messages by how they were left so far. `submitting`: on the wire, no answer yet."""

    accepted: int
    unknown: int
    rejected: int
    stopped: int
    suppressed: int
    queued: int
    submitting: int


class Credits(Model):
    """reserved = used + released + held."""

    reserved: int
    used: int
    released: int
    held: int


class ControlOut(Model):
    """How a send stands after a control. Counts are exact unless the status is 202.

    `stopping` with status 200: nothing leaves any more, and outcomes that are unknown still hold their credits; `note`
    says how many, and until when at the latest. It also says where an operator must look before a send goes on.
    """

    id: UUID
    state: str
    control_version: int
    recipients: int
    counts: Counts
    credits: Credits
    note: str | None = None


@router.post("/{bulk_id}/stop", response_model=ControlOut)
async def stop(
    request: Request,
    bulk_id: UUID,
    caller: Annotated[Caller, requires(Permission.SEND)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
    body: ControlIn | None = None,
) -> Response:
    """Send nothing more of it, and give the credits of what is unsent back. 202 while a carrier still owes answers."""
    return await _control(request, bulk_id, caller, begin, once, body, Control.STOP)


@router.post("/{bulk_id}/pause", response_model=ControlOut)
async def pause(
    request: Request,
    bulk_id: UUID,
    caller: Annotated[Caller, requires(Permission.SEND)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
    body: ControlIn | None = None,
) -> Response:
    """Send nothing more of it until it is resumed; its credits stay reserved, and `send_by` still ends it."""
    return await _control(request, bulk_id, caller, begin, once, body, Control.PAUSE)


@router.post("/{bulk_id}/resume", response_model=ControlOut)
async def resume(
    request: Request,
    bulk_id: UUID,
    caller: Annotated[Caller, requires(Permission.SEND)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
    body: ControlIn | None = None,
) -> Response:
    """Go on with a paused send."""
    return await _control(request, bulk_id, caller, begin, once, body, Control.RESUME)


async def _control(
    request: Request,
    bulk_id: UUID,
    caller: Caller,
    begin: Begin,
    once: Once,
    body: ControlIn | None,
    control: Control,
) -> Response:
    settings: DispatchSettings = request.app.state.settings
    key = bytes.fromhex(secret(settings.bulk_id_key, "bulk_id_key"))
    if not verify_checked(key, caller.tenant_id, bulk_id):
        raise not_found("bulk-sms")
    async with begin(caller.tenant_id) as tx:

        async def make() -> tuple[int, dict[str, Any]]:
            await _advance(tx, caller, bulk_id, control, body.reason if body else "")
            return 202, {"id": str(bulk_id), "state": "stopping"}

        replay = await once.answer(tx, caller, body, make)
    # What counts is how it stands now, also for a repeated request.
    limits = (settings.dispatch_stop_wait_s, settings.dispatch_unknown_kept_s)
    answer, exact = await _standing(begin, caller.tenant_id, bulk_id, *limits)
    response = JSONResponse(answer.model_dump(mode="json"), 200 if exact else 202)
    if "Idempotent-Replayed" in replay.headers:
        response.headers["Idempotent-Replayed"] = "true"
    return response


async def _advance(tx: Tx, caller: Caller, bulk_id: UUID, control: Control, reason: str) -> None:
    key = SagaKey(caller.tenant_id, bulk_id)
    before = await sagas.lock(tx, [key])
    if before[key].ended or (before[key].ending and control is not Control.STOP):
        raise conflict("already_ended", "This send has ended", "It can no more be stopped, paused or resumed.")
    after = await advance_locked(tx, before, {key: [Controlled(control)]}, user_id=caller.user_id)
    if after[key] != before[key]:
        await emit(tx, audit.record(caller, _ACTS[control], str(bulk_id), reason))


async def _standing(
    begin: Begin, tenant_id: UUID, bulk_id: UUID, wait_s: float, kept_s: float
) -> tuple[ControlOut, bool]:
    """How a send stands, once no sender holds any of it, or after `wait_s`."""
    deadline = clock.monotonic() + wait_s
    while True:
        async with begin(tenant_id) as tx:
            answer, leased = await _read(tx, SagaKey(tenant_id, bulk_id), kept_s)
        if not leased or answer.state not in ("stopping", "paused"):
            return answer, True
        if clock.monotonic() > deadline:
            return answer, False
        await asyncio.sleep(_POLL_S)


async def _read(tx: Tx, key: SagaKey, kept_s: float) -> tuple[ControlOut, bool]:
    leased = await endings.has_leased(tx, *key)
    bulk = await sagas.read(tx, *key)
    tally = (await sagas.tallies(tx, [key]))[key]
    assert bulk is not None, "a control makes the row"
    on_wire = tally.open if leased else 0
    left = tally.accepted + tally.unknown + tally.rejected + tally.stopped + tally.suppressed
    unsent = max(bulk.recipients - left, tally.open)
    over = bool(bulk.ending) and not leased
    counts = Counts(
        accepted=tally.accepted,
        unknown=tally.unknown,
        rejected=tally.rejected,
        stopped=tally.stopped + (unsent if over else 0),
        suppressed=tally.suppressed,
        queued=0 if over else unsent - on_wire,
        submitting=on_wire,
    )
    held = bool(tally.unknown_credits)
    until = datetime.fromtimestamp(tally.last_submit_ms / 1000 + kept_s, UTC) if held else None
    note = _note(bulk, tally, until)
    return _answer(key.bulk_id, bulk, counts, _credits(bulk, tally), note, unsettled=leased or held), leased


def _credits(bulk: Bulk, tally: Tally) -> Credits:
    """As they were last said; of a send that was not accounted for yet, what is used of them by now."""
    reserved, totals = bulk.reserved or 0, bulk.totals
    if bulk.account_version:
        return Credits(reserved=reserved, used=totals.used, released=totals.released, held=totals.held)
    used = min(tally.used, reserved)
    return Credits(reserved=reserved, used=used, released=0, held=reserved - used)


def _note(bulk: Bulk, tally: Tally, until: datetime | None) -> str | None:
    if bulk.parked and not bulk.ending and not bulk.ended:
        return "What was heard of this send contradicts itself: nothing of it leaves until an operator has looked."
    if until is None:
        return None
    return (
        f"{tally.unknown_credits} credits are held for messages of which the carrier has not said what became of them, "
        f"at the latest until {until:%Y-%m-%d %H:%M} UTC."
    )


def _answer(
    bulk_id: UUID, bulk: Bulk, counts: Counts, credits: Credits, note: str | None, *, unsettled: bool
) -> ControlOut:
    return ControlOut(
        id=bulk_id,
        state=_state(bulk, unsettled=unsettled),
        control_version=bulk.control_version,
        recipients=bulk.recipients,
        counts=counts,
        credits=credits,
        note=note,
    )


def _state(bulk: Bulk, *, unsettled: bool) -> str:
    if bulk.state in (State.CLOSED, State.REFUSED):
        return bulk.state.value
    if bulk.ending:
        return "stopping" if unsettled else State.CLOSED.value
    return "paused" if bulk.paused or bulk.parked else bulk.state.value
