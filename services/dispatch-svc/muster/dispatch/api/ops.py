"""For the operator: senders, and the sums of each send."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from muster.dispatch.events import Sender
from muster.dispatch.handlers import HANDLERS
from muster.dispatch.handlers.laws import check_laws, messages
from muster.dispatch.store import laws, platform
from muster.kit.auth import Caller, Role, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.laws import laws_router, messages_router, sums_router
from muster.kit.ops import ops_router
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of

router = APIRouter(prefix="/v1", tags=["ops"])


class SenderOut(Model):
    """A number or name that may stand as sender."""

    sender: str
    owner_tenant_id: UUID
    receives_replies: bool
    active: bool


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


@router.get("/senders")
async def read_senders(
    _: Annotated[Caller, requires(Role.OPERATOR)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[SenderOut]:
    """Senders and whose they are."""
    after = decode_cursor(cursor, {"sender": str})["sender"] if cursor else ""
    found = await platform.senders(tx, after, limit + 1)
    return page_of(found, limit, _sender, lambda one: {"sender": one.sender})


def _sender(one: Sender) -> SenderOut:
    return SenderOut(
        sender=one.sender,
        owner_tenant_id=one.owner_tenant_id,
        receives_replies=one.receives_replies,
        active=one.active,
    )


ROUTERS = (
    router,
    sums_router("dispatch", BulkSums, laws.bulks),
    messages_router("dispatch", messages),
    laws_router("dispatch", check_laws),
    ops_router("dispatch", lambda _: HANDLERS),
)
