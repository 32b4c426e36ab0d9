"""What a send costs now: an audience counted and priced, without anybody who waits for the answer."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from muster.customer.domain.audience import Audience, left_out_by_word
from muster.customer.domain.pricing import MergeText, price
from muster.customer.domain.refusal import Refusal
from muster.customer.events import MessageClass
from muster.customer.store import audience, quotes, reference
from muster.customer.store.quotes import Quote
from muster.kit import clock
from muster.kit.ids import uuid7
from muster.kit.pg import Tx


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be quoted. template: its id and version, where the text is one's. allowed: see Tenant."""

    text: str
    template: tuple[UUID | None, int | None]
    audience: Audience
    sender: str
    message_class: int
    by: str
    allowed: frozenset[str] | None


async def quote_now(tx: Tx, tenant_id: UUID, asked: Asked, valid: timedelta) -> Quote | Refusal:
    """A quote at the audience and rates of now, stored; or what stands against it."""
    text = MergeText.read(asked.text)
    if isinstance(text, Refusal):
        return text
    unknown = await audience.unknown_fields(tx, tenant_id, text)
    if unknown:
        return Refusal("text", "unknown_field", f"no customer has the field {unknown[0]}")
    tariff, created_at = (await reference.tariff_now(tx)).within(asked.allowed), clock.now()
    marketing = asked.message_class == MessageClass.MARKETING
    counted = await audience.count_audience(tx, tenant_id, asked.audience, text, tariff.reach, marketing=marketing)
    total = price(text, counted.classes, tariff)
    if isinstance(total, Refusal):
        return total
    if not total.recipients:
        who = f"all {counted.customers} customers in it are left out" if counted.customers else "nobody is in it"
        return Refusal("audience", "audience_empty", who)
    details = {
        "left_out": left_out_by_word(counted.left_out),
        "by_encoding": total.by_encoding,
        "by_parts": total.by_parts,
        "by_country": total.by_country,
        "dearer": [],
        "missing": [],
    }
    quote = Quote(
        uuid7(),
        asked.text,
        *asked.template,
        asked.message_class,
        asked.sender,
        asked.audience,
        counted.snapshot,
        tariff,
        counted.customers,
        *(total.recipients, total.parts, total.credits),
        details,
        created_at,
        asked.by,
        created_at + valid,
    )
    await quotes.save_quote(tx, tenant_id, quote)
    return quote
