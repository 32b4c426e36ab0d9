"""What is held on one person beside the customer, the words on consent and the suppressions."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from muster.kit.pg import Record, Tx

# By the index of reaches, as store/whys.py.
_SENDS: Final = """
WITH looked AS MATERIALIZED (
    SELECT u.id, r.reach::smallint AS reach, u.id - (1::bigint << r.reach) + 1 AS low
    FROM unnest($2::bigint[]) AS u (id) CROSS JOIN generate_series(0, 62) AS r (reach)
)
SELECT b.bulk_id, b.created_at, b.created_by, b.kind, b.text, f.reason, f.numbers[p.at] AS number,
    f.joined[p.at] AS joined, coalesce(q.others, '{}')::text AS others
FROM looked l CROSS JOIN LATERAL (
        SELECT * FROM plan_frozen f
        WHERE f.tenant_id = $1 AND f.reach = l.reach AND f.low_id >= l.low AND f.low_id <= l.id OFFSET 0) f
    JOIN bulk b USING (tenant_id, bulk_id)
    LEFT JOIN quote q USING (tenant_id, quote_id)
    CROSS JOIN LATERAL (SELECT array_position(f.customer_ids, l.id) AS at) p
WHERE b.tenant_id = $1 AND p.at IS NOT NULL ORDER BY b.created_at, b.bulk_id, l.id LIMIT $3
"""


async def sends_of(tx: Tx, tenant_id: UUID, customer_ids: Sequence[int], limit: int) -> list[Record]:
    """The sends that a person was asked for under any of these ids, why they are out (0: they are in), and with which
    values, and the text in other languages by theirs."""
    return await tx.fetch(_SENDS, tenant_id, list(customer_ids), limit)


_HASHES: Final = """
    SELECT number_hash FROM customer_number WHERE tenant_id = $1 AND customer_id = ANY ($2::bigint[])
    UNION SELECT number_hash FROM consent_version
    WHERE tenant_id = $1 AND customer_id = ANY ($2::bigint[]) AND number_hash IS NOT NULL
"""
_FAILURES: Final = f"""
SELECT encode(number_hash, 'hex') AS number_hash, failures, bulk_id AS last_send, failed_at AS last_failed_at,
    undeliverable_at AS left_out_since
FROM number_failure WHERE tenant_id = $1 AND number_hash IN ({_HASHES}) ORDER BY number_hash
"""  # noqa: S608 - of constants
_REQUESTS: Final = f"""
SELECT request_id AS id, received_at, channel, address, wording, due_on, state, created_by, ended_at, ended_by, reason
FROM withdrawal_request
WHERE tenant_id = $1 AND number_hashes && ARRAY({_HASHES}) ORDER BY received_at LIMIT $3
"""  # noqa: S608


async def failures_of(tx: Tx, tenant_id: UUID, customer_ids: Sequence[int]) -> list[Record]:
    """How often messages to a person's numbers failed for good."""
    return await tx.fetch(_FAILURES, tenant_id, list(customer_ids))


async def requests_of(tx: Tx, tenant_id: UUID, customer_ids: Sequence[int], limit: int) -> list[Record]:
    """Withdrawals that waited and were applied to a person's numbers."""
    return await tx.fetch(_REQUESTS, tenant_id, list(customer_ids), limit)
