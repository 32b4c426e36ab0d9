"""Live numbers of a send: JSON, or server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from muster.kit import clock, observe
from muster.kit.auth import Begin, Caller, Permission, Tx, requires, tx_of_tenant
from muster.kit.http import Model
from muster.kit.ids import verify_checked
from muster.kit.problems import not_found
from muster.report import domain
from muster.report.api.readers import Readers
from muster.report.api.watching import Key, Look, Shown, Watch, Watching
from muster.report.settings import ReportSettings
from muster.report.store import reading

log = observe.logger(__name__)

router = APIRouter(prefix="/v1", tags=["report"])

_EVENTS: Final = "text/event-stream"


class CreditsOut(Model):
    """reserved = used + released + held, once it is known what was reserved (null until then); asked is what planning
    came to. `refunded` is what failed messages gave back by the rule of the business."""

    asked: int
    reserved: int | None
    used: int
    released: int
    held: int | None
    refunded: int


class PaceOut(Model):
    """How a send goes on. `finish_at` is when its last message will have left, as it looks now: when it is written to
    its carrier, not when its receipt comes, which is up to the recipient's phone. Null where `why` says why nothing can
    be promised: measuring, carrier (one takes nothing), hours (those of its recipients end before it does), paused,
    stopped, suspended, or silent (nobody has said how it goes on lately).

    Until it is promised, that is an estimate. `promised_finish_at` is what was promised at `promised_at`, and does not
    change: after five seconds of sending, and not while messages of the send are still arriving in the queue, nor while
    what its carriers take is in doubt. `finished_at` is when the last message had left. In the promise are all that is
    queued and known to be due, of this business and of others by the same carriers; not in it are who comes later, and
    messages that are held for a person's word. A pause, a stop and a resume each withdraw what was promised before.
    """

    finish_at: datetime | None
    why: str | None
    parts_left: int
    parts_per_s: float
    promised_at: datetime | None
    promised_finish_at: datetime | None
    finished_at: datetime | None


class ProgressOut(Model):
    """Messages by end; each is counted once, so that they sum to `recipients`.

    Gathered: `sent` are those that a carrier took, `failed` those that did not arrive, `held` those of which nobody
    knows, `left` those that are still to leave; sent + held + left + rejected + stopped + suppressed = recipients.
    `parts` are those that a carrier took. `state` is what was heard here so far: closed once every message is counted,
    or nothing has come for a minute. `rate_per_s` are messages: over the last seconds while they leave, else over the
    whole. `pace` is null until a send has been sent for about a second.
    """

    id: UUID
    state: str
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
    sent: int
    failed: int
    held: int
    left: int
    parts: int
    credits: CreditsOut
    replies: int
    opt_outs: int
    credits_refunded: int
    rate_per_s: float
    pace: PaceOut | None
    closed: bool
    updated_at: datetime | None


class EventStream(StreamingResponse):
    """Server-sent events for one reader. Who takes nothing off the connection for `s_max` seconds is left."""

    def __init__(self, events: AsyncIterator[str], place: AbstractContextManager[object], s_max: float) -> None:
        # A proxy that gathers what it passes on would hold events back.
        super().__init__(events, media_type=_EVENTS, headers={"X-Accel-Buffering": "no"})
        self._place = place
        self._s_max = s_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The place is taken here, where nothing can come between that and its end."""
        with self._place:
            try:
                async with asyncio.timeout(self._s_max):
                    await super().__call__(scope, receive, send)
            except TimeoutError:
                log.info("events.reader_left")


@router.get(
    "/bulk-sms/{bulk_id}/progress",
    response_model=ProgressOut,
    responses={200: {"content": {_EVENTS: {"schema": {"type": "string"}}}}},
)
async def read_progress(
    bulk_id: UUID,
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_SENDS)],
    begin: Annotated[Begin, tx_of_tenant],
    last_event_id: Annotated[str, Header(max_length=64)] = "",
) -> Any:
    """As it stands; with `Accept: text/event-stream`, again at each change (`event: progress`) until the send has ended
    and its receipts are in, or none has come for a minute (`event: end`).

    Who comes back with the `Last-Event-ID` of what was seen is told only what is new. A stream ends without a last word
    when its token expires, when its time is over (ten minutes unless the operator says otherwise) or when the service
    ends: come back after `retry`. Nothing of the send depends on who watches it.
    """
    settings: ReportSettings = request.app.state.settings

    async def look() -> tuple[ProgressOut, bool]:
        async with begin(caller.tenant_id) as tx:
            return await _progress(tx, caller.tenant_id, bulk_id, settings)

    if _EVENTS not in request.headers.get("accept", ""):
        return (await look())[0]
    readers: Readers = request.app.state.readers
    readers.check(caller.tenant_id)
    watching: Watching = request.app.state.watching
    key = (caller.tenant_id, bulk_id)

    async def shown() -> Shown:
        return _shown(*await look())

    reader = Reader(watching, readers, key, shown, watching.known(key) or await shown())
    until = clock.monotonic() + min(settings.report_events_s_max, max(0.0, caller.expires_s - clock.unix_ms() / 1000))
    # Twice the time of a stream: its own end comes first, unless the reader takes nothing.
    return EventStream(events_of(reader, last_event_id, until, settings), reader, 2 * settings.report_events_s_max)


