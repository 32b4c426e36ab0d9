"""A second person: what is sent without one, who is asked, and what they decide."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from muster.customer.domain.approvals import Allowed, Bound, Decision, Needed, NotDecided, State, Subject, why_not
from muster.customer.events.approving import approval_decided, approval_requested
from muster.customer.store import approvals as store
from muster.customer.store.approvals import Asked
from muster.customer.store.schedules import Schedule
from muster.kit import audit, clock, metrics
from muster.kit.acts import Act
from muster.kit.auth import Caller
from muster.kit.outbox import emit
from muster.kit.pg import Record, Tx

_ACTS: Final = {
    Decision.APPROVED: Act.APPROVAL_APPROVED,
    Decision.REFUSED: Act.APPROVAL_REFUSED,
    Decision.WITHDRAWN: Act.APPROVAL_WITHDRAWN,
}


async def allow(
    tx: Tx, tenant_id: UUID, bound: Bound, bulk_id: UUID, credits: int, recipients: int
) -> Allowed | Needed:
    """What a send that comes to so much may spend, by the business's rule or an approval that is used up by it."""
    rule = await store.rule_of(tx, tenant_id)
    if not rule.needs(credits, recipients):
        return Allowed(rule.credits_above)
    allowed = await store.use(tx, tenant_id, bound, bulk_id, credits)
    if allowed is None:
        metrics.approvals.labels("needed").inc()
        last = await store.last_of(tx, tenant_id, bound)
        return Needed(bound, credits, recipients, rule, State(last["state"]) if last else None)
    return allowed


async def approval_warned(tx: Tx, tenant_id: UUID, credits: int, recipients: int) -> list[dict[str, str]]:
    """That a quote of so much is sent by two people only, where it is so."""
    rule = await store.rule_of(tx, tenant_id)
    if not rule.needs(credits, recipients):
        return []
    message = f"Above {rule.words} a second person must approve it before it is sent: POST /v1/approvals asks for that."
    return [{"code": "approval_needed", "field": "audience", "message": message}]


async def ask(tx: Tx, caller: Caller, asked: Asked) -> Record:
    """Store a request, and say it; as it stands."""
    await store.add(tx, caller.tenant_id, asked)
    row = await store.approval_of(tx, caller.tenant_id, asked.approval_id)
    assert row is not None, "it was stored just now"
    subject, email = f"{asked.bound.subject.value} {asked.bound.subject_id}", await _email(tx, caller.tenant_id)
    act = audit.record(caller, Act.APPROVAL_ASKED, str(asked.approval_id), subject)
    await emit(tx, act, approval_requested(caller.tenant_id, row, asked.name, email))
    metrics.approvals.labels("asked").inc()
    return row


async def decide(
    tx: Tx, caller: Caller, approval_id: UUID, decision: Decision, reason: str, schedule_days: int
) -> Record | NotDecided | None:
    """Take a decision, and say it: the request as it stands then, or why not; None where there is no such request."""
    before = await store.approval_of(tx, caller.tenant_id, approval_id)
    if before is not None and decision is Decision.REFUSED and before["asked_by"] == caller.user_id:
        decision = Decision.WITHDRAWN
    taken = await store.decide(tx, caller.tenant_id, approval_id, decision, caller.user_id, reason, schedule_days)
    row = await store.approval_of(tx, caller.tenant_id, approval_id)
    if row is None:
        return None
    if not taken:
        parties = {"made_by": row["made_by"], "asked_by": row["asked_by"], "person": caller.user_id}
        return why_not(State(row["state"]), **parties, decision=decision) or NotDecided.VOID
    act = audit.record(caller, _ACTS[decision], str(approval_id))
    await emit(tx, act, approval_decided(caller.tenant_id, row, decision, await _email(tx, caller.tenant_id)))
    metrics.approvals.labels(decision.value).inc()
    return row


async def of_schedule(tx: Tx, tenant_id: UUID, schedule: Schedule) -> str:
    """Whether the starts of a schedule may cost what its ceiling says: `not_needed`, or the state of the request for
    this version, `needed` where nobody has asked."""
    rule = await store.rule_of(tx, tenant_id)
    if not rule.needs(schedule.credits_max, 0) and rule.recipients_above is None:
        return "not_needed"
    row = await store.last_of(tx, tenant_id, bound_to(schedule))
    return row["state"] if row and row["state"] not in (State.EXPIRED, State.WITHDRAWN) else "needed"


async def _email(tx: Tx, tenant_id: UUID) -> str:
    row = await store.rule_row(tx, tenant_id)
    return str(row["email"]) if row else ""


def bound_to(schedule: Schedule) -> Bound:
    """What an approval of this schedule as it is now is of."""
    return Bound(Subject.SCHEDULE, schedule.schedule_id, schedule.version)


def until(latest: datetime | None, hours: int) -> datetime:
    """When a request that is made now expires: after so many hours, and not later than what it is for."""
    end = clock.now() + timedelta(hours=hours)
    return end if latest is None else min(end, latest)
