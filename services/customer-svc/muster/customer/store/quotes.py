"""Quotes and templates."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from muster.customer.domain.audience import Audience, audience_in, audience_out
from muster.customer.domain.hours import LocalTime
from muster.customer.domain.tariff import Tariff
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class Quote:
    """What a send would cost and what that was judged by. message_class: MessageClass of the events.

    details: what else the quote said, as it was answered.
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


_SAVE = """
INSERT INTO quote (tenant_id, quote_id, text, template_id, template_version, message_class, sender, audience, snapshot,
                   tariff, customers, recipients, parts, credits, details, created_at, created_by, expires_at,
                   local_time, local_within_min)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb, $9::text::pg_snapshot, $10::text::jsonb, $11, $12, $13, $14,
        $15::text::jsonb, $16, $17, $18, $19, $20)
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
    )


_QUOTE = """
SELECT quote_id, text, template_id, template_version, message_class, sender, audience::text AS audience,
    snapshot::text AS snapshot, tariff::text AS tariff, customers, recipients, parts, credits, details::text AS details,
    created_at, created_by, expires_at, used_by, local_time, local_within_min
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
    wall, within_min = plain.pop("local_time"), plain.pop("local_within_min")
    plain["local"] = None if wall is None else LocalTime(wall, within_min)
    return Quote(**plain)


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()


_LOCK_TEMPLATE = "SELECT pg_advisory_xact_lock(hashtextextended('template/' || $1::uuid::text || $2::uuid::text, 0))"
_ADD_TEMPLATE = """
INSERT INTO template (tenant_id, template_id, version, name, text, created_by)
SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5 FROM template WHERE tenant_id = $1 AND template_id = $2
RETURNING template_id, version, name, text, created_at
"""


async def add_template_version(tx: Tx, tenant_id: UUID, template_id: UUID, name: str, text: str, by: str) -> Record:
    """Store the next version of a template, the first of a new one; two at once take turns."""
    await tx.execute(_LOCK_TEMPLATE, tenant_id, template_id)
    row = await tx.fetchrow(_ADD_TEMPLATE, tenant_id, template_id, name, text, by)
    assert row is not None
    return row


_TEMPLATE = """
SELECT template_id, version, name, text, created_at FROM template WHERE tenant_id = $1 AND template_id = $2
ORDER BY version DESC LIMIT 1
"""


async def template_of(tx: Tx, tenant_id: UUID, template_id: UUID) -> Record | None:
    """The newest version of a template."""
    return await tx.fetchrow(_TEMPLATE, tenant_id, template_id)


_TEMPLATES = """
SELECT DISTINCT ON (template_id) template_id, version, name, text, created_at FROM template
WHERE tenant_id = $1 AND ($2::uuid IS NULL OR template_id > $2) ORDER BY template_id, version DESC LIMIT $3
"""


async def page_of_templates(tx: Tx, tenant_id: UUID, after: UUID | None, limit: int) -> list[Record]:
    """The newest version of each template."""
    return await tx.fetch(_TEMPLATES, tenant_id, after, limit)
