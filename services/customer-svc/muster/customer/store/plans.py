"""Plans: how far each is, and the frozen rows it is made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any
from uuid import UUID

from muster.customer.domain.planning import FrozenChunk, Totals
from muster.kit.pg import Record, Tx
from muster.laws.system import Reference

_HASH_BYTES = 17


@dataclass(frozen=True, slots=True)
class Plan:
    """step: "freeze", "add_up", "publish", "waiting" (for the user) or "done". before: sums of earlier chunks."""

    tenant_id: UUID
    bulk_id: UUID
    step: str
    next_chunk: int
    before: Totals


_ADD = "INSERT INTO plan (tenant_id, bulk_id, lane, step) VALUES ($1, $2, $3, $4)"


async def add_plan(tx: Tx, tenant_id: UUID, bulk_id: UUID, lane: int, step: str = "freeze") -> None:
    """Let the planner of a lane take this send."""
    await tx.execute(_ADD, tenant_id, bulk_id, lane, step)


# Tenants take turns: the next one after the tenant served last, whose oldest send it is. Ids are in order of time.
_TAKE = """
SELECT tenant_id, bulk_id, step, next_chunk, recipients, parts, credits FROM plan
WHERE lane = $1 AND step IN ('freeze', 'add_up', 'publish')
ORDER BY tenant_id <= $2, tenant_id, bulk_id LIMIT 1 FOR UPDATE SKIP LOCKED
"""


async def take_plan(tx: Tx, lane: int, after_tenant: UUID) -> Plan | None:
    """A plan that nobody works on, locked until the end of the transaction (worker)."""
    row = await tx.fetchrow(_TAKE, lane, after_tenant)
    return _plan(row) if row else None


_LOCK = "SELECT FROM plan WHERE tenant_id = $1 AND bulk_id = $2 FOR UPDATE"


async def lock_plan(tx: Tx, tenant_id: UUID, bulk_id: UUID) -> None:
    """Lock a plan that was taken before, however long another holds it: plans are locked before their sends."""
    await tx.execute(_LOCK, tenant_id, bulk_id)


_SAVE = """
UPDATE plan SET step = $3, next_chunk = $4, recipients = $5, parts = $6, credits = $7
WHERE tenant_id = $1 AND bulk_id = $2
"""


async def save_plan(tx: Tx, plan: Plan) -> None:
    """How far the plan is now."""
    sums = plan.before
    await tx.execute(
        _SAVE, plan.tenant_id, plan.bulk_id, plan.step, plan.next_chunk, sums.recipients, sums.parts, sums.credits
    )


_STEP = """
UPDATE plan SET step = $3, next_chunk = 1, recipients = 0, parts = 0, credits = 0 WHERE tenant_id = $1 AND bulk_id = $2
"""


async def restart_plan(tx: Tx, tenant_id: UUID, bulk_id: UUID, step: str) -> None:
    """Begin a step at the first chunk."""
    await tx.execute(_STEP, tenant_id, bulk_id, step)


_FROZEN_ROWS = """
SELECT chunk, country, customer_ids, numbers, hashes, joined, allowed FROM plan_frozen
WHERE tenant_id = $1 AND bulk_id = $2 AND reason = 0 AND chunk >= $3 ORDER BY chunk LIMIT $4
"""


async def frozen_chunks(tx: Tx, tenant_id: UUID, bulk_id: UUID, first: int, limit: int) -> list[FrozenChunk]:
    """Frozen chunks from number `first` on."""
    rows = await tx.fetch(_FROZEN_ROWS, tenant_id, bulk_id, first, limit)
    return [
        FrozenChunk(
            row["chunk"],
            row["country"],
            row["customer_ids"],
            row["numbers"],
            _split(row["hashes"]),
            row["joined"] or (),
            row["allowed"] or (),
        )
        for row in rows
    ]


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[start : start + _HASH_BYTES] for start in range(0, len(hashes), _HASH_BYTES)]


_FREEZE_ONE = """
INSERT INTO plan_frozen (tenant_id, bulk_id, reason, chunk, country, customer_ids, numbers, hashes, low_id)
VALUES ($1, $2, 0, 1, $3, $4, $5, $6, $7)
"""


async def freeze_one(tx: Tx, tenant_id: UUID, bulk_id: UUID, frozen: FrozenChunk) -> None:
    """Store the membership of a single message."""
    [customer_id] = frozen.customer_ids
    given = (frozen.country, frozen.customer_ids, frozen.numbers, frozen.hashes[0], customer_id)
    await tx.execute(_FREEZE_ONE, tenant_id, bulk_id, *given)


_FREEZE = """
INSERT INTO plan_frozen (tenant_id, bulk_id, reason, chunk, country, customer_ids, numbers, hashes, joined, allowed)
VALUES ($1, $2, 0, $3, $4, $5, $6, $7, $8, $9)
"""


async def freeze(tx: Tx, rows: Sequence[tuple[UUID, UUID, FrozenChunk]]) -> None:
    """Store the membership of new sends of several tenants (worker): each a tenant, a send and one of its chunks."""
    columns: list[tuple[Any, ...]] = [
        (
            *(tenant_id, bulk_id, one.chunk, one.country, one.customer_ids, one.numbers, b"".join(one.hashes)),
            *(one.joined, one.allowed or None),
        )
        for tenant_id, bulk_id, one in rows
    ]
    await tx.executemany(_FREEZE, sorted(columns, key=itemgetter(0, 1, 2)))


def one_frozen(country: str, customer_id: int, number: int, number_hash: bytes) -> FrozenChunk:
    """The membership of a single message. customer_id 0: nobody's number."""
    return FrozenChunk(1, country, [customer_id], [number], [number_hash], ())


