"""Rows of a file into customers: COPY into temporary tables, since row-level security refuses it elsewhere, then a few
statements for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson

from muster.customer.domain.customers import match_key
from muster.customer.domain.import_options import BY_NUMBER, BY_PERSON, ImportOptions, Mode
from muster.customer.store.query import Sql
from muster.kit.pg import Record, Tx

# The ids are for those who are new, in the order of the file: of several who share a number the oldest counts.
# Nothing is known of tables that have just been made: without these the planner would compile what reads them, for
# longer than that takes, and read all customers to find a few. A plan that was kept from when there were few customers,
# which is what the first import of a business is, would read all of them too, and so would one for a business of which
# statistics know nothing while they know others: it seems to have one customer, whom any index finds. So each block
# takes new plans, also for what triggers and foreign keys check row by row, and such as do for any business.
# allow no-session-state: they end with the transaction, and plans are made anew when they are needed
_MAKE = """
DISCARD PLANS;
SET LOCAL jit = off;
SET LOCAL enable_seqscan = off;
SET LOCAL plan_cache_mode = force_generic_plan;
CREATE TEMPORARY TABLE import_row (
    n bigint, key bytea, match_key bytea, first_name text, last_name text, own_fields jsonb, tags jsonb, language text,
    time_zone text, allow boolean, consent text, consent_given boolean, consent_on date,
    id bigint DEFAULT nextval('customer_customer_id_seq'), known bigint, seen boolean NOT NULL DEFAULT false
) ON COMMIT DROP;
CREATE TEMPORARY TABLE import_number (
    n bigint, position smallint, number bigint, country text, number_hash bytea, kind text, typed text
) ON COMMIT DROP
"""
_COPIED = (
    *("n", "key", "match_key", "first_name", "last_name", "own_fields", "tags", "language", "time_zone", "allow"),
    *("consent", "consent_given", "consent_on"),
)
_NUMBERS_COPIED = ("n", "position", "number", "country", "number_hash", "kind", "typed")


# How many rows there are, and that their numbers differ: without it a join of the two goes through one for each of the
# other, as would who looks for the numbers of single rows.
_LEARN = "CREATE INDEX ON import_number (n); ANALYZE import_row (n, known); ANALYZE import_number (n)"


async def load(tx: Tx, rows: bytes, numbers: bytes) -> None:
    """Let the rows of a block be there, for this transaction; both as COPY has them (importer.blocks)."""
    await tx.execute(_MAKE)
    await tx.copy_text_to_table("import_row", rows, columns=_COPIED)
    await tx.copy_text_to_table("import_number", numbers, columns=_NUMBERS_COPIED)
    await tx.execute(_LEARN)


# OFFSET 0: looked up for each row. Else all customers of the business are read for each block, to be joined with it.
# allow ordered-locks: rows of this transaction alone
_MATCH = """
UPDATE import_row r SET known = ({found} ORDER BY c.customer_id LIMIT 1)
WHERE EXISTS ({found} OFFSET 0)
"""
_BY_PERSON = """SELECT coalesce(c.merged_into, c.customer_id) FROM customer c
    WHERE c.tenant_id = $1 AND c.match_key = r.match_key"""
_BY_NUMBER = """SELECT coalesce(c.merged_into, c.customer_id)
    FROM customer_number m JOIN customer c USING (tenant_id, customer_id)
    WHERE m.tenant_id = $1 AND m.number_hash = r.key"""
_BY_FIELD = """SELECT coalesce(c.merged_into, c.customer_id)
    FROM customer_import_key m JOIN customer c USING (tenant_id, customer_id)
    WHERE m.tenant_id = $1 AND m.import_id = $2 AND m.key = r.key"""
# allow ordered-locks: rows of this transaction alone
_SEEN = """
UPDATE import_row r SET seen = true
WHERE known IS NOT NULL AND (
    (SELECT c.import_id = $2 FROM customer c WHERE c.tenant_id = $1 AND c.customer_id = r.known)
    OR EXISTS (SELECT FROM customer_import_seen s
               WHERE s.tenant_id = $1 AND s.import_id = $2 AND s.customer_id = r.known OFFSET 0))
