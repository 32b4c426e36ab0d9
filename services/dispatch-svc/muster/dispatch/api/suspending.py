"""For the operator: suspend a tenant, stop the platform, and lift that again."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import StringConstraints

from muster.dispatch.handlers.suspending import suspend as suspend_tenant
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import suspensions
from muster.dispatch.store.suspensions import Suspension
from muster.events import NIL_TENANT
from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Begin, Caller, Permission, Tx, requires, tenant_tx, tx_of_tenant
from muster.kit.desk import Desk
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.problems import not_found

router = APIRouter(prefix="/v1/ops/dispatch", tags=["ops"])

_POLL_S: Final = 0.05

_ACTS: Final = {
    (False, True): Act.TENANT_SUSPENDED,
    (False, False): Act.TENANT_REINSTATED,
    (True, True): Act.PLATFORM_STOPPED,
    (True, False): Act.PLATFORM_STARTED,
}
"""By whether it is the whole platform, and is suspended."""

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class SuspensionIn(Model):
    """Why; kept in the audit log, and told to those whose sends are refused for it."""

    reason: Reason


class SuspensionOut(Model):
    """How a tenant stands: `suspended` where nothing is sent for it."""

    tenant_id: UUID
    suspended: bool
    version: int
    reason: str
    user_id: str
    since: datetime


class PlatformOut(Model):
    """How the platform stands: `stopped` where nothing is sent for anybody."""

    stopped: bool
    version: int
    reason: str
    user_id: str
    since: datetime | None


@router.post("/tenants/{tenant_id}/suspend", response_model=SuspensionOut)
async def suspend(
    request: Request,
    tenant_id: UUID,
    body: SuspensionIn,
    caller: Annotated[Caller, requires(Permission.RUN_TENANTS)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Let nothing leave for a tenant any more, and give it no tokens.

    What is queued waits, or ends at its `send_by` and gives its credits back; new sends are refused with the reason.
    202 while a carrier still owes answers for what had left before.
    """
    response, found = await _change(tenant_id, body, caller, begin, once, suspended=True)
    return await _answer(request, response, found, _suspension(found))


@router.post("/tenants/{tenant_id}/reinstate", response_model=SuspensionOut)
async def reinstate(
    request: Request,
    tenant_id: UUID,
    body: SuspensionIn,
    caller: Annotated[Caller, requires(Permission.RUN_TENANTS)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """End a suspension: what is queued goes on where it was, and nobody is texted twice."""
    response, found = await _change(tenant_id, body, caller, begin, once, suspended=False)
    return await _answer(request, response, found, _suspension(found))


@router.post("/platform/stop", response_model=PlatformOut)
async def stop_platform(
    request: Request,
    body: SuspensionIn,
    caller: Annotated[Caller, requires(Permission.RUN_PLATFORM)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Let nothing leave for anybody, on any carrier, until the platform is started again.

    What is queued waits, or ends at its `send_by`; new sends are refused with the reason. 202 while a carrier still
    owes answers for what had left before.
    """
    response, found = await _change(NIL_TENANT, body, caller, begin, once, suspended=True)
    return await _answer(request, response, found, _platform(found))


@router.post("/platform/start", response_model=PlatformOut)
async def start_platform(
    request: Request,
    body: SuspensionIn,
    caller: Annotated[Caller, requires(Permission.RUN_PLATFORM)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Let sends go on where they were; tenants that are suspended stay so."""
    response, found = await _change(NIL_TENANT, body, caller, begin, once, suspended=False)
    return await _answer(request, response, found, _platform(found))


@router.get("/platform")
async def read_platform(
    _: Annotated[Caller, requires(Permission.RUN_PLATFORM)], tx: Annotated[Tx, tenant_tx]
) -> PlatformOut:
    """Whether the platform is stopped, since when and why."""
    return _platform(await suspensions.find(tx, NIL_TENANT))


@router.get("/suspensions")
async def read_suspensions(
    request: Request,
    _: Annotated[Caller, requires(Permission.RUN_TENANTS)],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[SuspensionOut]:
    """Tenants that are suspended now."""
    after = decode_cursor(cursor, {"tenant_id": UUID})["tenant_id"] if cursor else NIL_TENANT
    desk: Desk = request.app.state.desk
    found = await desk.ask(lambda tx: suspensions.suspended(tx, after, limit + 1))
    return page_of(found, limit, _suspension, lambda one: {"tenant_id": one.tenant_id})


async def _change(
    tenant_id: UUID, body: SuspensionIn, caller: Caller, begin: Begin, once: Once, *, suspended: bool
) -> tuple[Response, Suspension | None]:
    async with begin(tenant_id) as tx:

        async def make() -> tuple[int, dict[str, Any]]:
            if tenant_id != NIL_TENANT and not await suspensions.is_known(tx, tenant_id):
                raise not_found("tenant")
            members: dict[str, Any] = {"suspended": suspended, "reason": body.reason, "user_id": caller.user_id}
            await suspend_tenant(tx, tenant_id, **members)
            act = _ACTS[tenant_id == NIL_TENANT, suspended]
            await emit(tx, audit.record(caller, act, str(tenant_id), body.reason, tenant_id=tenant_id))
            return 202, {}

        replay = await once.answer(tx, caller, body, make, tenant_id=tenant_id)
        return replay, await suspensions.find(tx, tenant_id)


async def _answer(request: Request, replay: Response, found: Suspension | None, answer: Model) -> Response:
    """How it stands, once no sender holds anything of whom it names, or with 202 after a while."""
    settings: DispatchSettings = request.app.state.settings
    deadline = clock.monotonic() + settings.dispatch_stop_wait_s
    exact = found is None or not found.suspended
    while found is not None and not exact and clock.monotonic() < deadline:
        exact = not await _has_leased(request, found.tenant_id)
        if not exact:
            await asyncio.sleep(_POLL_S)
    response = JSONResponse(answer.model_dump(mode="json"), 200 if exact else 202)
    if "Idempotent-Replayed" in replay.headers:
        response.headers["Idempotent-Replayed"] = "true"
    return response


async def _has_leased(request: Request, tenant_id: UUID) -> bool:
    desk: Desk = request.app.state.desk
    return await desk.ask(lambda tx: suspensions.has_leased(tx, tenant_id))


def _suspension(one: Suspension | None) -> SuspensionOut:
    assert one is not None, "a change makes the row"
    return SuspensionOut(
        tenant_id=one.tenant_id,
        suspended=one.suspended,
        version=one.version,
        reason=one.reason,
        user_id=one.user_id,
        since=one.changed_at,
    )


def _platform(one: Suspension | None) -> PlatformOut:
    if one is None:
        return PlatformOut(stopped=False, version=0, reason="", user_id="", since=None)
    return PlatformOut(
        stopped=one.suspended, version=one.version, reason=one.reason, user_id=one.user_id, since=one.changed_at
    )
