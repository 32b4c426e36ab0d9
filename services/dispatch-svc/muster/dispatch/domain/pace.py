"""When each send will have left: the promised finish.

The queue is shared by deficit round robin over tenants, equal for each, and within a tenant in the order of
`fairness.Waiting.rank`. Over seconds that is a fluid: `finishes` lets it flow off, account by account, without looking
at single chunks, so that it costs as much for a send of a million as for one of a hundred. How fast an account flows is
`domain/meter.py`.
"""

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from types import MappingProxyType
from typing import Final
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Piece:
    """Parts of a send that one account is to take, not before `due_s` from now. `rank`: its place within the tenant's
    turn, the lowest first. `until_s`: when its hours end; what has not left by then waits for the next ones."""

    tenant_id: UUID
    bulk_id: UUID
    account: str
    parts: float
    due_s: float
    rank: tuple[bool, int, UUID]
    until_s: float = math.inf


def finishes(
    pieces: Iterable[Piece], rates: Mapping[str, float], limits: Mapping[UUID, float] = MappingProxyType({})
) -> dict[UUID, float | None]:
    """When the last part of each send will have left, in seconds from now; None where nothing can be promised, since an
    account that is to take some of it takes nothing now, or its hours end before it does. `limits`: the rates of
    tenants that have one, over all accounts."""
    by_account: dict[str, list[Piece]] = {}
    by_tenant: dict[UUID, list[Piece]] = {}
    for piece in pieces:
        by_account.setdefault(piece.account, []).append(piece)
        if piece.tenant_id in limits:
            by_tenant.setdefault(piece.tenant_id, []).append(piece)
    limited = {tenant_id: _Limited(own, limits[tenant_id]) for tenant_id, own in by_tenant.items()}
    found: dict[UUID, float | None] = {}
    for account, queue in by_account.items():
        rate = rates.get(account, 0.0)
        for piece, end in _ends(queue, rate, limited) if rate > 0 else [(piece, math.inf) for piece in queue]:
            before = found.get(piece.bulk_id, 0.0)
            found[piece.bulk_id] = None if before is None or end >= piece.until_s else max(before, end)
    return found


class _Limited:
    """A tenant that has a rate: when its pieces would end by that alone, and how much of it falls to each account."""

    def __init__(self, pieces: Sequence[Piece], rate: float) -> None:
        self.ends = dict(zip(map(id, pieces), _Flow(pieces, rate).run(), strict=True))
        every = sum(piece.parts for piece in pieces) or 1.0
        self.rates: dict[str, float] = {}
        self.last: dict[str, float] = {}
        for piece in pieces:
            account = piece.account
            self.rates[account] = self.rates.get(account, 0.0) + rate * piece.parts / every
            self.last[account] = max(self.last.get(account, 0.0), self.ends[id(piece)])


def _ends(queue: Sequence[Piece], rate: float, limited: Mapping[UUID, _Limited]) -> list[tuple[Piece, float]]:
    """When the pieces of an account end. Tenants whose own rate is below what their turns would give take just that,
    for as long as it takes them, and the others share what is left."""
    account, tenants = queue[0].account, {piece.tenant_id for piece in queue}
    left, sharing, held = rate, len(tenants), dict[UUID, float]()
    own = {tenant_id: limited[tenant_id].rates[account] for tenant_id in tenants & limited.keys()}
    for tenant_id, own_rate in sorted(own.items(), key=itemgetter(1)):
        if own_rate >= left / sharing:
            break
        held[tenant_id] = own_rate
        left, sharing = left - own_rate, sharing - 1
    freed = [(limited[tenant_id].last[account], own_rate) for tenant_id, own_rate in held.items()]
    flowing = [piece for piece in queue if piece.tenant_id not in held]
    ends = [(piece, limited[piece.tenant_id].ends[id(piece)]) for piece in queue if piece.tenant_id in held]
    for piece, end in zip(flowing, _Flow(flowing, left, freed).run(), strict=True):
        alone = limited.get(piece.tenant_id)
        ends.append((piece, max(end, alone.ends[id(piece)] if alone else 0.0)))
    return ends


class _Flow:
    """One account's queue as a fluid: each tenant that has something due gets an equal share of the rate, which grows
    by what is `freed` (from when on, parts a second).

    Virtual time is how many parts each tenant was given so far. Within a tenant the piece of the lowest rank flows; it
    ends at a virtual time that does not change with how many tenants there are, so a heap holds the ends. Steps are two
    for each piece, and each costs a logarithm.
    """

    def __init__(self, pieces: Sequence[Piece], rate: float, freed: Iterable[tuple[float, float]] = ()) -> None:
        self._pieces = pieces
        self._rate = rate
        self._freed = sorted(freed, reverse=True)
        self._left = [piece.parts for piece in pieces]
        self._ends = [0.0] * len(pieces)
        self._coming = sorted(range(len(pieces)), key=lambda at: pieces[at].due_s, reverse=True)
        self._waiting: dict[UUID, list[tuple[tuple[bool, int, UUID], int]]] = {}
        self._flowing: dict[UUID, tuple[int, float]] = {}
        self._next: list[tuple[float, int]] = []
        self._now = self._given = 0.0

    def run(self) -> list[float]:
        """When each piece ends, in seconds."""
        while self._coming or self._flowing:
            due = self._pieces[self._coming[-1]].due_s if self._coming else math.inf
            freed = self._freed[-1][0] if self._freed else math.inf
            given, at = self._next_end()
            shared = len(self._flowing) / self._rate
            end = self._now + (given - self._given) * shared if shared else math.inf
            if freed < min(due, end):
                self._pass_to(max(freed, self._now))
                self._rate += self._freed.pop()[1]
            elif due <= end:
                self._pass_to(max(due, self._now))
                self._arrive(self._coming.pop())
            else:
                self._now, self._given = end, given
                self._finish(at)
        return self._ends

    def _next_end(self) -> tuple[float, int]:
        while self._next:
            given, at = self._next[0]
            if self._flowing.get(self._pieces[at].tenant_id) == (at, given):
                return given, at
            heapq.heappop(self._next)  # it was set aside for one of a lower rank since
        return math.inf, -1

    def _pass_to(self, now: float) -> None:
        if self._flowing:
            self._given += (now - self._now) * self._rate / len(self._flowing)
        self._now = now

    def _arrive(self, at: int) -> None:
        piece = self._pieces[at]
        flowing = self._flowing.get(piece.tenant_id)
        if flowing is not None:
            other, given = flowing
            if self._pieces[other].rank <= piece.rank:
                self._wait(at)
                return
            self._left[other] = given - self._given
            self._wait(other)
        self._flow(at)

    def _wait(self, at: int) -> None:
        piece = self._pieces[at]
        heapq.heappush(self._waiting.setdefault(piece.tenant_id, []), (piece.rank, at))

    def _flow(self, at: int) -> None:
        given = self._given + self._left[at]
        self._flowing[self._pieces[at].tenant_id] = at, given
        heapq.heappush(self._next, (given, at))

    def _finish(self, at: int) -> None:
        heapq.heappop(self._next)
        self._ends[at] = self._now
        tenant_id = self._pieces[at].tenant_id
        del self._flowing[tenant_id]
        waiting = self._waiting.get(tenant_id)
        if waiting:
            self._flow(heapq.heappop(waiting)[1])


