"""The audit log: who did what, the newest first."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from muster.kit.acts import Act, says
from muster.kit.auth import Begin, Caller, Permission, requires, tx_of_tenant
from muster.kit.http import Model, Moment
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.problems import unprocessable
from muster.tenant import store
from muster.tenant.domain import Asked, Entry

router = APIRouter(prefix="/v1")


class ActOut(Model):
    """One act, and what it is in words. `user_id` is empty for the platform itself."""

    id: UUID
    at: datetime
    act: str
    says: str
    user_id: str
    role: str
    subject_kind: str
    subject_id: str
    service: str
    reason: str


@router.get("/audit")
async def list_acts(
    caller: Annotated[Caller, requires(Permission.READ_AUDIT)],
    begin: Annotated[Begin, tx_of_tenant],
    tenant_id: UUID | None = None,
    user_id: Annotated[str | None, Query(max_length=64, description="by this user alone")] = None,
    act: Annotated[Act | None, Query(description="this one alone")] = None,
    subject_id: Annotated[str | None, Query(max_length=200, description="on this alone: the id of a send …")] = None,
    since: Annotated[Moment | None, Query(alias="from", description="no earlier than this")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="earlier than this")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[ActOut]:
    """What was done in the tenant; the operator may name one."""
    if since and until and since >= until:
        raise unprocessable("to", "not_after_from", "is not after `from`")
    tenant_id = tenant_id or caller.tenant_id
    asked = Asked(user_id, act and act.value, subject_id, since, until)
    async with begin(tenant_id) as tx:
        found = await store.acts(tx, tenant_id, _position(cursor), limit + 1, asked)
    return page_of(found, limit, _out, lambda entry: {"at": entry.at, "id": entry.event_id})


def _position(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    position = decode_cursor(cursor, {"at": datetime.fromisoformat, "id": UUID})
    return position["at"], position["id"]


def _out(entry: Entry) -> ActOut:
    return ActOut(
        id=entry.event_id,
        at=entry.at,
        act=entry.act,
        says=says(entry.act),
        user_id=entry.user_id,
        role=entry.role,
        subject_kind=entry.subject_kind,
        subject_id=entry.subject_id,
        service=entry.service,
        reason=entry.reason,
    )
