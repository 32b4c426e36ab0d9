"""What sends ask for, are given, use and give back: pending, post and void. Pure.

For every send `reserved = used + released + held`. What is made anew for each operation is a NamedTuple: a frozen
dataclass takes five times as long to make, and `replace` ten times.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import NamedTuple, TypeAlias, TypeVar
from uuid import UUID

from muster.credit.domain.account import Account, Entry, Kind, move


class Answer(StrEnum):
    """How a request for credits was answered."""

    RESERVED = "reserved"
    REFUSED = "refused"


class Refusal(StrEnum):
    """Why a request for credits was refused."""

    SHORT = "short"
    OWED = "owed"
    CAPPED = "capped"
    CLOSED = "closed"


class Partial(StrEnum):
    """What a send wants when credits are short."""

    NOTHING = "nothing"
    FIRST_N = "first_n"


class Reservation(NamedTuple):
    """What one send asked for, was given and has used so far, with the answers given.

    `answer` is None while only the carrier side's totals are known and no request was heard. `excess` is what was said
    to be used beyond the reservation: never charged, and a violation of the second law.
    """

    tenant_id: UUID
    bulk_id: UUID
    asked: int = 0
    reserved: int = 0
    shortfall: int = 0
    send_by_ms: int = 0
    answered_version: int = 0
    answered_available: int = 0
    used: int = 0
    released: int = 0
    refunded: int = 0
    version: int = 0
    closed: bool = False
    excess: int = 0
    settled_version: int = 0
    settled_available: int = 0
    reserved_on: date = date.min
    answer: Answer | None = None
    reason: str = ""

    @property
    def held(self) -> int:
        """Credits set aside that are neither used nor released."""
        return self.reserved - self.used - self.released


class Request(NamedTuple):
    """A send asks for credits. credits_max: a ceiling of its own below what it costs, 0 for none."""

    tenant_id: UUID
    bulk_id: UUID
    credits: int
    send_by_ms: int = 0
    partial: Partial = Partial.NOTHING
    credits_max: int = 0

    @property
    def wanted(self) -> int:
        """What is to be reserved where nothing is short."""
        return min(self.credits, self.credits_max) if self.credits_max else self.credits


class Totals(NamedTuple):
    """A send's running totals as the carrier side counts them; a higher version overtakes."""

    tenant_id: UUID
    bulk_id: UUID
    version: int
    used: int
    released: int
    refunded: int = 0
    closed: bool = False


class Step(NamedTuple):
    """What one operation leaves: the account, the reservation (which holds the answer) and the new entries."""

    account: Account
    reservation: Reservation
    entries: tuple[Entry, ...] = ()


Operation = TypeVar("Operation", Request, Totals)
Key: TypeAlias = tuple[UUID, UUID]
"""(tenant id, bulk id)"""


@dataclass(slots=True)
class Batch:
    """What a batch of operations leaves, to be written by one statement for each table.

    `answers` has one reservation for each operation, in their order; `accounts` and `reservations` only what changed.
    """

    accounts: dict[UUID, Account] = field(default_factory=dict)
    reservations: dict[Key, Reservation] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    answers: list[Reservation] = field(default_factory=list)


def decide(accounts: Mapping[UUID, Account], known: Mapping[Key, Reservation], requests: Iterable[Request]) -> Batch:
    """Reserve for each request in turn, or refuse; the same request gives the same answer."""
    return _fold(accounts, known, requests, reserve)


def account_for(accounts: Mapping[UUID, Account], known: Mapping[Key, Reservation], totals: Iterable[Totals]) -> Batch:
    """Apply the running totals of sends in turn; repeated or overtaken ones change nothing and are answered."""
    return _fold(accounts, known, totals, settle)


def reserve(account: Account, known: Reservation | None, request: Request) -> Step:
    """Set credits aside for a send (pending), or say what is missing.

    A send that ended before its request was heard gets an empty reservation, so that nothing can stay held.
    """
    row = known or Reservation(request.tenant_id, request.bulk_id)
    if row.answer is not None:
        return Step(account, row)
    credits = 0 if row.closed else _to_reserve(account, request)
    if credits is None:
        return Step(account, _refused(row, request, account))
    if credits == 0:
        return Step(account, _reserved(row, request, account, 0))
    caps = account.caps.reserved(credits)
    entry = move(account, Kind.PENDING, credits, row.bulk_id, available=-credits, reserved=credits, caps=caps)
    return Step(entry.account, _reserved(row, request, entry.account, credits), (entry,))


