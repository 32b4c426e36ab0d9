"""/v1/templates: texts that are kept, each version of them, and what they say to whom."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from muster.customer.api.common import problem_of, settings_of, tenant_of
from muster.customer.api.previews import TextPreviewIn, TextPreviewOut, preview_of
from muster.customer.api.quotes import ClassWord, WarningOut
from muster.customer.domain.locales import language_of, read_language
from muster.customer.domain.merge_text import LANGUAGES_MAX, TEXT_CHARACTERS_MAX, MergeText
from muster.customer.domain.refusal import Refusal
from muster.customer.handlers.texts import (
    others_of,
    read_written,
    style_of,
    text_of_version,
    unknown_fields,
    version_read,
)
from muster.customer.store import templates
from muster.customer.store.reference import Tenant
from muster.customer.store.templates import NewVersion, Uses
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import conflict, not_found, unprocessable
from muster.text.merge import clean_value

router = APIRouter(prefix="/v1/templates")

Reader = Annotated[Caller, requires(Permission.WRITE_TEMPLATES)]
OwnTx = Annotated[Tx, tenant_tx]
OnceOnly = Annotated[Once, idempotent]
_Language = Annotated[str, Field(max_length=35, description="a tag such as de or pt-BR")]
# Its length is judged with its characters: half of a surrogate pair has a place, which the model would not tell.
_Text = Annotated[str, Field(description=f"at most {TEXT_CHARACTERS_MAX:,} characters")]
_NO_USES: Final = Uses()
_MOST: Final = 2**63 - 1


class TemplateIn(Model):
    """A text with merge fields, under a name.

    language: of `text`; that of the business's country unless said. variants: the text in other languages, by tag.
    Customers get the one of their own `language` where there is one, else `text`.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    text: _Text
    category: Annotated[str, Field(max_length=100)] = ""
    language: _Language | None = None
    variants: Annotated[dict[_Language, _Text], Field(default_factory=dict, max_length=LANGUAGES_MAX - 1)]


class UsesOut(Model):
    """How many pin it: sends; schedules that are active or paused; quotes that still hold and that nobody used."""

    sends: int
    schedules: int
    drafts: int


class TemplateVersionOut(Model):
    """A version of a template. fields: its merge fields in order, of all languages. in_use: of this version; of the
    template as a whole where that is shown. archived: it is out of use."""

    id: UUID
    version: int
    name: str
    category: str
    language: str
    text: str
    variants: dict[str, str]
    fields: list[str]
    in_use: UsesOut
    archived: bool
    created_at: datetime
    created_by: str


class TemplateOut(TemplateVersionOut):
    """The newest version of a template. warnings: fields that no customer has, when it was stored."""

    warnings: tuple[WarningOut, ...] = ()


class CategoryOut(Model):
    """A category, and how many templates are in it; "" for those in none."""

    category: str
    templates: int


@router.get("")
async def list_templates(
    request: Request,
    caller: Reader,
    tx: OwnTx,
    limit: Limit = 50,
    cursor: CursorText = None,
    category: Annotated[str | None, Query(max_length=100)] = None,
    archived: Annotated[bool, Query(description="those that are out of use, instead")] = False,  # noqa: FBT002
) -> Page[TemplateOut]:
    """The newest version of each template."""
    tenant = await tenant_of(request, tx, caller.tenant_id)
    after = decode_cursor(cursor, {"id": UUID})["id"] if cursor else None
    rows = await templates.page(tx, caller.tenant_id, after, limit + 1, archived=archived, category=category)
    uses = await templates.uses(tx, caller.tenant_id, [row["template_id"] for row in rows])
    style = await style_of(tx, tenant)

    def shown(row: Record) -> TemplateOut:
        return _template(row, version_read(row, style), tenant, _of_all(uses, row["template_id"]))

    return page_of(rows, limit, shown, lambda row: {"id": row["template_id"]})


@router.get("/categories")
async def list_categories(caller: Reader, tx: OwnTx) -> Page[CategoryOut]:
    """Every category in use, by name."""
    return Page[CategoryOut](items=[CategoryOut(**row) for row in await templates.categories(tx, caller.tenant_id)])


