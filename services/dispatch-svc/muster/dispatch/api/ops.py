"""For the operator: the sums of each send, and what every service tells one."""

from collections.abc import Mapping
from uuid import UUID

from muster.dispatch.handlers import handlers_of
from muster.dispatch.handlers.laws import check_laws, messages
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import laws
from muster.kit.consumer import Handler
from muster.kit.http import Model
from muster.kit.laws import laws_router, messages_router, sums_router
from muster.kit.ops import ops_router


class BulkSums(Model):
    """What a send came to: reserved = used + released + held, recipients = the sum of the counts once it is closed."""

    tenant_id: UUID
    bulk_id: UUID
    state: str
    reserved: int
    used: int
    released: int
    held: int
    refunded: int
    closed: bool
    recipients: int
    accepted: int
    unknown: int
    rejected: int
    stopped: int
    suppressed: int
    queued: int
    submitting: int
    version: int
    settled_version: int
    parked: str


def _handlers(settings: DispatchSettings) -> Mapping[str, Handler]:
    return handlers_of(claims=settings.dispatch_senders_claimed)


ROUTERS = (
    sums_router("dispatch", BulkSums, laws.bulks),
    messages_router("dispatch", messages),
    laws_router("dispatch", check_laws),
    ops_router("dispatch", _handlers),
)
