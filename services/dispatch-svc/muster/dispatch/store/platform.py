"""Tenants as they are heard of; senders, which are ours to say."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from muster.dispatch.events import Sender
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class Tenant:
    """What dispatch-svc keeps of a tenant. `unknown_rule` and `failed_rule` are numbers of the events."""

    tenant_id: UUID
    version: int
    sender: str
    unknown_rule: int
    at_least_once: bool
    closed: bool
    failed_rule: int


_APPLY: Final = """
INSERT INTO tenant (tenant_id, version, sender, unknown_rule, at_least_once, closed, failed_rule)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant_id) DO UPDATE SET version = EXCLUDED.version, sender = EXCLUDED.sender,
    unknown_rule = EXCLUDED.unknown_rule, at_least_once = EXCLUDED.at_least_once, closed = EXCLUDED.closed,
    failed_rule = EXCLUDED.failed_rule
WHERE tenant.version < EXCLUDED.version
RETURNING true
"""


async def apply_tenant(tx: Tx, tenant: Tenant) -> bool:
    """Store a tenant's settings; False if a version as high is here."""
    applied = await tx.fetchval(
        _APPLY,
        *(tenant.tenant_id, tenant.version, tenant.sender, tenant.unknown_rule, tenant.at_least_once, tenant.closed),
        tenant.failed_rule,
    )
    return applied is not None


_UNKNOWN_RULES: Final = "SELECT tenant_id, unknown_rule FROM tenant WHERE tenant_id = ANY ($1)"


async def unknown_rules(tx: Tx, tenants: Collection[UUID]) -> dict[UUID, int]:
    """What becomes of unknown outcomes, by tenant."""
    return {row["tenant_id"]: row["unknown_rule"] for row in await tx.fetch(_UNKNOWN_RULES, list(tenants))}


_HAS_SANDBOX: Final = "SELECT EXISTS (SELECT FROM tenant WHERE is_sandbox(tenant_id))"


async def has_sandbox(tx: Tx) -> bool:
    """Whether any tenant is a sandbox."""
    found: bool = await tx.fetchval(_HAS_SANDBOX)
    return found


_RETIRE: Final = """
UPDATE sender_number SET active = false, version = version + 1
WHERE owner_tenant_id = $1 AND sender <> $2 AND active RETURNING *
"""
_OWN: Final = """
INSERT INTO sender_number AS s (sender, owner_tenant_id, version, receives_replies, active) VALUES ($2, $1, 1, $3, true)
ON CONFLICT (sender) DO UPDATE SET active = true, version = s.version + 1, receives_replies = $3
WHERE s.owner_tenant_id = $1 AND NOT s.active
RETURNING *
"""


async def own_sender(tx: Tx, tenant_id: UUID, sender: str, *, receives_replies: bool) -> list[Sender]:
    """Let a tenant have this sender, if nobody else has it, and no other; what changed by that."""
    rows = await tx.fetch(_RETIRE, tenant_id, sender)
    rows += await tx.fetch(_OWN, tenant_id, sender, receives_replies)
    return [_sender(row) for row in rows]


_SENDERS: Final = "SELECT * FROM sender_number WHERE sender > $1 ORDER BY sender LIMIT $2"


async def senders(tx: Tx, after: str, limit: int) -> list[Sender]:
    """Senders in order."""
    return [_sender(row) for row in await tx.fetch(_SENDERS, after, limit)]


def _sender(row: Record) -> Sender:
    return Sender(
        sender=row["sender"],
        owner_tenant_id=row["owner_tenant_id"],
        version=row["version"],
        receives_replies=row["receives_replies"],
        active=row["active"],
    )
