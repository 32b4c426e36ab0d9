"""That a tenant is suspended, or the platform stopped."""

from typing import Any

from muster.events import key_of_tenant
from muster.events.v1.suspensions_pb2 import SuspensionChanged
from muster.kit.outbox import Fact


def suspension_changed(tenant_id: Any, **members: Any) -> Fact:
    """SuspensionChanged, of a tenant or of the platform (the nil tenant)."""
    return Fact(SuspensionChanged(tenant_id=str(tenant_id), **members), key=key_of_tenant(tenant_id))
