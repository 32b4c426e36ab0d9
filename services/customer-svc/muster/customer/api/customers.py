"""/v1/customers"""

from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Path, Query, Request, Response

from muster.customer.api.customer_changes import (
    changed_fields,
    evidence_of,
    read_customer,
    read_evidence,
    refuse_changed,
    refuse_undoing,
    said_of_consent,
    wanted_version,
)
from muster.customer.api.customer_shapes import ChangeOut, CustomerIn, CustomerOut, shown
from muster.customer.api.finding import QueryText, Saved, search_asked
from muster.customer.domain.customers import TAG_CHARACTERS_MAX, Consent, Customer
from muster.customer.handlers import consents
from muster.customer.store import customers as store
from muster.customer.store import undeliverable
from muster.customer.store.customers import Evidence
from muster.customer.store.finding import find
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, encode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import not_found, unprocessable

router = APIRouter(prefix="/v1/customers")

CustomerId = Annotated[int, Path(ge=1, le=2**63 - 1)]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=64, description="the ETag of the customer as you have seen it; 412 if changed"),
]


@router.post("", status_code=201, response_model=CustomerOut)
async def add_customer(
    body: CustomerIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Add a customer."""

    async def make() -> tuple[int, Model]:
        customer = await read_customer(request, tx, caller, body, Customer())
        evidence = read_evidence(body, caller, Evidence(None, "", "", ""))
        customer_id = await store.add_customer(tx, caller.tenant_id, customer, evidence)
        await _stop_withdrawn(tx, caller, body, customer, evidence)
        await emit(tx, audit.record(caller, Act.CUSTOMER_ADDED, str(customer_id)))
        return 201, await _shown(tx, caller, customer_id)

    return with_etag(await once.answer(tx, caller, body, make))


@router.get("")
async def list_customers(
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
    search: Annotated[str | None, Query(min_length=1, max_length=100, description="part of a name or number")] = None,
    tag: Annotated[str | None, Query(min_length=1, max_length=TAG_CHARACTERS_MAX)] = None,
    allow_bulk_sms: Annotated[bool | None, Query()] = None,
    query: QueryText = None,
    saved: Saved = None,
) -> Page[CustomerOut]:
    """Customers who are not archived, the oldest first. A page of a query may have fewer than `limit`, or none, and a
    next one: it took too long to go through all."""
    after = decode_cursor(cursor, {"id": int})["id"] if cursor else 0
    if query is not None or saved is not None:
        if any(one is not None for one in (search, tag, allow_bulk_sms)):
            raise unprocessable("query", "query_alone", "write tags and the like as conditions of the query")
        found = await find(tx, await search_asked(request, tx, caller, query, saved), after, limit)
        more = None if found.next_after is None else encode_cursor({"id": found.next_after})
        chosen = await store.customers_of(tx, caller.tenant_id, found.ids)
        return Page(items=[shown(row) for row in chosen], next_cursor=more)
    rows = await store.page_of_customers(
        tx,
        caller.tenant_id,
        after=after,
        search=search,
        tag=tag,
        allow_bulk_sms=allow_bulk_sms,
        limit=limit + 1,
    )
    return page_of(rows, limit, shown, lambda row: {"id": row["customer_id"]})


@router.get("/{customer_id}")
async def get_customer(
    customer_id: CustomerId,
    response: Response,
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
) -> CustomerOut:
    """One customer, archived or not; the ETag is for the If-Match of a change."""
    found = await _shown(tx, caller, customer_id)
    response.headers["ETag"] = f'"{found.version}"'
    return found


@router.get("/{customer_id}/changes")
async def list_changes(
    customer_id: CustomerId,
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[ChangeOut]:
    """Who has changed what of a customer, the oldest first, without the values; imports keep nothing here."""
    await _shown(tx, caller, customer_id)
    after = decode_cursor(cursor, {"version": int})["version"] if cursor else 0
    rows = await store.changes_since(tx, caller.tenant_id, customer_id, after, limit + 1)
    return page_of(rows, limit, lambda row: ChangeOut(**row), lambda row: {"version": row["version"]})


@router.patch("/{customer_id}", response_model=CustomerOut)
async def change_customer(
    customer_id: CustomerId,
    body: CustomerIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
    if_match: IfMatch = None,
) -> Response:
    """Change the members that are given; the others stay. With If-Match nothing is changed, and 412 says what was, if
    somebody else has changed the customer since."""

    async def make() -> tuple[int, Model]:
        if body.consent is Consent.WITHDRAWN:
            await consents.lock_numbers(tx, caller.tenant_id, customer_id)
        row = await locked(tx, caller, customer_id, if_match)
        before, evidence = store.customer_from(row), evidence_of(row)
        after, given = await read_customer(request, tx, caller, body, before), read_evidence(body, caller, evidence)
        refuse_undoing(body, before, evidence, after, given)
        joins = _may_be_texted(after) and (not _consents(before) or after.mobiles != before.mobiles)
        await store.put_customer(tx, caller.tenant_id, customer_id, after, given, joins=joins)
        await _stop_withdrawn(tx, caller, body, after, given)
        if {"mobiles", "numbers"} & body.model_fields_set:
            await undeliverable.forget(tx, [(caller.tenant_id, mobile.number_hash) for mobile in after.mobiles])
        await kept(tx, caller, customer_id, changed_fields(before, after, (evidence, given)), Act.CUSTOMER_CHANGED)
        return 200, await _shown(tx, caller, customer_id)

    return with_etag(await once.answer(tx, caller, body, make))


@router.delete("/{customer_id}", status_code=204)
async def remove_customer(
    customer_id: CustomerId,
    caller: Annotated[Caller, requires(Permission.MERGE_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
) -> Response:
    """Remove a customer; an opt-out of their numbers stays, and so does what they were sent and wrote. To have a person
    forgotten everywhere, POST .../erasure, which does so for one who was removed before, too."""
    if not await store.remove_customer(tx, caller.tenant_id, customer_id):
        raise not_found("customer")
    await emit(tx, audit.record(caller, Act.CUSTOMER_REMOVED, str(customer_id)))
    return Response(status_code=204)


async def locked(tx: Tx, caller: Caller, customer_id: int, if_match: str | None) -> Record:
    """The customer, for a change; Problem 404, 409 for one who was merged, 412 where If-Match names an older one."""
    wanted = wanted_version(if_match)
    row = await store.lock_customer(tx, caller.tenant_id, customer_id)
    if row is None:
        raise not_found("customer")
    await refuse_changed(tx, caller, row, wanted)
    return row


async def kept(tx: Tx, caller: Caller, customer_id: int, fields: list[str], act: Act) -> None:
    """Remember and tell the audit log what was changed."""
    await store.keep_change(tx, caller.tenant_id, customer_id, fields, caller.user_id)
    await emit(tx, audit.record(caller, act, str(customer_id)))


def with_etag(answer: Response) -> Response:
    """The answer about a customer with its version as ETag."""
    version = orjson.loads(answer.body).get("version")
    if version is not None:
        answer.headers["ETag"] = f'"{version}"'
    return answer


async def _stop_withdrawn(tx: Tx, caller: Caller, body: CustomerIn, after: Customer, evidence: Evidence) -> None:
    """Who withdraws consent is stopped at once, and all who have their numbers."""
    if said_of_consent(body) and after.consent is Consent.WITHDRAWN:
        hashes = [mobile.number_hash for mobile in after.mobiles]
        await consents.stop(tx, caller.tenant_id, hashes, evidence.word(after.consent), caller.user_id)


def _may_be_texted(customer: Customer) -> bool:
    return bool(customer.allow_bulk_sms and customer.mobiles)


def _consents(customer: Customer) -> bool:
    return bool(customer.allow_bulk_sms) and customer.consent is not Consent.NONE


async def _shown(tx: Tx, caller: Caller, customer_id: int) -> CustomerOut:
    row = await store.customer_of(tx, caller.tenant_id, customer_id)
    if row is None:
        raise not_found("customer")
    return shown(row)
