"""Stop one single message."""

import re
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from muster.dispatch.api.controls import ControlIn
from muster.dispatch.domain.slots import Slot
from muster.dispatch.handlers.stopping import stop_message
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store.sagas import SagaKey
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.desk import Desk
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import parse_uuid, verify_checked
from muster.kit.outbox import emit
from muster.kit.problems import conflict, not_found
from muster.kit.settings import secret

router = APIRouter(prefix="/v1/messages", tags=["messages"])

_ID: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-([0-9]{1,9})", re.ASCII)
_SEQ_MAX: Final = 2**31 - 1


class StoppedOut(Model):
    """A message that never leaves."""

    id: str
    status: str


@router.post("/{message_id}/stop", response_model=StoppedOut)
async def stop_one(
    request: Request,
    message_id: Annotated[str, Path(max_length=60, description="as POST /v1/messages answered it")],
    caller: Annotated[Caller, requires(Permission.SEND)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
    body: ControlIn | None = None,
) -> Response:
    """Do not send this message, if it has not begun to leave, whatever was sent beside it. 409 where it is too late."""
    key, seq = _key(request.app.state.settings, caller.tenant_id, message_id)
    desk: Desk = request.app.state.desk

    async def make() -> tuple[int, Any]:
        left = await desk.ask(lambda work: stop_message(work, key, seq))
        if left is None:
            raise not_found("message")
        if left is not Slot.STOPPED:
            raise conflict("too_late", "It is too late to stop this message", _why(left))
        await emit(tx, audit.record(caller, Act.MESSAGE_STOPPED, message_id, body.reason if body else ""))
        return 200, StoppedOut(id=message_id, status="stopped")

    return await once.answer(tx, caller, body, make)


def _key(settings: DispatchSettings, tenant_id: UUID, message_id: str) -> tuple[SagaKey, int]:
    """The send of a message, and which of it; 404 for what can be no message of this tenant."""
    found = _ID.fullmatch(message_id)
    bulk_id = parse_uuid(found[1]) if found else None
    id_key = bytes.fromhex(secret(settings.bulk_id_key, "bulk_id_key"))
    if found is None or bulk_id is None or not verify_checked(id_key, tenant_id, bulk_id) or int(found[2]) > _SEQ_MAX:
        raise not_found("message")
    return SagaKey(tenant_id, bulk_id), int(found[2])


def _why(left: Slot) -> str:
    if left is Slot.QUEUED:
        return "It is on its way to the carrier just now."
    return f"It is {left.name.lower()} already."
