"""How a sender stands, as it is said."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from muster.dispatch.domain.senders import Kind, Registration, Standing, kind_of
from muster.events import NIL_TENANT
from muster.events.v1 import platform_pb2
from muster.kit.outbox import Fact

_STANDING: Final = {
    Standing.ACTIVE: platform_pb2.SENDER_STANDING_ACTIVE,
    Standing.LEASED: platform_pb2.SENDER_STANDING_LEASED,
    Standing.QUARANTINED: platform_pb2.SENDER_STANDING_QUARANTINED,
    Standing.FREE: platform_pb2.SENDER_STANDING_FREE,
    Standing.WITHHELD: platform_pb2.SENDER_STANDING_WITHHELD,
}
_REGISTRATION: Final = {
    Registration.UNREGISTERED: platform_pb2.SENDER_REGISTRATION_UNREGISTERED,
    Registration.PENDING: platform_pb2.SENDER_REGISTRATION_PENDING,
    Registration.REGISTERED: platform_pb2.SENDER_REGISTRATION_REGISTERED,
    Registration.REJECTED: platform_pb2.SENDER_REGISTRATION_REJECTED,
}


@dataclass(frozen=True, slots=True)
class Sender:
    """A sender of a business. `sender`: a number's digits, or a name; `until`: when its lease or quarantine ends;
    `by_operator`: settings change it no more; `reason`: why it is withheld, rejected or was given up."""

    owner_tenant_id: UUID
    sender: str
    version: int
    receives_replies: bool
    standing: Standing
    registration: Registration
    reference: str
    reason: str
    by_operator: bool
    until: datetime | None
    changed_at: datetime

    @property
    def kind(self) -> Kind:
        """Number or name."""
        return kind_of(self.sender)

    @property
    def active(self) -> bool:
        """Whether its business may send by it."""
        return self.standing is Standing.ACTIVE


def sender_changed(sender: Sender) -> Fact:
    """SenderChanged, a fact of the platform. A name may be that of several businesses, so the owner is in its key."""
    return Fact(
        platform_pb2.SenderChanged(
            tenant_id=str(NIL_TENANT),
            sender=sender.sender,
            version=sender.version,
            owner_tenant_id=str(sender.owner_tenant_id),
            receives_replies=sender.receives_replies,
            active=sender.active,
            standing=_STANDING[sender.standing],
            registration=_REGISTRATION[sender.registration],
            reason=sender.reason,
        ),
        key=f"{sender.owner_tenant_id}:{sender.sender}".encode(),
    )
