"""Credits moved between a reseller's account and those of its sub-accounts. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from muster.credit.domain.account import GRANTED_MAX, Account, Entry, Kind, move


@dataclass(frozen=True, slots=True)
class Transfer:
    """Somebody moves credits. `transfer_id` is the operation of `by_tenant`: made once, whatever is repeated."""

    by_tenant: UUID
    transfer_id: UUID
    from_tenant: UUID
    to_tenant: UUID
    credits: int
    reason: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Transferred:
    """A transfer that was made, with what was available on both sides just after."""

    transfer: Transfer
    from_available: int
    to_available: int


class TransferRefused(StrEnum):
    """Why nothing was moved."""

    ITSELF = "itself"
    STRANGER = "stranger"
    NOT_YOURS = "not_yours"
    CLOSED = "closed"
    SHORT = "short"
    OWED = "owed"
    OTHER_TRANSFER = "other_transfer"
    BEYOND_LIMIT = "beyond_limit"


@dataclass(frozen=True, slots=True)
class TransferStep:
    """The transfer as it stands; without entries where it stood so before, else what went out and what came in."""

    transferred: Transferred
    entries: tuple[Entry, ...] = ()


def transfer(
    source: Account | None, target: Account | None, known: Transferred | None, wanted: Transfer, *, by_operator: bool
) -> TransferStep | TransferRefused:
    """Move credits between a reseller and a sub-account of it, in one step; the same transfer again changes nothing.

    A reseller moves them both ways, a sub-account gives back only; the operator does either.
    """
    if known is not None:
        same = replace(wanted, actor=known.transfer.actor) == known.transfer
        return TransferStep(known) if same else TransferRefused.OTHER_TRANSFER
    if wanted.from_tenant == wanted.to_tenant:
        return TransferRefused.ITSELF
    if source is None or target is None or not _related(source, target):
        return TransferRefused.STRANGER
    refused = _refused(source, target, wanted, by_operator=by_operator)
    if refused is not None:
        return refused
    gone = move(source, Kind.TRANSFER_OUT, wanted.credits, granted=-wanted.credits, available=-wanted.credits)
    paid = min(target.owed, wanted.credits)
    back = wanted.credits - paid
    come = move(target, Kind.TRANSFER_IN, wanted.credits, granted=wanted.credits, owed=-paid, available=back)
    made = Transferred(wanted, gone.account.available, come.account.available)
    return TransferStep(made, (_told(gone, wanted), _told(come, wanted)))


def _told(entry: Entry, wanted: Transfer) -> Entry:
    return entry._replace(reason=wanted.reason, reference=str(wanted.transfer_id), actor=wanted.actor)


def _related(source: Account, target: Account) -> bool:
    return source.parent_id == target.tenant_id or target.parent_id == source.tenant_id


def _refused(source: Account, target: Account, wanted: Transfer, *, by_operator: bool) -> TransferRefused | None:
    reseller = source.tenant_id if target.parent_id == source.tenant_id else target.tenant_id
    if not by_operator and wanted.by_tenant not in (source.tenant_id, target.tenant_id):
        return TransferRefused.STRANGER
    if not by_operator and wanted.by_tenant not in (reseller, source.tenant_id):
        return TransferRefused.NOT_YOURS
    if source.closed or target.closed:
        return TransferRefused.CLOSED
    if source.owed:
        return TransferRefused.OWED
    if wanted.credits > source.available:
        return TransferRefused.SHORT
    if target.granted + wanted.credits > GRANTED_MAX:
        return TransferRefused.BEYOND_LIMIT
    return None
