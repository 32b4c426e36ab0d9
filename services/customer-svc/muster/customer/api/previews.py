"""What a text says to one customer."""

from typing import Annotated

from pydantic import Field

from muster.customer.api.common import problem_of
from muster.customer.api.quotes import ClassWord
from muster.customer.domain.customers import Customer
from muster.customer.domain.merge_text import LANGUAGES_MAX, TEXT_CHARACTERS_MAX, MergeText
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.tariff import Destination
from muster.customer.handlers.wording import worded
from muster.customer.store import customers, reference
from muster.customer.store.reference import Tenant
from muster.kit.http import Int, Model
from muster.kit.pg import Tx
from muster.kit.problems import not_found, unprocessable
from muster.text import TextRefused, count_parts

# Its length is judged with its characters: half of a surrogate pair has a place, which the model would not tell.
_Text = Annotated[str, Field(description=f"at most {TEXT_CHARACTERS_MAX:,} characters")]
_Language = Annotated[str, Field(max_length=35, description="a tag such as de or pt-BR")]


class TextPreviewIn(Model):
    """A text that is not kept yet, as a template has it, and a customer."""

    text: _Text
    language: _Language | None = None
    variants: Annotated[dict[_Language, _Text], Field(default_factory=dict, max_length=LANGUAGES_MAX - 1)]
    customer_id: Annotated[Int, Field(ge=1)]
    message_class: Annotated[ClassWord, Field(alias="class")] = "marketing"


class TextPreviewOut(Model):
    """A text as a customer would get it, with what marketing says by rule. text: null where they would be left out for
    want of `missing`. parts and credits: by the first of their numbers that can be reached; null without one, or
    without a text."""

    customer_id: int
    language: str
    text: str | None
    missing: list[str]
    encoding: str | None = None
    parts: int | None = None
    credits: int | None = None


async def preview_of(
    tx: Tx, tenant: Tenant, text: MergeText, customer_id: int, message_class: ClassWord, link_url: str
) -> TextPreviewOut:
    """What a text says to a customer of the tenant, by its usual sender; 404 for nobody, 422 where nobody could be sent
    that. link_url: where links in messages begin; zeros stand for the rest."""
    noticed = worded(tenant, text, tenant.sender, link_url) if message_class == "marketing" else (text, ())
    if isinstance(noticed, Refusal):
        raise problem_of(noticed)
    text = noticed[0]
    row = await customers.customer_of(tx, tenant.tenant_id, customer_id)
    if row is None:
        raise not_found("customer")
    customer = customers.customer_from(row)
    joined = text.join(values_of(customer), customer.language)
    language, missing = text.variants[text.variant_of(joined)].language, text.missing(joined)
    if missing:
        return TextPreviewOut(customer_id=customer_id, language=language, text=None, missing=missing)
    written = text.render(joined)
    destination = await _destination(tx, tenant, customer)
    try:
        encoding, parts = count_parts(written, destination.reference_bits if destination else 8)
    except TextRefused as refused:
        raise unprocessable("text", refused.code, str(refused)) from refused
    credits = parts * destination.credits_per_part if destination else None
    said = TextPreviewOut(customer_id=customer_id, language=language, text=written, missing=[], encoding=encoding.name)
    return said.model_copy(update={"parts": parts if destination else None, "credits": credits})


def values_of(customer: Customer) -> dict[str, str]:
    """What merge fields are replaced with, by key."""
    named = {"first_name": customer.first_name, "last_name": customer.last_name, "language": customer.language}
    return {**customer.own_fields, **named}


async def _destination(tx: Tx, tenant: Tenant, customer: Customer) -> Destination | None:
    tariff = (await reference.tariff_now(tx)).of(tenant.sender).within(tenant.allowed)
    for mobile in customer.mobiles:
        if tariff.allows(mobile.country):
            try:
                return tariff.destination(mobile.country)
            except KeyError:
                continue
    return None
