"""Why somebody is in a send or out of it, and what became of their message, in words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final

from muster.customer.domain.again import Missed
from muster.customer.domain.audience import Cap, Exclude, Reason
from muster.customer.domain.sends import State

UNDER_WAY_MS: Final = 2**62
"""The time of a message that had not left when it was asked for, or of which nobody knew when."""


class Became(StrEnum):
    """What became of a message, as far as it is known here; the report knows receipts that say it arrived."""

    PLANNED = "planned"
    WAITING = "waiting"
    SENDING = "sending"
    ACCEPTED = "accepted"
    UNKNOWN = "accepted_or_unknown"
    FAILED = "failed"
    SENT_IN_PART = "sent_in_part"
    NOT_SENT = "not_sent"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class Sums:
    """What is known of a send as a whole, in messages."""

    state: State
    recipients: int
    accepted: int
    unknown: int
    rejected: int
    stopped: int
    suppressed: int


_MISSED: Final = {
    Missed.FAILED: Became.FAILED,
    Missed.SENT_IN_PART: Became.SENT_IN_PART,
    Missed.NOT_SENT: Became.NOT_SENT,
    Missed.SUPPRESSED: Became.SUPPRESSED,
}


def became(sums: Sums, missed: Collection[int]) -> Became:
    """What became of one message. missed: the kinds of words that its send keeps of it."""
    for kind, said in _MISSED.items():
        if kind in missed:
            return said
    if sums.state is State.REFUSED:
        return Became.NOT_SENT
    if sums.state in (State.PLANNING, State.NEEDS_CONFIRMATION):
        return Became.PLANNED
    if sums.state is State.WAITING:
        return Became.WAITING
    left = sums.accepted + sums.unknown + sums.rejected + sums.stopped + sums.suppressed
    if sums.state is not State.CLOSED and left < sums.recipients:
        return Became.SENDING
    if not sums.accepted + sums.unknown:
        return Became.NOT_SENT
    return Became.UNKNOWN if sums.unknown else Became.ACCEPTED


_PLAIN: Final[Mapping[Reason, str]] = {
    Reason.NONE: "They may be texted, and the send was made for them.",
    Reason.JOINED_LATER: (
        "They came to allow Bulk SMS, got another number, or came to be whom it was for, after the send was quoted."
    ),
    Reason.NO_CONSENT: "They did not allow it, or their consent did not cover this kind of message.",
    Reason.NOT_TEXTABLE: "They had no mobile number that could be reached.",
    Reason.NOT_ALLOWED: "All their numbers were of countries that the business does not send to.",
    Reason.OPTED_OUT: "A number of theirs was suppressed.",
    Reason.UNDELIVERABLE: "Messages to their number had failed for good in one send after the other.",
    Reason.MISSING_FIELD: "A merge field without a fallback was blank.",
    Reason.OUTSIDE_HOURS: "There was no hour before the end of the send at which they may be texted.",
    Reason.EXCLUDED_BY_QUERY: "They fitted the query that the send excludes.",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """The rule by which a send was frozen, for words. lists: names of the excluded ones, in their order; cap: that of
    the business then."""

    exclude: Exclude
    lists: Sequence[str]
    cap: Cap | None


def words(reason: Reason, fact: int | None, judged: Judged) -> str:
    """The reason as a sentence, with the figure that it went by (see plan_frozen.facts)."""
    exclude = judged.exclude
    match reason:
        case Reason.DUPLICATE_NUMBER:
            whom = "Somebody" if fact is None else f"Customer {fact}"
            return f"{whom} has the same number and is older here: the message of that number was rendered for them."
        case Reason.IN_EXCLUDED_LIST:
            return f"They were on the excluded list {_named(judged.lists, fact)}."
        case Reason.HAS_EXCLUDED_TAG:
            return f"They had the excluded tag {_named(exclude.tags, fact)}."
        case Reason.SEEN_SINCE if exclude.seen_since is not None:
            seen = f" ({_day(fact)})" if fact else ""
            return f"Their {exclude.seen_since.field}{seen} was on or after {exclude.seen_since.since}."
        case Reason.RECENTLY_MESSAGED:
            when = "was under way" if fact is None or fact >= UNDER_WAY_MS else f"left at {_moment(fact)}"
            return (
                f"A message to their number {when}, within the last {_counted(exclude.messaged_in_days or 0, 'day')}."
            )
        case Reason.FREQUENCY_CAP:
            return _capped(fact or 0, exclude.cap, judged.cap)
        case _:
            return _PLAIN.get(reason, reason.word)


def _capped(fact: int, own: Cap | None, business: Cap | None) -> str:
    cap, whose = (business, "the business") if fact < 0 else (own, "this send")
    if cap is None:
        return "Their number had as many messages as a cap allows."
    had = f"Their number had {_counted(abs(fact), 'message')} in the last {_counted(cap.days, 'day')}"
    return f"{had}; the cap of {whose} is {cap.messages}."


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _named(names: Sequence[str], place: int | None) -> str:
    return f"'{names[place - 1]}'" if place and place <= len(names) else "of the send"


def _day(figures: int) -> date:
    return date(figures // 10_000, figures // 100 % 100, figures % 100)


def _moment(unix_ms: int) -> str:
    return f"{datetime.fromtimestamp(unix_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
