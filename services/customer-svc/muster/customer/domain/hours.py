"""At which hours people may be texted: by the rules of their country on their own clock, and by the business's on its.

Only marketing keeps to them: what is factual, or answers somebody, may come at any hour.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache, reduce
from importlib.resources import files
from typing import Any, Final
from zoneinfo import ZoneInfo

from muster.customer.domain.calendars import days_between
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.spans import DAY_MINUTES, Span, Week, by_the_clock, common
from muster.customer.domain.wall_clock import instant_of, wall_of, zone_of
from muster.text.zones import SEPARATOR, zones_of_country

ANY_COUNTRY: Final = "*"
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ALL_DAY: Final = ((0, DAY_MINUTES),)
_WAITING_SHOWN_MAX: Final = 20
LOCAL_AHEAD_MAX: Final = timedelta(days=28)
"""How far from now a local time may be: a day before and one after it belong to a send of 30 days."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The hours of some countries, as of a day. binding: by law; else what is usual, for who chooses to keep to it.

    holidays: also on no public holiday of the whole country.
    """

    countries: tuple[str, ...]
    as_of: date
    binding: bool
    source: str
    week: Week
    holidays: bool = False


@dataclass(frozen=True, slots=True)
class Business:
    """What a business keeps to by its own clock: quiet from a minute after midnight to another (equal: never), on some
    days all day: the public holidays of these calendars, and others; and whether it also keeps to what is usual in a
    country where no law asks for it."""

    time_zone: str
    quiet: Span = (0, 0)
    closed: frozenset[date] = frozenset()
    customary: bool = False
    calendars: tuple[str, ...] = ()

    @property
    def week(self) -> Week:
        """When it texts."""
        first, last = self.quiet
        if first == last:
            return (_ALL_DAY,) * 7
        if first > last:
            return (((last, first),),) * 7
        return (tuple(span for span in ((0, first), (last, DAY_MINUTES)) if span[0] < span[1]),) * 7

    @property
    def never_quiet(self) -> bool:
        """Whether it has no hours of its own."""
        return self.quiet[0] == self.quiet[1] and not self.closed and not self.calendars

    def closed_between(self, begin: int, end: int) -> frozenset[date]:
        """The days on which it texts nobody, of those between two moments in unix seconds and a few more."""
        return self.closed.union(days_between(self.calendars, begin, end))


@dataclass(frozen=True, slots=True)
class LocalTime:
    """Each recipient is texted when a clock in their own zone shows this, or at once where it has shown it already; not
    later than so many minutes after it (None: than the send's end)."""

    wall: datetime
    within_min: int | None = None

    def moment(self, zone: str) -> int:
        """When a clock in a zone shows it, in unix seconds."""
        place = zone_of(zone) or ZoneInfo(zone)
        instant = instant_of(self.wall, place)
        # On a day that the zone left out it is the same time of the old offset.
        return int((instant.at if instant else self.wall.replace(tzinfo=place)).timestamp())

    def moment_in(self, zones: Sequence[str], home: str) -> int:
        """The same for who may be in several zones: by the clock of the business, where they may be in its zone, else
        when the clocks of all show it."""
        moments = {self.moment(zone) for zone in zones}
        own = self.moment(home)
        return own if own in moments else max(moments)


def judge_local_time(wall: datetime, home: ZoneInfo, now: datetime) -> Refusal | None:
    """Why a local time that is given now cannot be kept, by the clock of the business."""
    shown = wall_of(now, home)
    if wall <= shown:
        return Refusal("local_time", "past", f"is past: it is {shown:%Y-%m-%dT%H:%M} at the business")
    if wall > shown + LOCAL_AHEAD_MAX:
        return Refusal("local_time", "too_far", f"is more than {LOCAL_AHEAD_MAX.days} days from now")
    return None


@cache
def rules() -> Mapping[str, Rule]:
    """The rules by country, each from a file of its own beside this one; "*" is for all others."""
    folder = files("muster.customer.domain").joinpath("hours_of")
    read = [
        _rule(json.loads(file.read_text(encoding="utf-8"))) for file in folder.iterdir() if file.name[-5:] == ".json"
    ]
    return {country: rule for rule in read for country in rule.countries}


def _rule(plain: Mapping[str, Any]) -> Rule:
    week = tuple(tuple(map(_minutes, plain["hours"].get(day, ()))) for day in _DAYS)
    as_of = date.fromisoformat(plain["as_of"])
    holidays = plain.get("holidays", False)
    return Rule(tuple(plain["countries"]), as_of, plain["binding"], plain["source"], week, holidays)


def _minutes(written: str) -> Span:
    """ "08:00-21:00" in minutes after midnight."""
    first, last = (int(time[:2]) * 60 + int(time[3:]) for time in written.split("-"))
    if not 0 <= first < last <= DAY_MINUTES:
        raise ValueError(f"no hours of a day: {written}")
    return first, last


@dataclass(slots=True)
class Hours:
    """The hours of one send, from its start until its end in unix seconds. What was worked out is kept.

    marketing: it keeps to rules and to the business's hours; local: it also comes at a time of each recipient's.
    """

    business: Business
    begin: int
    end: int
    marketing: bool = True
    local: LocalTime | None = None
    _known: dict[tuple[Week, str, str], list[Span]] = field(default_factory=dict)
    _own: list[Span] | None = None

    def ruled(self, country: str) -> bool:
        """Whether a country has hours that are kept."""
        return self.marketing and (self.business.customary or _rule_of(country).binding)

    @property
    def countries(self) -> list[str] | None:
        """The countries that have hours; None for all of them."""
        if self.local is not None or (self.marketing and self.business.customary):
            return None
        return sorted(name for name, rule in rules().items() if self.marketing and rule.binding)

    @property
    def everybodys(self) -> bool:
        """Whether all recipients have some, wherever they are."""
        return self.local is not None or (self.marketing and not self.business.never_quiet)

    def matter(self, countries: Iterable[str]) -> bool:
        """Whether anybody of these countries has hours."""
        return self.everybodys or any(map(self.ruled, countries))

    def own(self) -> list[Span]:
        """When the business texts."""
        if self._own is None:
            quiet = self.marketing and not self.business.never_quiet
            self._own = self._by_own_clock() if quiet else [(self.begin, self.end)]
        return self._own

    def elsewhere(self) -> list[Span]:
        """When somebody may be texted of whose country there are no customers."""
        return self._at_local_time(self.own(), (self.business.time_zone,))

    def _by_own_clock(self) -> list[Span]:
        closed = self.business.closed_between(self.begin, self.end)
        return by_the_clock(self.business.week, ZoneInfo(self.business.time_zone), self.begin, self.end, closed)

    def allowed(self, country: str, zones: str) -> list[Span]:
        """When somebody of a country may be texted who is in one of these zones (joined by SEPARATOR; "": any of the
        country's): at the hours that are allowed in each of them."""
        spans, ruled = self.own(), self.ruled(country)
        if not ruled and self.local is None:
            return spans
        names = _zones(country, zones, self.business.time_zone)
        for name in names if ruled else ():
            spans = common(spans, self._in_zone(_rule_of(country), country, name))
        return self._at_local_time(spans, names)

    def _at_local_time(self, spans: list[Span], zones: Sequence[str]) -> list[Span]:
        if self.local is None:
            return spans
        first = self.local.moment_in(zones, self.business.time_zone)
        within = self.local.within_min
        last = self.end if within is None else min(self.end, first + within * 60)
        return common(spans, [(first, last)] if first < last else [])

    def _in_zone(self, rule: Rule, country: str, zone: str) -> list[Span]:
        calendar = country if rule.holidays else ""
        known = self._known.get((rule.week, calendar, zone))
        if known is None:
            closed = days_between((calendar,) if calendar else (), self.begin, self.end)
            known = by_the_clock(rule.week, ZoneInfo(zone), self.begin, self.end, closed)
            self._known[rule.week, calendar, zone] = known
        return known


def _zones(country: str, zones: str, home: str) -> Sequence[str]:
    """The zones that are possible; of a number of no country, such as a satellite phone's, that of the business."""
    return zones.split(SEPARATOR) if zones else zones_of_country(country) or (home,)


def first_moment(local: LocalTime, found: Iterable[tuple[str, str]], home: str) -> int | None:
    """When the first of recipients, of whom (country, zones) were found, is at their local time; None without any."""
    return min((local.moment_in(_zones(country, zones, home), home) for country, zones in found), default=None)


def _rule_of(country: str) -> Rule:
    return rules().get(country) or rules()[ANY_COUNTRY]


@dataclass(frozen=True, slots=True)
class Classes:
    """Recipients by when they may be texted. `spans` of each class, the one that begins first first; `class_of` by
    country and zones, for the countries that have hours; `other` for all others. -1: never in time."""

    spans: Sequence[Sequence[Span]]
    class_of: Mapping[tuple[str, str], int]
    other: int

    @property
    def starts(self) -> list[int]:
        """When each class may be texted first."""
        return [spans[0][0] for spans in self.spans]


def classify(hours: Hours, found: Collection[tuple[str, str]]) -> Classes:
    """The classes of recipients of whom (country, zones) were found."""
    wanted = {pair: tuple(hours.allowed(*pair)) for pair in found}
    other = tuple(hours.elsewhere())
    every = sorted({spans for spans in (*wanted.values(), other) if spans})
    number = {spans: at for at, spans in enumerate(every)} | {(): -1}
    return Classes(every, {pair: number[spans] for pair, spans in wanted.items()}, number[other])


def suits_all(classes: Iterable[Sequence[Span]]) -> str | None:
    """The first moment at which nobody of these classes has to wait; None where no moment in time suits all."""
    spans = reduce(common, classes)
    return _written(spans[0][0]) if spans else None


def summary(now: int, by_start: Iterable[tuple[int, int]]) -> dict[str, Any] | None:
    """What is said of (first moment, recipients): when the first is texted, and how many wait until when. None where
    nobody waits."""
    waiting: dict[int, int] = {}
    recipients = 0
    for start, count in by_start:
        recipients += count
        if start > now:
            waiting[start] = waiting.get(start, 0) + count
    if not waiting:
        return None
    at_once = sum(waiting.values()) < recipients
    starts = sorted(waiting)
    shown = [{"until": _written(start), "recipients": waiting[start]} for start in starts[:_WAITING_SHOWN_MAX]]
    return {
        "starts_at": _written(now if at_once else starts[0]),
        "last_starts_at": _written(starts[-1]),
        "waiting": shown,
        "waiting_recipients": sum(waiting.values()),
    }


def _written(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat().replace("+00:00", "Z")
