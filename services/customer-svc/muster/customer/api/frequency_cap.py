"""/v1/frequency-cap: how often at most a business texts a number with marketing, whatever its sends ask for."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response

from muster.customer.api.audiences import CapIn
from muster.customer.domain.audience import Cap
from muster.customer.store import messaged
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit

router = APIRouter(prefix="/v1/frequency-cap")


class CapOut(Model):
    """At most so many messages in so many days, since when and by whom; all null where there is no cap."""

    messages: int | None
    days: int | None
    changed_at: datetime | None
    changed_by: str | None


@router.get("")
async def get_frequency_cap(
    caller: Annotated[Caller, requires(Permission.READ_SETTINGS)], tx: Annotated[Tx, tenant_tx]
) -> CapOut:
    """The cap of the business; there is none unless it says so."""
    return await _cap(tx, caller)


@router.put("", response_model=CapOut)
async def set_frequency_cap(
    body: CapIn,
    caller: Annotated[Caller, requires(Permission.SET_SENDING_RULES)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Let marketing sends leave out, as `frequency_cap`, numbers that had as many messages in these days. Quotes that
    were given before are planned by it too. Single messages count, and are not held back: somebody asked for each."""

    async def make() -> tuple[int, Model]:
        said = f"{body.messages} in {body.days} days"
        if await messaged.set_cap(tx, caller.tenant_id, Cap(body.messages, body.days), caller.user_id):
            await emit(tx, audit.record(caller, Act.FREQUENCY_CAP_SET, "frequency-cap", said))
        return 200, await _cap(tx, caller)

    return await once.answer(tx, caller, body, make)


@router.delete("", status_code=204)
async def forget_frequency_cap(
    caller: Annotated[Caller, requires(Permission.SET_SENDING_RULES)], tx: Annotated[Tx, tenant_tx]
) -> Response:
    """Let marketing sends go to numbers however often they were texted."""
    if await messaged.set_cap(tx, caller.tenant_id, None, caller.user_id):
        await emit(tx, audit.record(caller, Act.FREQUENCY_CAP_REMOVED, "frequency-cap"))
    return Response(status_code=204)


async def _cap(tx: Tx, caller: Caller) -> CapOut:
    row = await messaged.cap_row(tx, caller.tenant_id)
    return CapOut(**row) if row else CapOut(messages=None, days=None, changed_at=None, changed_by=None)