def error_ratio(began: float, promised: float, finished: float) -> float:
    """By how much a promise was missed, as a share of the time that the send took; times in s."""
    return abs(finished - promised) / max(finished - began, 1e-3)


# -- what is said of a send -------------------------------------------------------------------------------------------

PROMISED_AFTER_S: Final = 5.0
# What is in doubt is not promised: a tenth is what a promise may be missed by, of which this leaves some to chance.
_DOUBT_MAX: Final = 0.08
# A carrier that is never even is promised by what it takes on the whole.
_PROMISED_AFTER_S_MAX: Final = 30.0


@dataclass(frozen=True, slots=True)
class Work:
    """What is left of a send that is being sent. `begun`: something of it was written; `coming`: some of its chunks are
    still on their way to the queue."""

    pieces: tuple[Piece, ...]
    kind: int
    control_version: int
    reserved: int
    begun: bool
    coming: bool = False

    @property
    def limited(self) -> bool:
        """Whether some of it may leave at some hours only."""
        return any(piece.until_s < math.inf for piece in self.pieces)

    @property
    def parts_left(self) -> int:
        """Parts that are still to be written."""
        return round(sum(piece.parts for piece in self.pieces))


@dataclass(frozen=True, slots=True)
class Course:
    """How a send has gone since it was begun or resumed, and what was promised of it. Times are seconds since 1970."""

    control_version: int
    began: float
    said: float
    parts_left: int
    parts_per_second: float = 0.0
    promised: float | None = None
    promised_finish: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A send that was being sent and is not any more. `open`: there is more of it; `last`: when the last message that
    has left did."""

    control_version: int
    stopped: bool
    paused: bool
    open: bool
    reserved: int
    last: float | None

    @property
    def why(self) -> str:
        """Why nothing more is promised; "" where all of it has left. What is open and nobody takes is suspended, or has
        no more hours."""
        if self.stopped:
            return "stopped"
        return "paused" if self.paused else "suspended" if self.open else ""


@dataclass(frozen=True, slots=True)
class Outlook:
    """When the last message of a send will have left, in seconds from now, None where nothing can be said; and by which
    share of that it may be wrong."""

    finish_s: float | None
    doubt: float = 0.0


def outlook(work: Work, finish_s: float | None, doubts: Mapping[str, float]) -> Outlook:
    """The outlook of a send: as much in doubt as what any of its accounts takes."""
    return Outlook(finish_s, max((doubts.get(piece.account, 0.0) for piece in work.pieces), default=0.0))


def follow(before: Course | None, work: Work, ahead: Outlook, now: float) -> Course:
    """The course of a send after one more look. A control begins another one: what was promised before it is void."""
    left = work.parts_left
    if before is None or before.control_version != work.control_version:
        return Course(work.control_version, began=now, said=now, parts_left=left)
    rate = max(0.0, (before.parts_left - left) / max(now - before.said, 1e-3))
    if before.parts_per_second:
        rate = (rate + before.parts_per_second) / 2
    promised, promised_finish = before.promised, before.promised_finish
    if promised is None and ahead.finish_s is not None and _is_sure(work, ahead, ahead.finish_s, now - before.began):
        promised, promised_finish = now, now + ahead.finish_s
    return Course(work.control_version, before.began, now, left, rate, promised, promised_finish)


def _is_sure(work: Work, ahead: Outlook, finish_s: float, sent_s: float) -> bool:
    """Whether a finish can be promised: not while the send shares the machine with its own messages that arrive, unless
    the carrier takes no less than it may; nor while what is in doubt is much of the whole time."""
    if sent_s < PROMISED_AFTER_S:
        return False
    if work.coming:
        return not ahead.doubt
    return sent_s >= _PROMISED_AFTER_S_MAX or ahead.doubt * finish_s <= _DOUBT_MAX * (sent_s + finish_s)


def why_none(course: Course, finish_s: float | None, *, limited: bool) -> str:
    """Why nothing can be promised of a send that is being sent; "" where it can. `limited`: to some hours."""
    if finish_s is not None:
        return ""
    if course.said - course.began < PROMISED_AFTER_S:
        return "measuring"
    return "hours" if limited else "carrier"
