"""SQL of the inbox: what customers wrote, what it was read as, and when they were last answered."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from muster.kit.pg import Tx
from muster.reply.domain import AnswerReason, Reply

_STORED = """
SELECT tenant_id, inbound_id FROM inbound_message
WHERE (tenant_id, inbound_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
"""


async def stored(tx: Tx, ids: Collection[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
    """Which of these (tenant id, inbound id) are in the inbox already."""
    rows = await tx.fetch(_STORED, [tenant_id for tenant_id, _ in ids], [inbound_id for _, inbound_id in ids])
    return {(row["tenant_id"], row["inbound_id"]) for row in rows}


_ADD = """
INSERT INTO inbound_message (tenant_id, inbound_id, number, number_hash, text, received_at, verdict, scope, rule,
    bulk_id, seq, doubtful, erased)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::timestamptz[], $7::text[],
    $8::text[], $9::text[], $10::uuid[], $11::bigint[], $12::boolean[], $13::boolean[])
"""


async def add(tx: Tx, replies: Sequence[Reply]) -> None:
    """Put replies into the inbox that are not in it."""
    await tx.execute(_ADD, *(list(column) for column in zip(*map(_row, replies), strict=True)))


def _row(reply: Reply) -> tuple[Any, ...]:
    inbound, sent = reply.inbound, reply.attribution.sent
    number, text = ("", "") if reply.erased else (inbound.number, inbound.text)
    return (
        *(inbound.tenant_id, inbound.inbound_id, number, inbound.number_hash, text, inbound.received_at),
        *(reply.verdict, reply.scope, reply.rule, sent.bulk_id if sent else None, sent.seq if sent else None),
        *(reply.attribution.doubtful, reply.erased),
    )


_ANSWERED = """
SELECT tenant_id, number_hash, reason, answered_at FROM answered
WHERE (tenant_id, number_hash) IN (SELECT * FROM unnest($1::uuid[], $2::bytea[]))
"""


async def answered(
    tx: Tx, numbers: Collection[tuple[UUID, bytes]]
) -> dict[tuple[UUID, bytes], dict[AnswerReason, datetime]]:
    """When these (tenant id, number hash) last got an automatic answer, by its reason."""
    rows = await tx.fetch(_ANSWERED, [tenant_id for tenant_id, _ in numbers], [number for _, number in numbers])
    found: dict[tuple[UUID, bytes], dict[AnswerReason, datetime]] = {}
    for row in rows:
        key = (row["tenant_id"], row["number_hash"])
        found.setdefault(key, {})[AnswerReason(row["reason"])] = row["answered_at"]
    return found


_SAVE_ANSWERED = """
INSERT INTO answered AS a (tenant_id, number_hash, reason, answered_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, number_hash, reason) DO UPDATE SET answered_at = excluded.answered_at
WHERE a.answered_at < excluded.answered_at
"""


async def save_answered(tx: Tx, replies: Sequence[Reply]) -> None:
    """Note who got an answer."""
    rows = [
        (reply.inbound.tenant_id, reply.inbound.number_hash, reply.answer.reason, reply.inbound.received_at)
        for reply in replies
        if reply.answer is not None
    ]
    if rows:
        await tx.executemany(_SAVE_ANSWERED, sorted(rows, key=itemgetter(0, 1, 2)))


_BLANK = """
UPDATE inbound_message m SET number = '', text = '', erased = true
FROM (
    SELECT inbound_id, number FROM inbound_message i
        JOIN unnest($2::bytea[], $3::timestamptz[]) AS g (number_hash, erased_at) USING (number_hash)
    WHERE i.tenant_id = $1 AND i.received_at <= g.erased_at AND NOT i.erased
    ORDER BY inbound_id FOR NO KEY UPDATE OF i) old
