"""What the report shows, newest first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from muster.kit.pg import Record, Tx
from muster.laws.report import Message
from muster.laws.system import Reference


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows; None: all. Codes are those of the domain."""

    kind: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    ended: int | None = None
    number: int | None = None
    text: str | None = None
    bulk_id: UUID | None = None
    seq: int | None = None


_COLUMNS: Final = """
SELECT m.bulk_no, m.seq, m.chunk, m.sent_at, m.receipt_at, m.credits, m.error, m.parts, m.ended, m.country,
    m.receipt_error, b.bulk_id, b.kind, b.message_class, b.sender
FROM message m JOIN bulk b USING (tenant_id, bulk_no)"""
_WHERE: Final = """
WHERE m.tenant_id = $1
    AND ($2::smallint IS NULL OR b.kind = $2)
    AND ($3::timestamptz IS NULL OR m.sent_at >= $3)
    AND ($4::timestamptz IS NULL OR m.sent_at < $4)
    AND ($5::smallint IS NULL OR m.ended = $5)
    AND ($6::text IS NULL OR EXISTS (SELECT FROM recipients r WHERE r.tenant_id = m.tenant_id
        AND r.bulk_no = m.bulk_no AND r.chunk = m.chunk AND position(lower($6) IN
            lower(r.texts[1 + coalesce(r.text_index[array_position(r.seqs, m.seq)], 0)])) > 0))
    AND ($7::uuid IS NULL OR b.bulk_id = $7)
    AND ($8::int IS NULL OR m.seq = $8)
    AND ($9::bigint IS NULL OR (m.bulk_no, m.seq) < ($9, $10::int))
ORDER BY m.bulk_no DESC, m.seq DESC LIMIT $11
"""
_ROWS: Final = _COLUMNS + _WHERE
# A number has few messages: its chunks are found first, and their arrays are read once, not for each message.
_OF_NUMBER: Final = """ JOIN (
    SELECT r.bulk_no, s.seq FROM recipients r CROSS JOIN LATERAL unnest(r.seqs, r.numbers) AS s(seq, number)
    WHERE r.tenant_id = $1 AND r.numbers @> ARRAY[$12::bigint] AND s.number = $12
) p USING (bulk_no, seq)"""
_ROWS_OF_NUMBER: Final = _COLUMNS + _OF_NUMBER + _WHERE


async def rows(tx: Tx, tenant_id: UUID, wanted: Filter, after: tuple[int, int] | None, limit: int) -> list[Record]:
    """Messages that `wanted` fits, after the place (bulk_no, seq) of the last page."""
    number = () if wanted.number is None else (wanted.number,)
    return await tx.fetch(
        _ROWS_OF_NUMBER if number else _ROWS,
        *(tenant_id, wanted.kind, wanted.since, wanted.until, wanted.ended, wanted.text, wanted.bulk_id, wanted.seq),
        *(*(after or (None, None)), limit, *number),
    )


# A message has a row once something was said of it. Until then it waits: in its chunk, of a send that is not over.
# Chunks are in the order of their messages, so that a page reads no more chunks than it shows.
_UNSAID: Final = """
SELECT b.bulk_no, {seq} AS seq, r.chunk, b.bulk_id, b.kind, b.message_class, b.sender, NULL::timestamptz AS sent_at,
    NULL::timestamptz AS receipt_at, 0 AS credits, 0 AS error, 0 AS parts, 0 AS ended, '' AS country,
    '' AS receipt_error
FROM bulk b JOIN recipients r USING (tenant_id, bulk_no)"""
_WAITING_ROWS: Final = (
    _UNSAID.format(seq="s.seq")
    + """
CROSS JOIN LATERAL unnest(r.seqs, r.numbers) WITH ORDINALITY AS s(seq, number, at)
WHERE b.tenant_id = $1 AND NOT b.closed
    AND ($2::smallint IS NULL OR b.kind = $2)
    AND ($3::text IS NULL OR position(lower($3) IN lower(r.texts[1 + coalesce(r.text_index[s.at], 0)])) > 0)
    AND ($4::uuid IS NULL OR b.bulk_id = $4)
    AND ($5::bigint IS NULL OR (r.numbers @> ARRAY[$5] AND s.number = $5))
    AND ($6::bigint IS NULL OR (b.bulk_no, s.seq) < ($6, $7::int))
    AND NOT EXISTS (SELECT FROM message m
        WHERE m.tenant_id = b.tenant_id AND m.bulk_no = b.bulk_no AND m.seq = s.seq AND m.ended <> 0)
ORDER BY b.bulk_no DESC, r.chunk DESC, s.seq DESC LIMIT $8
"""
)


