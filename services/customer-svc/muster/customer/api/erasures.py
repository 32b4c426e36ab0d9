"""/v1/erasures and POST /v1/customers/{id}/erasure: a person's right to be forgotten."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from muster.customer.api.common import reader_of, tenant_of
from muster.customer.domain.customers import OtherNumber
from muster.customer.domain.erasing import Ground
from muster.customer.handlers import erasing
from muster.customer.store import customers
from muster.customer.store import erasures as store
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import conflict, not_found, unprocessable
from muster.text import Kind, NumberRefused

router = APIRouter(prefix="/v1")

CustomerId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class ErasureIn(Model):
    """On which ground a person is erased. There are no words of one's own: they might name the person."""

    ground: Ground = Ground.ASKED


class NumberErasureIn(ErasureIn):
    """A number that no customer has, as people of the business's country write it."""

    number: Annotated[str, Field(min_length=1, max_length=64)]


class HolderOut(Model):
    """A service that held something of the person, and when it had confirmed that it holds nothing any more."""

    service: str
    confirmed_at: datetime | None


class ErasureOut(Model):
    """An erasure. customer_ids: of the customer and of those who were merged into them, none where a number was erased
    that no customer had; numbers: how many were forgotten. state: done once every service has confirmed, at the latest
    at `deadline_at`; topics of the broker forget within three days of `asked_at`."""

    id: UUID
    customer_ids: list[int]
    ground: Ground
    state: Literal["running", "done"]
    asked_at: datetime
    asked_by: str
    deadline_at: datetime
    done_at: datetime | None
    numbers: int
    services: list[HolderOut]


@router.post("/customers/{customer_id}/erasure", status_code=202, response_model=ErasureOut)
async def erase_customer(
    customer_id: CustomerId,
    body: ErasureIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.ERASE_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Erase a person: the customer is gone at once, and nothing that is queued is sent to them; every database, queue
    and dead letter within the hour, every topic within three days. Counts, credits and the suppression of a number, as
    its keyed hash, stay; reports say "erased". A customer who was erased before is answered with that erasure."""

    async def make() -> tuple[int, Model]:
        row = await customers.customer_of(tx, caller.tenant_id, customer_id)
        if row is not None and row["merged_into"] is not None:
            told = f"Their numbers are those of customer {row['merged_into']} now: erase that one."
            raise conflict(
                "customer_merged", "This customer was merged into another one", told, merged_into=row["merged_into"]
            )
        before = await store.of_customer(tx, caller.tenant_id, customer_id) if row is None else None
        if before is not None:
            return 202, _out(before)
        reader = reader_of(request, await tenant_of(request, tx, caller.tenant_id))
        erasure_id = await erasing.erase(tx, caller.tenant_id, customer_id, body.ground, caller.user_id, reader.hash)
        if erasure_id is None:
            raise not_found("customer")
        await emit(tx, audit.record(caller, Act.CUSTOMER_ERASED, str(customer_id), body.ground))
        return 202, await _found(tx, caller, erasure_id)

    return await once.answer(tx, caller, body, make)


@router.post("/erasures", status_code=202, response_model=ErasureOut)
async def erase_number(
    body: NumberErasureIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.ERASE_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Erase whoever a number belongs to that no customer has: somebody who only wrote, or was texted by number. The
    same is forgotten of them, within the same time. 409 where customers have it: it is their ids that are erased.
    Each time it is asked for, what came until then is forgotten."""

    async def make() -> tuple[int, Model]:
        reader = reader_of(request, await tenant_of(request, tx, caller.tenant_id))
        read = reader.read_any(body.number)
        if isinstance(read, NumberRefused):
            raise unprocessable("number", read.code, read.message)
        if isinstance(read, OtherNumber) and read.kind is Kind.SHORT:
            raise unprocessable("number", "short_number", "a short number is a service's, and not a person's")
        holders = await erasing.lock_number(tx, caller.tenant_id, read.number)
        if holders:
            told = "Erase whoever of them it is by their id: the number alone does not say which."
            raise conflict("number_of_customers", "Customers have this number", told, customer_ids=holders)
        given = (read.number, body.ground, caller.user_id, reader.hash)
        erasure_id = await erasing.erase_number(tx, caller.tenant_id, *given)
        await emit(tx, audit.record(caller, Act.NUMBER_ERASED, str(erasure_id), body.ground))
        return 202, await _found(tx, caller, erasure_id)

    return await once.answer(tx, caller, body, make)


@router.get("/erasures")
async def list_erasures(
    caller: Annotated[Caller, requires(Permission.ERASE_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
    state: Annotated[Literal["running", "done"] | None, Query()] = None,
) -> Page[ErasureOut]:
    """Erasures, the newest first."""
    before = decode_cursor(cursor, {"id": UUID})["id"] if cursor else None
    done = None if state is None else state == "done"
    rows = await store.page(tx, caller.tenant_id, before, done=done, limit=limit + 1)
    return page_of(rows, limit, _out, lambda row: {"id": str(row["erasure_id"])})


@router.get("/erasures/{erasure_id}")
async def get_erasure(
    erasure_id: UUID, caller: Annotated[Caller, requires(Permission.ERASE_CUSTOMERS)], tx: Annotated[Tx, tenant_tx]
) -> ErasureOut:
    """One erasure, and which services have confirmed it."""
    return await _found(tx, caller, erasure_id)


async def _found(tx: Tx, caller: Caller, erasure_id: UUID) -> ErasureOut:
    row = await store.find(tx, caller.tenant_id, erasure_id)
    if row is None:
        raise not_found("erasure")
    return _out(row)


def _out(row: Record) -> ErasureOut:
    others = orjson.loads(row["services"])
    return ErasureOut(
        id=row["erasure_id"],
        state="running" if row["done_at"] is None else "done",
        services=[
            HolderOut(service="customer", confirmed_at=row["swept_at"]),
            *(HolderOut(service=name, confirmed_at=at) for name, at in sorted(others.items())),
        ],
        **{name: row[name] for name in _AS_STORED},
    )


_AS_STORED = ("customer_ids", "ground", "asked_at", "asked_by", "deadline_at", "done_at", "numbers")
