"""The days of a repeating rule, as RFC 5545 expands and limits them (its table of section 3.3.10), for whole days.

python-dateutil says the same, and the tests hold this to it. It is not used here because it looks for the next day
until the year 9999 whatever `until` says: a rule of somebody's that never fits kept a process busy for a minute.
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from itertools import count
from typing import Final

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
    first = max(begin, after)
    for number in count(_periods_before(rule, begin, first)):
        period = _period(rule, begin, number)
        if not period or period[0] > last:
            return
        fitting = [day for day in period if _fits(rule, day)]
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


def _fits(rule: Repeat, day: date) -> bool:
    if rule.by_month and day.month not in rule.by_month:
        return False
    length = monthrange(day.year, day.month)[1]
    if rule.by_month_day and not {day.day, day.day - length - 1} & {*rule.by_month_day}:
        return False
    return not rule.by_day or any(_is_the(rule, day, length, written) for written in rule.by_day)


def _is_the(rule: Repeat, day: date, month_length: int, written: str) -> bool:
    """Whether a day is this weekday, and which one it is: of the month, or of the year where no month is named."""
    read = by_day_of(written)
    assert read is not None, "judged before"
    weekday, which = read
    if day.weekday() != weekday or which is None:
        return day.weekday() == weekday
    if rule.frequency == "yearly" and not rule.by_month:
        place, length = day.timetuple().tm_yday, (date(day.year, 12, 31) - date(day.year, 1, 1)).days + 1
    else:
        place, length = day.day, month_length
    return which == ((place - 1) // 7 + 1 if which > 0 else -((length - place) // 7 + 1))
