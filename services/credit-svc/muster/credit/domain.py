"""The rules of the prepaid ledger: pending, post and void on one account per tenant. Pure.

Every amount is in credits, a whole number. At every version of an account
`granted + owed = available + reserved + consumed`, and for every send `reserved = used + released + held`.
What comes back to an account pays what it owes first, so nothing is available while something is owed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias, TypeVar
from uuid import UUID

CREDITS_MIN = 1
CREDITS_MAX = 10**12
# An account's grants together: far below 2^63, so that no sum of its columns can overflow.
GRANTED_MAX = 10**17
ANY_COUNTRY = "*"


class Kind(StrEnum):
    """What an entry of the statement did."""

    TOP_UP = "top_up"
    REVERSAL = "reversal"
    PENDING = "pending"
    POST = "post"
    VOID = "void"
    REFUND = "refund"


class Answer(StrEnum):
    """How a request for credits was answered."""

    RESERVED = "reserved"
    REFUSED = "refused"


class Refusal(StrEnum):
    """Why a request for credits was refused."""

    SHORT = "short"
    OWED = "owed"
    CLOSED = "closed"


class Partial(StrEnum):
    """What a send wants when credits are short."""

    NOTHING = "nothing"
    FIRST_N = "first_n"


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant's credits. `closed`: the tenant is, so nothing more is reserved."""

    tenant_id: UUID
    granted: int = 0
    owed: int = 0
    available: int = 0
    reserved: int = 0
    consumed: int = 0
    version: int = 0
    closed: bool = False

    @property
    def conservation(self) -> int:
        """Credits made out of nothing; 0 unless the ledger is broken."""
        return self.granted + self.owed - self.available - self.reserved - self.consumed


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the statement: `account` is what it left behind, whose version numbers it."""

    kind: Kind
    credits: int
    account: Account
    bulk_id: UUID | None = None
    reason: str = ""
    reference: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one send asked for, was given and has used so far, with the answers given.

    `answer` is None while only the carrier side's totals are known and no request was heard. `excess` is what was said
    to be used beyond the reservation: never charged, and a violation of the second law.
    """

    tenant_id: UUID
    bulk_id: UUID
    answer: Answer | None = None
    asked: int = 0
    reserved: int = 0
    shortfall: int = 0
    reason: str = ""
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

    @property
    def held(self) -> int:
        """Credits set aside that are neither used nor released."""
        return self.reserved - self.used - self.released


@dataclass(frozen=True, slots=True)
class Request:
    """A send asks for credits."""

    tenant_id: UUID
    bulk_id: UUID
    credits: int
    send_by_ms: int = 0
    partial: Partial = Partial.NOTHING


@dataclass(frozen=True, slots=True)
class Totals:
    """A send's running totals as the carrier side counts them; a higher version overtakes."""

    tenant_id: UUID
    bulk_id: UUID
    version: int
    used: int
    released: int
    refunded: int = 0
    closed: bool = False


