"""Customers and their numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from muster.customer.domain.customers import Customer, Mobile, match_key
from muster.customer.domain.importing import ImportRow
from muster.customer.store.audience import SEARCH, search_patterns
from muster.kit.pg import Record, Tx

_SEPARATOR = "\x1f"  # no stored value can hold it


@dataclass(frozen=True, slots=True)
class Evidence:
    """When, how, in which words and by whom consent was given."""

    at: datetime | None
    how: str
    wording: str
    by: str


_INSERT = """
INSERT INTO customer (tenant_id, first_name, last_name, own_fields, language, allow_bulk_sms, consent, consent_at,
                      consent_how, consent_wording, consent_by, tags, match_key, time_zone)
VALUES ($1, $2, $3, $4::text::jsonb, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
RETURNING customer_id
"""


async def add_customer(tx: Tx, tenant_id: UUID, customer: Customer, evidence: Evidence) -> int:
    """Store a new customer; its id."""
    customer_id: int = await tx.fetchval(_INSERT, tenant_id, *_columns(customer, evidence))
    await _put_mobiles(tx, tenant_id, customer_id, customer.mobiles)
    return customer_id


_UPDATE = """
UPDATE customer SET first_name = $3, last_name = $4, own_fields = $5::text::jsonb, language = $6, allow_bulk_sms = $7,
    consent = $8, consent_at = $9, consent_how = $10, consent_wording = $11, consent_by = $12, tags = $13,
    match_key = $14, time_zone = $15, changed_at = kit_now(),
    joined_at = CASE WHEN $16 THEN kit_now() ELSE joined_at END,
    joined_xid = CASE WHEN $16 THEN pg_current_xact_id() ELSE joined_xid END
WHERE tenant_id = $1 AND customer_id = $2
"""


async def put_customer(
    tx: Tx, tenant_id: UUID, customer_id: int, customer: Customer, evidence: Evidence, *, joins: bool
) -> None:
    """Store a customer as it now is. joins: it came to be, with this change, somebody who may be texted."""
    await tx.execute(_UPDATE, tenant_id, customer_id, *_columns(customer, evidence), joins)
    await tx.execute("DELETE FROM customer_number WHERE tenant_id = $1 AND customer_id = $2", tenant_id, customer_id)
    await _put_mobiles(tx, tenant_id, customer_id, customer.mobiles)


def _columns(customer: Customer, evidence: Evidence) -> tuple[Any, ...]:
    numbers = [mobile.number for mobile in customer.mobiles]
    return (
        *(customer.first_name, customer.last_name, orjson.dumps(dict(customer.own_fields)).decode(), customer.language),
        *(customer.allow_bulk_sms, customer.consent.value, evidence.at, evidence.how, evidence.wording, evidence.by),
        *(list(customer.tags), match_key(customer.first_name, customer.last_name, numbers, customer.own_fields)),
        customer.time_zone or None,
    )


_INSERT_MOBILES = """
INSERT INTO customer_number (tenant_id, customer_id, position, number, country, number_hash)
SELECT $1, $2, n.position, n.number, n.country, n.number_hash
FROM unnest($3::bigint[], $4::text[], $5::bytea[]) WITH ORDINALITY AS n (number, country, number_hash, position)
"""


async def _put_mobiles(tx: Tx, tenant_id: UUID, customer_id: int, mobiles: Sequence[Mobile]) -> None:
    if mobiles:
        numbers, countries, hashes = zip(*[(m.number, m.country, m.number_hash) for m in mobiles], strict=True)
        await tx.execute(_INSERT_MOBILES, tenant_id, customer_id, list(numbers), list(countries), list(hashes))


_IMPORT = """
WITH incoming AS MATERIALIZED (
    SELECT i.*, c.customer_id AS known FROM unnest($2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[],
        $7::boolean[], $8::text[], $9::text[], $10::boolean[], $18::text[]) WITH ORDINALITY
        AS i (match_key, first_name, last_name, own_fields, language, allow, consent, tags, consent_given, time_zone, n)
    LEFT JOIN LATERAL (SELECT customer_id FROM customer k WHERE k.tenant_id = $1 AND k.match_key = i.match_key
                       ORDER BY customer_id LIMIT 1) c ON true
), changed AS (
    SELECT i.* FROM customer c JOIN incoming i ON c.customer_id = i.known
    -- Who withdrew consent stays as they are: a file is no word of theirs.
    WHERE c.tenant_id = $1 AND c.consent <> 'withdrawn'
        AND (NOT c.own_fields @> i.own_fields::jsonb OR NOT c.tags @> string_to_array(i.tags, E'\\x1f')
             OR i.language NOT IN ('', c.language) OR i.time_zone NOT IN ('', coalesce(c.time_zone, ''))
             OR i.consent_given AND (c.allow_bulk_sms IS DISTINCT FROM i.allow OR c.consent <> i.consent))
    ORDER BY c.customer_id FOR NO KEY UPDATE OF c
), updated AS (
    UPDATE customer c SET own_fields = c.own_fields || i.own_fields::jsonb,
        tags = c.tags || ARRAY(SELECT t FROM unnest(string_to_array(i.tags, E'\\x1f')) t WHERE t <> ALL(c.tags)),
        language = coalesce(nullif(i.language, ''), c.language),
        time_zone = coalesce(nullif(i.time_zone, ''), c.time_zone),
        allow_bulk_sms = CASE WHEN i.consent_given THEN i.allow ELSE c.allow_bulk_sms END,
        consent = CASE WHEN i.consent_given THEN i.consent ELSE c.consent END,
        consent_at = CASE WHEN i.consent_given THEN kit_now() ELSE c.consent_at END,
        consent_how = CASE WHEN i.consent_given THEN 'import' ELSE c.consent_how END,
        consent_by = CASE WHEN i.consent_given THEN $12 ELSE c.consent_by END,
        changed_at = kit_now(), import_id = $11,
        joined_at = CASE WHEN i.allow AND i.consent_given AND c.allow_bulk_sms IS NOT TRUE
                         THEN kit_now() ELSE joined_at END,
        joined_xid = CASE WHEN i.allow AND i.consent_given AND c.allow_bulk_sms IS NOT TRUE
                          THEN pg_current_xact_id() ELSE joined_xid END
    FROM changed i WHERE c.tenant_id = $1 AND c.customer_id = i.known
    RETURNING c.customer_id
), inserted AS (
    INSERT INTO customer (tenant_id, first_name, last_name, own_fields, language, allow_bulk_sms, consent, consent_at,
                          consent_how, consent_by, tags, match_key, import_id, time_zone)
    SELECT $1, first_name, last_name, own_fields::jsonb, language, allow, consent,
        CASE WHEN consent_given THEN kit_now() END, CASE WHEN consent_given THEN 'import' ELSE '' END,
        CASE WHEN consent_given THEN $12 ELSE '' END, string_to_array(tags, E'\\x1f'), match_key, $11,
        nullif(time_zone, '')
    FROM incoming WHERE known IS NULL ORDER BY n
    RETURNING customer_id, match_key
), numbers AS (
    INSERT INTO customer_number (tenant_id, customer_id, position, number, country, number_hash)
    SELECT $1, i.customer_id, m.position, m.number, m.country, m.number_hash
    FROM inserted i JOIN unnest($13::bytea[], $14::smallint[], $15::bigint[], $16::text[], $17::bytea[])
        AS m (match_key, position, number, country, number_hash) USING (match_key)
    ORDER BY i.customer_id, m.position
)
SELECT (SELECT count(*) FROM inserted) AS created, (SELECT count(*) FROM updated) AS updated
"""


async def import_customers(
    tx: Tx, tenant_id: UUID, rows: Sequence[ImportRow], import_id: UUID, imported_by: str
) -> tuple[int, int]:
    """Store a batch of rows with distinct match keys; how many of them are new, and how many changed a customer."""
    people = [
        (
            *(row.match_key, row.customer.first_name, row.customer.last_name),
            *(
                orjson.dumps(row.customer.own_fields).decode() if row.customer.own_fields else "{}",
                row.customer.language,
            ),
            *(
                row.customer.allow_bulk_sms,
                row.customer.consent.value,
                _SEPARATOR.join(row.customer.tags),
                row.consent_given,
            ),
        )
        for row in rows
    ]
    mobiles = [
        (row.match_key, position, mobile.number, mobile.country, mobile.number_hash)
        for row in rows
        for position, mobile in enumerate(row.customer.mobiles, 1)
    ]
    zones = [row.customer.time_zone for row in rows]
    counts = await tx.fetchrow(
        _IMPORT, tenant_id, *_transposed(people, 9), import_id, imported_by, *_transposed(mobiles, 5), zones
    )
    assert counts is not None
    return counts["created"], counts["updated"]


def _transposed(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


_SELECT = """
SELECT c.customer_id, c.first_name, c.last_name, c.own_fields::text AS own_fields, c.language,
    coalesce(c.time_zone, '') AS time_zone, c.allow_bulk_sms, c.consent,
    c.consent_at, c.consent_how, c.consent_wording, c.consent_by, c.tags, c.import_id, c.created_at,
    c.changed_at, n.numbers, n.countries, n.hashes, n.opted_out
FROM customer c CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(m.number ORDER BY m.position), '{}') AS numbers,
        coalesce(array_agg(m.country ORDER BY m.position), '{}') AS countries,
        coalesce(array_agg(m.number_hash ORDER BY m.position), '{}') AS hashes,
        coalesce(bool_or(s.suppressed), false) AS opted_out
    FROM customer_number m LEFT JOIN suppression s USING (tenant_id, number_hash)
    WHERE m.tenant_id = c.tenant_id AND m.customer_id = c.customer_id) n
