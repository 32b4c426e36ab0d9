"""SQL of letters about credits: a queue with leases, one row for each thing that happened."""

from collections.abc import Sequence
from uuid import UUID

from muster.kit.pg import Tx
from muster.reply.domain import Notice, NoticeKind

_ADD = """
INSERT INTO notice (tenant_id, notice_id, kind, recipient, happened_at, threshold, available, amount, currency, reason)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::text[], $10::text[])
ORDER BY 1, 2 ON CONFLICT (tenant_id, notice_id) DO NOTHING
"""


async def add(tx: Tx, notices: Sequence[Notice]) -> None:
    """Queue these letters; one that was queued before stays as it is."""
    rows = [
        (
            n.tenant_id,
            n.letter_id,
            n.kind,
            n.recipient,
            n.since,
            n.threshold,
            n.available,
            n.amount,
            n.currency,
            n.reason,
        )
        for n in notices
    ]
    if rows:
        await tx.execute(_ADD, *(list(column) for column in zip(*rows, strict=True)))


# A lease is a later due_at: who takes a letter and dies leaves it to the next after that.
_LEASE = """
WITH due AS (
    SELECT tenant_id, notice_id FROM notice WHERE state = 'due' AND due_at <= kit_now()
    ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE notice n SET attempts = n.attempts + 1, due_at = kit_now() + make_interval(secs => $2)
    FROM due WHERE n.tenant_id = due.tenant_id AND n.notice_id = due.notice_id RETURNING n.*
)
SELECT l.tenant_id, l.notice_id AS letter_id, l.kind, l.recipient, l.happened_at AS since, l.threshold, l.available,
    l.amount, l.currency, l.reason, l.attempts, coalesce(t.name, '') AS tenant_name,
    coalesce(t.time_zone, 'UTC') AS time_zone
FROM leased l LEFT JOIN tenant t ON t.tenant_id = l.tenant_id
ORDER BY l.happened_at
"""


async def lease(tx: Tx, limit: int, lease_s: float) -> list[Notice]:
    """Take the letters that are due, oldest first, for `lease_s` seconds."""
    rows = await tx.fetch(_LEASE, limit, lease_s)
    return [Notice(**{**row, "kind": NoticeKind(row["kind"])}) for row in rows]


_END = """
UPDATE notice SET state = $4, error = $5, ended_at = kit_now()
WHERE tenant_id = $1 AND notice_id = $2 AND state = 'due' AND attempts = $3
"""


async def end(tx: Tx, tenant_id: UUID, notice_id: UUID, attempts: int, state: str, error: str) -> None:
    """An attempt was the last one: `state` is "sent" or "failed"."""
    await tx.execute(_END, tenant_id, notice_id, attempts, state, error)


_POSTPONE = """
UPDATE notice SET due_at = kit_now() + make_interval(secs => $4), error = $5
WHERE tenant_id = $1 AND notice_id = $2 AND state = 'due' AND attempts = $3
"""


async def postpone(tx: Tx, tenant_id: UUID, notice_id: UUID, attempts: int, pause_s: float, error: str) -> None:
    """An attempt failed for now."""
    await tx.execute(_POSTPONE, tenant_id, notice_id, attempts, pause_s, error)
