"""Customers and their numbers.

Who inserts customers by other statements than those here (imports of many rows): `customer_number` takes the numbers
that can be texted (`NumberReader.read_any` gives a Mobile) and nothing else; the others go to `customer_other_number`.
`typed` is NULL where a number came as E.164. A change raises `customer.version` by one. Keys and words of names, by
which customers are searched, are the database's own matter. Values of defined own fields are judged by
`domain.fields.judge_values` first. A key that matches a customer with `merged_into` means that other customer. The
history of consent is kept by triggers; `consent_source` says by which way a word came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from muster.customer.domain.consent import Source, Word
from muster.customer.domain.customers import Consent, Customer, Mobile, OtherNumber, key_of
from muster.customer.store.audience import search_patterns
from muster.customer.store.audience_asked import SEARCH
from muster.kit import clock
from muster.kit.pg import Record, Tx
from muster.text import Kind


@dataclass(frozen=True, slots=True)
class Evidence:
    """When, how and in which words consent was given, who recorded it, who gave it where that was not the customer,
    from which address, and by which way (Source of domain/consent.py)."""

    at: datetime | None
    how: str
    wording: str
    by: str
    given_by: str = ""
    address: str = ""
    source: str = "api"

    def word(self, kind: Consent) -> Word:
        """The word of this kind that it proves."""
        told = (self.how, self.wording, self.given_by, self.address, Source(self.source))
        return Word(kind, self.at or clock.now(), *told)


_INSERT = """
INSERT INTO customer (tenant_id, first_name, last_name, own_fields, language, allow_bulk_sms, consent, consent_at,
                      consent_how, consent_wording, consent_by, tags, match_key, time_zone, consent_given_by,
                      consent_address, consent_source)