"""
# Two rows of one customer by different numbers, or by the names of two who were merged: the first counts.
# allow ordered-locks: rows of this transaction alone
_MET_TWICE = """
UPDATE import_row i SET seen = true
FROM (SELECT n, row_number() OVER (PARTITION BY known ORDER BY n) AS nth FROM import_row WHERE known IS NOT NULL) t
WHERE i.n = t.n AND t.nth > 1
"""


async def match(tx: Tx, tenant_id: UUID, import_id: UUID, options: ImportOptions) -> None:
    """Find out who of the loaded rows is known, and whom a row before has met."""
    if options.match == BY_PERSON:
        await tx.execute(_MATCH.format(found=_BY_PERSON), tenant_id)
    elif options.match == BY_NUMBER:
        await tx.execute(_MATCH.format(found=_BY_NUMBER), tenant_id)
    else:
        await tx.execute(_MATCH.format(found=_BY_FIELD), tenant_id, import_id)
    await tx.execute(_SEEN, tenant_id, import_id)
    await tx.execute(_MET_TWICE)


_RENAMED = """
SELECT c.* FROM (SELECT * FROM import_row WHERE known IS NOT NULL AND NOT seen ORDER BY known OFFSET 0) i
CROSS JOIN LATERAL (SELECT ARRAY(SELECT m.number FROM import_number m WHERE m.n = i.n
                                 ORDER BY m.kind IS NOT NULL, m.position) AS numbers) w
CROSS JOIN LATERAL (
    SELECT ARRAY(SELECT m.number FROM customer_number m WHERE m.tenant_id = $1 AND m.customer_id = i.known
                 ORDER BY m.position)
        || ARRAY(SELECT m.number FROM customer_other_number m WHERE m.tenant_id = $1 AND m.customer_id = i.known
                 ORDER BY m.position) AS numbers) o
CROSS JOIN LATERAL (
    SELECT c.customer_id, coalesce(nullif(i.first_name, ''), c.first_name) AS first_name,
        coalesce(nullif(i.last_name, ''), c.last_name) AS last_name, (c.own_fields || i.own_fields)::text AS own_fields,
        CASE WHEN w.numbers = '{}' OR NOT $2 THEN o.numbers ELSE w.numbers END AS numbers,
        $2 AND w.numbers <> '{}' AND w.numbers <> o.numbers AS renumbered
    FROM customer c
    WHERE c.tenant_id = $1 AND c.customer_id = i.known AND c.consent <> 'withdrawn'
        AND (i.first_name NOT IN ('', c.first_name) OR i.last_name NOT IN ('', c.last_name)
             OR ($2 AND w.numbers <> '{}' AND w.numbers <> o.numbers))
    FOR NO KEY UPDATE OF c OFFSET 0
) c
"""
# allow ordered-locks: _RENAMED has locked them
_RENAME = """
UPDATE customer c SET first_name = r.first_name, last_name = r.last_name, match_key = r.match_key,
    -- Nobody was asked for the price of another number.
    joined_at = CASE WHEN r.renumbered THEN kit_now() ELSE c.joined_at END,
    joined_xid = CASE WHEN r.renumbered THEN pg_current_xact_id() ELSE c.joined_xid END
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::bool[])
    AS r (customer_id, first_name, last_name, match_key, renumbered)
WHERE c.tenant_id = $1 AND c.customer_id = r.customer_id
"""
# allow ordered-locks: _RENAMED has locked whose they are
_DROP_NUMBERS = "DELETE FROM customer_number WHERE tenant_id = $1 AND customer_id = ANY($2::bigint[])"
# allow ordered-locks: _RENAMED has locked whose they are
_DROP_OTHERS = "DELETE FROM customer_other_number WHERE tenant_id = $1 AND customer_id = ANY($2::bigint[])"
_RENUMBER = (
    _DROP_NUMBERS,
    _DROP_OTHERS,
    """
INSERT INTO customer_number (tenant_id, customer_id, position, number, country, number_hash, typed)
SELECT $1, i.known, m.position, m.number, m.country, m.number_hash, m.typed
FROM import_row i JOIN import_number m USING (n)
WHERE i.known = ANY($2::bigint[]) AND NOT i.seen AND m.kind IS NULL ORDER BY i.known, m.position
""",
    """
