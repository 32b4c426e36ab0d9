"""Live numbers of a send: JSON, or server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from muster.kit import clock
from muster.kit.auth import ANY_TENANT_ROLE, Begin, Caller, Tx, requires, tx_of_tenant
from muster.kit.http import Model
from muster.kit.ids import verify_checked
from muster.kit.problems import not_found
from muster.report import domain
from muster.report.settings import ReportSettings
from muster.report.store import reading

router = APIRouter(prefix="/v1", tags=["report"])


class ProgressOut(Model):
    """Messages by end; each is counted once, so that they sum to `recipients`."""

    id: UUID
    recipients: int
    queued: int
    submitting: int
    accepted: int
    delivered: int
    undelivered: int
    expired: int
    rejected: int
    stopped: int
    suppressed: int
    unknown: int
    replies: int
    opt_outs: int
    rate_per_s: float
    closed: bool
    updated_at: datetime | None


@router.get("/bulk-sms/{bulk_id}/progress", response_model=ProgressOut)
async def read_progress(
    bulk_id: UUID,
    request: Request,
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    begin: Annotated[Begin, tx_of_tenant],
) -> Any:
    """As it stands; with `Accept: text/event-stream`, again at each change until the send has ended."""
    settings: ReportSettings = request.app.state.settings

    async def look() -> ProgressOut:
        async with begin(caller.tenant_id) as tx:
            return await _progress(tx, caller.tenant_id, bulk_id, settings)

    first = await look()
    if "text/event-stream" not in request.headers.get("accept", ""):
        return first

    async def stream() -> AsyncIterator[str]:
        until, shown = clock.monotonic() + settings.report_events_s_max, first
        yield _event(first)
        while clock.monotonic() < until and not (shown.closed and not shown.accepted):
            await asyncio.sleep(settings.report_events_poll_s)
            if (now := await look()) != shown:
                shown = now
                yield _event(now)

    return StreamingResponse(stream(), media_type="text/event-stream")


def _event(progress: ProgressOut) -> str:
    return f"event: progress\ndata: {progress.model_dump_json()}\n\n"


async def _progress(tx: Tx, tenant_id: UUID, bulk_id: UUID, settings: ReportSettings) -> ProgressOut:
    found = await reading.progress(tx, tenant_id, bulk_id)
    if found is None and not verify_checked(bytes.fromhex(settings.bulk_id_key.get_secret_value()), tenant_id, bulk_id):
        raise not_found("bulk-sms")
    # An id that was given and is not heard of yet: its events are on their way.
    row: dict[str, Any] = dict(found or {})
    counts = row.get("counts", [0] * domain.CODES)
    # Messages may be heard of before their send is.
    recipients = max(row.get("recipients", 0), sum(counts))
    return ProgressOut(
        id=bulk_id,
        recipients=recipients,
        replies=row.get("replies", 0),
        opt_outs=row.get("opt_outs", 0),
        rate_per_s=_rate(sum(counts), row.get("first_at"), row.get("last_at")),
        closed=row.get("closed", False),
        updated_at=row.get("last_at"),
        **domain.progress(recipients, counts),
    )


def _rate(left: int, first: datetime | None, last: datetime | None) -> float:
    """Messages a second, of those that have left."""
    seconds = (last - first).total_seconds() if first and last else 0.0
    return round(left / seconds, 1) if seconds else 0.0
