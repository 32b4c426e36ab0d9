"""/v1/own-fields: what a business keeps of its customers beside names and numbers."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import Field

from muster.customer.domain.customers import STANDARD_FIELDS, field_key
from muster.customer.domain.fields import DEFINED_MAX, NAME_CHARACTERS_MAX, Kind
from muster.customer.domain.query import asked_as
from muster.customer.store import fields as store
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import Page
from muster.kit.pg import Record
from muster.kit.problems import conflict, not_found, unprocessable
from muster.text.merge import clean_value

router = APIRouter(prefix="/v1/own-fields")

Key = Annotated[str, Path(min_length=1, max_length=64, description="as merge fields write it: last_visit")]
_UNFIT_SHOWN = 10


class FieldIn(Model):
    """What a field is called and what its values are: text, date (2026-05-01), number (12.5), or free, a text that
    keeps its line breaks and signs of markup."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]
    kind: Kind


class FieldOut(Model):
    """A field that was defined; any other one is a text. asked_as: what a query names it by, which is its key unless a
    standard field has that name."""

    key: str
    name: str
    kind: Kind
    created_at: datetime
    created_by: str
    asked_as: str


@router.get("")
async def list_own_fields(
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)], tx: Annotated[Tx, tenant_tx]
) -> Page[FieldOut]:
    """Every field that was defined, by key."""
    return Page[FieldOut](items=_shown(await store.defined_fields(tx, caller.tenant_id)))


@router.put("/{field}", response_model=FieldOut)
async def define_own_field(
    field: Key,
    body: FieldIn,
    caller: Annotated[Caller, requires(Permission.MERGE_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Define a field, or change what it is; 409 where customers have values that are none of that kind."""

    async def make() -> tuple[int, Model]:
        if field_key(field) != field or field in STANDARD_FIELDS:
            raise unprocessable("key", "bad_name", "a field's key has lower-case letters, digits and _ alone")
        name = clean_value(body.name)
        if not name:
            raise unprocessable("name", "empty", "a field needs a name")
        await store.lock_fields(tx, caller.tenant_id)
        known = {row["key"] for row in await store.defined_fields(tx, caller.tenant_id)}
        if field not in known and len(known) >= DEFINED_MAX:
            raise unprocessable("key", "too_many", f"at most {DEFINED_MAX} fields can be defined")
        unfit = await store.unfit_customers(tx, caller.tenant_id, field, body.kind, _UNFIT_SHOWN)
        if unfit:
            detail = f"Customer {unfit[0]} has a value of it that is no {body.kind.value}. Change or blank it first."
            raise conflict("values_do_not_fit", "Some customers have other values", detail, customer_ids=unfit)
        if await store.define_field(tx, caller.tenant_id, field, name, body.kind, caller.user_id):
            await emit(tx, audit.record(caller, Act.OWN_FIELD_DEFINED, field))
        shown = _shown(await store.defined_fields(tx, caller.tenant_id))
        return 200, next(one for one in shown if one.key == field)

    return await once.answer(tx, caller, body, make)


@router.delete("/{field}", status_code=204)
async def forget_own_field(
    field: Key, caller: Annotated[Caller, requires(Permission.MERGE_CUSTOMERS)], tx: Annotated[Tx, tenant_tx]
) -> Response:
    """Forget a definition; the values stay with the customers, as texts."""
    if not await store.forget_field(tx, caller.tenant_id, field):
        raise not_found("own-field")
    await emit(tx, audit.record(caller, Act.OWN_FIELD_FORGOTTEN, field))
    return Response(status_code=204)


def _shown(rows: list[Record]) -> list[FieldOut]:
    keys = {row["key"] for row in rows}
    return [FieldOut(**row, asked_as=asked_as(row["key"], keys)) for row in rows]