INSERT INTO customer_other_number (tenant_id, customer_id, position, number, country, kind, typed)
SELECT $1, i.known, m.position, m.number, m.country, m.kind, m.typed
FROM import_row i JOIN import_number m USING (n)
WHERE i.known = ANY($2::bigint[]) AND NOT i.seen AND m.kind IS NOT NULL ORDER BY i.known, m.position
""",
)


async def rename(tx: Tx, tenant_id: UUID, options: ImportOptions) -> list[int]:
    """Where it is not names and numbers that say who somebody is, they may change: names that the file has, and by an
    own field numbers too. Who was changed."""
    if options.match == BY_PERSON or options.mode is Mode.ADD:
        return []
    found: list[Record] = []
    before: list[int] = []
    # Who edited one of them until it was locked has changed its numbers, too: they are read once more, as they are now.
    while len(found := await tx.fetch(_RENAMED, tenant_id, options.key_field != "")) > len(before):
        before = [row["customer_id"] for row in found]
    if not found:
        return []
    keys = [
        match_key(row["first_name"], row["last_name"], row["numbers"], orjson.loads(row["own_fields"])) for row in found
    ]
    ids = [row["customer_id"] for row in found]
    names = [row["first_name"] for row in found], [row["last_name"] for row in found]
    await tx.execute(_RENAME, tenant_id, ids, *names, keys, [row["renumbered"] for row in found])
    renumbered = [row["customer_id"] for row in found if row["renumbered"]]
    for sql in _RENUMBER:
        await tx.execute(sql, tenant_id, renumbered)
    return ids


# The day where the business is; who withdraws does so now.
_GIVEN = """CASE WHEN i.consent_on IS NULL OR i.consent = 'withdrawn' THEN kit_now() ELSE least(kit_now(),
    i.consent_on::timestamp AT TIME ZONE (SELECT t.time_zone FROM tenant t WHERE t.tenant_id = $1)) END"""
_JOINS = "i.consents AND i.allow AND (c.allow_bulk_sms IS NOT TRUE OR c.consent = 'none')"
_APPLY = """
WITH changed AS (
    -- Those who are known are looked up one by one, in order. Where nothing is known yet of how many customers there
    -- are, a join would read all of them for each block.
    SELECT c.* FROM (SELECT * FROM import_row WHERE known IS NOT NULL AND NOT seen AND $3 ORDER BY known OFFSET 0) i
    CROSS JOIN LATERAL (
        SELECT i.known, i.own_fields, t.tags, i.language, i.time_zone, i.allow, i.consent, i.consent_on,
            i.consent_given AND (c.allow_bulk_sms IS DISTINCT FROM i.allow OR c.consent <> i.consent)
                -- A tick claims no evidence: it takes none away.
                AND NOT (c.allow_bulk_sms IS TRUE AND i.allow IS TRUE AND c.consent = 'express'
                         AND i.consent = 'inferred') AS consents
        FROM customer c CROSS JOIN LATERAL (SELECT ARRAY(SELECT jsonb_array_elements_text(i.tags)) AS tags) t
        -- Who withdrew consent stays as they are: a file is no word of theirs.
        WHERE c.tenant_id = $1 AND c.customer_id = i.known AND c.consent <> 'withdrawn'
            AND (NOT c.own_fields @> i.own_fields OR NOT c.tags @> t.tags
                 OR i.language NOT IN ('', c.language) OR i.time_zone NOT IN ('', coalesce(c.time_zone, ''))
                 OR c.customer_id = ANY($8::bigint[])
                 OR i.consent_given AND (c.allow_bulk_sms IS DISTINCT FROM i.allow OR c.consent <> i.consent)
                    AND NOT (c.allow_bulk_sms IS TRUE AND i.allow IS TRUE AND c.consent = 'express'
                             AND i.consent = 'inferred'))
        FOR NO KEY UPDATE OF c OFFSET 0
    ) c
), updated AS (
    UPDATE customer c SET own_fields = c.own_fields || i.own_fields,
        tags = c.tags || ARRAY(SELECT t FROM unnest(i.tags) t WHERE t <> ALL(c.tags)),
        language = coalesce(nullif(i.language, ''), c.language),
        time_zone = coalesce(nullif(i.time_zone, ''), c.time_zone),
        allow_bulk_sms = CASE WHEN i.consents THEN i.allow ELSE c.allow_bulk_sms END,
        consent = CASE WHEN i.consents THEN i.consent ELSE c.consent END,
        consent_at = CASE WHEN i.consents THEN {given} ELSE c.consent_at END,
        consent_how = CASE WHEN NOT i.consents THEN c.consent_how WHEN i.consent = $9 THEN $5 ELSE 'import' END,
        consent_wording = CASE WHEN NOT i.consents THEN c.consent_wording WHEN i.consent = $9 THEN $6 ELSE '' END,
        consent_by = CASE WHEN i.consents THEN $7 ELSE c.consent_by END,
        consent_given_by = CASE WHEN i.consents THEN '' ELSE c.consent_given_by END,
        consent_address = CASE WHEN i.consents THEN '' ELSE c.consent_address END,
        consent_source = CASE WHEN i.consents THEN 'import' ELSE c.consent_source END,
        changed_at = kit_now(), import_id = $2, version = c.version + 1,
        joined_at = CASE WHEN {joins} THEN kit_now() ELSE joined_at END,
        joined_xid = CASE WHEN {joins} THEN pg_current_xact_id() ELSE joined_xid END
    FROM changed i WHERE c.tenant_id = $1 AND c.customer_id = i.known
    RETURNING c.customer_id
), met AS (
    INSERT INTO customer_import_seen (tenant_id, import_id, customer_id)
    SELECT $1, $2, i.known FROM import_row i
    -- NOT IN: looked up. NOT EXISTS would be a join, and one of each with each, since nobody knows how many there are.
    WHERE i.known IS NOT NULL AND NOT i.seen AND i.known NOT IN (SELECT u.customer_id FROM updated u)
    RETURNING customer_id
), inserted AS (
    INSERT INTO customer (tenant_id, customer_id, first_name, last_name, own_fields, language, allow_bulk_sms, consent,
                          consent_at, consent_how, consent_wording, consent_by, tags, match_key, import_id, time_zone,
                          consent_source)
    OVERRIDING SYSTEM VALUE
    SELECT $1, i.id, i.first_name, i.last_name, i.own_fields, i.language, i.allow, i.consent,
        CASE WHEN i.consent_given THEN {given} END,
        CASE WHEN NOT i.consent_given THEN '' WHEN i.consent = $9 THEN $5 ELSE 'import' END,
        CASE WHEN i.consent_given AND i.consent = $9 THEN $6 ELSE '' END,
        CASE WHEN i.consent_given THEN $7 ELSE '' END,
        CASE i.tags WHEN '[]' THEN '{}' ELSE ARRAY(SELECT jsonb_array_elements_text(i.tags)) END,
        i.match_key, $2, nullif(i.time_zone, ''), 'import'
    FROM import_row i WHERE i.known IS NULL AND $4 ORDER BY i.id
    RETURNING customer_id
), numbers AS (
    INSERT INTO customer_number (tenant_id, customer_id, position, number, country, number_hash, typed)
    SELECT $1, i.id, m.position, m.number, m.country, m.number_hash, m.typed
    FROM import_row i JOIN import_number m USING (n) WHERE i.known IS NULL AND $4 AND m.kind IS NULL
    ORDER BY i.id, m.position
), others AS (
    INSERT INTO customer_other_number (tenant_id, customer_id, position, number, country, kind, typed)
    SELECT $1, i.id, m.position, m.number, m.country, m.kind, m.typed
    FROM import_row i JOIN import_number m USING (n) WHERE i.known IS NULL AND $4 AND m.kind IS NOT NULL
    ORDER BY i.id, m.position
)
SELECT (SELECT count(*) FROM inserted) AS created, (SELECT count(*) FROM updated) AS updated,
    (SELECT count(*) FROM met) AS unchanged,
    ARRAY(SELECT n FROM import_row WHERE seen ORDER BY n) AS repeated,
    ARRAY(SELECT n FROM import_row WHERE known IS NULL AND NOT $4 ORDER BY n) AS unknown
