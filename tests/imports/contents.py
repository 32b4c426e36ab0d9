"""What a business has of customers, read behind all roles and compared line by line, without holding it in memory."""

from collections.abc import AsyncIterator, Iterable
from itertools import islice
from typing import Final
from uuid import UUID

import asyncpg
import orjson

from imports.damage import Row

_SHOWN: Final = 5

# Without what differs between any two imports: ids, times, who did it, and hashes that are keyed by the business.
_CUSTOMERS = """
SELECT c.first_name, c.last_name, c.own_fields::text, c.language, c.time_zone, c.allow_bulk_sms, c.consent,
    c.consent_at IS NULL, c.consent_how, c.consent_wording, c.consent_given_by, c.consent_address, c.consent_source,
    c.tags, c.match_key, c.version, c.archived_at, c.merged_into,
    ARRAY(SELECT (position, number, country, typed)::text FROM customer_number n
          WHERE n.tenant_id = c.tenant_id AND n.customer_id = c.customer_id ORDER BY position),
    ARRAY(SELECT (position, number, country, kind, typed)::text FROM customer_other_number n
          WHERE n.tenant_id = c.tenant_id AND n.customer_id = c.customer_id ORDER BY position)
FROM customer c WHERE c.tenant_id = $1 ORDER BY c.customer_id
"""
_CONSENTS = """
SELECT v.version, v.number, v.kind, v.allow_bulk_sms, v.how, v.wording, v.given_by, v.address, v.source
FROM consent_version v WHERE v.tenant_id = $1 ORDER BY v.customer_id, v.version
"""
_SUPPRESSIONS = """
SELECT n.number, v.version, v.suppressed, v.scope, v.source, v.reason, v.wording, v.address
FROM suppression_version v JOIN customer_number n USING (tenant_id, number_hash)
WHERE v.tenant_id = $1 ORDER BY n.customer_id, n.position, v.version
"""
_FIELDS = "SELECT key, name, kind FROM own_field WHERE tenant_id = $1 ORDER BY key"
_WORDS = """
SELECT w.word, rank() OVER (ORDER BY w.customer_id) FROM customer_word w WHERE w.tenant_id = $1
ORDER BY w.customer_id, w.word
"""
_ERRORS = """
SELECT row, field, "column", code, message FROM customer_import_error WHERE tenant_id = $1 ORDER BY import_id, ordinal
"""
_REJECTED = """
SELECT row, cells FROM customer_import_rejected WHERE tenant_id = $1 ORDER BY import_id, row
"""
TABLES: Final = {
    **{"customers": _CUSTOMERS, "words on consent": _CONSENTS, "suppressions": _SUPPRESSIONS, "own fields": _FIELDS},
    **{"words of names": _WORDS, "errors": _ERRORS, "rows left out": _REJECTED},
}
_LEFT_OVER = """
SELECT (SELECT count(*) FROM customer_import_part WHERE tenant_id = $1)
    + (SELECT count(*) FROM customer_import_block WHERE tenant_id = $1)
    + (SELECT count(*) FROM customer_import_seen WHERE tenant_id = $1)
    + (SELECT count(*) FROM customer_import_key WHERE tenant_id = $1)
"""
_AS_MEANT = """
SELECT c.first_name, c.last_name, c.allow_bulk_sms, c.consent, c.language, c.tags, c.own_fields::text,
    ARRAY(SELECT number FROM customer_number n
          WHERE n.tenant_id = c.tenant_id AND n.customer_id = c.customer_id ORDER BY position),
    ARRAY(SELECT number FROM customer_other_number n
          WHERE n.tenant_id = c.tenant_id AND n.customer_id = c.customer_id ORDER BY position)
FROM customer c WHERE c.tenant_id = $1 ORDER BY c.customer_id
"""


async def differences(dsn: str, one: UUID, other: UUID) -> list[str]:
    """Where two businesses do not have the same, up to some of each table; none where they do."""
    found = []
    for name, sql in TABLES.items():
        found += [f"{name}: {line}" async for line in _unlike(_lines(dsn, sql, one), _lines(dsn, sql, other))]
    return found


async def not_as_meant(dsn: str, tenant_id: UUID, rows: Iterable[Row]) -> list[str]:
    """Where the customers and the rows left out of a business that imported this file alone are not what it means."""
    people: list[str] = []
    left_out: list[str] = []
    stored, errors = _lines(dsn, _AS_MEANT, tenant_id), _lines(dsn, _ERRORS, tenant_id)
    for number, row in enumerate(rows, 1):
        if row.person is None:
            seen, meant = await anext(errors, None), (number, row.code)
            if seen is None or (seen[0], seen[3]) != meant:
                left_out.append(f"{row.damage}: {meant}, and not {seen}")
        else:
            p, found = row.person, await anext(stored, None)
            wanted = (p.first_name, p.last_name, p.allow, p.consent, p.language, [*p.tags])
            numbers = ([*p.mobiles], [*p.others])
            if found is None or found[:6] != wanted or orjson.loads(found[6]) != p.own or found[7:] != numbers:
                people.append(f"row {number} ({row.damage or 'whole'}): {p}, and not {found}")
    more = [f"nobody means {line}" async for line in stored] + [f"nobody means {line}" async for line in errors]
    return [*islice(people, _SHOWN), *islice(left_out, _SHOWN), *islice(more, _SHOWN)]


async def left_over(dsn: str, tenant_id: UUID) -> int:
    """Rows of tables that only a running import needs."""
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval(_LEFT_OVER, tenant_id))
    finally:
        await connection.close()


async def _lines(dsn: str, sql: str, tenant_id: UUID) -> AsyncIterator[tuple[object, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            async for record in connection.cursor(sql, tenant_id, prefetch=2_000):
                yield tuple(record)
    finally:
        await connection.close()


async def _unlike(one: AsyncIterator[object], other: AsyncIterator[object]) -> AsyncIterator[str]:
    line = shown = 0
    while shown < _SHOWN:
        a, b = await anext(one, None), await anext(other, None)
        if a is None and b is None:
            return
        line += 1
        if a != b:
            shown += 1
            yield f"line {line} is {a}, and {b}"