WHERE c.tenant_id = $1 """

_BY_ID = _SELECT + "AND c.customer_id = $2"


async def customer_of(tx: Tx, tenant_id: UUID, customer_id: int) -> Record | None:
    """One customer with the arrays numbers, countries and hashes, and whether a number of theirs is suppressed."""
    return await tx.fetchrow(_BY_ID, tenant_id, customer_id)


async def lock_customer(tx: Tx, tenant_id: UUID, customer_id: int) -> Record | None:
    """As `customer_of`, for a change."""
    await tx.execute(
        "SELECT FROM customer WHERE tenant_id = $1 AND customer_id = $2 FOR UPDATE", tenant_id, customer_id
    )
    return await customer_of(tx, tenant_id, customer_id)


_PAGE = (
    _SELECT
    + "AND c.customer_id > $2 AND ($3::text IS NULL OR "
    + SEARCH.format(pattern="$3", digits="coalesce($4::text, '-')")
    + """) AND ($5::text IS NULL OR c.tags @> ARRAY[$5])
    AND ($6::boolean IS NULL OR c.allow_bulk_sms IS NOT DISTINCT FROM $6)
ORDER BY c.customer_id LIMIT $7"""
)


async def page_of_customers(
    tx: Tx,
    tenant_id: UUID,
    *,
    after: int,
    search: str | None,
    tag: str | None,
    allow_bulk_sms: bool | None,
    limit: int,
) -> list[Record]:
    """Customers by id, those above `after`."""
    patterns = search_patterns(search)
    return await tx.fetch(_PAGE, tenant_id, after, *patterns, tag, allow_bulk_sms, limit)


async def count_customers(tx: Tx, tenant_id: UUID) -> int:
    """How many customers the tenant has."""
    count: int = await tx.fetchval("SELECT count(*) FROM customer WHERE tenant_id = $1", tenant_id)
    return count


async def remove_customer(tx: Tx, tenant_id: UUID, customer_id: int) -> bool:
    """Forget a customer and their numbers; False if there was none. Suppressions stay: they hold hashes only."""
    tag = await tx.execute("DELETE FROM customer WHERE tenant_id = $1 AND customer_id = $2", tenant_id, customer_id)
    return tag == "DELETE 1"


_HOLDERS = """
SELECT n.customer_id FROM customer_number n JOIN customer c USING (tenant_id, customer_id)
WHERE n.tenant_id = $1 AND n.number_hash = $2
ORDER BY $3 AND c.allow_bulk_sms IS TRUE AND c.consent IN ('express', 'inferred') DESC, n.customer_id LIMIT 1
"""


async def holder_of(tx: Tx, tenant_id: UUID, number_hash: bytes, *, marketing: bool) -> int | None:
    """The oldest customer with this number; for marketing the oldest who consents to it, if anybody does."""
    holder: int | None = await tx.fetchval(_HOLDERS, tenant_id, number_hash, marketing)
    return holder


_LISTS = """
SELECT tag AS name, count(*) AS customers FROM customer c, unnest(c.tags) tag
WHERE c.tenant_id = $1 GROUP BY tag ORDER BY tag
"""


async def lists_of(tx: Tx, tenant_id: UUID) -> list[Record]:
    """Each tag with how many customers carry it."""
    return await tx.fetch(_LISTS, tenant_id)


_ADD_TO_LIST = """
UPDATE customer SET tags = tags || $2::text, changed_at = kit_now()
WHERE tenant_id = $1 AND customer_id IN (
    SELECT customer_id FROM customer
    WHERE tenant_id = $1 AND customer_id = ANY($3::bigint[]) AND NOT tags @> ARRAY[$2::text]
    ORDER BY customer_id FOR NO KEY UPDATE)
