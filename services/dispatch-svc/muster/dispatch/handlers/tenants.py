"""Tenants, as tenant-svc says them."""

from collections.abc import Sequence
from uuid import UUID

from muster.dispatch import events
from muster.dispatch.events import TenantChanged
from muster.dispatch.store import platform
from muster.dispatch.store.platform import Tenant
from muster.events import is_sandbox
from muster.kit.consumer.received import Received
from muster.kit.outbox import emit
from muster.kit.pg import Tx


async def on_tenant_changed(tx: Tx, batch: Sequence[Received[TenantChanged]]) -> None:
    """Keep the settings; the sender is the tenant's from now on, unless somebody else has it."""
    for event in batch:
        tenant = _tenant(event.message)
        if not await platform.apply_tenant(tx, tenant) or not tenant.sender:
            continue
        if is_sandbox(tenant.tenant_id):
            continue  # what it calls itself may be somebody's number
        sender = events.normal_sender(tenant.sender)
        changed = await platform.own_sender(
            tx, tenant.tenant_id, sender, receives_replies=events.is_number(tenant.sender)
        )
        await emit(tx, *map(events.sender_changed, changed))


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
