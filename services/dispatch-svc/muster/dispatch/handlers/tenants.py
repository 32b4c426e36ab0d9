"""Tenants, as tenant-svc says them."""

from collections.abc import Sequence
from uuid import UUID

from muster.dispatch.domain.senders import normal
from muster.dispatch.events import TenantChanged
from muster.dispatch.handlers.senders import choose
from muster.dispatch.store import platform, rates, senders
from muster.dispatch.store.platform import Tenant
from muster.events import is_sandbox
from muster.kit.consumer.received import Received
from muster.kit.pg import Tx


async def on_tenant_changed(tx: Tx, batch: Sequence[Received[TenantChanged]], *, claims: bool = True) -> None:
    """Keep the settings, and how much may be written a second; their sender is the tenant's from now on, unless
    somebody else has it, or (not `claims`) the operator gives senders."""
    tenants = [_tenant(event.message) for event in batch]
    await senders.lock(tx, [normal(one.sender) for one in tenants])
    limits: dict[UUID, int] = {}
    for tenant, event in zip(tenants, batch, strict=True):
        applied = await platform.apply_tenant(tx, tenant)
        if applied:
            limits[tenant.tenant_id] = event.message.parts_per_second
        # What a sandbox calls itself may be somebody's number.
        if applied and tenant.sender and not is_sandbox(tenant.tenant_id):
            chosen = "" if tenant.closed else normal(tenant.sender)
            await choose(tx, tenant.tenant_id, chosen, claims=claims)
    await rates.change(tx, limits)


def _tenant(event: TenantChanged) -> Tenant:
    return Tenant(
        tenant_id=UUID(event.tenant_id),
        version=event.version,
        sender=event.sender,
        unknown_rule=event.unknown_rule,
        at_least_once=event.at_least_once,
        closed=event.closed,
        failed_rule=event.failed_rule,
    )