VALUES ($1, $2, $3, $4::text::jsonb, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
RETURNING customer_id
"""


async def add_customer(tx: Tx, tenant_id: UUID, customer: Customer, evidence: Evidence) -> int:
    """Store a new customer; its id."""
    customer_id: int = await tx.fetchval(_INSERT, tenant_id, *_columns(customer, evidence))
    await _put_numbers(tx, tenant_id, customer_id, customer)
    return customer_id


_UPDATE = """
UPDATE customer SET first_name = $3, last_name = $4, own_fields = $5::text::jsonb, language = $6, allow_bulk_sms = $7,
    consent = $8, consent_at = $9, consent_how = $10, consent_wording = $11, consent_by = $12, tags = $13,
    match_key = CASE WHEN $20 THEN match_key ELSE $14 END, time_zone = $15,
    consent_given_by = $16, consent_address = $17, consent_source = $18,
    changed_at = kit_now(), version = version + 1, joined_at = CASE WHEN $19 THEN kit_now() ELSE joined_at END,
    joined_xid = CASE WHEN $19 THEN pg_current_xact_id() ELSE joined_xid END
WHERE tenant_id = $1 AND customer_id = $2
"""


_FORGET_NUMBERS = "DELETE FROM {table} WHERE tenant_id = $1 AND customer_id = $2"


async def put_customer(
    tx: Tx,
    tenant_id: UUID,
    customer_id: int,
    customer: Customer,
    evidence: Evidence,
    *,
    joins: bool,
    keeps_key: bool = False,
) -> None:
    """Store a customer as it now is. joins: it came to be, with this change, somebody who may be texted. keeps_key: a
    file that had the customer before the change still finds them."""
    await tx.execute(_UPDATE, tenant_id, customer_id, *_columns(customer, evidence), joins, keeps_key)
    for table in ("customer_number", "customer_other_number"):
        await tx.execute(_FORGET_NUMBERS.format(table=table), tenant_id, customer_id)
    await _put_numbers(tx, tenant_id, customer_id, customer)


def _columns(customer: Customer, evidence: Evidence) -> tuple[Any, ...]:
    return (
        *(customer.first_name, customer.last_name, orjson.dumps(dict(customer.own_fields)).decode(), customer.language),
        *(customer.allow_bulk_sms, customer.consent.value, evidence.at, evidence.how, evidence.wording, evidence.by),
        *(list(customer.tags), key_of(customer)),
        *(customer.time_zone or None, evidence.given_by, evidence.address, evidence.source),
    )


_INSERT_MOBILES = """
INSERT INTO customer_number (tenant_id, customer_id, position, number, country, number_hash, typed)
SELECT $1, $2, n.position, n.number, n.country, n.number_hash, nullif(n.typed, '')
FROM unnest($3::bigint[], $4::text[], $5::bytea[], $6::text[]) WITH ORDINALITY
    AS n (number, country, number_hash, typed, position)
"""

_INSERT_OTHERS = """
INSERT INTO customer_other_number (tenant_id, customer_id, position, number, country, kind, typed)
SELECT $1, $2, n.position, n.number, n.country, n.kind, n.typed
FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY
    AS n (number, country, kind, typed, position)
"""


async def _put_numbers(tx: Tx, tenant_id: UUID, customer_id: int, customer: Customer) -> None:
    if customer.mobiles:
        mobiles = [(m.number, m.country, m.number_hash, m.typed) for m in customer.mobiles]
        await tx.execute(_INSERT_MOBILES, tenant_id, customer_id, *_transposed(mobiles, 4))
    if customer.others:
        others = [(o.number, o.country, o.kind.value, o.typed or str(o.number)) for o in customer.others]
        await tx.execute(_INSERT_OTHERS, tenant_id, customer_id, *_transposed(others, 4))


def _transposed(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


_SELECT = """
SELECT c.customer_id, c.first_name, c.last_name, c.own_fields::text AS own_fields, c.language,
    coalesce(c.time_zone, '') AS time_zone, c.allow_bulk_sms, c.consent,
    c.consent_at, c.consent_how, c.consent_wording, c.consent_by, c.consent_given_by, c.consent_address,
    c.consent_source, c.tags, c.import_id, c.created_at,
    c.changed_at, c.version, c.archived_at, c.merged_into, n.numbers, n.countries, n.hashes, n.typed, n.opted_out,
    o.numbers AS other_numbers, o.countries AS other_countries, o.kinds AS other_kinds, o.typed AS other_typed
FROM customer c CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(m.number ORDER BY m.position), '{}') AS numbers,
        coalesce(array_agg(m.country ORDER BY m.position), '{}') AS countries,
        coalesce(array_agg(m.number_hash ORDER BY m.position), '{}') AS hashes,
        coalesce(array_agg(coalesce(m.typed, '') ORDER BY m.position), '{}') AS typed,
        coalesce(bool_or(s.suppressed), false) AS opted_out
    FROM customer_number m LEFT JOIN suppression s USING (tenant_id, number_hash)
    WHERE m.tenant_id = c.tenant_id AND m.customer_id = c.customer_id) n
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(m.number ORDER BY m.position), '{}') AS numbers,
        coalesce(array_agg(m.country ORDER BY m.position), '{}') AS countries,
        coalesce(array_agg(m.kind ORDER BY m.position), '{}') AS kinds,
        coalesce(array_agg(m.typed ORDER BY m.position), '{}') AS typed
    FROM customer_other_number m WHERE m.tenant_id = c.tenant_id AND m.customer_id = c.customer_id) o
