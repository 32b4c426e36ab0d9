"""Live numbers of a send: JSON, or server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from muster.kit import clock, observe
from muster.kit.auth import ANY_TENANT_ROLE, Begin, Caller, Tx, requires, tx_of_tenant
from muster.kit.http import Model
from muster.kit.ids import verify_checked
from muster.kit.problems import not_found
from muster.report import domain
from muster.report.api.readers import Readers
from muster.report.settings import ReportSettings
from muster.report.store import reading

log = observe.logger(__name__)

router = APIRouter(prefix="/v1", tags=["report"])


class ProgressOut(Model):
    """Messages by end; each is counted once, so that they sum to `recipients`.

    `credits_refunded` is what failed messages gave back by the rule of the business.
    """

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
    credits_refunded: int
    rate_per_s: float
    closed: bool
    updated_at: datetime | None


class EventStream(StreamingResponse):
    """Server-sent events for one reader. Who takes nothing off the connection for `s_max` seconds is left."""

    def __init__(self, events: AsyncIterator[str], readers: Readers, tenant_id: UUID, s_max: float) -> None:
        # A proxy that gathers what it passes on would hold events back.
        super().__init__(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._readers = readers
        self._tenant_id = tenant_id
        self._s_max = s_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Counted from here on, where nothing can come between the count and its end."""
        self._readers.enter(self._tenant_id)
        try:
            async with asyncio.timeout(self._s_max):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            log.info("events.reader_left")
        finally:
            self._readers.leave(self._tenant_id)


Looked = tuple[ProgressOut, bool]


@router.get("/bulk-sms/{bulk_id}/progress", response_model=ProgressOut)
async def read_progress(
    bulk_id: UUID,
    request: Request,
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    begin: Annotated[Begin, tx_of_tenant],
) -> Any:
    """As it stands; with `Accept: text/event-stream`, again at each change (`event: progress`) until the send has ended
    and its receipts are in, or none has come for a minute (`event: end`)."""
    settings: ReportSettings = request.app.state.settings

    async def look() -> Looked:
        async with begin(caller.tenant_id) as tx:
            return await _progress(tx, caller.tenant_id, bulk_id, settings)

    first = await look()
    if "text/event-stream" not in request.headers.get("accept", ""):
        return first[0]
    readers: Readers = request.app.state.readers
    readers.check(caller.tenant_id)
    # Twice the time of a stream: its own end comes first, unless the reader takes nothing.
    return EventStream(events_of(look, first, settings), readers, caller.tenant_id, 2 * settings.report_events_s_max)


async def events_of(
    look: Callable[[], Awaitable[Looked]], first: Looked, settings: ReportSettings
) -> AsyncIterator[str]:
    """What a stream says, from the first look on."""
    shown, over = first
    began = changed = said = clock.monotonic()
    pause = settings.report_events_poll_s
    yield _event("progress", shown)
    while (now := clock.monotonic()) - began < settings.report_events_s_max:
        if over and (not shown.accepted or now - changed >= settings.report_events_quiet_s):
            yield _event("end", shown)
            return
        await asyncio.sleep(pause)
        found, over = await look()
        now = clock.monotonic()
        if found != shown:
            shown, changed, said, pause = found, now, now, settings.report_events_poll_s
            yield _event("progress", shown)
        else:
            pause = min(2 * pause, settings.report_events_poll_s_max)
            if now - said >= settings.report_events_beat_s:
                said = now
                yield ": still here\n\n"


def _event(name: str, progress: ProgressOut) -> str:
    return f"event: {name}\ndata: {progress.model_dump_json()}\n\n"


async def _progress(tx: Tx, tenant_id: UUID, bulk_id: UUID, settings: ReportSettings) -> Looked:
    """The numbers, and whether the send has ended."""
    found = await reading.progress(tx, tenant_id, bulk_id)
    if found is None and not verify_checked(bytes.fromhex(settings.bulk_id_key.get_secret_value()), tenant_id, bulk_id):
        raise not_found("bulk-sms")
    # An id that was given and is not heard of yet: its events are on their way.
    row: dict[str, Any] = dict(found or {})
    counts, requested, closed = (
        row.get("counts", [0] * domain.CODES),
        row.get("recipients", 0),
        row.get("closed", False),
    )
    # Messages may be heard of before their send is.
    recipients = max(requested, sum(counts))
    progress = ProgressOut(
        id=bulk_id,
        recipients=recipients,
        replies=row.get("replies", 0),
        opt_outs=row.get("opt_outs", 0),
        credits_refunded=row.get("refunded", 0),
        rate_per_s=_rate(sum(counts), row.get("first_at"), row.get("last_at")),
        closed=closed,
        updated_at=row.get("last_at"),
        **domain.progress(recipients, counts),
    )
    return progress, domain.over(requested, counts, closed=closed)


def _rate(left: int, first: datetime | None, last: datetime | None) -> float:
    """Messages a second, of those that have left."""
    seconds = (last - first).total_seconds() if first and last else 0.0
    return round(left / seconds, 1) if seconds else 0.0