async def waiting_rows(
    tx: Tx, tenant_id: UUID, wanted: Filter, after: tuple[int, int] | None, limit: int
) -> list[Record]:
    """As `rows`, of messages that are planned and of which nothing was said yet; none has a time."""
    if wanted.since or wanted.until:
        return []
    filters = (wanted.kind, wanted.text, wanted.bulk_id, wanted.number)
    return await tx.fetch(_WAITING_ROWS, tenant_id, *filters, *(after or (None, None)), limit)


_QUEUED: Final = (
    _UNSAID.format(seq="$3::int")
    + """
WHERE b.tenant_id = $1 AND b.bulk_id = $2 AND r.seqs @> ARRAY[$3::int]
"""
)


async def queued(tx: Tx, tenant_id: UUID, bulk_id: UUID, seq: int) -> list[Record]:
    """A message that is planned, of which no outcome is heard yet; at most one."""
    return await tx.fetch(_QUEUED, tenant_id, bulk_id, seq)


_CHUNKS: Final = """
SELECT bulk_no, chunk, seqs, numbers, customers, texts, text_index FROM recipients
WHERE tenant_id = $1 AND (bulk_no, chunk) IN (SELECT * FROM unnest($2::bigint[], $3::int[]))
"""


async def people(
    tx: Tx, tenant_id: UUID, messages: Iterable[tuple[int, int, int]]
) -> dict[tuple[int, int], tuple[int, str, int]]:
    """(number, text, customer) of each message (bulk_no, chunk, seq) by (bulk_no, seq)."""
    asked = list(messages)
    wanted = {(bulk_no, seq) for bulk_no, _, seq in asked}
    chunks = sorted({(bulk_no, chunk) for bulk_no, chunk, _ in asked})
    found = {}
    for row in await tx.fetch(_CHUNKS, tenant_id, [one[0] for one in chunks], [one[1] for one in chunks]):
        index, texts, customers = row["text_index"], row["texts"], row["customers"]
        for at, (seq, number) in enumerate(zip(row["seqs"], row["numbers"], strict=True)):
            if (row["bulk_no"], seq) in wanted:
                customer = customers[at] if customers else 0
                found[row["bulk_no"], seq] = (number, texts[index[at] if index else 0], customer)
    return found


_REPLIES: Final = """
SELECT bulk_id, seq, received_at, text, verdict FROM reply
WHERE tenant_id = $1 AND (bulk_id, seq) IN (SELECT * FROM unnest($2::uuid[], $3::int[])) ORDER BY received_at
"""


async def replies(tx: Tx, tenant_id: UUID, messages: Sequence[tuple[UUID, int]]) -> list[Record]:
    """What customers wrote to these messages (bulk, seq), oldest first."""
    return await tx.fetch(_REPLIES, tenant_id, [one[0] for one in messages], [one[1] for one in messages])


_PROGRESS: Final = """
SELECT recipients, counts, first_at, last_at, closed, refunded, asked, parts, credits, accounted_version,
    accounted_used, released, held, control, control_version, control_reason, paced_version, paced_control, paced_at,
    paced_why, parts_left, parts_per_second, finish_at, promised_at, promised_finish_at, finished_at, paced_reserved,
    coalesce(extract(epoch FROM kit_now() - heard_at), 'infinity')::float8 AS silent_s,
    (SELECT count(*) FROM reply r WHERE r.tenant_id = b.tenant_id AND r.bulk_id = b.bulk_id) AS replies,
    (SELECT count(*) FROM reply r WHERE r.tenant_id = b.tenant_id AND r.bulk_id = b.bulk_id AND opted_out) AS opt_outs
FROM bulk b WHERE tenant_id = $1 AND bulk_id = $2
"""


async def progress(tx: Tx, tenant_id: UUID, bulk_id: UUID) -> Record | None:
    """Live counts of a send."""
    return await tx.fetchrow(_PROGRESS, tenant_id, bulk_id)


_BULKS: Final = """
SELECT b.tenant_id, b.bulk_id, b.closed, b.recipients AS asked, b.counts, s.*
FROM bulk b CROSS JOIN LATERAL (
    SELECT count(*) AS recipients, coalesce(sum(credits), 0)::bigint AS credits,
        count(*) FILTER (WHERE left_state = 2) AS accepted, count(*) FILTER (WHERE left_state = 3) AS unknown,
        count(*) FILTER (WHERE left_state = 4) AS rejected, count(*) FILTER (WHERE left_state = 5) AS stopped,
        count(*) FILTER (WHERE left_state = 6) AS suppressed, count(*) FILTER (WHERE left_state = 0) AS queued,
        count(*) FILTER (WHERE left_state = 1) AS submitting, count(*) FILTER (WHERE ended = 11) AS delivered,
        count(*) FILTER (WHERE ended = 12) AS undelivered, count(*) FILTER (WHERE ended = 13) AS expired
    FROM message m WHERE m.tenant_id = b.tenant_id AND m.bulk_no = b.bulk_no) s
WHERE $1::uuid IS NULL OR (b.tenant_id, b.bulk_id) > ($1, $2::uuid)
ORDER BY b.tenant_id, b.bulk_id LIMIT $3
"""


