"""Who is asked for, and why some of them are left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import IntEnum
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

DAYS_MAX: Final = 365
CAP_MESSAGES_MAX: Final = 1_000
NAMES_MAX: Final = 50
"""Lists or tags that an audience may name at each place."""


class Reason(IntEnum):
    """Why a customer of the audience is not texted; the first that holds, in the order of ORDER, counts. The numbers
    are stored.

    NOT_ALLOWED: all numbers are of countries that the business does not send to. UNDELIVERABLE: the number failed for
    good in one send after the other. From IN_EXCLUDED_LIST to FREQUENCY_CAP: what the send, or the business for all of
    its marketing, has excluded.
    """

    NONE = 0
    JOINED_LATER = 1
    NO_CONSENT = 2
    NOT_TEXTABLE = 3
    OPTED_OUT = 4
    MISSING_FIELD = 5
    DUPLICATE_NUMBER = 6
    OUTSIDE_HOURS = 7
    NOT_ALLOWED = 8
    UNDELIVERABLE = 9
    IN_EXCLUDED_LIST = 10
    HAS_EXCLUDED_TAG = 11
    EXCLUDED_BY_QUERY = 12
    SEEN_SINCE = 13
    RECENTLY_MESSAGED = 14
    FREQUENCY_CAP = 15

    @property
    def word(self) -> str:
        """The reason as the API writes it."""
        return self.name.lower()


LEFT_OUT = tuple(reason for reason in Reason if reason)
EXCLUDED: Final = tuple(reason for reason in Reason if reason >= Reason.IN_EXCLUDED_LIST)
ORDER: Final = (
    *(Reason.JOINED_LATER, Reason.NO_CONSENT, Reason.NOT_TEXTABLE, Reason.NOT_ALLOWED, Reason.OPTED_OUT),
    *(Reason.UNDELIVERABLE, *EXCLUDED, Reason.MISSING_FIELD, Reason.OUTSIDE_HOURS, Reason.DUPLICATE_NUMBER),
)
"""Of the reasons that hold of a customer the first counts. (A consent that was withdrawn for the one number counts
behind an opt-out.)"""


@dataclass(frozen=True, slots=True)
class Again:
    """Those who did not get a send; `failed`: also those of whom a receipt says so."""

    bulk_id: UUID
    failed: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """Who was seen on that day or later: an own field of dates, by its key."""

    field: str
    since: date


@dataclass(frozen=True, slots=True)
class Cap:
    """So many messages in so many days, the day of the send among them, are enough for a number."""

    messages: int
    days: int


@dataclass(frozen=True, slots=True)
class Exclude:
    """Who of an audience is not texted: each member that is given takes some out."""

    lists: tuple[UUID, ...] = ()
    tags: tuple[str, ...] = ()
    query: str | None = None
    seen_since: Seen | None = None
    messaged_in_days: int | None = None
    cap: Cap | None = None


NOBODY: Final = Exclude()


@dataclass(frozen=True, slots=True)
class Audience:
    """The customers that a send is for: all, or those that fit each rule given, without those who are excluded.

    lists, tags: those in one of them at least. query: in the words of docs/search.md; saved_search: the name of one,
    and saved_query its words when it was quoted; named_lists: which lists the names in its queries meant then.
    """

    tag: str | None = None
    search: str | None = None
    customer_ids: tuple[int, ...] | None = None
    again: Again | None = None
    lists: tuple[UUID, ...] = ()
    tags: tuple[str, ...] = ()
    query: str | None = None
    saved_search: str | None = None
    saved_query: str | None = None
    exclude: Exclude = NOBODY
    named_lists: tuple[tuple[str, UUID], ...] = ()

    @property
    def chooses(self) -> bool:
        """Whether it goes by what customers are like, so that a change of one of them may bring them in."""
        given = (self.tag, self.search, self.tags, self.query, self.saved_search, self.saved_query)
        exclude = self.exclude
        return any(given) or any((exclude.tags, exclude.query, exclude.seen_since))


def left_out_by_word(counts: Mapping[Reason, int]) -> dict[str, int]:
    """Each reason with its count, zeros too, so that a reader sees what was looked at."""
    return {reason.word: counts.get(reason, 0) for reason in LEFT_OUT}


def window_start(at: datetime, days: int, time_zone: ZoneInfo) -> datetime:
    """When the last so many days begin, today among them: a message each Monday is seven days from the next."""
    first = at.astimezone(time_zone).date() - timedelta(days=days - 1)
    return datetime.combine(first, time(), time_zone)


def audience_out(audience: Audience) -> dict[str, Any]:
    """An audience as JSON."""
    again = audience.again and {"bulk_id": str(audience.again.bulk_id), "failed": audience.again.failed}
    more = {
        "lists": [str(one) for one in audience.lists],
        "tags": list(audience.tags),
        "query": audience.query,
        "saved_search": audience.saved_search,
        "saved_query": audience.saved_query,
        "exclude": _exclude_out(audience.exclude),
        "named_lists": {name: str(one) for name, one in audience.named_lists},
    }
    return {
        "tag": audience.tag,
        "search": audience.search,
        "customer_ids": None if audience.customer_ids is None else list(audience.customer_ids),
        "again": again,
        **{name: value for name, value in more.items() if value},
    }


def audience_as_asked(audience: Audience) -> dict[str, Any]:
    """An audience in the words in which it is asked for, lists by id; saved_query: what a saved search said then."""
    told = {name: value for name, value in audience_out(audience).items() if value is not None}
    told.pop("named_lists", None)
    return told if told.keys() - {"exclude"} else {"all": True, **told}


def _exclude_out(exclude: Exclude) -> dict[str, Any]:
    seen, cap = exclude.seen_since, exclude.cap
    members = {
        "lists": [str(one) for one in exclude.lists],
        "tags": list(exclude.tags),
        "query": exclude.query,
        "seen_since": seen and {"field": seen.field, "since": seen.since.isoformat()},
        "messaged_in_days": exclude.messaged_in_days,
        "cap": cap and {"messages": cap.messages, "days": cap.days},
    }
    return {name: value for name, value in members.items() if value}


def audience_in(plain: Mapping[str, Any]) -> Audience:
    """What `audience_out` wrote, also that of an older release."""
    ids, again = plain.get("customer_ids"), plain.get("again")
    return Audience(
        plain.get("tag"),
        plain.get("search"),
        None if ids is None else tuple(ids),
        Again(UUID(again["bulk_id"]), again["failed"]) if again else None,
        tuple(map(UUID, plain.get("lists", ()))),
        tuple(plain.get("tags", ())),
        plain.get("query"),
        plain.get("saved_search"),
        plain.get("saved_query"),
        _exclude_in(plain.get("exclude", {})),
        tuple((name, UUID(one)) for name, one in plain.get("named_lists", {}).items()),
    )


def _exclude_in(plain: Mapping[str, Any]) -> Exclude:
    seen, cap = plain.get("seen_since"), plain.get("cap")
    return Exclude(
        tuple(map(UUID, plain.get("lists", ()))),
        tuple(plain.get("tags", ())),
        plain.get("query"),
        Seen(seen["field"], date.fromisoformat(seen["since"])) if seen else None,
        plain.get("messaged_in_days"),
        Cap(cap["messages"], cap["days"]) if cap else None,
    )
