"""Spans of time in unix seconds, each from its first moment until its last, without it; in order and apart.

What people say by the clock on the wall becomes moments here. Days on which clocks are changed need no rule of their
own: a moment counts if the clock shows an allowed time then, be that once, twice or never on a day.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

Span = tuple[int, int]
Week = tuple[tuple[Span, ...], ...]
"""For each day from Monday on: spans in minutes after midnight, up to 1440."""

DAY_MINUTES: Final = 1_440
_DAY_S: Final = 86_400
_LOOK_S: Final = 6 * 3600  # clocks are not changed twice within this
_THURSDAY: Final = 3  # 1 January 1970
_EPOCH: Final = date(1970, 1, 1).toordinal()


def by_the_clock(week: Week, zone: ZoneInfo, begin: int, end: int, closed: Collection[date] = ()) -> list[Span]:
    """When the clock of a zone shows a time of `week`, on no day that is closed."""
    shut = {day.toordinal() - _EPOCH for day in closed}
    found = []
    for first, last, offset in _steady(zone, begin, end):
        for day in range((first + offset) // _DAY_S, (last - 1 + offset) // _DAY_S + 1):
            if day in shut:
                continue
            midnight = day * _DAY_S - offset
            for start, stop in week[(day + _THURSDAY) % 7]:
                found.append((max(first, midnight + start * 60), min(last, midnight + stop * 60)))
    return merged(found)


def merged(spans: Sequence[Span]) -> list[Span]:
    """Without empty ones, and without gaps of no length."""
    result: list[Span] = []
    for first, last in sorted(span for span in spans if span[0] < span[1]):
        if result and first <= result[-1][1]:
            result[-1] = result[-1][0], max(result[-1][1], last)
        else:
            result.append((first, last))
    return result


def common(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """What is in both."""
    result, at = [], 0
    for first, last in one:
        while at < len(other) and other[at][1] <= first:
            at += 1
        here = at
        while here < len(other) and other[here][0] < last:
            result.append((max(first, other[here][0]), min(last, other[here][1])))
            here += 1
    return result


def _steady(zone: ZoneInfo, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Spans in which the zone keeps one offset from UTC, in seconds."""
    first, offset, at = begin, _offset(zone, begin), begin
    while at < end:
        following = min(at + _LOOK_S, end)
        if _offset(zone, following) != offset:
            change = _change(zone, offset, at, following)
            yield first, change, offset
            first, offset = change, _offset(zone, change)
        at = following
    if first < end:
        yield first, end, offset


def _change(zone: ZoneInfo, offset: int, low: int, high: int) -> int:
    """The first second that has another offset."""
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high


def _offset(zone: ZoneInfo, at: int) -> int:
    offset = datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())
