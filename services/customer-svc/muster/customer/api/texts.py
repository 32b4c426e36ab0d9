"""/v1/templates and /v1/lists"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import Field

from muster.customer.api.common import problem_of
from muster.customer.domain.customers import TAG_CHARACTERS_MAX
from muster.customer.domain.pricing import TEXT_CHARACTERS_MAX, MergeText
from muster.customer.domain.refusal import Refusal
from muster.customer.store import customers, quotes
from muster.kit.auth import ANY_TENANT_ROLE, Caller, Tx, requires, tenant_tx
from muster.kit.http import Int, Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import uuid7
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import not_found, unprocessable
from muster.text.merge import clean_value

router = APIRouter(prefix="/v1")

ListName = Annotated[str, Path(min_length=1, max_length=TAG_CHARACTERS_MAX)]
CustomerIds = Annotated[list[Annotated[Int, Field(ge=1)]], Field(min_length=1, max_length=10_000)]


class TemplateIn(Model):
    """A text with merge fields, under a name."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    text: Annotated[str, Field(max_length=TEXT_CHARACTERS_MAX)]


class TemplateOut(Model):
    """The newest version of a template. fields: its merge fields in order."""

    id: UUID
    version: int
    name: str
    text: str
    fields: list[str]
    created_at: datetime


class ListIn(Model):
    """Customers to put on a list, which is a tag of each."""

    name: Annotated[str, Field(min_length=1, max_length=TAG_CHARACTERS_MAX)]
    customer_ids: CustomerIds


class ListOut(Model):
    """A list and how many customers are on it."""

    name: str
    customers: int


@router.get("/templates")
async def list_templates(
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[TemplateOut]:
    """The newest version of each template."""
    after = decode_cursor(cursor, {"id": UUID})["id"] if cursor else None
    rows = await quotes.page_of_templates(tx, caller.tenant_id, after, limit + 1)
    return page_of(rows, limit, _template, lambda row: {"id": row["template_id"]})


@router.post("/templates", status_code=201, response_model=TemplateOut)
async def add_template(
    body: TemplateIn,
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Keep a text."""

    async def make() -> tuple[int, Model]:
        return 201, await _save(tx, caller, uuid7(), body)

    return await once.answer(tx, caller, body, make)


@router.get("/templates/{template_id}")
async def get_template(
    template_id: UUID, caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)], tx: Annotated[Tx, tenant_tx]
) -> TemplateOut:
    """The newest version of a template."""
    row = await quotes.template_of(tx, caller.tenant_id, template_id)
    if row is None:
        raise not_found("template")
    return _template(row)


@router.put("/templates/{template_id}", response_model=TemplateOut)
async def change_template(
    template_id: UUID,
    body: TemplateIn,
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """A new version of a template; sends that were made from an older one keep it."""

    async def make() -> tuple[int, Model]:
        if await quotes.template_of(tx, caller.tenant_id, template_id) is None:
            raise not_found("template")
        return 200, await _save(tx, caller, template_id, body)

    return await once.answer(tx, caller, body, make)


@router.get("/lists")
async def list_lists(
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)], tx: Annotated[Tx, tenant_tx]
) -> Page[ListOut]:
    """Every tag that customers carry."""
    rows = await customers.lists_of(tx, caller.tenant_id)
    return Page[ListOut](items=[ListOut(**row) for row in rows])


@router.post("/lists", response_model=ListOut)
async def put_on_list(
    body: ListIn,
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Put customers on a list; those on it already stay once."""

    async def make() -> tuple[int, Model]:
        name = clean_value(body.name)
        if not name:
            raise unprocessable("name", "empty", "a list needs a name")
        unknown = await customers.unknown_ids(tx, caller.tenant_id, body.customer_ids)
        if unknown:
            raise unprocessable(
                "customer_ids", "unknown_customer", f"there is no customer {unknown[0]}", unknown=unknown
            )
        await customers.add_to_list(tx, caller.tenant_id, name, body.customer_ids)
        return 200, await _list(tx, caller, name)

    return await once.answer(tx, caller, body, make)


@router.delete("/lists/{name:path}", status_code=204)
async def remove_list(
    name: ListName, caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)], tx: Annotated[Tx, tenant_tx]
) -> Response:
    """Take everybody off a list; the customers stay."""
    if not (await _list(tx, caller, name)).customers:
        raise not_found("list")
    await customers.remove_list(tx, caller.tenant_id, name)
    return Response(status_code=204)


async def _save(tx: Tx, caller: Caller, template_id: UUID, body: TemplateIn) -> TemplateOut:
    text = MergeText.read(body.text)
    if isinstance(text, Refusal):
        raise problem_of(text)
    if not clean_value(body.name):
        raise unprocessable("name", "empty", "a template needs a name")
    return _template(
        await quotes.add_template_version(tx, caller.tenant_id, template_id, body.name, body.text, caller.user_id)
    )


def _template(row: Record) -> TemplateOut:
    text = MergeText.read(row["text"])
    fields = [] if isinstance(text, Refusal) else list(text.fields)
    return TemplateOut(
        id=row["template_id"],
        version=row["version"],
        name=row["name"],
        text=row["text"],
        fields=fields,
        created_at=row["created_at"],
    )


async def _list(tx: Tx, caller: Caller, name: str) -> ListOut:
    counts = {row["name"]: row["customers"] for row in await customers.lists_of(tx, caller.tenant_id)}
    return ListOut(name=name, customers=counts.get(name, 0))
