"""SQL of letters about credits: a queue with leases, one row for each thing that happened."""

from collections.abc import Sequence

from muster.kit.mail import Queue
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


QUEUE = Queue(
    "notice",
    "notice_id",
    """
SELECT l.tenant_id, l.notice_id AS letter_id, l.kind, l.recipient, l.happened_at AS since, l.threshold, l.available,
    l.amount, l.currency, l.reason, l.attempts, coalesce(t.name, '') AS tenant_name,
    coalesce(t.time_zone, 'UTC') AS time_zone
FROM leased l LEFT JOIN tenant t ON t.tenant_id = l.tenant_id
ORDER BY l.happened_at
""",
)


async def lease(tx: Tx, limit: int, lease_s: float) -> list[Notice]:
    """Take the letters that are due, oldest first, for `lease_s` seconds."""
    rows = await QUEUE.lease(tx, limit, lease_s)
    return [Notice(**{**row, "kind": NoticeKind(row["kind"])}) for row in rows]