WHERE c.tenant_id = $1 """

_BY_ID = _SELECT + "AND c.customer_id = $2"


async def customer_of(tx: Tx, tenant_id: UUID, customer_id: int) -> Record | None:
    """One customer with the arrays numbers, countries and hashes, and whether a number of theirs is suppressed."""
    return await tx.fetchrow(_BY_ID, tenant_id, customer_id)


_BY_IDS = _SELECT + "AND c.customer_id = ANY($2::bigint[]) ORDER BY c.customer_id"


async def customers_of(tx: Tx, tenant_id: UUID, customer_ids: Sequence[int]) -> list[Record]:
    """Customers by id, as `customer_of` has each."""
    return await tx.fetch(_BY_IDS, tenant_id, list(customer_ids)) if customer_ids else []


def customer_from(row: Record) -> Customer:
    """The customer of a row of `customer_of`."""
    mobiles = zip(row["numbers"], row["countries"], row["hashes"], row["typed"], strict=True)
    others = zip(row["other_numbers"], row["other_countries"], row["other_kinds"], row["other_typed"], strict=True)
    return Customer(
        first_name=row["first_name"],
        last_name=row["last_name"],
        mobiles=tuple(Mobile(*one) for one in mobiles),
        allow_bulk_sms=row["allow_bulk_sms"],
        consent=Consent(row["consent"]),
        language=row["language"],
        tags=tuple(row["tags"]),
        own_fields=orjson.loads(row["own_fields"]),
        time_zone=row["time_zone"],
        others=tuple(OtherNumber(number, country, Kind(kind), typed) for number, country, kind, typed in others),
    )


async def lock_customer(tx: Tx, tenant_id: UUID, customer_id: int) -> Record | None:
    """As `customer_of`, for a change."""
    await tx.execute(
        "SELECT FROM customer WHERE tenant_id = $1 AND customer_id = $2 FOR NO KEY UPDATE", tenant_id, customer_id
    )
    return await customer_of(tx, tenant_id, customer_id)


# Who is on the page is found first: of customers that were just imported little is known, and the planner would look up
# the numbers of all of them, and then leave out all but a page. Nor is it to gather and sort them all.
_ALONG_THE_KEY = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
_FOUND = f"""(
    SELECT c.* FROM customer c
    WHERE c.tenant_id = $1 AND c.customer_id > $2 AND c.archived_at IS NULL
        AND ($3::text IS NULL OR {SEARCH.format(pattern="$3", digits="coalesce($4::text, '-')")})
        AND ($5::text IS NULL OR c.tags @> ARRAY[$5])
        AND ($6::boolean IS NULL OR c.allow_bulk_sms IS NOT DISTINCT FROM $6)
    ORDER BY c.customer_id LIMIT $7)"""  # noqa: S608 - constants alone
_PAGE = _SELECT.replace("FROM customer c ", f"FROM {_FOUND} c ") + "ORDER BY c.customer_id"


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
    if search is None and tag is None:
        await tx.execute(_ALONG_THE_KEY)
    return await tx.fetch(_PAGE, tenant_id, after, *patterns, tag, allow_bulk_sms, limit)


_REMOVE = """
WITH gone AS (
    DELETE FROM customer WHERE tenant_id = $1 AND customer_id IN (
        SELECT customer_id FROM customer WHERE tenant_id = $1 AND (customer_id = $2 OR merged_into = $2)
        ORDER BY customer_id FOR UPDATE)
    RETURNING customer_id, merged_into
), were AS (
    INSERT INTO merged_customer (tenant_id, customer_id, merged_into)
    SELECT $1, customer_id, merged_into FROM gone WHERE merged_into IS NOT NULL
)
SELECT count(*) FROM gone
"""


async def remove_customer(tx: Tx, tenant_id: UUID, customer_id: int) -> bool:
    """Forget a customer, their numbers and who was merged into them; False if there was none. Suppressions stay: they
    hold hashes only; and so do words on consent, by the ids of those to whom they belong."""
    return bool(await tx.fetchval(_REMOVE, tenant_id, customer_id))


_CHANGED = """
INSERT INTO customer_change (tenant_id, customer_id, version, fields, changed_by)
SELECT $1, $2, version, $3, $4 FROM customer WHERE tenant_id = $1 AND customer_id = $2
"""


async def keep_change(tx: Tx, tenant_id: UUID, customer_id: int, fields: Sequence[str], by: str) -> None:
    """Remember what the newest version of a customer has changed."""
    await tx.execute(_CHANGED, tenant_id, customer_id, list(fields), by)


_CHANGES = """
SELECT version, fields, changed_at, changed_by FROM customer_change
WHERE tenant_id = $1 AND customer_id = $2 AND version > $3 ORDER BY version LIMIT $4
"""


async def changes_since(tx: Tx, tenant_id: UUID, customer_id: int, version: int, limit: int) -> list[Record]:
    """What was changed behind a version, the oldest first; imports keep nothing."""
    return await tx.fetch(_CHANGES, tenant_id, customer_id, version, limit)


_KNOWN_IDS = "SELECT customer_id FROM customer WHERE tenant_id = $1 AND customer_id = ANY($2::bigint[])"


async def unknown_ids(tx: Tx, tenant_id: UUID, customer_ids: Sequence[int]) -> list[int]:
    """Those of the ids that are no customer of the tenant, in order."""
    known = {row["customer_id"] for row in await tx.fetch(_KNOWN_IDS, tenant_id, list(customer_ids))}
    return [customer_id for customer_id in customer_ids if customer_id not in known]
