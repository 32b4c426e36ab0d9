"""/v1/quotes: what a send would cost, exactly, and who would be left out."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from pydantic import Field

from muster.customer.api.advice_out import AdviceOut
from muster.customer.api.audiences import AudienceIn, audience_of
from muster.customer.api.check_shapes import CheckOut
from muster.customer.api.common import problem_of, sending_tenant_of, settings_of, usable_sender
from muster.customer.api.send_out import HoursOut
from muster.customer.api.when import Wall, wall_text
from muster.customer.domain.audience import audience_as_asked
from muster.customer.domain.hours import LocalTime, judge_local_time
from muster.customer.domain.merge_text import MergeText
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.sends import SEND_BY_MAX
from muster.customer.events import MessageClass
from muster.customer.handlers.quoting import Asked, quote_now
from muster.customer.handlers.texts import Pin, read_written, text_of_version
from muster.customer.store import quotes, reference, templates
from muster.customer.store.quotes import Quote
from muster.customer.store.reference import Tenant
from muster.kit import clock
from muster.kit.auth import Caller, Permission, Tx, requires, slow_tenant_tx, tenant_tx
from muster.kit.http import Int, Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.problems import conflict, not_found, unprocessable

router = APIRouter(prefix="/v1/quotes")

TemplateVersion = Annotated[Int, Field(ge=1)]
ClassWord = Literal["marketing", "factual"]


class QuoteIn(Model):
    """A text or a template, and whom it is for. template_version: one of before; the newest unless said. sender: one of
    the tenant's own; its default unless said.

    local_time: nobody is texted before a clock in their own time zone shows this, such as 2026-12-24T10:00. Who may be
    in several zones goes by the clock of the business, if its zone is one of them, else by the last. Where it is past
    already, they are texted at once.
    """

    text: str | None = None
    template_id: UUID | None = None
    template_version: TemplateVersion | None = None
    audience: AudienceIn
    sender: Annotated[str, Field(min_length=1, max_length=16)] | None = None
    message_class: Annotated[ClassWord, Field(alias="class")] = "marketing"
    local_time: Wall | None = None


class DearerOut(Model):
    """A character that makes the text dearer, and what could stand in its place (null: nothing says the same)."""

    position: int
    text: str
    name: str
    reason: str
    replacement: str | None


class MissingOut(Model):
    """A customer who is left out for want of merge fields."""

    customer_id: int
    name: str
    fields: list[str]


class ExampleOut(Model):
    """A message as somebody in the audience gets it, whose values of merge fields are those of now. In a link zeros
    stand for their own. credits: for all of its parts."""

    customer_id: int
    name: str
    country: str
    text: str
    encoding: Literal["GSM7", "UCS2"]
    parts: int
    credits: int


class WarningOut(Model):
    """What to know before it is confirmed."""

    code: str
    field: str
    message: str


class AddedOut(Model):
    """What was added to a text, since marketing has to say it: `identity` (whom it is from), `way_out` (how to get no
    more of it; in a link zeros stand for each recipient's own). language: of the text that it was added to."""

    what: Literal["identity", "way_out"]
    text: str
    language: str


class QuoteOut(Model):
    """text: as it leaves, with what was added. recipients + the sum of left_out = customers. by_encoding, by_parts,
    by_country and by_language (of a template in several languages) count recipients. checks: what the laws of
    their countries ask, and whether the send keeps to it. Those of a quote with `again_of` did not get that send.
    shortest: the message of the fewest parts, then characters; dearest: that of the most credits; null where who would
    get it has changed while it was quoted, or was erased. audience: as it was asked for, with lists by id, and by
    `saved_query` what a saved search said then."""

    id: UUID
    text: str
    added: tuple[AddedOut, ...] = ()
    customers: int
    recipients: int
    parts: int
    credits: int
    left_out: dict[str, int]
    balance: int
    balance_after: int
    by_encoding: dict[str, int]
    by_parts: dict[str, int]
    by_country: dict[str, int]
    by_language: Annotated[dict[str, int], Field(default_factory=dict)]
    dearer: list[DearerOut]
    advice: AdviceOut | None = None
    missing: list[MissingOut]
    shortest: ExampleOut | None = None
    dearest: ExampleOut | None = None
    sender: str
    message_class: Annotated[ClassWord, Field(serialization_alias="class")]
    audience: dict[str, Any]
    template_id: UUID | None = None
    template_version: int | None = None
    warnings: tuple[WarningOut, ...] = ()
    checks: tuple[CheckOut, ...] = ()
    hours: HoursOut | None = None
    local_time: str | None = None
    created_at: datetime
    expires_at: datetime
    again_of: UUID | None = None
    used_by: UUID | None = None


@router.post("", status_code=201, response_model=QuoteOut)
async def quote(
    body: QuoteIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.SEND)],
    tx: Annotated[Tx, slow_tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Quote a send. What is confirmed by `POST /v1/bulk-sms` within a day costs this and no more."""

    async def make() -> tuple[int, Model]:
        return 201, await _quote(request, tx, caller, body)

    return await once.answer(tx, caller, body, make)


@router.get("/{quote_id}")
async def get_quote(
    quote_id: UUID, caller: Annotated[Caller, requires(Permission.SEND)], tx: Annotated[Tx, tenant_tx]
) -> QuoteOut:
    """A quote as it was given, with the balance of now."""
    found = await quotes.quote_of(tx, caller.tenant_id, quote_id)
    if found is None:
        raise not_found("quote")
    return _out(found, await reference.available_credits(tx, caller.tenant_id))


async def _quote(request: Request, tx: Tx, caller: Caller, body: QuoteIn) -> QuoteOut:
    tenant = await sending_tenant_of(request, tx, caller.tenant_id)
    template, text = await text_of(tx, tenant, body.text, body.template_id, body.template_version)
    asked = await audience_of(request, tx, caller, body.audience)
    sender = await usable_sender(request, tx, tenant, body.sender or tenant.sender)
    message_class = MessageClass[body.message_class.upper()]
    tariff, at = (await reference.tariff_now(tx)).of(sender.sender).within(tenant.allowed), clock.now()
    what = Asked(text, template, asked, asked, sender, tariff, message_class, caller.user_id, at, at + SEND_BY_MAX)
    return await give_quote(request, tx, tenant, replace(what, local=_local(body.local_time, tenant, at)))


def _local(given: str | None, tenant: Tenant, now: datetime) -> LocalTime | None:
    if given is None:
        return None
    wall = datetime.fromisoformat(given)
    refusal = judge_local_time(wall, ZoneInfo(tenant.time_zone), now)
    if refusal is not None:
        raise problem_of(refusal)
    return LocalTime(wall)


async def give_quote(request: Request, tx: Tx, tenant: Tenant, asked: Asked) -> QuoteOut:
    """A quote as it is answered; 422 for what stands against it."""
    settings = settings_of(request)
    shown, url = settings.customer_quote_missing_shown, settings.link_url
    asked = replace(asked, missing_max=shown, limits=settings.limits, advised=True, link_url=url)
    found = await quote_now(tx, tenant, asked, timedelta(hours=settings.customer_quote_valid_h))
    if isinstance(found, Refusal):
        raise problem_of(found)
    return _out(found, await reference.available_credits(tx, tenant.tenant_id))


async def text_of(
    tx: Tx, tenant: Tenant, written: str | None, template_id: UUID | None, version: int | None = None
) -> tuple[Pin, MergeText]:
    """The template and the version that it pins, and the text, of a request that gives one of the two."""
    if (written is None) == (template_id is None):
        raise unprocessable("text", "text_or_template", "give a text or a template_id, one of them")
    if template_id is None:
        if version is not None:
            raise unprocessable("template_version", "no_template", "give a template_id with it")
        return (None, None), _read(await read_written(tx, tenant, written or ""))
    row = await templates.version_of(tx, tenant.tenant_id, template_id)
    if row is None:
        raise not_found("template")
    if row["archived"]:
        raise conflict("template_archived", "This template is out of use", "A new version takes it in use again.")
    if version is not None and version != row["version"]:
        row = await templates.version_of(tx, tenant.tenant_id, template_id, version)
        if row is None:
            raise unprocessable("template_version", "no_such_version", f"this template has no version {version}")
    return (template_id, row["version"]), _read(await text_of_version(tx, tenant, row))


def _read(text: MergeText | Refusal) -> MergeText:
    if isinstance(text, Refusal):
        raise problem_of(text)
    return text


def _out(found: Quote, balance: int) -> QuoteOut:
    return QuoteOut(
        id=found.quote_id,
        text=found.text,
        customers=found.customers,
        recipients=found.recipients,
        parts=found.parts,
        credits=found.credits,
        balance=balance,
        balance_after=balance - found.credits,
        sender=found.sender,
        message_class=MessageClass(found.message_class).name.lower(),
        audience=audience_as_asked(found.audience),
        template_id=found.template_id,
        template_version=found.template_version,
        created_at=found.created_at,
        expires_at=found.expires_at,
        local_time=found.local and wall_text(found.local.wall),
        again_of=found.audience.again and found.audience.again.bulk_id,
        used_by=found.used_by,
        **found.details,
    )
