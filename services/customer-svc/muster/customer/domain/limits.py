"""How much a business may send before somebody looks: how fast to numbers that it does not know, how much in a day
while it is new, and how many of one range in a send. Pure.

Pumping is traffic that somebody makes a business send, to numbers of which each message earns them something: a form
that texts a code to whatever number is typed in, filled in by a machine, range after range.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

_RANGE: Final = 1_000
_PREFIX: Final = 1_000_000


class Scope(Enum):
    """What is counted: messages of an hour to a range of a thousand numbers or a prefix of a million; of a day, all;
    of an hour, tests."""

    RANGE = 1
    PREFIX = 2
    DAY = 3
    TEST = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """None: no limit. range_hourly, prefix_hourly: single messages to numbers of no customer. plan_range: recipients of
    a bulk send in one range. start_daily: recipients of a business's first day, twice as many each day after it, for
    start_days. daily: recipients of each day, which an operator has set. test_hourly: tests of an hour."""

    range_hourly: int | None = None
    prefix_hourly: int | None = None
    plan_range: int | None = None
    start_daily: int | None = None
    start_days: int = 0
    daily: int | None = None
    test_hourly: int | None = None

    def with_own(self, own: Mapping[str, int | None]) -> "Limits":
        """The same with what an operator has set for a business, by name: None is left as it is, 0 is no limit."""

        def of(name: str, for_all: int | None) -> int | None:
            value = own.get(name)
            return for_all if value is None else value or None

        return replace(
            self,
            range_hourly=of("range_hourly", self.range_hourly),
            prefix_hourly=of("prefix_hourly", self.prefix_hourly),
            plan_range=of("plan_range", self.plan_range),
            daily=of("daily", self.daily),
            # A day that an operator has set takes the place of the first days' rule.
            start_daily=self.start_daily if own.get("daily") is None else None,
        )


NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Key:
    """One counter of a business: what it counts (a range or prefix by its digits) and since when."""

    scope: Scope
    since: datetime
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Over:
    """Which limit stands in the way, how high it is, and when the counting begins anew."""

    scope: Scope
    limit: int
    until: datetime


def range_of(number: int) -> int:
    """The range of a number: all of its digits but three."""
    return number // _RANGE


def daily_limit(limits: Limits, since: datetime, now: datetime) -> int | None:
    """Recipients of this day for a business that is clean `since` then; None: any number."""
    if limits.daily is not None:
        return limits.daily
    days = (now - since).days
    if limits.start_daily is None or days >= limits.start_days:
        return None
    return limits.start_daily << max(days, 0)


def maxima(limits: Limits, since: datetime, now: datetime) -> dict[Scope, int]:
    """The limits that there are for a business now, by what they count."""
    found = {
        Scope.RANGE: limits.range_hourly,
        Scope.PREFIX: limits.prefix_hourly,
        Scope.DAY: daily_limit(limits, since, now),
        Scope.TEST: limits.test_hourly,
    }
    return {scope: limit for scope, limit in found.items() if limit is not None}


def keys(
    scopes: Mapping[Scope, int], number: int | None, zone: ZoneInfo, now: datetime, *, test: bool = False
) -> list[Key]:
    """The counters of a message. number: of one to a number of no customer, else None. test: whether it is one."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    found = [Key(Scope.TEST, hour)] if test and Scope.TEST in scopes else []
    if number is not None:
        digits = {Scope.RANGE: range_of(number), Scope.PREFIX: number // _PREFIX}
        found += [Key(scope, hour, value) for scope, value in digits.items() if scope in scopes]
    if Scope.DAY in scopes:
        found.append(Key(Scope.DAY, _midnight(now.astimezone(zone).date(), zone)))
    return found


def until(key: Key, zone: ZoneInfo) -> datetime:
    """When this counter begins anew."""
    if key.scope is Scope.DAY:
        return _midnight(key.since.astimezone(zone).date() + timedelta(days=1), zone)
    return key.since + timedelta(hours=1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """So many recipients, each counted by these counters."""

    keys: Sequence[Key]
    count: int = 1


def judge(asked: Sequence[Asked], before: Mapping[Key, int], limits: Mapping[Scope, int]) -> list[Key | None]:
    """What stands in the way of each, in the order in which they came: the counter that is full; None where none is."""
    counts = dict(before)
    found: list[Key | None] = []
    for one in asked:
        full = next((key for key in one.keys if counts.get(key, 0) + one.count > limits[key.scope]), None)
        found.append(full)
        if full is None:
            for key in one.keys:
                counts[key] = counts.get(key, 0) + one.count
    return found


def why(over: Over, since: datetime, limits: Limits) -> tuple[str, str]:
    """A code, and what a person should know and do. since: as of `daily_limit`."""
    if over.scope is Scope.DAY:
        return day_over(over.limit, since, limits)
    if over.scope is Scope.TEST:
        return "too_many_tests", f"this business sends at most {over.limit:,} tests an hour"
    what = "numbers that begin alike" if over.scope is Scope.PREFIX else "numbers of one range"
    return "pumping_suspected", (
        f"more than {over.limit:,} messages within an hour went to {what} that no customer of yours has. If a form of "
        f"yours sends them, somebody misuses it; else make them customers, wait until {over.until:%H:%M} UTC, or ask "
        "the operator"
    )


def day_over(limit: int, since: datetime, limits: Limits) -> tuple[str, str]:
    """The same for the recipients of a day."""
    end = since + timedelta(days=limits.start_days)
    if limits.daily is not None or limits.start_daily is None:
        return (
            "daily_limit",
            f"this business texts at most {limit:,} recipients a day. Send to fewer, or ask the operator",
        )
    return "start_limit", (
        f"a new business texts at most {limit:,} recipients today, twice as many each day that goes well, and any "
        f"number from {end:%Y-%m-%d} on. Send to fewer, wait, or ask the operator"
    )


def too_dense(limit: int) -> tuple[str, str]:
    """The same for a send of which too many recipients are in one range."""
    return "pumping_suspected", (
        f"more than {limit:,} recipients have numbers of one range of a thousand, which no list of customers has. Look "
        "at where these customers come from, or ask the operator"
    )
