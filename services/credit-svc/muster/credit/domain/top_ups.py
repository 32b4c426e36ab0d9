"""Credits granted, and grants taken back. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from muster.credit.domain.account import GRANTED_MAX, Account, Entry, Kind, move


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
    """A grant that was made, with what was available after it.

    `taken` is what of it was taken back (a payment may be refunded in parts); `reversed_available` is what was
    available after it was taken back as a whole.
    """

    top_up: TopUp
    available: int
    reversed_available: int | None = None
    taken: int = 0


class GrantRefused(StrEnum):
    """Why a grant was not made or taken back."""

    UNKNOWN_TENANT = "unknown_tenant"
    UNKNOWN_TOP_UP = "unknown_top_up"
    OTHER_TOP_UP = "other_top_up"
    BEYOND_LIMIT = "beyond_limit"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class GrantStep:
    """The grant as it now stands; without an entry where it stood so before."""

    granted: Granted
    entry: Entry | None = None


def grant(account: Account | None, known: Granted | None, wanted: TopUp) -> GrantStep | GrantRefused:
    """Grant credits, which pay what is owed first; the same grant again changes nothing."""
    if known is not None:
        same = replace(wanted, actor=known.top_up.actor) == known.top_up
        return GrantStep(known) if same else GrantRefused.OTHER_TOP_UP
    if account is None:
        return GrantRefused.UNKNOWN_TENANT
    if account.closed:
        return GrantRefused.CLOSED
    if account.granted + wanted.credits > GRANTED_MAX:
        return GrantRefused.BEYOND_LIMIT
    paid = min(account.owed, wanted.credits)
    back = wanted.credits - paid
    moved = move(account, Kind.TOP_UP, wanted.credits, granted=wanted.credits, owed=-paid, available=back)
    entry = moved._replace(reason=wanted.reason, reference=wanted.reference, actor=wanted.actor)
    return GrantStep(Granted(wanted, entry.account.available), entry)


def take_back(account: Account | None, known: Granted | None, reason: str, actor: str) -> GrantStep | GrantRefused:
    """Reverse what is left of a grant, once: what is available goes, the rest is owed and blocks sends.

    Also where the account is closed: what was not paid for must not be there when it is opened again.
    """
    if known is None or account is None:
        return GrantRefused.UNKNOWN_TOP_UP
    if known.reversed_available is not None:
        return GrantStep(known)
    step = take_back_part(account, known, known.top_up.credits, reason, known.top_up.reference, actor)
    return replace(step, granted=replace(step.granted, reversed_available=_left(account, step).available))


def take_back_part(account: Account, known: Granted, up_to: int, reason: str, reference: str, actor: str) -> GrantStep:
    """Bring what was taken back of a grant to `up_to` credits in all; it never falls."""
    credits = min(up_to, known.top_up.credits) - known.taken
    if credits <= 0:
        return GrantStep(known)
    taken = min(account.available, credits)
    moved = move(account, Kind.REVERSAL, credits, granted=-credits, owed=credits - taken, available=-taken)
    entry = moved._replace(reason=reason, reference=reference, actor=actor)
    return GrantStep(replace(known, taken=known.taken + credits), entry)


def _left(account: Account, step: GrantStep) -> Account:
    return step.entry.account if step.entry else account
