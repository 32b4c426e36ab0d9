"""How a schedule is made and changed: what is given, judged and put together."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Request

from muster.customer.api.audiences import lasting_audience_of
from muster.customer.api.common import problem_of, sending_tenant_of, settings_of, tenant_of, usable_sender
from muster.customer.api.quotes import text_of
from muster.customer.api.schedule_shapes import ScheduleChange, ScheduleIn
from muster.customer.api.when import StartOut, WhenIn, start_out
from muster.customer.domain.recurrence import Rule, Start, next_start
from muster.customer.domain.schedules import PREVIEWED, Above, State, judge
from muster.customer.domain.wall_clock import TZ_VERSION, zone_of
from muster.customer.events import MessageClass, Partial
from muster.customer.handlers.scheduling import begun, following
from muster.customer.handlers.texts import unknown_fields
from muster.customer.store import schedules
from muster.customer.store.schedules import Schedule
from muster.kit import clock
from muster.kit.auth import Caller, Tx
from muster.kit.ids import uuid7
from muster.kit.problems import Problem, conflict, not_found, unprocessable


async def rule_of(request: Request, tx: Tx, tenant_id: UUID, when: WhenIn) -> tuple[Rule, ZoneInfo]:
    """The rule that is given, which can be kept, and its zone."""
    name = when.time_zone or (await tenant_of(request, tx, tenant_id)).time_zone
    zone = zone_of(name)
    if zone is None:
        raise unprocessable("when.time_zone", "no_such_zone", "is no time zone; write it as Australia/Sydney")
    now = clock.now()
    rule = when.rule(zone, now)
    faults = list(judge(rule, zone, now, settings_of(request).customer_schedule_gap_min))
    if faults:
        raise problem_of(faults)
    return rule, zone


def zone_kept(schedule: Schedule) -> ZoneInfo:
    """The zone of a schedule; 409 where the time zone database of this release knows it no more."""
    zone = zone_of(schedule.time_zone)
    if zone is None:
        raise conflict("no_such_zone", "Its time zone is not known any more", "Give it a `when` with another one.")
    return zone


def previewed(found: Iterable[Start]) -> list[StartOut]:
    """The next starts, as they are shown."""
    return [start_out(start) for start in islice(found, PREVIEWED)]


async def made(request: Request, tx: Tx, caller: Caller, body: ScheduleIn) -> Schedule:
    """A new schedule of what is given."""
    await sending_tenant_of(request, tx, caller.tenant_id)
    most = settings_of(request).customer_schedules_max
    if await schedules.live(tx, caller.tenant_id) >= most:
        detail = f"{most} schedules are active or paused, which is the limit. Archive one first."
        raise conflict("too_many_schedules", "No more schedules can be kept", detail, limit=most)
    now = clock.now()
    by: dict[str, Any] = {"changed_at": now, "changed_by": caller.user_id, "changed_role": caller.role.value}
    given = await _given(request, tx, caller, body.model_dump(by_alias=False), body)
    rule, zone = await rule_of(request, tx, caller.tenant_id, body.when)
    place: dict[str, Any] = {"next_wall": None, "next_at": None, "tz_version": TZ_VERSION}
    schedule = Schedule(
        schedule_id=uuid7(),
        state=State.ACTIVE,
        rule=rule,
        time_zone=zone.key,
        created_at=now,
        created_by=caller.user_id,
        **given,
        **place,
        **by,
    )
    _judge_times(schedule)
    start = await begun(tx, caller.tenant_id, schedule, next_start(rule, zone, later_than=now), now)
    assert start is not None, "judged before"
    return replace(schedule, next_wall=start.wall, next_at=start.at)


async def changed(request: Request, tx: Tx, caller: Caller, schedule: Schedule, body: ScheduleChange) -> Schedule:
    """A schedule with what is given changed; an ended one that gets a new rule begins again."""
    said = body.model_dump(exclude_unset=True, by_alias=False)
    for name, value in said.items():
        if value is None and name != "sender":
            raise unprocessable("class" if name == "message_class" else name, "null", "is not to be null")
    given = await _given(request, tx, caller, said, body)
    by: dict[str, Any] = {"changed_at": clock.now(), "changed_by": caller.user_id, "changed_role": caller.role.value}
    after = replace(schedule, **given, **by, version=schedule.version + 1)
    _judge_times(after)
    if body.when is None and (after.local_time is schedule.local_time or after.state is not State.ACTIVE):
        return after
    if body.when is not None:
        rule, zone = await rule_of(request, tx, caller.tenant_id, body.when)
        after = replace(after, rule=rule, time_zone=zone.key)
    return after if after.state is State.PAUSED else await activated(tx, caller, after)


async def activated(tx: Tx, caller: Caller, schedule: Schedule) -> Schedule:
    """A schedule that starts from now on; 409 where nothing is left of its rule."""
    zone = zone_kept(schedule)
    start = await following(tx, caller.tenant_id, schedule, zone, clock.now())
    if start is None:
        raise conflict("ended", "This schedule has ended", "No start is left of it. Give it another `when`.")
    return replace(schedule, state=State.ACTIVE, next_wall=start.wall, next_at=start.at, tz_version=TZ_VERSION)


async def locked(tx: Tx, caller: Caller, schedule_id: UUID) -> Schedule:
    """A schedule to be changed: 409 for an archived one."""
    found = await schedules.lock(tx, caller.tenant_id, schedule_id)
    if found is None:
        raise not_found("schedule")
    if found.state is State.ARCHIVED:
        raise conflict("archived", "This schedule was archived", "It is kept for its history and does not change.")
    return found


def not_active(schedule: Schedule) -> Problem:
    """409 for what only an active schedule can do."""
    return conflict("not_active", "This schedule is not active", f"It is {schedule.state.value}.")


async def _given(
    request: Request, tx: Tx, caller: Caller, said: dict[str, Any], body: ScheduleIn | ScheduleChange
) -> dict[str, Any]:
    """What is said of a schedule, but for its rule, as it is kept."""
    kept: dict[str, Any] = {name: said[name] for name in ("name", "sender", "credits_max") if name in said}
    words = ("text", "template_id", "template_version")
    if any(said.get(word) is not None for word in words) or isinstance(body, ScheduleIn):
        tenant = await tenant_of(request, tx, caller.tenant_id)
        pinned = (body.text, body.template_id, body.template_version)
        (template_id, version), text = await text_of(tx, tenant, *pinned)
        unknown = await unknown_fields(tx, caller.tenant_id, text)
        if unknown and unknown[0].field.fallback is None:
            raise problem_of(unknown[0].refusal)
        kept |= {"text": text.text, "template_id": template_id, "template_version": version}
    if body.audience is not None:
        kept["audience"] = await lasting_audience_of(request, tx, caller, body.audience)
    if body.sender is not None:
        tenant = await tenant_of(request, tx, caller.tenant_id)
        kept["sender"] = (await usable_sender(request, tx, tenant, body.sender)).sender
    if body.message_class is not None:
        kept["message_class"] = MessageClass[body.message_class.upper()]
    if body.above_credits_max is not None:
        kept["above"] = Above(body.above_credits_max)
    if body.local_time is not None:
        kept["local_time"] = body.local_time
    if body.partial is not None:
        kept["partial"] = Partial[body.partial.upper()]
    if body.send_within_minutes is not None:
        kept["send_within_min"] = body.send_within_minutes
    if body.late_max_minutes is not None:
        kept["late_max_min"] = body.late_max_minutes
    return kept


def _judge_times(schedule: Schedule) -> None:
    if schedule.late_max_min > schedule.send_within_min:
        most = f"is at most send_within_minutes, {schedule.send_within_min}: later nothing of it may leave"
        raise unprocessable("late_max_minutes", "later_than_send", most)
