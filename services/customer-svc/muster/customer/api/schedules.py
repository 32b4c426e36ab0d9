"""/v1/schedules: sends that start by the clock."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from muster.customer.api.schedule_shapes import (
    OccurrenceOut,
    PreviewIn,
    PreviewOut,
    ScheduleChange,
    ScheduleIn,
    ScheduleOut,
    SkipIn,
    StateWord,
    occurrence_out,
    schedule_out,
)
from muster.customer.api.scheduling import (
    activated,
    changed,
    locked,
    made,
    not_active,
    previewed,
    rule_of,
    zone_kept,
)
from muster.customer.api.when import wall_text
from muster.customer.domain.recurrence import starts
from muster.customer.domain.schedules import Outcome, State, Verdict
from muster.customer.domain.wall_clock import TZ_VERSION
from muster.customer.handlers.approving import of_schedule
from muster.customer.handlers.scheduling import Started, following, tell
from muster.customer.store import schedules
from muster.customer.store.schedules import Schedule
from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.problems import conflict, not_found

router = APIRouter(prefix="/v1/schedules")

_SHOWN = 10
Sender = Annotated[Caller, requires(Permission.SEND)]
Reader = Annotated[Caller, requires(Permission.READ_SENDS)]
OwnTx = Annotated[Tx, tenant_tx]
OnceOnly = Annotated[Once, idempotent]


@router.post("", status_code=201, response_model=ScheduleOut)
async def add_schedule(body: ScheduleIn, request: Request, caller: Sender, tx: OwnTx, once: OnceOnly) -> Response:
    """Send a text at a time, or again and again. Each start is quoted, planned and reserved when its time has come."""

    async def make() -> tuple[int, Model]:
        schedule = await made(request, tx, caller, body)
        return 201, await _save(tx, caller, schedule, Act.SCHEDULE_ADDED)

    return await once.answer(tx, caller, body, make)


@router.post("/preview")
async def preview(body: PreviewIn, request: Request, caller: Reader, tx: OwnTx) -> PreviewOut:
    """The next ten starts of a schedule that is not kept yet; nothing is stored."""
    rule, zone = await rule_of(request, tx, caller.tenant_id, body.when)
    return PreviewOut(time_zone=zone.key, starts=previewed(starts(rule, zone, later_than=clock.now())))


@router.get("")
async def list_schedules(
    caller: Reader,
    tx: OwnTx,
    limit: Limit = 50,
    cursor: CursorText = None,
    state: Annotated[StateWord | None, Query()] = None,
) -> Page[ScheduleOut]:
    """Schedules, the newest first; archived ones only where they are asked for."""
    before = decode_cursor(cursor, {"id": UUID})["id"] if cursor else None
    rows = await schedules.page(tx, caller.tenant_id, before, state, limit + 1)
    return page_of(rows, limit, schedule_out, lambda row: {"id": row.schedule_id})


@router.get("/{schedule_id}")
async def get_schedule(schedule_id: UUID, caller: Reader, tx: OwnTx) -> ScheduleOut:
    """A schedule as it stands, with what became of its last starts."""
    return await _shown(tx, caller, await _schedule(tx, caller, schedule_id))


@router.get("/{schedule_id}/preview")
async def preview_schedule(schedule_id: UUID, caller: Reader, tx: OwnTx) -> PreviewOut:
    """The next ten starts of a schedule; of a paused one, those it would have if it were resumed now."""
    schedule = await _schedule(tx, caller, schedule_id)
    zone, now = zone_kept(schedule), clock.now()
    wall, at = await schedules.last_start(tx, caller.tenant_id, schedule_id)
    found = starts(schedule.rule, zone, wall, max(now, at or now))
    live = schedule.state in (State.ACTIVE, State.PAUSED)
    return PreviewOut(time_zone=zone.key, starts=previewed(found) if live else [])


@router.get("/{schedule_id}/occurrences")
async def list_occurrences(
    schedule_id: UUID, caller: Reader, tx: OwnTx, limit: Limit = 50, cursor: CursorText = None
) -> Page[OccurrenceOut]:
    """What became of each start of a schedule, the newest first."""
    await _schedule(tx, caller, schedule_id)
    before = decode_cursor(cursor, {"wall": _naive})["wall"] if cursor else None
    rows = await schedules.starts_of(tx, caller.tenant_id, schedule_id, before, limit + 1)
    return page_of(rows, limit, occurrence_out, lambda row: {"wall": row["wall"].isoformat()})


@router.patch("/{schedule_id}", response_model=ScheduleOut)
async def change_schedule(
    schedule_id: UUID, body: ScheduleChange, request: Request, caller: Sender, tx: OwnTx, once: OnceOnly
) -> Response:
    """Change a schedule. What was started keeps what it was started with."""

    async def make() -> tuple[int, Model]:
        schedule = await changed(request, tx, caller, await locked(tx, caller, schedule_id), body)
        return 200, await _save(tx, caller, schedule, Act.SCHEDULE_CHANGED)

    return await once.answer(tx, caller, body, make)


@router.post("/{schedule_id}/pause", response_model=ScheduleOut)
async def pause_schedule(schedule_id: UUID, caller: Sender, tx: OwnTx, once: OnceOnly) -> Response:
    """Start nothing of it until it is resumed. What was started goes on."""

    async def make() -> tuple[int, Model]:
        schedule = await locked(tx, caller, schedule_id)
        if schedule.state is State.ENDED:
            raise not_active(schedule)
        if schedule.state is State.PAUSED:
            return 200, await _shown(tx, caller, schedule)
        paused = replace(schedule, state=State.PAUSED, next_wall=None, next_at=None)
        return 200, await _save(tx, caller, paused, Act.SCHEDULE_PAUSED)

    return await once.answer(tx, caller, None, make)


@router.post("/{schedule_id}/resume", response_model=ScheduleOut)
async def resume_schedule(schedule_id: UUID, caller: Sender, tx: OwnTx, once: OnceOnly) -> Response:
    """Go on from now; what came while it was paused is not made up for."""

    async def make() -> tuple[int, Model]:
        schedule = await locked(tx, caller, schedule_id)
        if schedule.state is State.ACTIVE:
            return 200, await _shown(tx, caller, schedule)
        return 200, await _save(tx, caller, await activated(tx, caller, schedule), Act.SCHEDULE_RESUMED)

    return await once.answer(tx, caller, None, make)


@router.post("/{schedule_id}/skip", response_model=ScheduleOut)
async def skip_next(schedule_id: UUID, body: SkipIn, caller: Sender, tx: OwnTx, once: OnceOnly) -> Response:
    """Leave out the next start, which is named; the schedule goes on behind it."""

    async def make() -> tuple[int, Model]:
        schedule = await locked(tx, caller, schedule_id)
        if schedule.next_wall is None or schedule.next_at is None:
            raise not_active(schedule)
        if body.wall != (wall := wall_text(schedule.next_wall)):
            detail = f"Its next start is {wall} in {schedule.time_zone}."
            raise conflict("not_next", "This is not its next start", detail, next=wall)
        this, now = (schedule.next_wall, schedule.next_at), clock.now()
        verdict = Verdict(Outcome.SKIPPED, "skipped", "Somebody skipped it.")
        await schedules.add_start(tx, caller.tenant_id, schedule_id, this, verdict, now)
        await tell(tx, caller.tenant_id, schedule, Started(verdict), now)
        start = await following(tx, caller.tenant_id, schedule, zone_kept(schedule), now)
        await schedules.set_next(tx, caller.tenant_id, schedule_id, start, TZ_VERSION)
        await emit(tx, audit.record(caller, Act.SCHEDULE_START_SKIPPED, str(schedule_id), wall))
        return 200, await get_schedule(schedule_id, caller, tx)

    return await once.answer(tx, caller, body, make)


@router.delete("/{schedule_id}", status_code=204)
async def archive_schedule(schedule_id: UUID, caller: Sender, tx: OwnTx) -> Response:
    """Archive a schedule: it starts nothing more, and its history stays. What was started goes on."""
    schedule = await schedules.lock(tx, caller.tenant_id, schedule_id)
    if schedule is None:
        raise not_found("schedule")
    if schedule.state is not State.ARCHIVED:
        archived = replace(schedule, state=State.ARCHIVED, next_wall=None, next_at=None)
        await _save(tx, caller, archived, Act.SCHEDULE_ARCHIVED)
    return Response(status_code=204)


async def _save(tx: Tx, caller: Caller, schedule: Schedule, act: Act) -> ScheduleOut:
    """Store what was made of a schedule; as it stands then."""
    await schedules.save(tx, caller.tenant_id, schedule)
    await emit(tx, audit.record(caller, act, str(schedule.schedule_id)))
    return await _shown(tx, caller, schedule)


async def _shown(tx: Tx, caller: Caller, schedule: Schedule) -> ScheduleOut:
    starts = await schedules.starts_of(tx, caller.tenant_id, schedule.schedule_id, None, _SHOWN)
    return schedule_out(schedule, starts, await of_schedule(tx, caller.tenant_id, schedule))


async def _schedule(tx: Tx, caller: Caller, schedule_id: UUID) -> Schedule:
    found = await schedules.schedule_of(tx, caller.tenant_id, schedule_id)
    if found is None:
        raise not_found("schedule")
    return found


def _naive(text: str) -> datetime:
    """A wall time of a cursor, which can be forged."""
    wall = datetime.fromisoformat(text)
    if wall.tzinfo is not None:
        raise ValueError("a wall time has no zone")
    return wall
