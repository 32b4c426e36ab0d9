"""/v1/suppressions/undeliverable: numbers that are left out because messages to them failed for good."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from muster.customer.api.common import e164, settings_of
from muster.customer.store import undeliverable as store
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.forms import Form
from muster.kit.http import Int, Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import not_found

router = APIRouter(prefix="/v1/suppressions/undeliverable")

HashText = Annotated[
    str,
    Form("[0-9a-f]{34}", "must be the id of a number: 34 digits from 0 to 9 and a to f"),
    Path(description="id of a number"),
]


class UndeliverableOut(Model):
    """A number that is left out, since when, and after how many sends that failed. number and customer_id: null where
    no customer has it any more."""

    id: str
    number: str | None
    customer_id: int | None
    failures: int
    last_failed_at: datetime
    since: datetime


class Rule(Model):
    """After how many sends in which a message to a number failed for good it is left out; 0: never."""

    failures: Annotated[Int, Field(ge=0, le=100)]


@router.get("")
async def list_undeliverable(
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[UndeliverableOut]:
    """Numbers that are left out of audiences."""
    after = decode_cursor(cursor, {"id": bytes.fromhex})["id"] if cursor else None
    rows = await store.page(tx, caller.tenant_id, after, limit + 1)
    return page_of(rows, limit, _out, lambda row: {"id": row["number_hash"].hex()})


@router.get("/rule")
async def get_rule(
    request: Request, caller: Annotated[Caller, requires(Permission.READ_SETTINGS)], tx: Annotated[Tx, tenant_tx]
) -> Rule:
    """After how many failures a number is left out."""
    own = await store.rule_of(tx, caller.tenant_id)
    return Rule(failures=settings_of(request).customer_undeliverable_after_sends_max if own is None else own)


@router.put("/rule", response_model=Rule)
async def set_rule(
    body: Rule,
    caller: Annotated[Caller, requires(Permission.SET_OPT_OUTS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Say after how many; numbers that are left out already stay so until they are seen to be alive."""

    async def make() -> tuple[int, Model]:
        if await store.set_rule(tx, caller.tenant_id, body.failures, caller.user_id):
            await emit(tx, audit.record(caller, Act.UNDELIVERABLE_RULE_SET, "undeliverable", str(body.failures)))
        return 200, body

    return await once.answer(tx, caller, body, make)


@router.delete("/{number_id}", status_code=204)
async def forget_failures(
    number_id: HashText, caller: Annotated[Caller, requires(Permission.KEEP_OPT_OUTS)], tx: Annotated[Tx, tenant_tx]
) -> Response:
    """The number is alive: text it again, and count anew."""
    if not await store.forget(tx, [(caller.tenant_id, bytes.fromhex(number_id))]):
        raise not_found("number")
    await emit(tx, audit.record(caller, Act.FAILURES_FORGOTTEN, number_id))
    return Response(status_code=204)


def _out(row: Record) -> UndeliverableOut:
    return UndeliverableOut(
        id=row["number_hash"].hex(),
        number=None if row["number"] is None else e164(row["number"]),
        customer_id=row["customer_id"],
        failures=row["failures"],
        last_failed_at=row["failed_at"],
        since=row["undeliverable_at"],
    )