@router.post("", status_code=201, response_model=TemplateOut)
async def add_template(body: TemplateIn, request: Request, caller: Reader, tx: OwnTx, once: OnceOnly) -> Response:
    """Keep a text."""

    async def make() -> tuple[int, Model]:
        most = settings_of(request).customer_templates_max
        await templates.lock_template(tx, caller.tenant_id, UUID(int=0))
        if await templates.live(tx, caller.tenant_id) >= most:
            detail = f"{most} templates are in use, which is the limit. Archive one first."
            raise conflict("too_many_templates", "No more templates can be kept", detail, limit=most)
        return 201, await _save(request, tx, caller, uuid7(), body)

    return await once.answer(tx, caller, body, make)


@router.post("/preview")
async def preview_text(body: TextPreviewIn, request: Request, caller: Reader, tx: OwnTx) -> TextPreviewOut:
    """What a text that is not kept yet says to a customer; nothing is stored."""
    tenant = await tenant_of(request, tx, caller.tenant_id)
    language, others = _languages(body.language, body.variants, tenant)
    text = await read_written(tx, tenant, body.text, language, others)
    if isinstance(text, Refusal):
        raise problem_of(text)
    return await preview_of(tx, tenant, text, body.customer_id, body.message_class, settings_of(request).link_url)


@router.get("/{template_id}")
async def get_template(template_id: UUID, request: Request, caller: Reader, tx: OwnTx) -> TemplateOut:
    """The newest version of a template."""
    tenant, row = await tenant_of(request, tx, caller.tenant_id), await _version(tx, caller, template_id)
    uses = await templates.uses(tx, caller.tenant_id, [template_id])
    return _template(row, await text_of_version(tx, tenant, row), tenant, _of_all(uses, template_id))


@router.get("/{template_id}/versions")
async def list_versions(
    template_id: UUID, request: Request, caller: Reader, tx: OwnTx, limit: Limit = 50, cursor: CursorText = None
) -> Page[TemplateVersionOut]:
    """Every version of a template, the newest first, each with what pins it."""
    tenant = await tenant_of(request, tx, caller.tenant_id)
    await _version(tx, caller, template_id)
    before = decode_cursor(cursor, {"version": int})["version"] if cursor else None
    rows = await templates.versions(tx, caller.tenant_id, template_id, before, limit + 1)
    uses = await templates.uses(tx, caller.tenant_id, [template_id])
    style = await style_of(tx, tenant)

    def shown(row: Record) -> TemplateVersionOut:
        pinned = uses.get((template_id, row["version"]), _NO_USES)
        return TemplateVersionOut(**_members(row, version_read(row, style), tenant, pinned))

    return page_of(rows, limit, shown, lambda row: {"version": row["version"]})


@router.get("/{template_id}/versions/{version}")
async def get_version(
    template_id: UUID, version: Annotated[int, Path(ge=1, le=_MOST)], request: Request, caller: Reader, tx: OwnTx
) -> TemplateVersionOut:
    """A version of a template, as it will always be."""
    tenant, row = await tenant_of(request, tx, caller.tenant_id), await _version(tx, caller, template_id, version)
    uses = await templates.uses(tx, caller.tenant_id, [template_id])
    pinned = uses.get((template_id, version), _NO_USES)
    return TemplateVersionOut(**_members(row, await text_of_version(tx, tenant, row), tenant, pinned))


@router.get("/{template_id}/preview")
async def preview_template(
    template_id: UUID,
    request: Request,
    caller: Reader,
    tx: OwnTx,
    customer_id: Annotated[int, Query(ge=1, le=_MOST)],
    version: Annotated[int | None, Query(ge=1, le=_MOST, description="the newest unless said")] = None,
    message_class: Annotated[ClassWord, Query(alias="class")] = "marketing",
) -> TextPreviewOut:
    """What a template says to a customer, in their language, with its parts; or what of it they miss."""
    tenant, row = await tenant_of(request, tx, caller.tenant_id), await _version(tx, caller, template_id, version)
    text = await text_of_version(tx, tenant, row)
    if isinstance(text, Refusal):
        raise problem_of(text)
    return await preview_of(tx, tenant, text, customer_id, message_class, settings_of(request).link_url)


