"""The audit log's entrance: what a person or a key did, as a fact of the same transaction."""

from typing import TYPE_CHECKING

from muster.events.v1.audit_pb2 import ActRecorded
from muster.kit import clock, observe
from muster.kit.acts import Act
from muster.kit.outbox import Fact

if TYPE_CHECKING:
    from uuid import UUID

    from muster.kit.tokens import Caller


def record(
    caller: "Caller",
    act: Act,
    subject_id: str,
    reason: str = "",
    *,
    tenant_id: "UUID | None" = None,
) -> Fact:
    """An ActRecorded to emit with the act's own transaction. Ids only: no names, numbers or texts.

    `tenant_id` is the tenant that was acted on, where that is not the caller's (an operator's act).
    """
    tenant = str(tenant_id or caller.tenant_id)
    message = ActRecorded(
        tenant_id=tenant,
        act=act.value,
        user_id=caller.user_id,
        role=caller.role,
        subject_kind=act.kind,
        subject_id=subject_id,
        service=observe.service(),
        reason=reason,
        at_unix_ms=clock.unix_ms(),
    )
    return Fact(message, key=tenant.encode(), subject=f"{act.kind}/{subject_id}")