@dataclass(frozen=True, slots=True)
class TopUp:
    """An operator grants credits. `top_up_id` is the operation: made once, whatever is repeated."""

    tenant_id: UUID
    top_up_id: UUID
    credits: int
    reason: str = ""
    reference: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant that was made, with what was available after it and, where it was taken back, after that."""

    top_up: TopUp
    available: int
    reversed_available: int | None = None


class GrantRefused(StrEnum):
    """Why a grant was not made or taken back."""

    UNKNOWN_TENANT = "unknown_tenant"
    UNKNOWN_TOP_UP = "unknown_top_up"
    OTHER_TOP_UP = "other_top_up"
    BEYOND_LIMIT = "beyond_limit"


@dataclass(frozen=True, slots=True)
class GrantStep:
    """The grant as it now stands; without an entry where it stood so before."""

    granted: Granted
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """Credits for one part to a country (ISO 3166-1 alpha-2, or ANY_COUNTRY for those without one of their own)."""

    country: str
    version: int
    credits_per_part: int
    valid_from: datetime


@dataclass(frozen=True, slots=True)
class Step:
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
    asked = replace(row, asked=request.credits, send_by_ms=request.send_by_ms)
    if row.closed:
        return Step(account, _reserved(asked, account, 0))
    credits = _to_reserve(account, request)
    if credits is None:
        return Step(account, _refused(asked, account))
    if credits == 0:
        return Step(account, _reserved(asked, account, 0))
    entry = _move(account, Kind.PENDING, credits, row.bulk_id, available=-credits, reserved=credits)
    return Step(entry.account, _reserved(asked, entry.account, credits), (entry,))


def settle(account: Account, known: Reservation | None, totals: Totals) -> Step:
    """Bring a send to the totals said of it: post what was used, void what is released, refund what failed.

    Used, released and refunded never fall. A closed send holds nothing: what it did not use is released, also what its
    last totals had not heard of. Answered by the totals that stand; one that was overtaken by those that overtook it.
    """
    row = known or Reservation(totals.tenant_id, totals.bulk_id)
    if totals.version <= row.version:
        return Step(account, row)
    after = _brought_to(row, totals)
    entries = _entries(account, row, after)
    left = entries[-1].account if entries else account
    return Step(left, replace(after, settled_version=left.version, settled_available=left.available), entries)


def grant(account: Account | None, known: Granted | None, wanted: TopUp) -> GrantStep | GrantRefused:
    """Grant credits, which pay what is owed first; the same grant again changes nothing."""
    if known is not None:
        same = replace(wanted, actor=known.top_up.actor) == known.top_up
        return GrantStep(known) if same else GrantRefused.OTHER_TOP_UP
    if account is None:
        return GrantRefused.UNKNOWN_TENANT
    if account.granted + wanted.credits > GRANTED_MAX:
        return GrantRefused.BEYOND_LIMIT
    paid = min(account.owed, wanted.credits)
    back = wanted.credits - paid
    moved = _move(account, Kind.TOP_UP, wanted.credits, granted=wanted.credits, owed=-paid, available=back)
    entry = replace(moved, reason=wanted.reason, reference=wanted.reference, actor=wanted.actor)
    return GrantStep(Granted(wanted, entry.account.available), entry)


def take_back(account: Account | None, known: Granted | None, reason: str, actor: str) -> GrantStep | GrantRefused:
    """Reverse a grant, once: what is available goes, the rest is owed and blocks sends."""
    if known is None or account is None:
        return GrantRefused.UNKNOWN_TOP_UP
    if known.reversed_available is not None:
        return GrantStep(known)
    credits = known.top_up.credits
    taken = min(account.available, credits)
    moved = _move(account, Kind.REVERSAL, credits, granted=-credits, owed=credits - taken, available=-taken)
    entry = replace(moved, reason=reason, reference=known.top_up.reference, actor=actor)
    return GrantStep(replace(known, reversed_available=entry.account.available), entry)


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
    if request.credits <= account.available:
        return request.credits
    return account.available or None if request.partial is Partial.FIRST_N else None


def _reserved(row: Reservation, account: Account, credits: int) -> Reservation:
    return replace(
        row,
        answer=Answer.RESERVED,
        reserved=credits,
        answered_version=account.version,
        answered_available=account.available,
    )


def _refused(row: Reservation, account: Account) -> Reservation:
    reason = Refusal.CLOSED if account.closed else Refusal.OWED if account.owed else Refusal.SHORT
    return replace(
        row,
        answer=Answer.REFUSED,
        shortfall=0 if account.closed else max(0, row.asked + account.owed - account.available),
        reason=reason,
        answered_version=account.version,
        answered_available=account.available,
    )


def _brought_to(row: Reservation, totals: Totals) -> Reservation:
    used = min(max(row.used, totals.used), row.reserved - row.released)
    closed = row.closed or totals.closed
    released = row.reserved - used if closed else min(max(row.released, totals.released), row.reserved - used)
    return replace(
        row,
        used=used,
        released=released,
        refunded=min(max(row.refunded, totals.refunded), used),
        version=totals.version,
        closed=closed,
        excess=max(0, totals.used - used),
    )


def _entries(account: Account, before: Reservation, after: Reservation) -> tuple[Entry, ...]:
    entries = []
    if posted := after.used - before.used:
        entries.append(_move(account, Kind.POST, posted, after.bulk_id, reserved=-posted, consumed=posted))
        account = entries[-1].account
    if voided := after.released - before.released:
        paid = min(account.owed, voided)
        back = voided - paid
        entries.append(_move(account, Kind.VOID, voided, after.bulk_id, owed=-paid, available=back, reserved=-voided))
        account = entries[-1].account
    if refunded := after.refunded - before.refunded:
        paid = min(account.owed, refunded)
        back = refunded - paid
        entries.append(
            _move(account, Kind.REFUND, refunded, after.bulk_id, owed=-paid, available=back, consumed=-refunded)
        )
    return tuple(entries)


def _move(
    account: Account,
    kind: Kind,
    credits: int,
    bulk_id: UUID | None = None,
    *,
    granted: int = 0,
    owed: int = 0,
    available: int = 0,
    reserved: int = 0,
    consumed: int = 0,
) -> Entry:
    after = replace(
        account,
        granted=account.granted + granted,
        owed=account.owed + owed,
        available=account.available + available,
        reserved=account.reserved + reserved,
        consumed=account.consumed + consumed,
        version=account.version + 1,
    )
    return Entry(kind, credits, after, bulk_id)
