"""Laws 3, 4 and 5: what a message costs, when it may be written, and that it is written once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from muster.laws.result import Id, LawResult, Violation, found


class Part(IntEnum):
    """How far one part of a message has come: one octet for each part of a chunk."""

    QUEUED = 0
    ACCEPTED = 1
    UNKNOWN = 2
    REJECTED = 3
    STOPPED = 4
    SEND_BY = 5
    CREDITS = 6
    SUPPRESSED = 7
    RETRY = 8
    CHARGED = 9
    RELEASED = 10


_PAID: Final = (Part.ACCEPTED, Part.CHARGED)
_UNSURE: Final = frozenset((Part.UNKNOWN, Part.CHARGED, Part.RELEASED))
_OPEN: Final = frozenset((Part.QUEUED, Part.RETRY))
WRITTEN: Final = frozenset((Part.ACCEPTED, Part.UNKNOWN, Part.REJECTED, Part.CHARGED, Part.RELEASED))
"""Parts that may have reached a carrier."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk's parts and prices beside the figures that are kept of it. `parts` counts those of each message."""

    tenant_id: Id
    bulk_id: Id
    chunk: int
    parts: bytes
    prices: Sequence[int]
    states: bytes
    used: int
    accepted: int
    unknown: int
    seqs: Sequence[int] = ()
    ended: bool = False


def used(chunks: Iterable[Chunk]) -> LawResult:
    """Law 3: a chunk has used the price of its accepted parts and of those that were charged by rule."""
    checked, wrong = 0, []
    for one in chunks:
        checked += 1
        kept, right = (one.used, one.accepted, one.unknown), figures(one.parts, one.prices, one.states)
        if kept != right:
            detail = f"chunk {one.chunk}: used, accepted, unknown are {kept}, its parts come to {right}"
            wrong.append(found(one.tenant_id, detail, one.bulk_id))
    return LawResult("used", checked, wrong)


def figures(parts: bytes, prices: Sequence[int], states: bytes) -> tuple[int, int, int]:
    """(credits used, messages accepted, messages unknown) of a chunk, part by part."""
    if parts.count(1) == len(parts) and len(set(prices)) <= 1:
        # A million messages of one part and one price are the usual send: no loop over messages.
        paid = sum(states.count(state) for state in _PAID)
        price = prices[0] if prices else 0
        return paid * price, states.count(Part.ACCEPTED), sum(states.count(state) for state in _UNSURE)
    total = accepted = unknown = start = 0
    for count, price in zip(parts, prices, strict=True):
        mine = states[start : start + count]
        start += count
        total += price * sum(mine.count(state) for state in _PAID) // count
        accepted += mine.count(Part.ACCEPTED) == count
        unknown += not _UNSURE.isdisjoint(mine) and _OPEN.isdisjoint(mine)
    return total, accepted, unknown


@dataclass(frozen=True, slots=True)
class Bar:
    """A suppression or a hold: who may not be texted, in what scope, from when to when (unix times)."""

    tenant_id: Id
    number: bytes
    scope: int
    since: float
    until: float | None = None


Bars: TypeAlias = Mapping[tuple[Id, bytes], Sequence[Bar]]


def by_number(bars: Iterable[Bar]) -> Bars:
    """Bars as `submit` looks them up."""
    every: dict[tuple[Id, bytes], list[Bar]] = {}
    for bar in bars:
        every.setdefault((bar.tenant_id, bar.number), []).append(bar)
    return every


@dataclass(frozen=True, slots=True)
class Writing:
    """What was intended of a chunk: the unix time of the last intent for each message that may have been written, by
    its position. `scope`: bars of this scope or a wider one hold for it. `hours`: when its recipients may be
    texted, each from a unix time to another; none: at any time."""

    tenant_id: Id
    bulk_id: Id
    reserved: int | None
    send_by: float
    scope: int
    times: Mapping[int, float]
    seqs: Sequence[int]
    numbers: Sequence[bytes]
    hours: Sequence[tuple[float, float]] = ()


def submit(writings: Iterable[Writing], bars: Bars, checked: int | None = None) -> LawResult:
    """Law 4: nothing is intended without a reservation, after `send_by`, outside the hours of its recipients, or
    against a bar that stood by then."""
    every = [one for one in writings if one.times]
    wrong: list[Violation] = []
    for one in every:
        if one.reserved is None:
            wrong += _intended(one, list(one.times), "intended without a reservation")
        wrong += _intended(one, [at for at, time in one.times.items() if time > one.send_by], "intended after send_by")
        if one.hours:
            outside = [at for at, time in one.times.items() if not any(a <= time < b for a, b in one.hours)]
            wrong += _intended(one, outside, "intended outside the hours of its recipients")
        if bars:
            wrong += _barred(one, bars)
    return LawResult("submit", sum(len(one.times) for one in every) if checked is None else checked, wrong)


