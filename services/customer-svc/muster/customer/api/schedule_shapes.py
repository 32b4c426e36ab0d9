"""Schedules as the API is given them and gives them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from muster.customer.api.audiences import AudienceIn
from muster.customer.api.quotes import ClassWord, TemplateVersion
from muster.customer.api.when import StartOut, WhenIn, WhenOut, start_out, wall_text
from muster.customer.domain.audience import audience_as_asked
from muster.customer.domain.recurrence import Start, plain
from muster.customer.domain.sends import SEND_BY_MAX
from muster.customer.domain.wall_clock import instant_of, zone_of
from muster.customer.events import MessageClass, Partial
from muster.customer.store.schedules import Schedule
from muster.kit.http import Flag, Int, Model
from muster.kit.pg import Record

_MINUTES_MAX = int(SEND_BY_MAX.total_seconds()) // 60
_CREDITS_MAX = 10**12

StateWord = Literal["active", "paused", "ended", "archived"]
AboveWord = Literal["skip", "first_n"]
PartialWord = Literal["nothing", "first_n"]
ApprovalWord = Literal["not_needed", "needed", "open", "approved", "refused", "void"]
OutcomeWord = Literal["started", "skipped", "missed", "above_ceiling", "not_possible", "failed"]
_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
_Sender = Annotated[str, Field(min_length=1, max_length=16)]
_Credits = Annotated[Int, Field(ge=1, le=_CREDITS_MAX)]
_Minutes = Annotated[Int, Field(ge=1, le=_MINUTES_MAX)]


class ScheduleIn(Model):
    """What is sent, to whom, for how much at most, and when. The audience is asked and priced anew at each start.

    credits_max: the ceiling of each start; one that costs more is left out (`skip`), or goes to the first whom the
    ceiling covers (`first_n`). partial: the same question where the credits of the business are short.
    late_max_minutes: a start that could not be made for longer is `missed`. send_within_minutes: nothing of a start
    leaves later than that after its time. local_time: the time on the wall is each recipient's own: the start is made
    when the first of the business's customers are there, and texts everybody by the clock of their own time zone.
    """

    name: _Name
    when: WhenIn
    text: str | None = None
    template_id: UUID | None = None
    template_version: TemplateVersion | None = None
    audience: AudienceIn
    sender: _Sender | None = None
    message_class: Annotated[ClassWord, Field(alias="class")] = "marketing"
    credits_max: _Credits
    above_credits_max: AboveWord = "skip"
    partial: PartialWord = "nothing"
    send_within_minutes: _Minutes = 24 * 60
    late_max_minutes: _Minutes = 60
    local_time: Flag = False


class ScheduleChange(Model):
    """What is to change of a schedule; what is not said stays. `when` is replaced as a whole.

    A text takes the template's place, a template_id pins its newest version unless template_version says another;
    sender null is the business's own.
    """

    name: _Name | None = None
    when: WhenIn | None = None
    text: str | None = None
    template_id: UUID | None = None
    template_version: TemplateVersion | None = None
    audience: AudienceIn | None = None
    sender: _Sender | None = None
    message_class: Annotated[ClassWord | None, Field(alias="class")] = None
    credits_max: _Credits | None = None
    above_credits_max: AboveWord | None = None
    partial: PartialWord | None = None
    send_within_minutes: _Minutes | None = None
    late_max_minutes: _Minutes | None = None
    local_time: Flag | None = None


class SkipIn(Model):
    """The start that is left out, as `next.wall` says it: another is refused, so that none is skipped by mistake."""

    wall: Annotated[str, Field(min_length=1, max_length=16)]


class PreviewIn(Model):
    """When a schedule that is not kept yet would start."""

    when: WhenIn


class PreviewOut(Model):
    """The next starts, at most ten."""

    time_zone: str
    starts: list[StartOut]


class OccurrenceOut(Model):
    """What became of a start: the send (bulk_id), or why nothing was sent (code, detail). credits: its quote."""

    wall: str
    at: datetime
    outcome: OutcomeWord
    bulk_id: UUID | None
    code: str | None
    detail: str | None
    credits: int | None
    decided_at: datetime


class ScheduleOut(Model):
    """A schedule as it stands. next: null unless it is active. occurrences: the last ten, the newest first; in a list
    of schedules none are shown, nor approval: whether a second person has approved this version, where one must.
    """

    id: UUID
    name: str
    state: StateWord
    when: WhenOut
    next: StartOut | None
    text: str
    template_id: UUID | None
    template_version: int | None
    audience: dict[str, Any]
    sender: str | None
    message_class: Annotated[ClassWord, Field(alias="class")]
    credits_max: int
    above_credits_max: AboveWord
    partial: PartialWord
    send_within_minutes: int
    late_max_minutes: int
    local_time: bool
    version: int
    approval: ApprovalWord | None = None
    occurrences: tuple[OccurrenceOut, ...] = ()
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


def schedule_out(schedule: Schedule, starts: list[Record] | None = None, approval: str | None = None) -> ScheduleOut:
    """A schedule as it is shown."""
    return ScheduleOut(
        id=schedule.schedule_id,
        name=schedule.name,
        state=schedule.state.value,
        when=WhenOut(**plain(schedule.rule), time_zone=schedule.time_zone),
        next=_next(schedule),
        text=schedule.text,
        template_id=schedule.template_id,
        template_version=schedule.template_version,
        audience=audience_as_asked(schedule.audience),
        sender=schedule.sender,
        credits_max=schedule.credits_max,
        above_credits_max=schedule.above.value,
        partial="first_n" if schedule.partial == Partial.FIRST_N else "nothing",
        send_within_minutes=schedule.send_within_min,
        late_max_minutes=schedule.late_max_min,
        local_time=schedule.local_time,
        version=schedule.version,
        approval=approval,
        occurrences=tuple(occurrence_out(row) for row in starts or ()),
        created_at=schedule.created_at,
        created_by=schedule.created_by,
        changed_at=schedule.changed_at,
        changed_by=schedule.changed_by,
        **{"class": "marketing" if schedule.message_class == MessageClass.MARKETING else "factual"},
    )


def occurrence_out(row: Record) -> OccurrenceOut:
    """What became of a start, as it is shown."""
    told = {name: row[name] for name in ("at", "outcome", "bulk_id", "credits", "decided_at")}
    return OccurrenceOut(wall=wall_text(row["wall"]), code=row["code"] or None, detail=row["detail"] or None, **told)


def _next(schedule: Schedule) -> StartOut | None:
    if schedule.next_wall is None or schedule.next_at is None:
        return None
    zone = zone_of(schedule.time_zone)
    instant = instant_of(schedule.next_wall, zone) if zone else None
    shown = StartOut(wall=wall_text(schedule.next_wall), at=schedule.next_at, shift=None)
    return start_out(Start(schedule.next_wall, *instant)) if instant else shown
