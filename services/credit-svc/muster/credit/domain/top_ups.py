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
    moved = move(account, Kind.TOP_UP, wanted.credits, granted=wanted.credits, owed=-paid, available=back)
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
    moved = move(account, Kind.REVERSAL, credits, granted=-credits, owed=credits - taken, available=-taken)
    entry = replace(moved, reason=reason, reference=known.top_up.reference, actor=actor)
    return GrantStep(replace(known, reversed_available=entry.account.available), entry)
