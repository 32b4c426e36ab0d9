"""Top-ups above the limit: asked for by one person, decided by a second one. In requests for that tenant."""

from typing import Any
from uuid import UUID

from muster.credit import handlers
from muster.credit.domain import approvals
from muster.credit.domain.approvals import NotDecided, State
from muster.credit.domain.top_ups import Granted, GrantRefused, TopUp
from muster.credit.store import approvals as store
from muster.credit.store import ledger
from muster.kit.outbox import Fact, emit
from muster.kit.pg import Tx


async def ask(tx: Tx, wanted: TopUp, limit: int, within_h: int) -> Granted | GrantRefused | dict[str, Any]:
    """Grant up to the limit; above it note that it waits. What was asked before is answered as it was then."""
    account = await ledger.lock_account(tx, wanted.tenant_id)
    waiting = await store.find(tx, wanted.tenant_id, wanted.top_up_id)
    if waiting is not None:
        same = store.approval_of(waiting).top_up
        return waiting if (same.credits, same.reason, same.reference) == _told(wanted) else GrantRefused.OTHER_TOP_UP
    if wanted.credits <= limit or await ledger.find_top_up(tx, wanted.tenant_id, wanted.top_up_id) is not None:
        return await handlers.top_up(tx, wanted)
    if account is None or account.closed:
        return GrantRefused.UNKNOWN_TENANT if account is None else GrantRefused.CLOSED
    return await store.add(tx, wanted.tenant_id, wanted, within_h)


async def confirm(
    tx: Tx, tenant_id: UUID, top_up_id: UUID, person: str, act: Fact
) -> Granted | GrantRefused | NotDecided:
    """A second person agrees: now it is granted, once, and the act is told."""
    await ledger.lock_account(tx, tenant_id)
    row = await store.find(tx, tenant_id, top_up_id)
    approval = store.approval_of(row) if row else None
    refused = approvals.may_confirm(approval, person)
    if refused is not None or approval is None:
        return refused or NotDecided.UNKNOWN
    done = await handlers.top_up(tx, approval.top_up)
    if isinstance(done, Granted) and approval.state is State.AWAITING:
        await store.decide(tx, tenant_id, top_up_id, State.CONFIRMED, person)
        await emit(tx, act)
    return done


async def reject(
    tx: Tx, tenant_id: UUID, top_up_id: UUID, person: str, reason: str, act: Fact
) -> dict[str, Any] | NotDecided:
    """A person, also the one who asked, says no: it will never be granted. Said again it is answered the same."""
    await ledger.lock_account(tx, tenant_id)
    row = await store.find(tx, tenant_id, top_up_id)
    approval = store.approval_of(row) if row else None
    refused = approvals.may_reject(approval)
    if refused is not None or row is None or approval is None:
        return refused or NotDecided.UNKNOWN
    if approval.state is State.REJECTED:
        return row
    await store.decide(tx, tenant_id, top_up_id, State.REJECTED, person, reason)
    await emit(tx, act)
    found = await store.find(tx, tenant_id, top_up_id)
    assert found is not None
    return found


def _told(wanted: TopUp) -> tuple[int, str, str]:
    return wanted.credits, wanted.reason, wanted.reference
