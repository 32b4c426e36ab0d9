"""An account and its entries. Pure.

Every amount is in credits, a whole number. At every version of an account
`granted + owed = available + reserved + consumed`. What comes back to an account pays what it owes first, so nothing is
available while something is owed.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from muster.credit.domain.caps import NO_CAPS, Caps

CREDITS_MIN = 1
CREDITS_MAX = 10**12
# An account's grants together: far below 2^63, so that no sum of its columns can overflow.
GRANTED_MAX = 10**17


class Kind(StrEnum):
    """What an entry of the statement did."""

    TOP_UP = "top_up"
    REVERSAL = "reversal"
    PENDING = "pending"
    POST = "post"
    VOID = "void"
    REFUND = "refund"
    TRANSFER_OUT = "transfer_out"
    TRANSFER_IN = "transfer_in"


@dataclass(frozen=True, slots=True)
class Tenant:
    """What of a tenant decides about its credits."""

    tenant_id: UUID
    version: int
    closed: bool = False
    time_zone: str = "UTC"
    parent_id: UUID | None = None


class Account(NamedTuple):
    """A tenant's credits. `closed`: the tenant is, so nothing more is granted or reserved. `parent_id`: its reseller.

    `granted` is what came in less what went out again; it is negative where more was transferred to others, and then
    taken back, than is left.
    """

    tenant_id: UUID
    granted: int = 0
    owed: int = 0
    available: int = 0
    reserved: int = 0
    consumed: int = 0
    version: int = 0
    closed: bool = False
    parent_id: UUID | None = None
    caps: Caps = NO_CAPS

    @property
    def conservation(self) -> int:
        """Credits made out of nothing; 0 unless the ledger is broken."""
        return self.granted + self.owed - self.available - self.reserved - self.consumed


class Entry(NamedTuple):
    """One line of the statement: `account` is what it left behind, whose version numbers it."""

    kind: Kind
    credits: int
    account: Account
    bulk_id: UUID | None = None
    reason: str = ""
    reference: str = ""
    actor: str = ""


def move(
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
    caps: Caps | None = None,
) -> Entry:
    """The next entry of an account, with the account that it leaves; `caps` where it counts towards them."""
    after = Account(
        tenant_id=account.tenant_id,
        granted=account.granted + granted,
        owed=account.owed + owed,
        available=account.available + available,
        reserved=account.reserved + reserved,
        consumed=account.consumed + consumed,
        version=account.version + 1,
        closed=account.closed,
        parent_id=account.parent_id,
        caps=caps or account.caps,
    )
    return Entry(kind, credits, after, bulk_id)
