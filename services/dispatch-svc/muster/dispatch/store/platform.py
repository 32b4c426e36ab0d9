"""Tenants as they are heard of."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from muster.kit.pg import Tx


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
