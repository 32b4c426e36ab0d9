"""When a schedule starts, as the API is given it and gives it."""

from datetime import date, datetime, time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from muster.customer.domain.recurrence import COUNT_MAX, Rule, Start, read
from muster.customer.domain.wall_clock import wall_of
from muster.kit.forms import Form
from muster.kit.http import Int, Model

_TIMES_MAX = 96
_EXCEPT_MAX = 500
_CALENDARS_MAX = 3


def _date(given: str) -> str:
    try:
        date.fromisoformat(given)
    except ValueError as error:
        raise ValueError("is no day of the calendar; write it as 2026-12-24") from error
    return given


def _wall(given: str) -> str:
    try:
        datetime.fromisoformat(given)
    except ValueError as error:
        raise ValueError("is no time of the calendar; write it as 2026-12-24T10:00") from error
    return given


def _time(given: str) -> str:
    try:
        time.fromisoformat(given)
    except ValueError as error:
        raise ValueError("is no time of the day; write it as 09:30") from error
    return given


def _not_zero(given: int) -> int:
    if given == 0:
        raise ValueError("counts from 1, or from -1 for the last")
    return given


def _unlike(given: Any) -> Any:
    if len(set(given)) != len(given):
        raise ValueError("holds something twice")
    return given


Day = Annotated[str, Form("[0-9]{4}-[0-9]{2}-[0-9]{2}", "must be a day, written as 2026-12-24"), AfterValidator(_date)]
Wall = Annotated[
    str,
    Form(
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}",
        "must be a time on the wall, written as 2026-12-24T10:00, without seconds and zone",
    ),
    AfterValidator(_wall),
]
TimeOfDay = Annotated[
    str, Form("[0-9]{2}:[0-9]{2}", "must be a time of the day, written as 09:30"), AfterValidator(_time)
]
Calendar = Annotated[
    str,
    Form("[A-Z]{2}(-[A-Z0-9]{1,3})?", "must be a country or a part of one by ISO 3166, such as AU or AU-NSW"),
]
ZoneName = Annotated[str, Field(min_length=1, max_length=64)]
_MonthDay = Annotated[Int, Field(ge=-31, le=31), AfterValidator(_not_zero)]
_Position = Annotated[Int, Field(ge=-366, le=366), AfterValidator(_not_zero)]
_Month = Annotated[Int, Field(ge=1, le=12)]
_Weekday = Annotated[str, StringConstraints(to_lower=True, min_length=2, max_length=5)]


class RepeatIn(Model):
    """A rule of RFC 5545, by its names in RFC 8984: each `interval`-th day, week (from Monday), month or year, on the
    days that fit all that is given, at these times.

    by_day: weekdays, "tu", or which one of the month (of the year, where no month is named): "2tu", "-1fr" is the last
    Friday. by_set_position: which of the days that fit, -1 for the last. Without any day it is the first day's.
    """

    frequency: Literal["daily", "weekly", "monthly", "yearly"]
    interval: Annotated[Int, Field(ge=1)] = 1
    times: Annotated[list[TimeOfDay], Field(min_length=1, max_length=_TIMES_MAX), AfterValidator(_unlike)]
    by_day: Annotated[tuple[_Weekday, ...], Field(max_length=100), AfterValidator(_unlike)] = ()
    by_month_day: Annotated[tuple[_MonthDay, ...], Field(max_length=62), AfterValidator(_unlike)] = ()
    by_month: Annotated[tuple[_Month, ...], Field(max_length=12), AfterValidator(_unlike)] = ()
    by_set_position: Annotated[tuple[_Position, ...], Field(max_length=100), AfterValidator(_unlike)] = ()


class WhenIn(Model):
    """One of once, cron (minute, hour, day of the month, month, weekday) and repeat, by the clock on the wall.

    starts_on: the first day, today unless said; intervals are counted from it. It ends after ends_on, or after `count`
    times, or never. except_dates are left out, and count; so are the public holidays of except_holidays, of countries
    (AU) or parts of them (AU-NSW). time_zone: the business's own unless said.

    An hour that the clock jumps over is the first moment after it; an hour that it shows twice is the first of the two.
    """

    once: Wall | None = None
    cron: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] | None = None
    repeat: RepeatIn | None = None
    starts_on: Day | None = None
    ends_on: Day | None = None
    count: Annotated[Int, Field(ge=1, le=COUNT_MAX)] | None = None
    except_dates: Annotated[tuple[Day, ...], Field(max_length=_EXCEPT_MAX), AfterValidator(_unlike)] = ()
    except_holidays: Annotated[tuple[Calendar, ...], Field(max_length=_CALENDARS_MAX), AfterValidator(_unlike)] = ()
    time_zone: ZoneName | None = None

    @model_validator(mode="after")
    def _one_of_three(self) -> "WhenIn":
        if sum(given is not None for given in (self.once, self.cron, self.repeat)) != 1:
            raise ValueError("give one of once, cron and repeat")
        if self.once is not None and (self.starts_on or self.ends_on or self.count):
            raise ValueError("once has no starts_on, ends_on or count")
        if self.ends_on is not None and self.count is not None:
            raise ValueError("give ends_on or count, one of them")
        return self

    def rule(self, zone: ZoneInfo, now: datetime) -> Rule:
        """The rule, to be judged."""
        today = wall_of(now, zone).date().isoformat()
        given = self.model_dump(exclude={"time_zone"})
        first = self.once[:10] if self.once else self.starts_on or today
        return read({**given, "starts_on": first})


class WhenOut(Model):
    """When it starts, with what was not said filled in."""

    once: str | None = None
    cron: str | None = None
    repeat: RepeatIn | None = None
    starts_on: str
    ends_on: str | None = None
    count: int | None = None
    except_dates: tuple[str, ...] = ()
    except_holidays: tuple[str, ...] = ()
    time_zone: str


class StartOut(Model):
    """A start on the wall, and its moment. shift: `moved` where the clock jumps over it, `first` of two such times."""

    wall: str
    at: datetime
    shift: Literal["moved", "first"] | None


def start_out(start: Start) -> StartOut:
    """A start as it is shown."""
    return StartOut(wall=wall_text(start.wall), at=start.at, shift=start.shift.value or None)


def wall_text(wall: datetime) -> str:
    """A wall time as it is written here."""
    return f"{wall:%Y-%m-%dT%H:%M}"
