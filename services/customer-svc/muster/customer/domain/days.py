"""The days of a repeating rule, as RFC 5545 expands and limits them (its table of section 3.3.10), for whole days.

python-dateutil says the same, and the tests hold this to it. It is not used here because it looks for the next day
until the year 9999 whatever `until` says: a rule of somebody's that never fits kept a process busy for a minute.
"""

import re
from calendar import isleap, monthrange
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from itertools import count
from typing import Final, NamedTuple

DAYS: Final = ("mo", "tu", "we", "th", "fr", "sa", "su")
_BY_DAY: Final = re.compile(r"([+-]?[1-9]\d?)?(mo|tu|we|th|fr|sa|su)", re.ASCII)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A rule by the names of RFC 8984, at times of the day. by_day as RFC 5545 writes it: "tu", "-1fr"."""

    frequency: str
    interval: int
    times: tuple[time, ...]
    by_day: tuple[str, ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_month: tuple[int, ...] = ()
    by_set_position: tuple[int, ...] = ()


def by_day_of(written: str) -> tuple[int, int | None] | None:
    """A weekday (0: Monday) and which of the month's or year's it is: "-1fr" is (4, -1); None for no such thing."""
    match = _BY_DAY.fullmatch(written)
    return (DAYS.index(match[2]), int(match[1]) if match[1] else None) if match else None


def days_of(repeat: Repeat, begin: date, after: date, last: date) -> Iterator[date]:
    """The days of a rule whose first day is `begin`, from `after` to `last`; the intervals are counted from `begin`."""
    rule = _completed(repeat, begin)
    wanted = _wanted(rule)
    first = max(begin, after)
    for number in count(_periods_before(rule, begin, first)):
        period = _period(rule, begin, number)
        if not period or period[0] > last:
            return
        fitting = [day for day in period if _fits(wanted, day)]
        if rule.by_set_position:
            places = {place - 1 if place > 0 else len(fitting) + place for place in rule.by_set_position}
            fitting = [day for place, day in enumerate(fitting) if place in places]
        yield from (day for day in fitting if first <= day <= last)


def _completed(repeat: Repeat, begin: date) -> Repeat:
    """What a rule does not say, its first day says."""
    if repeat.by_day or repeat.by_month_day or repeat.frequency == "daily":
        return repeat
    if repeat.frequency == "weekly":
        return replace(repeat, by_day=(DAYS[begin.weekday()],))
    by_month = repeat.by_month or ((begin.month,) if repeat.frequency == "yearly" else ())
    return replace(repeat, by_month=by_month, by_month_day=(begin.day,))


def _periods_before(rule: Repeat, begin: date, day: date) -> int:
    """How many periods of the rule end before a day; none where in doubt."""
    passed = {
        "daily": (day - begin).days,
        "weekly": (day - begin).days // 7,
        "monthly": 12 * (day.year - begin.year) + day.month - begin.month,
        "yearly": day.year - begin.year,
    }[rule.frequency]
    return max(0, passed // rule.interval - 1)


def _period(rule: Repeat, begin: date, number: int) -> list[date]:
    """The days of a period, of which every `interval`-th counts; nothing beyond the calendar's end."""
    steps = number * rule.interval
    try:
        if rule.frequency == "daily":
            return [begin + steps * _DAY]
        if rule.frequency == "weekly":
            monday = begin - begin.weekday() * _DAY + 7 * steps * _DAY
            return [monday + index * _DAY for index in range(7)]
        if rule.frequency == "monthly":
            year, month = divmod(12 * begin.year + begin.month - 1 + steps, 12)
            return [date(year, month + 1, day) for day in range(1, monthrange(year, month + 1)[1] + 1)]
        first = date(begin.year + steps, 1, 1)
        return [first + index * _DAY for index in range((date(first.year, 12, 31) - first).days + 1)]
    except (ValueError, OverflowError):
        return []


class _Wanted(NamedTuple):
    """What a day is held against, read once: years of days are looked at where a rule never fits. Each empty: any.

    days: (weekday, which of the month or year, counted from its begin or its end; None: each).
    """

    months: frozenset[int]
    month_days: frozenset[int]
    days: frozenset[tuple[int, int | None]]
    by_year: bool


def _wanted(rule: Repeat) -> _Wanted:
    days = frozenset(read for written in rule.by_day if (read := by_day_of(written)) is not None)
    assert len(days) == len({written.removeprefix("+") for written in rule.by_day}), "judged before"
    by_year = rule.frequency == "yearly" and not rule.by_month
    return _Wanted(frozenset(rule.by_month), frozenset(rule.by_month_day), days, by_year)


def _fits(wanted: _Wanted, day: date) -> bool:
    if wanted.months and day.month not in wanted.months:
        return False
    length = monthrange(day.year, day.month)[1]
    if wanted.month_days and wanted.month_days.isdisjoint((day.day, day.day - length - 1)):
        return False
    return not wanted.days or _is_named(wanted, day, length)


def _is_named(wanted: _Wanted, day: date, month_length: int) -> bool:
    """Whether a day is one of these weekdays, and the right one: of the month, or of the year where no month is
    named."""
    if wanted.by_year:
        place, length = day.timetuple().tm_yday, 366 if isleap(day.year) else 365
    else:
        place, length = day.day, month_length
    weekday = day.weekday()
    names = ((weekday, which) for which in (None, (place - 1) // 7 + 1, -((length - place) // 7 + 1)))
    return not wanted.days.isdisjoint(names)
