"""What a schedule may ask for, and what becomes of each of its starts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from muster.customer.domain import recurrence
from muster.customer.domain.calendars import is_known
from muster.customer.domain.days import Repeat, by_day_of
from muster.customer.domain.recurrence import Rule
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.wall_clock import wall_of

AHEAD_MAX: Final = timedelta(days=5 * 366)
"""How far from now the first day of a schedule may be."""

PREVIEWED: Final = 10


SUSPENDED: Final = "suspended"
"""Why a start was missed that waited for its business or the platform."""


class State(StrEnum):
    """Of a schedule. Only an active one has a next start."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"
    ARCHIVED = "archived"


class Outcome(StrEnum):
    """What became of a start; all but STARTED and FAILED mean that nothing was sent, as was wished.

    REFUSED: it was started, and its send was refused afterwards; that is told, and shown by the send.
    """

    STARTED = "started"
    SKIPPED = "skipped"
    MISSED = "missed"
    ABOVE_CEILING = "above_ceiling"
    NOT_POSSIBLE = "not_possible"
    FAILED = "failed"
    REFUSED = "refused"


class Above(StrEnum):
    """What happens to a start that costs more than the schedule's ceiling."""

    SKIP = "skip"
    FIRST_N = "first_n"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a start, and why nothing was sent."""

    outcome: Outcome
    code: str = ""
    detail: str = ""


def judge(rule: Rule, zone: ZoneInfo, now: datetime, gap_minutes: int) -> Iterator[Refusal]:
    """Everything that is wrong with a rule that is given now; nothing where it can be kept."""
    faults = [*_judge_days(rule, zone, now), *_judge_repeat(rule.repeat), *_judge_cron(rule), *_judge_holidays(rule)]
    yield from faults
    if faults:
        return
    if rule.once is None and (found := recurrence.shortest_gap_minutes(rule)) < gap_minutes:
        field = "when.cron" if rule.cron is not None else "when.repeat.times"
        yield Refusal(
            field, "too_often", f"leaves {found} minutes between two starts; the least is {gap_minutes} minutes"
        )
    elif recurrence.next_start(rule, zone, later_than=now) is None:
        yield _never(rule)


def judge_start(at: datetime, now: datetime, late_max: timedelta, *, closed: bool) -> Verdict | None:
    """Why a start whose time has come is not tried; None where it is."""
    if now - at > late_max:
        late = int((now - at).total_seconds() // 60)
        allowed = int(late_max.total_seconds() // 60)
        detail = f"Its time was {late} minutes ago when it could be started; it may be {allowed} minutes late."
        return Verdict(Outcome.MISSED, "missed", detail)
    if closed:
        return Verdict(
            Outcome.NOT_POSSIBLE, "tenant_closed", "This business is closed; nothing is sent for it any more."
        )
    return None


def waited(missed: Verdict, why: str) -> Verdict:
    """The same of a start that waited until it was too late because its business or the platform was stopped."""
    return Verdict(Outcome.MISSED, SUSPENDED, f"{missed.detail} It waited: {why}")


def judge_price(credits: int, credits_max: int, above: Above) -> Verdict | None:
    """Why a start that costs so much is left out; None where it is not."""
    if credits <= credits_max or above is Above.FIRST_N:
        return None
    detail = f"It would cost {credits} credits; the ceiling of this schedule is {credits_max}."
    return Verdict(Outcome.ABOVE_CEILING, "above_ceiling", detail)


def _judge_days(rule: Rule, zone: ZoneInfo, now: datetime) -> Iterator[Refusal]:
    today = wall_of(now, zone).date()
    if rule.starts_on < today:
        field = "when.once" if rule.once is not None else "when.starts_on"
        yield Refusal(field, "past", f"is past: it is {today} there")
    if rule.starts_on > today + AHEAD_MAX:
        field = "when.once" if rule.once is not None else "when.starts_on"
        yield Refusal(field, "too_far", f"is more than {AHEAD_MAX.days // 366} years from now")
    if rule.ends_on is not None and rule.ends_on < rule.starts_on:
        yield Refusal("when.ends_on", "before_start", f"is before its first day, {rule.starts_on}")


def _judge_cron(rule: Rule) -> Iterator[Refusal]:
    if rule.cron is not None and (fault := recurrence.cron_fault(rule.cron)):
        yield Refusal("when.cron", "not_cron", fault)


def _judge_holidays(rule: Rule) -> Iterator[Refusal]:
    for index, calendar in enumerate(rule.except_holidays):
        if not is_known(calendar):
            message = f"{calendar} is no country whose public holidays are known, such as AU, nor a part of one: AU-NSW"
            yield Refusal(f"when.except_holidays.{index}", "holidays_not_known", message)


def _judge_repeat(repeat: Repeat | None) -> Iterator[Refusal]:
    if repeat is None:
        return
    longest = recurrence.INTERVALS_MAX[repeat.frequency]
    if repeat.interval > longest:
        yield Refusal("when.repeat.interval", "too_large", f"is at most {longest} where it is {repeat.frequency}")
    read = [by_day_of(written) for written in repeat.by_day]
    for index, day in enumerate(read):
        field = f"when.repeat.by_day.{index}"
        if day is None or abs(day[1] or 1) > 53:
            yield Refusal(field, "not_a_weekday", 'is a weekday such as "tu", or which one of the month: "2tu", "-1fr"')
        elif day[1] is not None and repeat.frequency not in ("monthly", "yearly"):
            yield Refusal(field, "not_in_frequency", 'has a number, which needs the frequency "monthly" or "yearly"')
    if repeat.by_month_day and repeat.frequency == "weekly":
        yield Refusal("when.repeat.by_month_day", "not_in_frequency", "a week has no days of the month")
    if repeat.by_set_position and not (repeat.by_day or repeat.by_month_day or repeat.by_month):
        needs = "chooses among days: give by_day, by_month_day or by_month too"
        yield Refusal("when.repeat.by_set_position", "nothing_to_choose_from", needs)


def _never(rule: Rule) -> Refusal:
    if rule.once is not None:
        return Refusal("when.once", "past", "is past, or on a day that is left out")
    detail = "no day of the calendar fits it from now until it ends, such as 30 February"
    return Refusal("when", "never", detail)
