"""A test: what one customer would get, for somebody of the business to see."""

from dataclasses import dataclass

from muster.customer.domain.audience import Audience
from muster.customer.domain.merge_text import MergeText
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.tariff import Tariff
from muster.customer.events import MessageClass
from muster.customer.handlers.audiences import understand
from muster.customer.handlers.quoting import Asked, noticed_text
from muster.customer.handlers.texts import text_of_quote, unknown_fields
from muster.customer.store import again, audience
from muster.customer.store.audience_rules import rules_of
from muster.customer.store.quotes import Quote
from muster.customer.store.reference import Tenant
from muster.kit import clock
from muster.kit.pg import Tx


@dataclass(frozen=True, slots=True)
class Draft:
    """What is tried: the text with all that is added by rule, who of `judged` would get it (None: of all that may be
    chosen, nobody first), and how."""

    text: MergeText
    judged: Audience | None
    sender: str
    marketing: bool
    tariff: Tariff


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text as this customer would get it; 0: as everybody would."""

    text: str
    customer_id: int


async def draft_of_quote(tx: Tx, tenant: Tenant, quote: Quote) -> Draft | Refusal:
    """What a quote would send."""
    text = text_of_quote(quote)
    if isinstance(text, Refusal):
        return text
    judged = quote.audience
    if judged.again is not None:
        reach = quote.tariff.reach
        ids = await again.recipients(tx, tenant.tenant_id, judged.again, reach, quote.created_at)
        judged = Audience(customer_ids=ids)
    return Draft(text, judged, quote.sender, quote.message_class == MessageClass.MARKETING, quote.tariff)


async def draft_of(tx: Tx, tenant: Tenant, asked: Asked, judged: Audience | None) -> Draft | Refusal:
    """What is written, as a quote of it would send it."""
    unknown = await unknown_fields(tx, tenant.tenant_id, asked.text)
    if unknown and unknown[0].field.fallback is None:
        return unknown[0].refusal
    noticed = noticed_text(tenant, asked, asked.sender.sender)
    if isinstance(noticed, Refusal):
        return noticed
    return Draft(noticed[0], judged, asked.sender.sender, asked.message_class == MessageClass.MARKETING, asked.tariff)


async def rendered(tx: Tx, tenant: Tenant, draft: Draft, customer_id: int | None) -> Rendered | Refusal | None:
    """The text for this customer, or for the first who would get it; None where there is no such customer."""
    if customer_id is None:
        if draft.judged is None and not draft.text.personal:
            return Rendered(draft.text.render(""), 0)
        first = await _first(tx, tenant, draft)
        if isinstance(first, Refusal):
            return first
        customer_id = first
    people = await audience.named_values(tx, tenant.tenant_id, draft.text, [customer_id])
    if customer_id not in people:
        return None
    joined = people[customer_id]["joined"]
    missing = draft.text.missing(joined)
    if missing:
        who = "this customer would be left out for want of " + ", ".join(f"{{{name}}}" for name in missing)
        return Refusal("customer_id", "missing_field", who, {"fields": missing})
    return Rendered(draft.text.render(joined), customer_id)


async def _first(tx: Tx, tenant: Tenant, draft: Draft) -> int | Refusal:
    """The oldest customer who would be sent it. What a quote has counted just now is not counted again."""
    judged = draft.judged or Audience()
    understood = await understand(tx, tenant, judged, clock.now(), marketing=draft.marketing)
    if isinstance(understood, Refusal):
        return understood
    counted = await audience.count_audience(
        tx,
        tenant.tenant_id,
        judged,
        draft.text,
        draft.tariff.reach,
        marketing=draft.marketing,
        rules=await rules_of(tx, tenant.tenant_id, understood),
    )
    ids = [group.customer_id for group in counted.classes if group.recipients and group.customer_id]
    if not ids:
        return Refusal(
            "audience", "audience_empty", "nobody in it would be sent this: name a customer_id to try it for"
        )
    return min(ids)