"""


async def add_to_list(tx: Tx, tenant_id: UUID, name: str, customer_ids: Sequence[int]) -> None:
    """Let these customers carry a tag."""
    await tx.execute(_ADD_TO_LIST, tenant_id, name, list(customer_ids))


_KNOWN_IDS = "SELECT customer_id FROM customer WHERE tenant_id = $1 AND customer_id = ANY($2::bigint[])"


async def unknown_ids(tx: Tx, tenant_id: UUID, customer_ids: Sequence[int]) -> list[int]:
    """Those of the ids that are no customer of the tenant, in order."""
    known = {row["customer_id"] for row in await tx.fetch(_KNOWN_IDS, tenant_id, list(customer_ids))}
    return [customer_id for customer_id in customer_ids if customer_id not in known]


_REMOVE_LIST = """
UPDATE customer SET tags = array_remove(tags, $2::text), changed_at = kit_now()
WHERE tenant_id = $1 AND customer_id IN (
    SELECT customer_id FROM customer WHERE tenant_id = $1 AND tags @> ARRAY[$2::text]
    ORDER BY customer_id FOR NO KEY UPDATE)
"""


async def remove_list(tx: Tx, tenant_id: UUID, name: str) -> None:
    """Take a tag from all who carry it."""
    await tx.execute(_REMOVE_LIST, tenant_id, name)
