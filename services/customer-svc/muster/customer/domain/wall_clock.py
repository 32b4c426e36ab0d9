"""Times as a clock on a wall shows them, and the moments that they are.

The zones are those of the package `tzdata`, whatever the machine has: all processes of one release judge by the same
ones, and a change of law comes with a release, like a change of code.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from tzdata import IANA_VERSION

TZ_VERSION: Final[str] = f"{IANA_VERSION}/" + ".".join(part.zfill(5) for part in version("holidays").split("."))
"""Of the time zone database and of the public holidays, such as "2026f/00000.00109"; a later one is greater."""

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


class Shift(StrEnum):
    """What daylight saving does to a time of the wall's."""

    NONE = ""
    MOVED = "moved"
    """The clock jumps over it: the first moment after the jump stands for it."""
    FIRST = "first"
    """The clock shows it twice: the first time counts."""


class Instant(NamedTuple):
    """The moment of a wall time, in UTC, and how it was found."""

    at: datetime
    shift: Shift


@cache
def _names() -> frozenset[str]:
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


@cache
def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of an IANA name, such as Australia/Sydney; None where there is none."""
    if name not in _names():
        return None
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def wall_of(at: datetime, zone: ZoneInfo) -> datetime:
    """What a clock in the zone shows at a moment, without its zone."""
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def instant_of(wall: datetime, zone: ZoneInfo) -> Instant | None:
    """The moment at which a clock in the zone shows this; None on a day that the zone left out, as Samoa once did."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if second > first:
        return Instant(first, Shift.FIRST)
    if wall_of(first, zone) == wall:
        return Instant(first, Shift.NONE)
    if first - second >= _DAY:
        return None
    return Instant(_jump(second, first, zone), Shift.MOVED)


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first moment of the new offset, which came after `before` and not later than `after`."""
    old = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after
