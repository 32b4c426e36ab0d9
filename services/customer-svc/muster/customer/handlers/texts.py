"""Texts with merge fields as a tenant means them: with its own fields, in its country's ways, of a template or not."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from uuid import UUID

import orjson

from muster.customer.domain.characters import judge_characters
from muster.customer.domain.customers import STANDARD_FIELDS
from muster.customer.domain.fields import Kind
from muster.customer.domain.locales import language_of
from muster.customer.domain.merge_reader import Field, mistake, near
from muster.customer.domain.merge_text import MergeText, Style, judge_length
from muster.customer.domain.refusal import Refusal
from muster.customer.store import audience, fields, templates
from muster.customer.store.quotes import Quote
from muster.customer.store.reference import Tenant
from muster.customer.store.schedules import Schedule
from muster.kit.pg import Record, Tx

Pin = tuple[UUID | None, int | None]
"""The template and its version that a text is of, if it is of one."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A merge field that no customer has, with those that may be meant. named: the input that it is in."""

    named: str
    text: str
    field: Field
    near: list[str]

    @property
    def refusal(self) -> Refusal:
        """Why a text that needs it is not taken."""
        why = f"no customer has the field {self.field.name}"
        meant = [f"{{{one}}}" for one in self.near]
        refused = mistake(self.text, self.named, self.field.position, "unknown_field", why, meant)
        return Refusal(self.named, "unknown_field", refused.message, {**refused.more, "fields": [self.field.name]})

    @property
    def warning(self) -> dict[str, str]:
        """That everybody gets its fallback."""
        meant = f" Did you mean {' or '.join(f'{{{one}}}' for one in self.near)}?" if self.near else ""
        message = f"No customer has the field {self.field.name}: everybody gets '{self.field.fallback}'.{meant}"
        return {"code": "unknown_field", "field": self.named, "message": message}


async def style_of(tx: Tx, tenant: Tenant, language: str = "") -> Style:
    """How values are written in a text of this tenant; in the language of its country unless said."""
    kinds = await fields.kinds_of_fields(tx, tenant.tenant_id)
    told = {key: kind for key, kind in kinds.items() if kind is not Kind.TEXT}
    return Style(language or language_of(tenant.country), tenant.country, told)


async def read_written(
    tx: Tx, tenant: Tenant, text: str, language: str = "", others: Mapping[str, str] | None = None
) -> MergeText | Refusal:
    """A text that somebody writes now, each of whose characters is judged."""
    found = await read_text(tx, tenant, text, language, others)
    if isinstance(found, Refusal):
        return found
    named = ["text", *(f"variants.{tag}" for tag in others or {})]
    each = list(zip(named, found.variants, strict=True))
    wrong = chain(
        (judge_characters(one.text, name) for name, one in each), (judge_length(one, name) for name, one in each)
    )
    return next(filter(None, wrong), found)


async def read_text(
    tx: Tx, tenant: Tenant, text: str, language: str = "", others: Mapping[str, str] | None = None
) -> MergeText | Refusal:
    """A text that was taken before."""
    return MergeText.read(text, await style_of(tx, tenant, language), others)


async def text_of_version(tx: Tx, tenant: Tenant, version: Record) -> MergeText | Refusal:
    """The text of a version of a template."""
    return version_read(version, await style_of(tx, tenant))


def version_read(version: Record, style: Style) -> MergeText | Refusal:
    """The text of a version of a template, with the style that its tenant's texts have."""
    spoken = Style(version["language"] or style.language, style.country, style.kinds)
    return MergeText.read(version["text"], spoken, others_of(version))


def text_of_quote(quote: Quote) -> MergeText | Refusal:
    """The text of a quote, in the languages and the style that the quote pins."""
    return MergeText.read(quote.text, quote.style, quote.others)


async def text_of_schedule(tx: Tx, tenant: Tenant, schedule: Schedule) -> MergeText | Refusal:
    """The text of a schedule, of the version that it pins."""
    if schedule.template_id is None:
        return await read_text(tx, tenant, schedule.text)
    version = await templates.version_of(tx, tenant.tenant_id, schedule.template_id, schedule.template_version)
    if version is None:
        return await read_text(tx, tenant, schedule.text)
    return await read_text(tx, tenant, schedule.text, version["language"], others_of(version))


async def unknown_fields(tx: Tx, tenant_id: UUID, text: MergeText) -> list[Unknown]:
    """The fields that nobody has a value of, those without a fallback first; one that was defined may have a fallback
    before anybody has a value."""
    names = [name for name in text.fields if name.lower() not in STANDARD_FIELDS]
    if not names:
        return []
    known = {*STANDARD_FIELDS, *await fields.kinds_of_fields(tx, tenant_id)}
    asked = [name for name in names if name in text.required or name.lower() not in known]
    unknown = await audience.unknown_fields(tx, tenant_id, asked) if asked else []
    known -= {name.lower() for name in unknown}
    found = [_where(text, name, near(name, known)) for name in unknown]
    return sorted(found, key=lambda one: one.field.fallback is not None)


def others_of(version: Record) -> dict[str, str]:
    """The text of a version in its other languages."""
    found: dict[str, str] = orjson.loads(version["others"])
    return found


def _where(text: MergeText, name: str, meant: list[str]) -> Unknown:
    """Where a field is first needed, or else written."""
    places = [(at, one) for at, variant in enumerate(text.variants) for one in variant.fields if one.name == name]
    at, field = min(places, key=lambda place: place[1].fallback is not None)
    named = f"variants.{text.variants[at].language}" if at else "text"
    return Unknown(named, text.variants[at].text, field, meant)