@router.put("/{template_id}", response_model=TemplateOut)
async def change_template(
    template_id: UUID, body: TemplateIn, request: Request, caller: Reader, tx: OwnTx, once: OnceOnly
) -> Response:
    """A new version of a template; what was made from an older one keeps it. One that was archived is in use again."""

    async def make() -> tuple[int, Model]:
        await _version(tx, caller, template_id)
        return 200, await _save(request, tx, caller, template_id, body)

    return await once.answer(tx, caller, body, make)


@router.delete("/{template_id}", status_code=204)
async def archive_template(template_id: UUID, caller: Reader, tx: OwnTx) -> Response:
    """Put a template out of use: nothing new is made from it. What pins one of its versions goes on."""
    await templates.lock_template(tx, caller.tenant_id, template_id)
    row = await _version(tx, caller, template_id)
    if not row["archived"]:
        kept = (row["name"], row["text"], row["category"], row["language"], others_of(row))
        await templates.add_version(tx, caller.tenant_id, template_id, NewVersion(*kept, archived=True), caller.user_id)
        await emit(tx, audit.record(caller, Act.TEMPLATE_ARCHIVED, str(template_id)))
    return Response(status_code=204)


async def _version(tx: Tx, caller: Caller, template_id: UUID, version: int | None = None) -> Record:
    row = await templates.version_of(tx, caller.tenant_id, template_id, version)
    if row is None:
        raise not_found("template" if version is None else "version")
    return row


async def _save(request: Request, tx: Tx, caller: Caller, template_id: UUID, body: TemplateIn) -> TemplateOut:
    tenant = await tenant_of(request, tx, caller.tenant_id)
    name = clean_value(body.name)
    if not name:
        raise unprocessable("name", "empty", "a template needs a name")
    language, others = _languages(body.language, body.variants, tenant)
    text = await read_written(tx, tenant, body.text, language, others)
    if isinstance(text, Refusal):
        raise problem_of(text)
    new = NewVersion(name, body.text, clean_value(body.category), language, others)
    row = await templates.add_version(tx, caller.tenant_id, template_id, new, caller.user_id)
    await emit(tx, audit.record(caller, Act.TEMPLATE_SAVED, str(template_id), f"version {row['version']}"))
    uses = await templates.uses(tx, caller.tenant_id, [template_id])
    unknown = await unknown_fields(tx, caller.tenant_id, text)
    out = _template(row, text, tenant, _of_all(uses, template_id))
    return out.model_copy(update={"warnings": tuple(WarningOut(**one.warning) for one in unknown)})


def _languages(given: str | None, variants: Mapping[str, str], tenant: Tenant) -> tuple[str, dict[str, str]]:
    """The language of the text ("": the business's), and the others by their tags as they are stored."""
    language = read_language(given) if given else ""
    if language is None:
        raise unprocessable("language", "no_such_language", "this is the tag of no language, such as de or pt-BR")
    others: dict[str, str] = {}
    for written, text in variants.items():
        tag = read_language(written)
        if tag is None:
            message = "this is the tag of no language, such as de or pt-BR"
            raise unprocessable(f"variants.{written}", "no_such_language", message)
        if tag in others or tag == (language or language_of(tenant.country)):
            raise unprocessable(f"variants.{written}", "repeated_language", f"there are two texts in {tag}")
        others[tag] = text
    return language, others


def _of_all(uses: Mapping[tuple[UUID, int], Uses], template_id: UUID) -> Uses:
    """Of all versions together."""
    of_it = [one for (used, _), one in uses.items() if used == template_id]
    return Uses(sum(one.sends for one in of_it), sum(one.schedules for one in of_it), sum(one.drafts for one in of_it))


def _template(row: Record, text: MergeText | Refusal, tenant: Tenant, uses: Uses) -> TemplateOut:
    return TemplateOut(**_members(row, text, tenant, uses))


def _members(row: Record, text: MergeText | Refusal, tenant: Tenant, uses: Uses) -> dict[str, object]:
    fields = () if isinstance(text, Refusal) else text.fields
    same = {name: row[name] for name in ("version", "name", "category", "text", "archived", "created_at", "created_by")}
    return {
        **same,
        "id": row["template_id"],
        "language": row["language"] or language_of(tenant.country),
        "variants": others_of(row),
        "fields": list(fields),
        "in_use": UsesOut(**asdict(uses)),
    }
