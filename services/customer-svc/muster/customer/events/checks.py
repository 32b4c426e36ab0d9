"""What was checked of a send, on the wire."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from muster.customer.domain.compliance import Check, Status
from muster.customer.domain.gate import Confirmed
from muster.events import key_of_tenant
from muster.events.v1.checks_pb2 import (
    CHECK_STATUS_OVERRIDDEN,
    CHECK_STATUS_PASSED,
    CHECK_STATUS_WARNING,
    BulkSmsChecked,
)
from muster.kit.outbox import Fact

_STATUSES: Final = {
    Status.PASSED: CHECK_STATUS_PASSED,
    Status.WARNING: CHECK_STATUS_WARNING,
    Status.BLOCKED: CHECK_STATUS_OVERRIDDEN,  # else there were no send
}


def send_checked(
    ids: tuple[UUID, UUID, UUID], message_class: int, checks: Sequence[Check], confirmed: Confirmed, signature: bytes
) -> Fact:
    """The checks of a send that was confirmed. ids: of tenant, send and quote."""
    tenant_id, bulk_id, quote_id = ids
    message = BulkSmsChecked(
        tenant_id=str(tenant_id),
        bulk_id=str(bulk_id),
        quote_id=str(quote_id),
        message_class=message_class,  # type: ignore[arg-type]
        user_id=confirmed.by,
        role=confirmed.role,
        schedule_id="" if confirmed.schedule_id is None else str(confirmed.schedule_id),
        confirmed_at_unix_ms=round(confirmed.at.timestamp() * 1000),
        checks=[
            BulkSmsChecked.Check(
                check=one.check, country=one.country, status=_STATUSES[one.status], recipients=one.recipients
            )
            for one in checks
        ],
        signature=signature,
    )
    return Fact(message, key_of_tenant(tenant_id), str(bulk_id), subject=str(bulk_id))