def _intended(one: Writing, positions: Sequence[int], detail: str) -> list[Violation]:
    return [found(one.tenant_id, detail, one.bulk_id, one.seqs[position]) for position in positions]


def _barred(one: Writing, bars: Bars) -> list[Violation]:
    return [
        found(one.tenant_id, "intended against a hold or a suppression", one.bulk_id, one.seqs[position])
        for position, at in one.times.items()
        for bar in bars.get((one.tenant_id, one.numbers[position]), ())
        if bar.scope >= one.scope and bar.since < at < (float("inf") if bar.until is None else bar.until)
    ]


@dataclass(frozen=True, slots=True)
class Ended:
    """An ended send: its own figures, and those of its chunks added up."""

    tenant_id: Id
    bulk_id: Id
    used: int = 0
    accepted: int = 0
    unknown: int = 0
    rejected: int = 0
    stopped: int = 0
    suppressed: int = 0
    chunks_used: int = 0
    chunks_accepted: int = 0
    chunks_recipients: int = 0
    chunks_open: int = 0
    refunded: int = 0
    chunks_refunded: int = 0


def used_by_sends(sends: Iterable[Ended]) -> LawResult:
    """Law 3 for a whole send: it has used what its chunks have, and was refunded what they were."""
    every = list(sends)
    wrong = [
        found(one.tenant_id, f"{name} {own}, its chunks come to {theirs}", one.bulk_id)
        for one in every
        for name, own, theirs in (
            ("used", one.used, one.chunks_used),
            ("refunded", one.refunded, one.chunks_refunded),
        )
        if own != theirs
    ]
    return LawResult("used", len(every), wrong)


def once(sends: Iterable[Ended]) -> LawResult:
    """Law 5: each recipient of an ended send has exactly one state, and none is still open."""
    every = list(sends)
    wrong = [found(one.tenant_id, ", ".join(why), one.bulk_id) for one in every if (why := _not_once(one))]
    return LawResult("once", len(every), wrong)


def left_open(chunks: Iterable[Chunk]) -> LawResult:
    """Law 5 message by message: none of an ended send still waits to be sent."""
    checked, wrong = 0, []
    for one in chunks:
        if not one.ended:
            continue
        checked += 1
        if any(one.states.count(state) for state in _OPEN):
            wrong += [found(one.tenant_id, "open though its send has ended", one.bulk_id, seq) for seq in _open(one)]
    return LawResult("once", checked, wrong)


def _open(one: Chunk) -> Iterator[int]:
    start = 0
    for seq, count in zip(one.seqs, one.parts, strict=True):
        if not _OPEN.isdisjoint(one.states[start : start + count]):
            yield seq
        start += count


def _not_once(one: Ended) -> list[str]:
    states = one.accepted + one.unknown + one.rejected + one.stopped + one.suppressed
    why = []
    if states != one.chunks_recipients:
        why.append(f"{states} states for {one.chunks_recipients} recipients")
    if one.chunks_open:
        why.append(f"ended with {one.chunks_open} messages open")
    if one.accepted != one.chunks_accepted:
        why.append(f"accepted {one.accepted}, its chunks come to {one.chunks_accepted}")
    return why


@dataclass(frozen=True, slots=True)
class Taken:
    """How often carriers have accepted one part. `at_least_once`: of a class of message that its tenant has chosen that
    for, which marketing never is."""

    tenant_id: Id
    bulk_id: Id
    message: int
    part: int
    accepted: int
    at_least_once: bool = False


def taken_once(parts: Iterable[Taken]) -> LawResult:
    """Law 5 at the carrier: no part was accepted twice, but where at least once was chosen."""
    every = list(parts)
    wrong = [
        found(one.tenant_id, f"part {one.part} was accepted {one.accepted} times", one.bulk_id, one.message)
        for one in every
        if one.accepted > 1 and not one.at_least_once
    ]
    return LawResult("once", len(every), wrong)


@dataclass(frozen=True, slots=True)
class Planned:
    """A planned send, counted in two ways: by what it says of itself, and by what is stored or was published."""

    tenant_id: Id
    bulk_id: Id
    pairs: Sequence[tuple[str, int, str, int]]


def planned(sends: Iterable[Planned]) -> LawResult:
    """Law 5 before anything is sent: whoever is in the audience is texted once or left out, and what was published is
    what was planned. A pair is (name, count, other name, other count)."""
    every = list(sends)
    wrong = [
        found(one.tenant_id, f"{name} {count}, {other_name} {other}", one.bulk_id)
        for one in every
        for name, count, other_name, other in one.pairs
        if count != other
    ]
    return LawResult("once", len(every), wrong)
