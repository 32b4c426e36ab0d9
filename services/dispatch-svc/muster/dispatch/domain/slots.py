"""What became of each part of a chunk: one octet for each part ("slot"), in the order of recipients and parts.

A chunk of at most 1000 recipients has its outcomes in one byte string, so that a million messages are a few thousand
rows. Every function here is pure; `parts` has one octet for each message and sums to the number of slots.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from itertools import accumulate
from typing import Final, NamedTuple


class Slot(IntEnum):
    """How far one part has come."""

    QUEUED = 0
    ACCEPTED = 1
    UNKNOWN = 2
    REJECTED = 3
    STOPPED = 4
    SEND_BY = 5
    CREDITS = 6
    SUPPRESSED = 7
    # Certainly not sent, to be tried again by an attempt of its own.
    RETRY = 8
    # Unknown after the time that unknowns are given, and by the tenant's rule charged or released for good.
    CHARGED = 9
    RELEASED = 10


class Reason(StrEnum):
    """Why messages were stopped, as SmsDispatched and BulkSmsAccounted say it."""

    NONE = ""
    STOPPED = "stopped"
    SEND_BY = "send_by"
    CREDITS = "credits"


SLOT_OF_REASON: Final = {
    Reason.STOPPED: Slot.STOPPED,
    Reason.SEND_BY: Slot.SEND_BY,
    Reason.CREDITS: Slot.CREDITS,
}
REASON_OF_SLOT: Final = {slot: reason for reason, slot in SLOT_OF_REASON.items()}
_STOPPED: Final = frozenset(SLOT_OF_REASON.values())
OPEN: Final = frozenset((Slot.QUEUED, Slot.RETRY))
# What became of them may never be known, and costs what it costs.
SETTLED: Final = frozenset((Slot.CHARGED, Slot.RELEASED))
_UNKNOWN: Final = SETTLED | {Slot.UNKNOWN}
_OPEN_OCTETS: Final = bytes(sorted(OPEN))


class Word(NamedTuple):
    """What is said of one message: its place in the chunk, how it was left, whether any part of it was taken, and how
    many parts cost credits."""

    position: int
    left: Slot
    any_accepted: bool
    charged_parts: int


@dataclass(frozen=True, slots=True)
class ChunkSums:
    """A chunk in figures. Counts are messages, the rest credits; `open` messages are queued, on the wire or waiting."""

    accepted: int = 0
    unknown: int = 0
    rejected: int = 0
    stopped: int = 0
    suppressed: int = 0
    short: int = 0
    open: int = 0
    used: int = 0
    unknown_credits: int = 0
    open_credits: int = 0


def fresh(parts: bytes) -> bytes:
    """The slots of a chunk that just arrived."""
    return bytes(sum(parts))


def is_single(parts: bytes) -> bool:
    """Whether each message has one part, so that a slot is a message."""
    return parts.count(1) == len(parts)


def offsets(parts: bytes) -> list[int]:
    """The first slot of each message."""
    return list(accumulate(parts, initial=0))[:-1]


def end_open(slots: bytes, to: Slot) -> bytes:
    """`slots` with everything that waits or is unsent ended as `to`."""
    return slots.translate(_translation(to))


def _translation(to: Slot) -> bytes:
    table = bytearray(range(256))
    for octet in _OPEN_OCTETS:
        table[octet] = to
    return bytes(table)


def left_of(states: bytes) -> Slot | None:
    """How a message with these parts was left; None while a part of it is open.

    Unknown goes before all else, since it may change; a message counts as accepted when all of its parts are.
    """
    if not OPEN.isdisjoint(states):
        return None
    if not _UNKNOWN.isdisjoint(states):
        return Slot.UNKNOWN
    if Slot.REJECTED in states:
        return Slot.REJECTED
    return Slot(max(states))


def words(parts: bytes, before: bytes, after: bytes) -> list[Word]:
    """What there is to say after the slots went from `before` to `after`: each message that changed and is not open."""
    if before == after:
        return []
    if is_single(parts):
        return [_single(at, new) for at, (old, new) in enumerate(zip(before, after, strict=True)) if _news(old, new)]
    return [word for at, old, new in _messages(parts, before, after) if old != new and (word := _word(at, new))]


def _news(old: int, new: int) -> bool:
    return old != new and new not in OPEN


_LEFT_OF_ONE: Final = {
    slot: (
        Slot.UNKNOWN if slot in _UNKNOWN else slot,
        slot is Slot.ACCEPTED,
        int(slot in (Slot.ACCEPTED, Slot.CHARGED)),
    )
    for slot in Slot
}


def _single(position: int, slot: int) -> Word:
    return Word(position, *_LEFT_OF_ONE[Slot(slot)])


def _word(position: int, states: bytes) -> Word | None:
    left = left_of(states)
    if left is None:
        return None
    return Word(position, left, Slot.ACCEPTED in states, _charged(states))


def _charged(states: bytes) -> int:
    return states.count(Slot.ACCEPTED) + states.count(Slot.CHARGED)


def _messages(parts: bytes, before: bytes, after: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    start = 0
    for position, count in enumerate(parts):
        yield position, before[start : start + count], after[start : start + count]
        start += count


def credits_of(price: int, parts: int, taken: int) -> int:
    """Credits for `taken` of the `parts` of a message: money is decided part by part."""
    return price * taken // parts


def sums(parts: bytes, prices: Sequence[int], slots: bytes) -> ChunkSums:
    """A chunk in figures. Unsent parts of a message that is not open cost nothing."""
    if is_single(parts) and len(set(prices)) == 1:
        return _uniform_sums(prices[0], slots)
    counts: dict[Slot | None, int] = {}
    short = used = unknown_credits = open_credits = 0
    for position, _, states in _messages(parts, slots, slots):
        left = left_of(states)
        counts[left] = counts.get(left, 0) + 1
        price, count = prices[position], parts[position]
        used += credits_of(price, count, _charged(states))
        unknown_credits += credits_of(price, count, states.count(Slot.UNKNOWN))
        open_credits += credits_of(price, count, sum(1 for state in states if state in OPEN))
        short += left is Slot.CREDITS
    return ChunkSums(
        accepted=counts.get(Slot.ACCEPTED, 0),
        unknown=counts.get(Slot.UNKNOWN, 0),
        rejected=counts.get(Slot.REJECTED, 0),
        stopped=sum(counts.get(slot, 0) for slot in _STOPPED),
        suppressed=counts.get(Slot.SUPPRESSED, 0),
        short=short,
        open=counts.get(None, 0),
        used=used,
        unknown_credits=unknown_credits,
        open_credits=open_credits,
    )


def _uniform_sums(price: int, slots: bytes) -> ChunkSums:
    unknown = slots.count(Slot.UNKNOWN)
    waiting = slots.count(Slot.QUEUED) + slots.count(Slot.RETRY)
    return ChunkSums(
        accepted=slots.count(Slot.ACCEPTED),
        unknown=sum(slots.count(slot) for slot in _UNKNOWN),
        rejected=slots.count(Slot.REJECTED),
        stopped=sum(slots.count(slot) for slot in _STOPPED),
        suppressed=slots.count(Slot.SUPPRESSED),
        short=slots.count(Slot.CREDITS),
        open=waiting,
        used=_charged(slots) * price,
        unknown_credits=unknown * price,
        open_credits=waiting * price,
    )


def recover(slots: bytes, order: Sequence[int] | None, intent_upto: int, receipts: bytes | None = None) -> bytes:
    """The slots after their sender died: what its intent covered and has no outcome is unknown, the rest is untouched.

    `order` are the slots of the attempt (None: all); `intent_upto` counts them. `receipts`: what was said of each slot:
    a receipt can be stored before the outcome, and whatever has one was accepted. It does not come a second time.
    """
    after = bytearray(slots)
    for slot in range(intent_upto) if order is None else order[:intent_upto]:
        if after[slot] != Slot.QUEUED:
            continue
        if receipts and receipts[slot]:
            after[slot] = Slot.ACCEPTED
        else:
            after[slot] = Slot.UNKNOWN
    return bytes(after)


def unknown_of(parts: bytes, prices: Sequence[int], slots: bytes) -> list[tuple[int, int, int]]:
    """(position, parts, credits) of each message of which a part is unknown and waits to be charged or released."""
    found = []
    for position, _, states in _messages(parts, slots, slots):
        if waiting := states.count(Slot.UNKNOWN):
            found.append((position, waiting, credits_of(prices[position], parts[position], waiting)))
    return found


def settle(slots: bytes, *, charge: bool) -> bytes:
    """The slots after what stayed unknown was charged or released for good."""
    return slots.replace(bytes((Slot.UNKNOWN,)), bytes((Slot.CHARGED if charge else Slot.RELEASED,)))
