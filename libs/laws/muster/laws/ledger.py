"""Laws 1 and 2: what an account has, and what becomes of the credits that a send was given."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from muster.laws.result import Id, LawResult, Violation, found


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant's credits at one version."""

    tenant_id: Id
    granted: int = 0
    owed: int = 0
    available: int = 0
    reserved: int = 0
    consumed: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class Movement:
    """One line of the statement: what it did, and the account that it left behind."""

    kind: str
    credits: int
    after: Account


@dataclass(frozen=True, slots=True)
class Statement:
    """What the lines of an account's statement come to; `left` is what the last one left behind."""

    lines: int = 0
    last_version: int = 0
    granted: int = 0
    reserved: int = 0
    consumed: int = 0
    left: Account | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """By how much of its credits a line moves what is granted, reserved and consumed."""

    granted: int = 0
    reserved: int = 0
    consumed: int = 0


EFFECTS: Final[Mapping[str, Effect]] = {
    "top_up": Effect(granted=1),
    "reversal": Effect(granted=-1),
    "pending": Effect(reserved=1),
    "post": Effect(reserved=-1, consumed=1),
    "void": Effect(reserved=-1),
    "refund": Effect(consumed=-1),
    "transfer_out": Effect(granted=-1),
    "transfer_in": Effect(granted=1),
}


def statement_of(movements: Iterable[Movement]) -> Statement:
    """The lines of one account added up."""
    lines = last = granted_ = reserved_ = consumed = 0
    left: Account | None = None
    for movement in movements:
        effect = EFFECTS[movement.kind]
        lines += 1
        granted_ += effect.granted * movement.credits
        reserved_ += effect.reserved * movement.credits
        consumed += effect.consumed * movement.credits
        if movement.after.version > last:
            last, left = movement.after.version, movement.after
    return Statement(lines, last, granted_, reserved_, consumed, left)


def conserved(account: Account) -> bool:
    """Whether no credit was made or lost: law 1 at one version of an account."""
    return account.granted + account.owed == account.available + account.reserved + account.consumed


def granted(accounts: Iterable[tuple[Account, Statement]]) -> LawResult:
    """Law 1: each account is conserved, and is what its statement says, line by line without a gap."""
    checked, wrong = 0, []
    for account, statement in accounts:
        checked += 1 + statement.lines
        if why := _not_granted(account, statement):
            wrong.append(found(account.tenant_id, ", ".join(why)))
    return LawResult("granted", checked, wrong)


def _not_granted(account: Account, said: Statement) -> list[str]:
    why = []
    if not conserved(account):
        why.append(
            f"granted {account.granted} + owed {account.owed} is not available {account.available}"
            f" + reserved {account.reserved} + consumed {account.consumed} at version {account.version}"
        )
    # Granted may be: of what was transferred to others, the top-up that it came from may be taken back.
    if min(account.owed, account.available, account.reserved, account.consumed) < 0:
        why.append(f"a figure is below zero at version {account.version}")
    if account.owed and account.available:
        why.append(f"{account.available} are available while {account.owed} are owed")
    if not said.lines == said.last_version == account.version:
        why.append(f"version {account.version} after {said.lines} lines, the last of version {said.last_version}")
    sums, now = (said.granted, said.reserved, said.consumed), (account.granted, account.reserved, account.consumed)
    if sums != now:
        why.append(f"granted, reserved, consumed are {now}, their lines come to {sums}")
    if (account.version or said.left is not None) and said.left != account:
        why.append("the last line left another balance behind")
    return why


@dataclass(frozen=True, slots=True)
class Transfer:
    """Credits moved between two accounts, beside what went out of the one and came into the other by its lines."""

    tenant_id: Id
    credits: int
    gone: int
    come: int


def transfers(every: Iterable[Transfer], checked: int | None = None) -> LawResult:
    """Law 1 over two accounts: what went out of one came into the other, once.

    `checked` where these are those of so many that a database could not rule out.
    """
    all_ = list(every)
    wrong = [
        found(one.tenant_id, f"transferred {one.credits}, gone {one.gone}, come {one.come}")
        for one in all_
        if not one.credits == one.gone == one.come
    ]
    return LawResult("granted", len(all_) if checked is None else checked, wrong)


@dataclass(frozen=True, slots=True)
class Send:
    """The credits of one send. `excess` is what was said to be used beyond what was reserved."""

    tenant_id: Id
    bulk_id: Id
    reserved: int = 0
    used: int = 0
    released: int = 0
    held: int = 0
    refunded: int = 0
    excess: int = 0
    closed: bool = False


def reserved(sends: Iterable[Send], checked: int | None = None) -> LawResult:
    """Law 2: reserved = used + released + held; no more is refunded than was used; a closed send holds nothing.

    `checked` where the sends are those of so many that a database could not rule out.
    """
    every = list(sends)
    wrong = [found(one.tenant_id, ", ".join(why), one.bulk_id) for one in every if (why := _not_reserved(one))]
    return LawResult("reserved", len(every) if checked is None else checked, wrong)


def _not_reserved(one: Send) -> list[str]:
    why = []
    if one.reserved != one.used + one.released + one.held:
        why.append(f"reserved {one.reserved} is not used {one.used} + released {one.released} + held {one.held}")
    if min(one.reserved, one.used, one.released, one.held, one.refunded) < 0:
        why.append("a figure is below zero")
    if one.refunded > one.used:
        why.append(f"refunded {one.refunded} of {one.used} used")
    if one.excess > 0:
        why.append(f"{one.excess} said to be used beyond the reservation")
    if one.closed and one.held:
        why.append(f"closed while {one.held} are held")
    return why


@dataclass(frozen=True, slots=True)
class Wallet:
    """What an account has set aside and consumed, beside what its sends come to."""

    tenant_id: Id
    reserved: int
    consumed: int
    sends_held: int
    sends_consumed: int


def wallets(every: Iterable[Wallet]) -> LawResult:
    """Law 2 seen from the account: what it has set aside is held by sends, what is consumed they used."""
    all_ = list(every)
    wrong: list[Violation] = []
    for one in all_:
        if (one.reserved, one.consumed) != (one.sends_held, one.sends_consumed):
            detail = (
                f"reserved {one.reserved}, held by sends {one.sends_held};"
                f" consumed {one.consumed}, used by sends {one.sends_consumed}"
            )
            wrong.append(found(one.tenant_id, detail))
    return LawResult("reserved", len(all_), wrong)
