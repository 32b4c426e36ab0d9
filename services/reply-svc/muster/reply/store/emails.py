"""SQL of e-mails to receptions: a queue with leases, one row for each reply."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from muster.kit.mail import Queue
from muster.kit.pg import Tx
from muster.reply.domain import Forward, Reply, Verdict

_ADD = """
INSERT INTO email (tenant_id, inbound_id, recipient) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[])
ORDER BY 1, 2 ON CONFLICT (tenant_id, inbound_id) DO NOTHING
"""


async def add(tx: Tx, replies: Sequence[Reply]) -> None:
    """Queue the e-mails of those replies that are to be forwarded."""
    rows = [(r.inbound.tenant_id, r.inbound.inbound_id, r.forward_to) for r in replies if r.forward_to]
    if rows:
        await tx.execute(_ADD, *(list(column) for column in zip(*rows, strict=True)))


QUEUE = Queue(
    "email",
    "inbound_id",
    """
SELECT l.tenant_id, l.inbound_id, l.recipient, l.attempts, i.number, i.number_hash, i.text, i.received_at, i.verdict,
    i.doubtful, coalesce(t.name, '') AS tenant_name, coalesce(t.time_zone, 'UTC') AS time_zone
FROM leased l
JOIN inbound_message i ON i.tenant_id = l.tenant_id AND i.inbound_id = l.inbound_id
LEFT JOIN tenant t ON t.tenant_id = l.tenant_id
ORDER BY i.received_at, i.inbound_id
""",
)


async def lease(tx: Tx, limit: int, lease_s: float) -> list[Forward]:
    """Take the e-mails that are due, oldest first, for `lease_s` seconds."""
    rows = await QUEUE.lease(tx, limit, lease_s)
    return [Forward(**{**row, "verdict": Verdict(row["verdict"])}) for row in rows]


_DROP = """
UPDATE email SET state = 'failed', error = 'erased', ended_at = kit_now()
WHERE tenant_id = $1 AND inbound_id IN (
    SELECT inbound_id FROM email e JOIN inbound_message i USING (tenant_id, inbound_id)
    WHERE tenant_id = $1 AND e.state = 'due' AND i.erased ORDER BY inbound_id FOR NO KEY UPDATE OF e)
"""


async def drop_erased(tx: Tx, tenant_id: UUID) -> None:
    """Nothing that is blanked is sent any more."""
    await tx.execute(_DROP, tenant_id)


_PENDING = """
SELECT (SELECT count(tenant_id) FROM email WHERE state = 'due')
    + (SELECT count(tenant_id) FROM notice WHERE state = 'due')
"""


async def pending(tx: Tx) -> int:
    """How many e-mails are not sent yet, of whatever kind."""
    return int(await tx.fetchval(_PENDING))


_FIND = "SELECT state, attempts, error FROM email WHERE tenant_id = $1 AND inbound_id = $2"


async def find(tx: Tx, tenant_id: UUID, inbound_id: UUID) -> dict[str, Any] | None:
    """What became of the e-mail of a reply."""
    row = await tx.fetchrow(_FIND, tenant_id, inbound_id)
    return dict(row) if row else None