""".replace("{given}", _GIVEN).replace("{joins}", _JOINS)
_KEEP_KEYS = """
INSERT INTO customer_import_key (tenant_id, import_id, key, customer_id)
SELECT $1, $2, i.key, i.id FROM import_row i WHERE i.known IS NULL
"""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of the rows of a block: repeated and unknown are the numbers of rows that were left out."""

    created: int
    updated: int
    unchanged: int
    repeated: Sequence[int]
    unknown: Sequence[int]


async def apply(tx: Tx, tenant_id: UUID, import_id: UUID, by: str, options: ImportOptions) -> Applied:
    """Make customers of the loaded rows, and change those who are known."""
    await match(tx, tenant_id, import_id, options)
    renamed = await rename(tx, tenant_id, options)
    stated = options.consent
    evidence = (f"import: {stated.source}", stated.wording) if stated else ("import", "")
    updates, adds = options.mode is not Mode.ADD, options.mode is not Mode.UPDATE
    # What was stated for the file is evidence of nothing else that a row says.
    kind = stated.kind.value if stated else ""
    row = await tx.fetchrow(_APPLY, tenant_id, import_id, updates, adds, *evidence, by, renamed, kind)
    assert row is not None
    if options.key_field and adds:
        await tx.execute(_KEEP_KEYS, tenant_id, import_id)
    return Applied(*(row[name] for name in ("created", "updated", "unchanged", "repeated", "unknown")))


