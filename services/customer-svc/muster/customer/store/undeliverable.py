"""Numbers to which messages could not be delivered, again and again."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from muster.kit.pg import Record, Tx

# allow tenant-in-tenant-sql: the next send of any tenant whose failures are to be counted
_NEXT: Final = """
SELECT tenant_id, bulk_id FROM not_received
WHERE NOT counted AND undelivered <> '{}' AND heard_at < kit_now() - make_interval(secs => $1)
ORDER BY heard_at LIMIT 1
"""
_LOCK: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended('undeliverable', 0))"


async def next_send(tx: Tx, after_s: float) -> tuple[UUID, UUID] | None:
    """A send with failures that nobody has counted since this long (worker); None while another process counts."""
    if not await tx.fetchval(_LOCK):
        return None
    row = await tx.fetchrow(_NEXT, after_s)
    return (row["tenant_id"], row["bulk_id"]) if row else None


# Which of a send's recipients a seq is: `before` counts those of earlier chunks. Where half of a send could not be
# delivered, and more than a few, the fault is not with the numbers. What was counted before is counted no more.
_FEW: Final = 10
_COUNT: Final = """
WITH taken AS (
    UPDATE not_received r SET counted = true
    FROM (SELECT tenant_id, bulk_id, chunk, kind, version, first_seq FROM not_received
          WHERE tenant_id = $1 AND bulk_id = $2 AND NOT counted AND undelivered <> '{}'
          ORDER BY chunk, kind, version, first_seq FOR UPDATE) u
    WHERE r.tenant_id = u.tenant_id AND r.bulk_id = u.bulk_id AND r.chunk = u.chunk AND r.kind = u.kind
        AND r.version = u.version AND r.first_seq = u.first_seq
    RETURNING r.undelivered
), failed AS (
    SELECT count(DISTINCT s.seq) AS n FROM not_received r CROSS JOIN LATERAL unnest(r.undelivered) AS s (seq)
    WHERE r.tenant_id = $1 AND r.bulk_id = $2
), frozen AS (
    SELECT f.hashes, cardinality(f.numbers) AS n,
        sum(cardinality(f.numbers)) OVER (ORDER BY f.chunk) - cardinality(f.numbers) AS before
    FROM plan_frozen f WHERE f.tenant_id = $1 AND f.bulk_id = $2 AND f.reason = 0
), number AS (
    SELECT DISTINCT substring(f.hashes FROM ((s.seq - f.before - 1) * 17 + 1)::int FOR 17) AS number_hash
    FROM (SELECT unnest(undelivered) AS seq FROM taken
          EXCEPT SELECT s.seq FROM not_received r CROSS JOIN LATERAL unnest(r.undelivered) AS s (seq)
          WHERE r.tenant_id = $1 AND r.bulk_id = $2 AND r.counted) s
        JOIN frozen f ON s.seq > f.before AND s.seq <= f.before + f.n
    WHERE (SELECT n FROM failed) * 2 <= (SELECT greatest(sum(n), $4 * 2) FROM frozen)
), rule AS (
    SELECT coalesce((SELECT failures FROM undeliverable_rule WHERE tenant_id = $1), $3::int) AS failures
), counted AS (
    INSERT INTO number_failure AS f (tenant_id, number_hash, failures, bulk_id, failed_at, undeliverable_at)
    SELECT $1, number_hash, 1, $2, kit_now(), CASE WHEN rule.failures = 1 THEN kit_now() END FROM number, rule
    WHERE rule.failures > 0 ORDER BY number_hash
    ON CONFLICT (tenant_id, number_hash) DO UPDATE SET failures = f.failures + 1, bulk_id = $2, failed_at = kit_now(),
        undeliverable_at = CASE WHEN f.failures + 1 >= (SELECT failures FROM rule)
                                THEN coalesce(f.undeliverable_at, kit_now()) END
    WHERE f.bulk_id <> $2
    RETURNING undeliverable_at
)
SELECT count(*) FILTER (WHERE undeliverable_at = kit_now()) FROM counted
"""


async def count(tx: Tx, tenant_id: UUID, bulk_id: UUID, failures: int) -> int:
    """Count the failures of a send; how many numbers are left out from now on. failures: unless the tenant said so."""
    return int(await tx.fetchval(_COUNT, tenant_id, bulk_id, failures, _FEW))


_FORGET: Final = """
DELETE FROM number_failure WHERE (tenant_id, number_hash) IN (
    SELECT tenant_id, number_hash FROM number_failure
    WHERE (tenant_id, number_hash) IN (SELECT * FROM unnest($1::uuid[], $2::bytea[]))
    ORDER BY tenant_id, number_hash FOR UPDATE)
RETURNING number_hash
"""


async def forget(tx: Tx, numbers: Sequence[tuple[UUID, bytes]]) -> int:
    """These numbers were seen to be alive: what failed before counts no more. How many had failed."""
    if not numbers:
        return 0
    tenants, hashes = zip(*numbers, strict=True)
    return len(await tx.fetch(_FORGET, list(tenants), list(hashes)))


_PAGE: Final = """
SELECT f.number_hash, f.failures, f.failed_at, f.undeliverable_at, n.number, n.customer_id
FROM number_failure f
    LEFT JOIN LATERAL (SELECT number, customer_id FROM customer_number c
        WHERE c.tenant_id = f.tenant_id AND c.number_hash = f.number_hash ORDER BY customer_id LIMIT 1) n ON true
WHERE f.tenant_id = $1 AND f.undeliverable_at IS NOT NULL AND ($2::bytea IS NULL OR f.number_hash > $2)
ORDER BY f.number_hash LIMIT $3
"""


async def page(tx: Tx, tenant_id: UUID, after: bytes | None, limit: int) -> list[Record]:
    """Numbers that are left out, with the oldest customer who has them."""
    return await tx.fetch(_PAGE, tenant_id, after, limit)


_RULE: Final = "SELECT failures FROM undeliverable_rule WHERE tenant_id = $1"
_SET_RULE: Final = """
INSERT INTO undeliverable_rule (tenant_id, failures, changed_by) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id) DO UPDATE SET failures = $2, changed_by = $3, changed_at = kit_now()
WHERE undeliverable_rule.failures <> $2 RETURNING true
"""


async def rule_of(tx: Tx, tenant_id: UUID) -> int | None:
    """After how many failures the tenant leaves a number out; None where it has not said so."""
    found: int | None = await tx.fetchval(_RULE, tenant_id)
    return found


async def set_rule(tx: Tx, tenant_id: UUID, failures: int, by: str) -> bool:
    """Say so; numbers that are left out stay so until they are seen to be alive. False where it was said before."""
    return bool(await tx.fetchval(_SET_RULE, tenant_id, failures, by))
