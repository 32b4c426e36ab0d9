"""What a block of an import costs, and a page after it, does not grow with how many customers the business has."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from gathering import SECRETS

from muster.customer.domain.customers import NumberReader
from muster.customer.domain.import_options import ImportOptions, Mode
from muster.customer.importer.blocks import Plan, parse, today_at_most
from muster.customer.store import customers, import_members, import_rows
from muster.kit.ids import uuid7

CUSTOMERS = 20_000
ROWS = 200
READ_FOR_A_ROW_MAX = 40
"""Entries of indexes and rows of tables: each row is looked up in some of the former, and checked against others."""

_GROW = (
    "SET session_replication_role = replica",
    """INSERT INTO customer (tenant_id, customer_id, first_name, last_name, own_fields, consent, match_key)
    OVERRIDING SYSTEM VALUE
    SELECT $1, 1000000 + n, 'Ana', 'Smith', jsonb_build_object('no', 'X' || n), 'none', sha256(int8send(n))
    FROM generate_series(1, $2::bigint) n""",
    """INSERT INTO customer_number (tenant_id, customer_id, position, number, country, number_hash)
    SELECT $1, 1000000 + n, 1, 61420000000 + n, 'AU', sha256(int8send(n)) FROM generate_series(1, $2::bigint) n""",
)
_READ = """
SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid)), 0)::bigint
FROM pg_class WHERE relkind IN ('r', 'i') AND relpersistence <> 't'
    AND relname ~ '^(customer|consent|number|suppression)'
"""


async def behind(salon: Any, *statements: str, tenant_id: UUID | None = None) -> None:
    """Statements behind the roles, with a business and how many it grows by."""
    connection = await asyncpg.connect(salon.admin_dsn)
    try:
        for sql in statements:
            await connection.execute(sql, *((tenant_id or salon.tenant_id, CUSTOMERS) if "$2" in sql else ()))
    finally:
        await connection.close()


def file_of(first: int, visits: int) -> bytes:
    """Rows of people who are told apart by all that an import can go by."""
    rows = (f"Ole,Berg {n},0412{n:06d},K{n},{visits},{'yes' if n % 2 else ''}" for n in range(first, first + ROWS))
    return "\n".join(rows).encode()


async def read_for(salon: Any, options: ImportOptions, text: bytes) -> int:
    """Rows and entries that are read for a block, each time that one is."""
    numbers = NumberReader(salon.tenant_id, "AU", SECRETS.hash_key, SECRETS.hash_generation)
    header = ("first name", "last name", "mobile", "no", "visits", "allow bulk sms")
    parsed = parse(Plan(",", header, options, numbers, {}, today_at_most()), 1, text)
    of, by = (salon.tenant_id, uuid7()), "ada"
    if options.key_field:
        async with salon.db.request(salon.tenant_id) as tx:
            await import_rows.make_keys(tx, *of, options.key_field)
    async with salon.db.request(salon.tenant_id) as tx:
        before = await tx.fetchval(_READ)
        if options.mode is Mode.UPLOAD:
            assert not await import_members.meet(tx, *of, parsed.rows)
        else:
            await import_rows.load(tx, parsed.rows, parsed.numbers)
            done = await import_rows.apply(tx, *of, by, options)
            assert done.created + done.updated == ROWS
        return int(await tx.fetchval(_READ) - before)


@pytest.mark.parametrize("known_of_how_many", ["nothing", "few", "all", "another"])
async def test_a_block_reads_no_more_for_each_row_than_its_own_lookups(salon: Any, known_of_how_many: str) -> None:
    """Statistics are the database's own affair: none yet, of when there were few, of all, or of another business alone,
    as where the second one comes to a database."""
    if known_of_how_many == "another":
        await behind(salon, *_GROW, "ANALYZE", tenant_id=salon.other_id)
    for first in range(0, 6 * ROWS, ROWS):  # as often as a plan takes to be kept
        await read_for(salon, ImportOptions(), file_of(first, 1))
    if known_of_how_many == "few":
        await behind(salon, "ANALYZE")
    await behind(salon, *_GROW)
    if known_of_how_many == "all":
        await behind(salon, "ANALYZE")
    found = {}
    for visits, match in enumerate(("person", "number", "field:no"), 2):
        found[match] = await read_for(salon, ImportOptions(match=match), file_of(0, visits))
    found["new"] = await read_for(salon, ImportOptions(), file_of(900_000, 1))
    renamed = file_of(0, 9).replace(b"Berg", b"Dal")
    found["renamed"] = await read_for(salon, ImportOptions(match="number"), renamed)
    for match in ("number", "field:no"):
        found[f"upload by {match}"] = await read_for(salon, ImportOptions(Mode.UPLOAD, match), file_of(0, 9))
    assert {what: read / ROWS for what, read in found.items() if read > READ_FOR_A_ROW_MAX * ROWS} == {}


async def test_a_page_of_customers_that_were_just_imported_reads_those_on_it_alone(salon: Any) -> None:
    await behind(salon, *_GROW, tenant_id=salon.other_id)
    await behind(salon, *_GROW)
    async with salon.db.request(salon.tenant_id) as tx:
        before = await tx.fetchval(_READ)
        everybody = {"search": None, "tag": None, "allow_bulk_sms": None}
        page = await customers.page_of_customers(tx, salon.tenant_id, after=0, limit=10, **everybody)
        read = await tx.fetchval(_READ) - before
    assert [row["customer_id"] for row in page] == [1_000_001 + n for n in range(10)]
    assert read <= 10 * READ_FOR_A_ROW_MAX


async def test_the_fold_of_a_name_is_a_part_of_the_statement_and_no_query_of_its_own(salon: Any) -> None:
    async with salon.db.request(salon.tenant_id) as tx:
        plan = await tx.fetch("EXPLAIN (VERBOSE) SELECT customer_fold(first_name) FROM customer")
        folds = await tx.fetchrow("SELECT customer_fold('Zo\u00eb O''Neil-D'), customer_fold(''), customer_fold(NULL)")
    written = "\n".join(row[0] for row in plan)
    assert "translate(lower(" in written
    assert "customer_fold" not in written
    assert folds is not None
    assert tuple(folds) == ("zoe oneil d", "", None)