def settle(account: Account, known: Reservation | None, totals: Totals) -> Step:
    """Bring a send to the totals said of it: post what was used, void what is released, refund what failed.

    Used, released and refunded never fall. A closed send holds nothing: what it did not use is released, also what its
    last totals had not heard of. Answered by the totals that stand; one that was overtaken by those that overtook it.
    """
    row = known or Reservation(totals.tenant_id, totals.bulk_id)
    if totals.version <= row.version:
        return Step(account, row)
    closed = row.closed or totals.closed
    used = min(max(row.used, totals.used), row.reserved - row.released)
    released = row.reserved - used if closed else min(max(row.released, totals.released), row.reserved - used)
    refunded = min(max(row.refunded, totals.refunded), used)
    entries = _entries(account, row, used, released, refunded)
    left = entries[-1].account if entries else account
    after = row._replace(
        used=used,
        released=released,
        refunded=refunded,
        version=totals.version,
        closed=closed,
        excess=max(0, totals.used - used),
        settled_version=left.version,
        settled_available=left.available,
    )
    return Step(left, after, entries)


def _fold(
    accounts: Mapping[UUID, Account],
    known: Mapping[Key, Reservation],
    operations: Iterable[Operation],
    step: Callable[[Account, Reservation | None, Operation], Step],
) -> Batch:
    batch = Batch()
    for operation in operations:
        key = (operation.tenant_id, operation.bulk_id)
        account = batch.accounts.get(operation.tenant_id) or accounts[operation.tenant_id]
        before = batch.reservations.get(key) or known.get(key)
        done = step(account, before, operation)
        if done.account is not account:
            batch.accounts[operation.tenant_id] = done.account
        if done.reservation is not before:
            batch.reservations[key] = done.reservation
        batch.entries.extend(done.entries)
        batch.answers.append(done.reservation)
    return batch


def _to_reserve(account: Account, request: Request) -> int | None:
    if account.closed or account.owed:
        return None
    limit = _limit(account)
    if request.wanted <= limit:
        return request.wanted
    return limit or None if request.partial is Partial.FIRST_N else None


def _limit(account: Account) -> int:
    """How much may be reserved at most: what is available, within the caps."""
    room = account.caps.room
    return account.available if room is None else min(account.available, room)


def _reserved(row: Reservation, request: Request, account: Account, credits: int) -> Reservation:
    return row._replace(
        asked=request.credits,
        send_by_ms=request.send_by_ms,
        answer=Answer.RESERVED,
        reserved=credits,
        reserved_on=account.caps.today,
        answered_version=account.version,
        answered_available=account.available,
    )


def _refused(row: Reservation, request: Request, account: Account) -> Reservation:
    return row._replace(
        asked=request.credits,
        send_by_ms=request.send_by_ms,
        answer=Answer.REFUSED,
        shortfall=0 if account.closed else max(0, request.wanted + account.owed - _limit(account)),
        reason=_why_refused(account),
        answered_version=account.version,
        answered_available=account.available,
    )


def _why_refused(account: Account) -> Refusal:
    """The first thing to be put right: a top-up would not help where a cap is what binds."""
    if account.closed:
        return Refusal.CLOSED
    if account.owed:
        return Refusal.OWED
    return Refusal.CAPPED if _limit(account) < account.available else Refusal.SHORT


def _entries(account: Account, row: Reservation, used: int, released: int, refunded: int) -> tuple[Entry, ...]:
    entries = []
    if posted := used - row.used:
        entries.append(move(account, Kind.POST, posted, row.bulk_id, reserved=-posted, consumed=posted))
        account = entries[-1].account
    if voided := released - row.released:
        paid = min(account.owed, voided)
        caps = account.caps.came_back(voided, row.reserved_on)
        moved = {"owed": -paid, "available": voided - paid, "reserved": -voided}
        entries.append(move(account, Kind.VOID, voided, row.bulk_id, caps=caps, **moved))
        account = entries[-1].account
    if back := refunded - row.refunded:
        paid = min(account.owed, back)
        caps = account.caps.came_back(back, row.reserved_on)
        moved = {"owed": -paid, "available": back - paid, "consumed": -back}
        entries.append(move(account, Kind.REFUND, back, row.bulk_id, caps=caps, **moved))
    return tuple(entries)
