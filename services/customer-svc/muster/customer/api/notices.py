"""/v1/notices: what each marketing message of a business says, where its text does not say the same."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response

from muster.customer.api.common import problem_of
from muster.customer.domain.notices import BY_LINK, IDENTITY, REPLY, Notices, judge_notices
from muster.customer.store import notices as store
from muster.kit import audit
from muster.kit.auth import ANY_TENANT_ROLE, SENDERS, Caller, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit

router = APIRouter(prefix="/v1/notices")


class NoticesIn(Model):
    """identity: before a text that does not name the business; {business} is its name. Behind a text that does not say
    how to opt out: reply, for a sender that is a number; by_link, for one that is a name, where {link} is each
    recipient's own."""

    identity: str = IDENTITY
    reply: str = REPLY
    by_link: str = BY_LINK


class NoticesOut(NoticesIn):
    """What is said, since when and by whom it was chosen; null where nobody has."""

    changed_at: datetime | None = None
    changed_by: str | None = None


@router.get("")
async def get_notices(
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)], tx: Annotated[Tx, tenant_tx]
) -> NoticesOut:
    """The words of the business."""
    return await _notices(tx, caller)


@router.put("", response_model=NoticesOut)
async def set_notices(
    body: NoticesIn,
    caller: Annotated[Caller, requires(*SENDERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Say it in other words. Quotes that were given before are sent as they were quoted."""

    async def make() -> tuple[int, Model]:
        notices = Notices(body.identity, body.reply, body.by_link)
        refusals = judge_notices(notices)
        if refusals:
            raise problem_of(refusals)
        await store.save_notices(tx, caller.tenant_id, notices, caller.user_id)
        await emit(tx, audit.record(caller, "notices-set", "rule", "notices"))
        return 200, await _notices(tx, caller)

    return await once.answer(tx, caller, body, make)


async def _notices(tx: Tx, caller: Caller) -> NoticesOut:
    row = await store.notices_row(tx, caller.tenant_id)
    return NoticesOut(**row) if row else NoticesOut()
