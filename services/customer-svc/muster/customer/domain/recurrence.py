"""When a schedule starts: once, by a cron expression, or by a rule as RFC 5545 has them. All in the wall's time.

Cron expressions are read by cronsim, which is given times without a zone: what daylight saving makes of a time is
decided in one place, `wall_clock`. Nothing is listed ahead: an endless rule costs what is read of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from muster.customer.domain.calendars import named_days
from muster.customer.domain.days import Repeat, days_of
from muster.customer.domain.wall_clock import Shift, instant_of

INTERVALS_MAX: Final = {"daily": 366, "weekly": 104, "monthly": 60, "yearly": 10}
"""How many days, weeks, months or years a rule may leave between."""

COUNT_MAX: Final = 1_000
HORIZON: Final = timedelta(days=40 * 366)
"""What does not happen within this never happens: 29 February falls on each weekday in less."""

_ANY_TIME: Final = datetime.combine(date(2026, 1, 1), time())
_DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Rule:
    """One of once, cron and repeat, from a day on.

    It ends after a day or after so many times. Times on the excluded dates, and on the public holidays of these
    calendars, count among these, as in RFC 5545, and are left out.
    """

    starts_on: date
    once: datetime | None = None
    cron: str | None = None
    repeat: Repeat | None = None
    ends_on: date | None = None
    count: int | None = None
    except_dates: frozenset[date] = field(default=frozenset())
    except_holidays: tuple[str, ...] = ()

    def leaves_out(self, day: date) -> bool:
        """Whether nothing starts on a day that would fit."""
        return day in self.except_dates or bool(named_days(self.except_holidays, day, day))


class Start(NamedTuple):
    """A time of the wall's at which a schedule starts, and the moment that it is."""

    wall: datetime
    at: datetime
    shift: Shift


def starts(
    rule: Rule, zone: ZoneInfo, after: datetime | None = None, later_than: datetime | None = None
) -> Iterator[Start]:
    """Each start after a wall time and later than a moment, the next first.

    Of wall times that are the same moment, because the clock jumped over all but the last of them, the last stands.
    """
    jumped_over: Start | None = None
    for wall in _walls(rule, after):
        instant = None if rule.leaves_out(wall.date()) else instant_of(wall, zone)
        if instant is None or (later_than is not None and instant.at <= later_than):
            continue
        if jumped_over is not None and jumped_over.at != instant.at:
            yield jumped_over
        start = Start(wall, *instant)
        jumped_over = start if start.shift is Shift.MOVED else None
        if jumped_over is None:
            yield start
    if jumped_over is not None:
        yield jumped_over


def next_start(
    rule: Rule, zone: ZoneInfo, after: datetime | None = None, later_than: datetime | None = None
) -> Start | None:
    """The first of `starts`, or None where there is none any more."""
    return next(starts(rule, zone, after, later_than), None)


def cron_fault(expression: str) -> str | None:
    """What is wrong with a cron expression of five fields, or None."""
    if len(expression.split()) != 5 or not expression.isascii():
        return "has five fields: minute, hour, day of the month, month, weekday"
    try:
        CronSim(expression, _ANY_TIME)
    except CronSimError as error:
        return f"cannot be read: {str(error).lower()}"
    return None


def shortest_gap_minutes(rule: Rule) -> int:
    """The least time between two starts of one day, or of one and the next, if a day's times come each day."""
    if rule.cron is not None:
        read = CronSim(rule.cron, _ANY_TIME)
        minutes = sorted(60 * hour + minute for hour in read.hours for minute in read.minutes)
    else:
        minutes = sorted(60 * at.hour + at.minute for at in rule.repeat.times) if rule.repeat else [0]
    following = [*minutes[1:], minutes[0] + _DAY_MINUTES]
    return min(after - before for before, after in zip(minutes, following, strict=True))


def _walls(rule: Rule, after: datetime | None) -> Iterator[datetime]:
    """Wall times after one; what ends the rule is applied, what is left out is not."""
    begin = datetime.combine(rule.starts_on, time())
    last = max(begin, after or begin) + HORIZON
    if rule.ends_on is not None:
        last = min(last, datetime.combine(rule.ends_on, time.max))
    if rule.once is not None:
        walls = iter((rule.once,))
    elif rule.cron is not None:
        # Where times are counted they are counted from the first; else from where we are.
        walls = _cron(rule.cron, begin if rule.count or after is None else max(begin, after), last)
    else:
        assert rule.repeat is not None, "a rule is one of three"
        from_day = rule.starts_on if rule.count or after is None else after.date()
        walls = _repeated(rule.repeat, rule.starts_on, from_day, last)
    return (wall for wall in islice(walls, rule.count) if after is None or wall > after)


def _cron(expression: str, begin: datetime, last: datetime) -> Iterator[datetime]:
    for wall in CronSim(expression, begin - timedelta(seconds=1)):
        if wall > last:
            return
        yield wall


def _repeated(repeat: Repeat, begin: date, after: date, last: datetime) -> Iterator[datetime]:
    days = days_of(repeat, begin, after, last.date())
    return (datetime.combine(day, at) for day in days for at in repeat.times)


def plain(rule: Rule) -> dict[str, Any]:
    """The rule as JSON, in the words of the API; what is not given is left out."""
    when: dict[str, Any] = {"starts_on": rule.starts_on.isoformat()}
    if rule.once is not None:
        when["once"] = f"{rule.once:%Y-%m-%dT%H:%M}"
    if rule.cron is not None:
        when["cron"] = rule.cron
    if (repeat := rule.repeat) is not None:
        lists = {name: list(getattr(repeat, name)) for name in _LISTS if getattr(repeat, name)}
        times = [f"{at:%H:%M}" for at in repeat.times]
        when["repeat"] = {"frequency": repeat.frequency, "interval": repeat.interval, **lists, "times": times}
    if rule.ends_on is not None:
        when["ends_on"] = rule.ends_on.isoformat()
    if rule.count is not None:
        when["count"] = rule.count
    if rule.except_dates:
        when["except_dates"] = [day.isoformat() for day in sorted(rule.except_dates)]
    if rule.except_holidays:
        when["except_holidays"] = list(rule.except_holidays)
    return when


_LISTS: Final = ("by_day", "by_month_day", "by_month", "by_set_position")


def read(when: Mapping[str, Any]) -> Rule:
    """What `plain` wrote, or what the API was given and has found well formed."""
    given = when.get("repeat")
    repeat = None
    if given is not None:
        lists = {name: tuple(given.get(name) or ()) for name in _LISTS}
        times = sorted({time.fromisoformat(at) for at in given["times"]})
        repeat = Repeat(given["frequency"], given["interval"], tuple(times), **lists)
    once, ends_on = when.get("once"), when.get("ends_on")
    return Rule(
        date.fromisoformat(when["starts_on"]),
        datetime.fromisoformat(once) if once else None,
        when.get("cron"),
        repeat,
        date.fromisoformat(ends_on) if ends_on else None,
        when.get("count"),
        frozenset(map(date.fromisoformat, when.get("except_dates") or ())),
        tuple(when.get("except_holidays") or ()),
    )