class Reader:
    """Who watches a send: counted, and with a share in its looks, for as long as the context lasts."""

    def __init__(self, watching: Watching, readers: Readers, key: Key, look: Look, first: Shown) -> None:
        self._watching = watching
        self._readers = readers
        self._key = key
        self._look = look
        self._first = first
        self.watch: Watch | None = None

    def __enter__(self) -> None:
        self._readers.enter(self._key[0])
        self.watch = self._watching.enter(self._key, self._look, self._first)

    def __exit__(self, *_: object) -> None:
        self._watching.leave(self._key)
        self._readers.leave(self._key[0])


async def events_of(reader: Reader, seen: str, until: float, settings: ReportSettings) -> AsyncIterator[str]:
    """What a stream says to a reader who has `seen` the numbers of this id, until that time (monotonic s)."""
    watch = reader.watch
    assert watch is not None, "its place is taken"
    yield f"retry: {round(settings.report_events_retry_s * 1000)}\n\n"
    while not watch.closed:
        news, shown = watch.news, watch.shown
        if shown.id != seen:
            seen = shown.id
            yield _event("progress", shown)
        if watch.ended:
            yield _event("end", shown)
            return
        wait_s = min(settings.report_events_beat_s, until - clock.monotonic())
        if wait_s <= 0:
            return
        try:
            async with asyncio.timeout(wait_s):
                await news.wait()
        except TimeoutError:
            yield ": still here\n\n"


def _event(name: str, shown: Shown) -> str:
    return f"id: {shown.id}\nevent: {name}\ndata: {shown.data}\n\n"


def _shown(progress: ProgressOut, over: bool) -> Shown:  # noqa: FBT001
    pace = progress.pace
    leaving = pace is not None and pace.why is None and pace.finished_at is None
    return Shown(progress.model_dump_json(), over, leaving or bool(progress.accepted))


async def _progress(tx: Tx, tenant_id: UUID, bulk_id: UUID, settings: ReportSettings) -> tuple[ProgressOut, bool]:
    """The numbers, and whether the send has ended."""
    found = await reading.progress(tx, tenant_id, bulk_id)
    if found is None and not verify_checked(bytes.fromhex(settings.bulk_id_key.get_secret_value()), tenant_id, bulk_id):
        raise not_found("bulk-sms")
    # An id that was given and is not heard of yet: its events are on their way.
    row: dict[str, Any] = dict(found or {})
    known = domain.Known(
        requested=row.get("recipients", 0),
        counts=row.get("counts", [0] * domain.CODES),
        closed=row.get("closed", False),
        control=row.get("control", 0),
        reason=row.get("control_reason", ""),
        silent_s=row.get("silent_s", 0.0),
    )
    # Messages may be heard of before their send is.
    recipients = max(known.requested, sum(known.counts))
    state = domain.state_of(known)
    pace = _pace(row, state, settings.report_pace_fresh_s)
    progress = ProgressOut(
        id=bulk_id,
        state=state,
        recipients=recipients,
        parts=row.get("parts", 0),
        credits=_credits(row),
        replies=row.get("replies", 0),
        opt_outs=row.get("opt_outs", 0),
        credits_refunded=row.get("refunded", 0),
        rate_per_s=_rate(row, known, pace),
        pace=pace,
        closed=known.complete,
        updated_at=row.get("last_at"),
        **domain.progress(recipients, known.counts),
        **domain.gathered(known.counts, recipients),
    )
    return progress, domain.over(known.requested, known.counts, closed=known.complete)


def _credits(row: dict[str, Any]) -> CreditsOut:
    """What was reserved is known from the first totals on; what is used, at each message."""
    used, released = row.get("credits", 0), row.get("released", 0)
    reserved = row["accounted_used"] + released + row["held"] if row.get("accounted_version") else None
    reserved = reserved if reserved is not None else row.get("paced_reserved") or None
    return CreditsOut(
        asked=row.get("asked", 0),
        reserved=reserved,
        used=used,
        released=released,
        # The words on messages and on totals come apart.
        held=None if reserved is None else max(0, reserved - used - released),
        refunded=row.get("refunded", 0),
    )


def _pace(row: dict[str, Any], state: str, fresh_s: float) -> PaceOut | None:
    if not row.get("paced_version"):
        return None
    stands = domain.promise_stands(
        state,
        same_control=row["paced_control"] >= row["control_version"],
        age_s=(clock.now() - row["paced_at"]).total_seconds(),
        fresh_s=fresh_s,
    )
    finished = row["finished_at"]
    why = row["paced_why"] if stands or finished or state == "closed" else _WITHDRAWN.get(state, "silent")
    return PaceOut(
        finish_at=row["finish_at"] if stands else None,
        why=why or None,
        # What was left when it was stopped never leaves, and nothing more is said of its pace.
        parts_left=0 if state in _ENDED else row["parts_left"],
        parts_per_s=round(row["parts_per_second"], 1) if stands else 0.0,
        promised_at=row["promised_at"] if stands or finished else None,
        promised_finish_at=row["promised_finish_at"] if stands or finished else None,
        finished_at=finished,
    )


_ENDED: Final = ("closed", "refused")
_WITHDRAWN: Final = {"paused": "paused", "stopping": "stopped", "refused": "stopped"}


def _rate(row: dict[str, Any], known: domain.Known, pace: PaceOut | None) -> float:
    """Messages a second: those that leave now, or of all that have left."""
    left, parts = sum(known.counts), row.get("parts", 0)
    if pace is not None and pace.parts_per_s and parts:
        return round(float(pace.parts_per_s * domain.gathered(known.counts, left)["sent"] / parts), 1)
    first, last = row.get("first_at"), row.get("last_at")
    seconds = (last - first).total_seconds() if first and last else 0.0
    return round(left / seconds, 1) if seconds else 0.0