WHERE m.tenant_id = $1 AND m.inbound_id = old.inbound_id RETURNING old.number
"""


async def blank(tx: Tx, tenant_id: UUID, gone: Mapping[bytes, datetime]) -> set[str]:
    """Blank what these numbers wrote until they were erased; the numbers that were blanked."""
    return {row["number"] for row in await tx.fetch(_BLANK, tenant_id, list(gone), list(gone.values()))}


_BLANK_OLD = """
UPDATE inbound_message m SET number = '', text = '', erased = true
FROM (
    SELECT tenant_id, inbound_id FROM inbound_message
    WHERE bulk_id IS NULL AND verdict <> 'unclear' AND NOT erased
        AND received_at < kit_now() - make_interval(days => $1)
    ORDER BY tenant_id, inbound_id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED) old
WHERE m.tenant_id = old.tenant_id AND m.inbound_id = old.inbound_id
"""


async def blank_strangers(tx: Tx, kept_days: int, limit: int) -> int:
    """Blank replies of long ago that answer no message: perhaps of people who were never customers, whom nobody would
    think of erasing. How many went; one that nobody has decided about stays."""
    return int((await tx.execute(_BLANK_OLD, kept_days, limit)).rpartition(" ")[2])


_COLUMNS = """
SELECT m.inbound_id, m.received_at, m.number, m.text, m.bulk_id, m.seq, m.verdict, m.rule, m.doubtful, m.erased,
    e.state AS email_state, e.recipient AS email_to, e.ended_at AS email_at
FROM inbound_message m LEFT JOIN email e USING (tenant_id, inbound_id)
"""
_REPLIES = f"""{_COLUMNS}
WHERE m.tenant_id = $1 AND ($2::text IS NULL OR m.verdict = $2) AND ($3::uuid IS NULL OR m.bulk_id = $3)
    AND ($4::timestamptz IS NULL OR (m.received_at, m.inbound_id) < ($4, $5))
    AND ($7::bytea IS NULL OR m.number_hash = $7)
ORDER BY m.received_at DESC, m.inbound_id DESC LIMIT $6
"""


async def replies(
    tx: Tx,
    tenant_id: UUID,
    *,
    verdict: str | None,
    bulk_id: UUID | None,
    number_hash: bytes | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """The newest replies of a tenant before a place in the list, with what became of their e-mails."""
    place = before or (None, None)
    rows = await tx.fetch(_REPLIES, tenant_id, verdict, bulk_id, *place, limit, number_hash)
    return [dict(row) for row in rows]


_REPLY = f"""{_COLUMNS}
WHERE m.tenant_id = $1 AND m.inbound_id = $2
"""


async def reply(tx: Tx, tenant_id: UUID, inbound_id: UUID) -> dict[str, Any] | None:
    """One reply of a tenant."""
    row = await tx.fetchrow(_REPLY, tenant_id, inbound_id)
    return dict(row) if row else None


_DECIDE = """
UPDATE inbound_message SET verdict = $3, scope = $4, rule = $5
WHERE tenant_id = $1 AND inbound_id = $2 AND verdict = 'unclear'
RETURNING number_hash, received_at, bulk_id, seq, doubtful
"""


async def decide(
    tx: Tx, tenant_id: UUID, inbound_id: UUID, verdict: str, scope: str, rule: str
) -> dict[str, Any] | None:
    """What an unclear reply means; None where there is no such reply that is unclear."""
    row = await tx.fetchrow(_DECIDE, tenant_id, inbound_id, verdict, scope, rule)
    return dict(row) if row else None


_WRITTEN_BY = """
SELECT inbound_id, received_at, number, text, bulk_id, seq, verdict, rule, doubtful FROM inbound_message
WHERE tenant_id = $1 AND number_hash = $2 AND received_at < $3
ORDER BY received_at DESC, inbound_id DESC LIMIT $4
"""


async def written_by(tx: Tx, tenant_id: UUID, number_hash: bytes, before: datetime, limit: int) -> list[dict[str, Any]]:
    """What one number wrote before a moment, newest first."""
    return [dict(row) for row in await tx.fetch(_WRITTEN_BY, tenant_id, number_hash, before, limit)]