_LAW = """
WITH frozen AS (
    SELECT tenant_id, bulk_id, sum(cardinality(customer_ids)) AS customers,
        coalesce(sum(cardinality(numbers)) FILTER (WHERE reason = 0), 0) AS recipients,
        count(*) FILTER (WHERE reason = 0) AS chunks
    FROM plan_frozen GROUP BY tenant_id, bulk_id
)
SELECT b.tenant_id, b.bulk_id, b.customers, b.recipients, b.chunks, f.customers AS frozen_customers,
    f.recipients AS frozen_recipients, f.chunks AS frozen_chunks,
    b.recipients + (SELECT coalesce(sum(v::bigint), 0) FROM jsonb_each_text(b.left_out) e (k, v)) AS accounted,
    p.step, p.recipients AS said_recipients, p.credits AS said_credits, b.credits, b.phase
FROM bulk b LEFT JOIN plan p USING (tenant_id, bulk_id) LEFT JOIN frozen f USING (tenant_id, bulk_id)
WHERE b.customers IS NOT NULL
"""


async def membership_sums(tx: Tx) -> list[Record]:
    """For each frozen send of all tenants (worker): what was counted, what is stored, and what was published."""
    return await tx.fetch(_LAW)


_CROSSED = """
SELECT b.tenant_id, b.bulk_id, t.what, t.tenant_id AS owner FROM bulk b JOIN (
    SELECT DISTINCT 'plan_frozen' AS what, tenant_id, bulk_id FROM plan_frozen
    UNION ALL SELECT 'plan', tenant_id, bulk_id FROM plan
    UNION ALL SELECT 'quote', tenant_id, used_by FROM quote WHERE used_by IS NOT NULL
) t ON t.bulk_id = b.bulk_id AND t.tenant_id <> b.tenant_id
"""


async def crossed_tenants(tx: Tx) -> list[Reference]:
    """Rows of one tenant that belong to a send of another (worker)."""
    return [Reference(**row) for row in await tx.fetch(_CROSSED)]


async def count_bulks(tx: Tx) -> int:
    """Sends of all tenants (worker)."""
    count: int = await tx.fetchval("SELECT count(bulk_id) FROM bulk WHERE tenant_id IS NOT NULL")
    return count


_SAID = """
SELECT tenant_id, bulk_id, recipients, chunks, credits, phase, closed, kind FROM bulk
WHERE ($1::uuid IS NULL OR bulk_id > $1) AND phase IN ('requested', 'withdrawn') ORDER BY bulk_id LIMIT $2
"""


async def page_of_said(tx: Tx, after: UUID | None, limit: int) -> list[Record]:
    """What was said of each send, of all tenants (worker), for the laws that span services."""
    return await tx.fetch(_SAID, after, limit)


_CHUNKS_SAID = "SELECT coalesce(max(chunk), 0) FROM plan_frozen WHERE tenant_id = $1 AND bulk_id = $2 AND reason = 0"


async def last_chunk(tx: Tx, tenant_id: UUID, bulk_id: UUID) -> int:
    """Number of the last frozen chunk; 0 if there is none."""
    last: int = await tx.fetchval(_CHUNKS_SAID, tenant_id, bulk_id)
    return last


def _plan(row: Record) -> Plan:
    totals = Totals(row["recipients"], row["parts"], row["credits"])
    return Plan(row["tenant_id"], row["bulk_id"], row["step"], row["next_chunk"], totals)
