"""SQL of top-ups that wait for a second person."""
# ruff: noqa: S608 - only a column list of this file is joined into statements

from datetime import datetime
from typing import Any
from uuid import UUID

from muster.credit.domain.approvals import Approval, State
from muster.credit.domain.top_ups import TopUp
from muster.kit.pg import Tx

_APPROVAL = """
tenant_id, top_up_id, credits, reason, reference, actor, asked_at, expires_at, decided_by, decided_at, decision_reason,
    coalesce(decision, CASE WHEN expires_at <= kit_now() THEN 'expired' ELSE 'awaiting_confirmation' END) AS state
"""

_ADD = f"""
INSERT INTO top_up_approval (tenant_id, top_up_id, credits, reason, reference, actor, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, kit_now() + make_interval(hours => $7))
RETURNING {_APPROVAL}
"""


async def add(tx: Tx, tenant_id: UUID, wanted: TopUp, within_h: int) -> dict[str, Any]:
    """A top-up that waits; its account must be locked."""
    asked = (wanted.credits, wanted.reason, wanted.reference, wanted.actor)
    row = await tx.fetchrow(_ADD, tenant_id, wanted.top_up_id, *asked, within_h)
    assert row is not None
    return dict(row)


_FIND = f"SELECT {_APPROVAL} FROM top_up_approval WHERE tenant_id = $1 AND top_up_id = $2"


async def find(tx: Tx, tenant_id: UUID, top_up_id: UUID) -> dict[str, Any] | None:
    """A top-up that waits or waited; ask only with its account locked."""
    row = await tx.fetchrow(_FIND, tenant_id, top_up_id)
    return dict(row) if row else None


def approval_of(row: dict[str, Any]) -> Approval:
    """The row as the domain knows it."""
    asked = TopUp(*(row[name] for name in ("tenant_id", "top_up_id", "credits", "reason", "reference", "actor")))
    return Approval(asked, State(row["state"]), row["decided_by"])


_DECIDE = """
UPDATE top_up_approval SET decision = $3, decided_by = $4, decision_reason = $5, decided_at = kit_now()
WHERE tenant_id = $1 AND top_up_id = $2 AND decision IS NULL
"""


async def decide(tx: Tx, tenant_id: UUID, top_up_id: UUID, decision: State, person: str, reason: str = "") -> None:
    """A person confirmed or rejected it."""
    await tx.execute(_DECIDE, tenant_id, top_up_id, decision, person, reason)


_LISTED = f"""
SELECT * FROM (SELECT {_APPROVAL} FROM top_up_approval WHERE $1::uuid IS NULL OR tenant_id = $1) AS found
WHERE ($2::text IS NULL OR state = $2)
    AND ($3::timestamptz IS NULL OR (asked_at, top_up_id) < ($3, $4::uuid))
ORDER BY asked_at DESC, top_up_id DESC LIMIT $5
"""


async def listed(
    tx: Tx, tenant_id: UUID | None, state: str | None, before: tuple[datetime, UUID] | None, limit: int
) -> list[dict[str, Any]]:
    """Those of a tenant, or of all as the worker, newest first."""
    at, top_up_id = before or (None, None)
    return [dict(row) for row in await tx.fetch(_LISTED, tenant_id, state, at, top_up_id, limit)]
