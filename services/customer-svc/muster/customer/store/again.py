"""Who did not get a send, and who was texted for it since."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from muster.customer.domain.again import Missed, Named
from muster.customer.domain.audience import Again
from muster.customer.domain.tariff import Reach
from muster.kit.pg import Record, Tx

# Only bulk sends (kind 1 of the events) are sent again, but what could not be delivered counts against its number
# whatever it was; a send is stored before anything is said of it.
_SAVE: Final = """
INSERT INTO not_received (tenant_id, bulk_id, chunk, kind, version, first_seq, seqs, undelivered)
SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM bulk
WHERE tenant_id = $1 AND bulk_id = $2 AND (kind = 1 OR $8::bigint[] <> '{}')
ON CONFLICT DO NOTHING
"""


async def save(tx: Tx, named: Sequence[tuple[UUID, UUID, Named]]) -> None:
    """Keep who did not get their message; heard again it changes nothing."""
    rows = [
        (tenant_id, bulk_id, one.chunk, int(one.kind), one.version, one.seqs[0], one.seqs, one.undelivered)
        for tenant_id, bulk_id, one in named
    ]
    if rows:
        await tx.executemany(_SAVE, sorted(rows))


_HEARD: Final = """
SELECT count(DISTINCT s.seq) FROM not_received r CROSS JOIN LATERAL unnest(r.seqs) AS s(seq)
WHERE r.tenant_id = $1 AND r.bulk_id = $2 AND r.kind IN (1, 3)
"""


async def heard(tx: Tx, tenant_id: UUID, bulk_id: UUID) -> int:
    """How many messages of a send are known to have been rejected or stopped."""
    return int(await tx.fetchval(_HEARD, tenant_id, bulk_id))


# Those who were texted by a later send of this one are that send's matter. A number that is another now is not the one
# that was missed. `before` counts the recipients of earlier chunks: together with the place in the chunk it is the seq.
_RECIPIENTS: Final = """
WITH missed AS (
    SELECT DISTINCT s.seq FROM not_received r CROSS JOIN LATERAL unnest(r.seqs) AS s(seq)
    WHERE r.tenant_id = $1 AND r.bulk_id = $2 AND (r.kind = $3 OR (r.kind = $4 AND $5 AND r.heard_at <= $6))
), frozen AS (
    SELECT f.customer_ids, f.numbers,
        sum(cardinality(f.numbers)) OVER (ORDER BY f.chunk) - cardinality(f.numbers) AS before
    FROM plan_frozen f WHERE f.tenant_id = $1 AND f.bulk_id = $2 AND f.reason = 0
), since AS (
    SELECT p.number FROM bulk b JOIN plan_frozen f USING (tenant_id, bulk_id)
        CROSS JOIN LATERAL unnest(f.numbers) AS p(number)
    WHERE b.tenant_id = $1 AND b.again_of = $2 AND b.created_at < $6 AND f.reason = 0
        AND b.phase NOT IN ('refused', 'withdrawn') AND b.credits_refused IS NULL
), mobile AS (
    SELECT DISTINCT ON (n.customer_id) n.customer_id, n.number FROM customer_number n
    WHERE n.tenant_id = $1 AND (n.country = ANY ($7::text[]) OR ($9 AND n.country <> ALL ($8::text[])))
    ORDER BY n.customer_id, n.position
)
SELECT array_agg(p.customer_id ORDER BY p.customer_id)
FROM frozen f CROSS JOIN LATERAL unnest(f.customer_ids, f.numbers) WITH ORDINALITY AS p(customer_id, number, at)
    JOIN missed m ON m.seq = f.before + p.at JOIN mobile USING (customer_id, number)
WHERE NOT EXISTS (SELECT FROM since WHERE since.number = p.number)
"""
# As for the audience: statistics know nothing of what was just stored.
_WHOLE_SENDS: Final = "SET LOCAL enable_nestloop = off"


async def recipients(tx: Tx, tenant_id: UUID, again: Again, reach: Reach, asked_at: datetime) -> tuple[int, ...]:
    """The customers who did not get a send, whose number is still the one that was missed, and who were not texted for
    it since; as it was known when they were asked for."""
    kinds: tuple[Any, ...] = (Missed.NOT_SENT, Missed.FAILED, again.failed)
    await tx.execute(_WHOLE_SENDS)
    found: list[int] | None = await tx.fetchval(
        _RECIPIENTS, tenant_id, again.bulk_id, *kinds, asked_at, list(reach.open), list(reach.closed), reach.others
    )
    return tuple(found or ())


_MADE: Final = """
SELECT bulk_id, closed, created_at FROM bulk
WHERE tenant_id = $1 AND again_of = $2 AND phase NOT IN ('refused', 'withdrawn') AND credits_refused IS NULL
ORDER BY bulk_id DESC LIMIT 1
"""


async def newest(tx: Tx, tenant_id: UUID, bulk_id: UUID) -> Record | None:
    """The last send that was made of this one and may have texted somebody."""
    return await tx.fetchrow(_MADE, tenant_id, bulk_id)


_SET: Final = "UPDATE bulk SET again_of = $3 WHERE tenant_id = $1 AND bulk_id = $2"


async def set_again_of(tx: Tx, tenant_id: UUID, bulk_id: UUID, of: UUID) -> None:
    """This send is for those who did not get that one."""
    await tx.execute(_SET, tenant_id, bulk_id, of)