# Rows that one statement counts at most, as far as whole sends allow: a million take about a second.
_COUNTED_ROWS: Final = 1_000_000
_PAGE_MAX: Final = 1_000


async def bulks(tx: Tx, after: tuple[UUID, UUID] | None, limit: int | None) -> list[dict[str, Any]]:
    """The sums of every send, counted from its rows, at most `limit`; for the operator. Counted some sends at a time,
    fewer where they are large: no statement takes longer for there being many."""
    found: list[dict[str, Any]] = []
    page = 1
    while limit is None or len(found) < limit:
        wanted = page if limit is None else min(page, limit - len(found))
        rows = [dict(row) for row in await tx.fetch(_BULKS, *(after or (None, None)), wanted)]
        found += rows
        if len(rows) < wanted:
            break
        after = rows[-1]["tenant_id"], rows[-1]["bulk_id"]
        counted = sum(row["recipients"] for row in rows) / len(rows)
        page = int(max(1, min(_COUNTED_ROWS / max(counted, 1), 2 * page, _PAGE_MAX)))
    return found


_WAITING: Final = """
SELECT b.tenant_id, b.bulk_id, m.seq FROM bulk b JOIN message m USING (tenant_id, bulk_no)
WHERE b.tenant_id = ANY ($1) AND b.bulk_id = ANY ($2) AND m.left_state IN (0, 1) ORDER BY b.bulk_id, m.seq LIMIT $3
"""


async def waiting(tx: Tx, bulks: Sequence[tuple[UUID, UUID]], limit: int) -> dict[tuple[UUID, UUID], list[int]]:
    """The messages of these sends that are queued or submitting: `limit` of them all."""
    found: dict[tuple[UUID, UUID], list[int]] = {}
    for row in await tx.fetch(_WAITING, [one[0] for one in bulks], [one[1] for one in bulks], limit):
        found.setdefault((row["tenant_id"], row["bulk_id"]), []).append(row["seq"])
    return found


_MESSAGES: Final = """
SELECT m.seq, m.left_state, m.accepted, m.credits, m.receipt FROM bulk b JOIN message m USING (tenant_id, bulk_no)
WHERE b.tenant_id = $1 AND b.bulk_id = $2 AND m.seq > $3 ORDER BY m.seq LIMIT $4
"""


async def messages(
    tx: Tx, tenant_id: UUID, bulk_id: UUID, after: int, limit: int = 500
) -> tuple[list[Message], int | None]:
    """The rows of a send after message `after`, as the laws compare them; and the message to go on after."""
    rows = await tx.fetch(_MESSAGES, tenant_id, bulk_id, after, limit)
    found = [Message(tenant_id, bulk_id, *row) for row in rows]
    return found, rows[-1]["seq"] if len(rows) == limit else None


# Each send's first row is found by the index, and no other row is read: there are as many steps as sends.
_CROSSING: Final = """
WITH RECURSIVE pair AS (
    (SELECT tenant_id, bulk_no FROM message ORDER BY tenant_id, bulk_no LIMIT 1)
    UNION ALL
    SELECT n.tenant_id, n.bulk_no FROM pair p CROSS JOIN LATERAL (
        SELECT m.tenant_id, m.bulk_no FROM message m WHERE (m.tenant_id, m.bulk_no) > (p.tenant_id, p.bulk_no)
        ORDER BY m.tenant_id, m.bulk_no LIMIT 1) n
)
SELECT p.tenant_id, b.tenant_id AS owner, b.bulk_id, s.seq, s.messages
FROM pair p JOIN bulk b USING (bulk_no) CROSS JOIN LATERAL (
    SELECT min(m.seq) AS seq, count(*) AS messages FROM message m
    WHERE m.tenant_id = p.tenant_id AND m.bulk_no = p.bulk_no) s
WHERE b.tenant_id <> p.tenant_id LIMIT 101
"""


async def crossing(tx: Tx) -> list[Reference]:
    """Rows of one tenant under another's send; there must be none."""
    rows = await tx.fetch(_CROSSING)
    return [
        Reference(row["tenant_id"], f"{row['messages']} rows", row["owner"], row["bulk_id"], row["seq"]) for row in rows
    ]
