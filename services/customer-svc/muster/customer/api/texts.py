"""/v1/templates"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from muster.customer.api.quotes import written_text
from muster.customer.domain.pricing import TEXT_CHARACTERS_MAX, MergeText
from muster.customer.domain.refusal import Refusal
from muster.customer.store import quotes
from muster.kit.auth import ANY_TENANT_ROLE, Caller, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import uuid7
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import not_found, unprocessable
from muster.text.merge import clean_value

router = APIRouter(prefix="/v1")


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


async def _save(tx: Tx, caller: Caller, template_id: UUID, body: TemplateIn) -> TemplateOut:
    written_text(body.text)
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