_SOME_WITHDREW = "SELECT EXISTS (SELECT FROM import_row WHERE consent = 'withdrawn')"
_OF_WITHDRAWN = """
SELECT m.number_hash FROM import_row i JOIN import_number m USING (n)
WHERE i.consent = 'withdrawn' AND NOT i.seen AND m.kind IS NULL AND (i.known IS NOT NULL OR $2)
UNION
SELECT m.number_hash FROM import_row i JOIN customer_number m ON m.tenant_id = $1 AND m.customer_id = i.known
WHERE i.consent = 'withdrawn' AND NOT i.seen
"""


async def some_withdrew(tx: Tx) -> bool:
    """Whether a row that is loaded says that somebody withdrew consent."""
    return bool(await tx.fetchval(_SOME_WITHDREW))


async def numbers_of_withdrawn(tx: Tx, tenant_id: UUID, options: ImportOptions) -> list[bytes]:
    """The hashes of the numbers, in the file and as stored, of those who withdrew, once the rows have been applied."""
    rows = await tx.fetch(_OF_WITHDRAWN, tenant_id, options.mode is not Mode.UPDATE)
    return sorted(row["number_hash"] for row in rows)


_MAKE_KEYS = """
INSERT INTO customer_import_key (tenant_id, import_id, key, customer_id)
SELECT $1, $2, substring(sha256(convert_to(own_fields ->> $3, 'UTF8')) FOR 16), customer_id
FROM customer WHERE tenant_id = $1 AND own_fields ->> $3 <> ''
"""


async def make_keys(tx: Tx, tenant_id: UUID, import_id: UUID, field: str) -> None:
    """Look up once who has which value of the own field that an import goes by: no index helps under row-level
    security."""
    await tx.execute(_MAKE_KEYS, tenant_id, import_id, field)


# OFFSET 0: looked up for each customer. Else all whom the file has met would be looked through for each few thousand.
_SEEN_BY_FILE = """EXISTS (SELECT FROM customer_import_seen s
    WHERE s.tenant_id = $1 AND s.import_id = $5::uuid AND s.customer_id = {who}.customer_id OFFSET 0)"""
# Whom it has met and somebody has merged meanwhile is the other customer.
_MET = f"""(c.import_id = $5::uuid OR {_SEEN_BY_FILE.format(who="c")} OR EXISTS (
    SELECT FROM customer k WHERE k.tenant_id = $1 AND k.merged_into = c.customer_id
        AND (k.import_id = $5::uuid OR {_SEEN_BY_FILE.format(who="k")}) OFFSET 0))"""


def who_was_met(import_id: UUID) -> Sql:
    """Customers in the rows that a running import has taken, as `store.lists` takes a condition."""
    return Sql(_MET, (import_id,))


def not_met(import_id: UUID) -> Sql:
    """All others."""
    return Sql(f"({_MET}) IS NOT TRUE", (import_id,))


async def forget_lookups(tx: Tx, tenant_id: UUID, import_id: UUID) -> None:
    """What only a running import needs."""
    for sql in (
        "DELETE FROM customer_import_seen WHERE tenant_id = $1 AND import_id = $2",
        "DELETE FROM customer_import_key WHERE tenant_id = $1 AND import_id = $2",
    ):
        await tx.execute(sql, tenant_id, import_id)


_REMEMBERED = "SELECT mapping::text AS mapping FROM customer_import_mapping WHERE tenant_id = $1 AND header_hash = $2"
_REMEMBER = """
INSERT INTO customer_import_mapping (tenant_id, header_hash, mapping) VALUES ($1, $2, $3::text::jsonb)
ON CONFLICT (tenant_id, header_hash) DO UPDATE SET mapping = EXCLUDED.mapping, used_at = kit_now()
"""


async def remembered_mapping(tx: Tx, tenant_id: UUID, header_hash: bytes) -> Record | None:
    """What the columns of a header were said to be last."""
    return await tx.fetchrow(_REMEMBERED, tenant_id, header_hash)


async def remember_mapping(tx: Tx, tenant_id: UUID, header_hash: bytes, mapping: str) -> None:
    """Keep it for the next file with this header."""
    await tx.execute(_REMEMBER, tenant_id, header_hash, mapping)
