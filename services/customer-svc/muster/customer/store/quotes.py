"""Quotes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from muster.customer.domain.audience import Audience, audience_in, audience_out
from muster.customer.domain.hours import LocalTime
from muster.customer.domain.links import has_placeholder
from muster.customer.domain.merge_text import Style
from muster.customer.domain.tariff import Tariff
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class Quote:
    """What a send would cost and what that was judged by. message_class: MessageClass of the events.

    details: what else the quote said, as it was answered. style: how merge values are written. others: the text in
    other languages, by tag.
    """

    quote_id: UUID
    text: str
    template_id: UUID | None
    template_version: int | None
    message_class: int
    sender: str
    audience: Audience
    snapshot: str
    tariff: Tariff
    customers: int
    recipients: int
    parts: int
    credits: int
    details: Mapping[str, Any]
    created_at: datetime
    created_by: str
    expires_at: datetime
    used_by: UUID | None = None
    local: LocalTime | None = None
    style: Style = field(default_factory=Style)
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def added(self) -> list[Mapping[str, str]]:
        """What is there by rule in `text`."""
        return [one for one in self.details.get("added", ()) if one["language"] == self.style.language]

    @property
    def linked(self) -> bool:
        """Whether each recipient gets a link of their own, in one language at least."""
        return any(map(has_placeholder, (self.text, *self.others.values())))


_SAVE = """
INSERT INTO quote (tenant_id, quote_id, text, template_id, template_version, message_class, sender, audience, snapshot,
                   tariff, customers, recipients, parts, credits, details, created_at, created_by, expires_at,
                   local_time, local_within_min, style, others, chooses)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb, $9::text::pg_snapshot, $10::text::jsonb, $11, $12, $13, $14,
        $15::text::jsonb, $16, $17, $18, $19, $20, $21::text::jsonb,
        $22::text::jsonb, $23)
"""


async def save_quote(tx: Tx, tenant_id: UUID, quote: Quote) -> None:
    """Store a new quote."""
    await tx.execute(
        _SAVE,
        *(tenant_id, quote.quote_id, quote.text, quote.template_id, quote.template_version, quote.message_class),
        *(quote.sender, _json(audience_out(quote.audience)), quote.snapshot, _json(quote.tariff.pinned())),
        *(quote.customers, quote.recipients, quote.parts, quote.credits, _json(quote.details)),
        *(quote.created_at, quote.created_by, quote.expires_at),
        *((quote.local.wall, quote.local.within_min) if quote.local else (None, None)),
        _json(quote.style.plain()),
        _json(quote.others),
        quote.audience.chooses,
    )


_QUOTE = """
SELECT quote_id, text, template_id, template_version, message_class, sender, audience::text AS audience,
    snapshot::text AS snapshot, tariff::text AS tariff, customers, recipients, parts, credits, details::text AS details,
    created_at, created_by, expires_at, used_by, local_time, local_within_min, style::text AS style,
    others::text AS others
FROM quote WHERE tenant_id = $1 AND quote_id = $2 """

_QUOTE_LOCKED = _QUOTE + "FOR UPDATE"


async def quote_of(tx: Tx, tenant_id: UUID, quote_id: UUID) -> Quote | None:
    """A quote as it was given."""
    row = await tx.fetchrow(_QUOTE, tenant_id, quote_id)
    return _quote(row) if row else None


async def lock_quote(tx: Tx, tenant_id: UUID, quote_id: UUID) -> Quote | None:
    """As `quote_of`, to be used once."""
    row = await tx.fetchrow(_QUOTE_LOCKED, tenant_id, quote_id)
    return _quote(row) if row else None


_USE = "UPDATE quote SET used_by = $3 WHERE tenant_id = $1 AND quote_id = $2 AND used_by IS NULL"


async def use_quote(tx: Tx, tenant_id: UUID, quote_id: UUID, bulk_id: UUID) -> None:
    """The quote is this send's now."""
    await tx.execute(_USE, tenant_id, quote_id, bulk_id)


def _quote(row: Record) -> Quote:
    plain = dict(row)
    plain["audience"] = audience_in(orjson.loads(row["audience"]))
    plain["tariff"] = Tariff.unpin(orjson.loads(row["tariff"]))
    plain["details"] = orjson.loads(row["details"])
    plain["style"] = Style.read(None if row["style"] is None else orjson.loads(row["style"]))
    plain["others"] = orjson.loads(row["others"])
    wall, within_min = plain.pop("local_time"), plain.pop("local_within_min")
    plain["local"] = None if wall is None else LocalTime(wall, within_min)
    return Quote(**plain)


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()
