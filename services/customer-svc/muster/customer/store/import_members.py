"""Rows of numbers and keys into the customers whom they mean: one statement for each block, which changes nobody."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from muster.kit.pg import Tx

# As in store.import_rows.
# allow no-session-state: they end with the transaction, and plans are made anew when they are needed
_MAKE: Final = """
DISCARD PLANS;
SET LOCAL jit = off;
SET LOCAL enable_seqscan = off;
SET LOCAL plan_cache_mode = force_generic_plan;
CREATE TEMPORARY TABLE member_row (n bigint, number bigint, key bytea, at smallint) ON COMMIT DROP
"""
_COPIED: Final = ("n", "number", "key", "at")

# Who is archived is on no list that is made now. A row by number means all who have it, since whoever of them allows
# Bulk SMS is texted; a key means one. A row that brings nobody whom an earlier one has not brought is repeated.
# OFFSET 0: looked up for each row. Else all keys and all customers of the business are read for each block.
_MEET: Final = """
WITH by_number AS (
    SELECT r.n, f.customer_id FROM member_row r CROSS JOIN LATERAL (
        SELECT m.customer_id FROM customer_number m WHERE m.tenant_id = $1 AND m.number = r.number
        UNION SELECT m.customer_id FROM customer_other_number m WHERE m.tenant_id = $1 AND m.number = r.number) f
    WHERE r.key IS NULL
), by_key AS (
    SELECT DISTINCT r.n, c.customer_id
    FROM member_row r CROSS JOIN LATERAL (
        SELECT k.customer_id FROM customer_import_key k
        WHERE k.tenant_id = $1 AND k.import_id = $2 AND k.key = r.key OFFSET 0) k
    CROSS JOIN LATERAL (
        SELECT coalesce(c.merged_into, c.customer_id) AS customer_id FROM customer c
        WHERE c.tenant_id = $1 AND c.customer_id = k.customer_id OFFSET 0) c
    WHERE r.key IS NOT NULL
), found AS MATERIALIZED (
    SELECT f.n, f.customer_id, c.archived
    FROM (SELECT * FROM by_number UNION ALL SELECT * FROM by_key) f CROSS JOIN LATERAL (
        SELECT c.archived_at IS NOT NULL AS archived FROM customer c
        WHERE c.tenant_id = $1 AND c.customer_id = f.customer_id OFFSET 0) c
), counted AS (
    SELECT n, count(*) AS customers, count(*) FILTER (WHERE NOT archived) AS present,
        min(customer_id) FILTER (WHERE NOT archived) AS one
    FROM found GROUP BY n
), judged AS MATERIALIZED (
    SELECT r.n, r.at, CASE
        WHEN c.customers IS NULL THEN 'not_a_customer' WHEN c.present = 0 THEN 'archived'
        WHEN r.key IS NOT NULL AND c.present > 1 THEN 'several_customers'
        WHEN r.key IS NOT NULL AND r.number IS NOT NULL
            AND NOT EXISTS (SELECT FROM customer_number m
                            WHERE m.tenant_id = $1 AND m.customer_id = c.one AND m.number = r.number OFFSET 0)
            AND NOT EXISTS (SELECT FROM customer_other_number m
                            WHERE m.tenant_id = $1 AND m.customer_id = c.one AND m.number = r.number OFFSET 0)
        THEN 'number_differs' END AS why
    FROM member_row r LEFT JOIN counted c USING (n)
), wanted AS MATERIALIZED (
    SELECT f.n, f.customer_id, f.n > min(f.n) OVER (PARTITION BY f.customer_id) OR EXISTS (
        SELECT FROM customer_import_seen s
        WHERE s.tenant_id = $1 AND s.import_id = $2 AND s.customer_id = f.customer_id OFFSET 0) AS known
    FROM found f JOIN judged j USING (n) WHERE j.why IS NULL AND NOT f.archived
), met AS (
    INSERT INTO customer_import_seen (tenant_id, import_id, customer_id)
    SELECT $1, $2, w.customer_id FROM wanted w WHERE NOT w.known
    ORDER BY w.customer_id
)
SELECT j.n, j.at, coalesce(j.why, 'duplicate_row') AS why FROM judged j
WHERE j.why IS NOT NULL OR NOT EXISTS (SELECT FROM wanted w WHERE w.n = j.n AND NOT w.known)
ORDER BY j.n
"""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that means nobody who was not met before, why (Unlisted of domain/list_rows.py), and the index of the
    column that it was looked up by."""

    row: int
    why: str
    column: int


async def meet(tx: Tx, tenant_id: UUID, import_id: UUID, rows: bytes) -> list[LeftOut]:
    """Note the customers whom the rows of a block mean, as COPY has them (importer.blocks); the rows that are left
    out."""
    await tx.execute(_MAKE)
    await tx.copy_text_to_table("member_row", rows, columns=_COPIED)
    return [LeftOut(row["n"], row["why"], row["at"]) for row in await tx.fetch(_MEET, tenant_id, import_id)]
