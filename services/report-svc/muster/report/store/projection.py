"""What events write. Every statement is for all messages of a batch; lower versions change nothing."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from muster.kit.pg import Record, Tx, UniqueViolation
from muster.report.domain import Change

_ADD_BULKS: Final = """
INSERT INTO bulk (tenant_id, bulk_id) SELECT * FROM unnest($1::uuid[], $2::uuid[]) ORDER BY 1, 2 ON CONFLICT DO NOTHING
"""
_NUMBERS: Final = """
SELECT tenant_id, bulk_id, bulk_no FROM bulk
WHERE (tenant_id, bulk_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
"""


async def numbers(tx: Tx, bulks: Iterable[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], int]:
    """The number of each send; new ones get theirs."""
    wanted = sorted(set(bulks))
    columns = [one[0] for one in wanted], [one[1] for one in wanted]
    found = await tx.fetch(_NUMBERS, *columns)
    if len(found) < len(wanted):
        await tx.execute(_ADD_BULKS, *columns)
        found = await tx.fetch(_NUMBERS, *columns)
    return {(row["tenant_id"], row["bulk_id"]): row["bulk_no"] for row in found}


# A carrier's status is any 32 bits: the upper half of them is kept as negative numbers.
_DISPATCHED_ROWS: Final = """
    INSERT INTO message (tenant_id, bulk_no, seq, chunk, dispatched_version, sent_at, credits, error, left_state,
        accepted, parts, country)
    SELECT ($1::uuid[])[m.chunk], ($2::bigint[])[m.chunk], m.seq, ($3::int[])[m.chunk], m.version,
        ($4::timestamptz[])[m.chunk], m.credits, (m.error - (m.error >> 31 << 32))::int, m.left_state, m.accepted,
        m.parts, ($5::text[])[m.chunk]
    FROM unnest($6::text::int[], $7::text::int[], $8::text::int[], $9::text::int[], $10::text::bigint[],
        $11::text::smallint[], $12::text::smallint[], $13::text::smallint[])
        AS m(chunk, seq, version, credits, error, left_state, accepted, parts)
    ORDER BY 1, 2, 3
"""
# Nearly every message is heard of for the first time. A plain INSERT takes two thirds of an upsert's time.
_DISPATCHED_FIRST: Final = f"""
WITH new AS ({_DISPATCHED_ROWS} RETURNING bulk_no, ended, credits, CASE accepted WHEN 2 THEN parts ELSE 0 END AS parts)
SELECT bulk_no, NULL AS before, ended AS after, count(*) AS messages, sum(parts)::bigint AS parts,
    sum(credits)::bigint AS credits
FROM new GROUP BY bulk_no, ended
"""  # noqa: S608 - the rows are the constant above
# allow ordered-locks: _DISPATCHED_ROWS come in order
_DISPATCHED: Final = f"""
WITH changed AS ({_DISPATCHED_ROWS}
    ON CONFLICT (tenant_id, bulk_no, seq) DO UPDATE SET dispatched_version = excluded.dispatched_version,
        sent_at = excluded.sent_at, credits = excluded.credits, error = excluded.error,
        left_state = excluded.left_state, accepted = excluded.accepted, parts = excluded.parts,
        country = excluded.country
    WHERE message.dispatched_version < excluded.dispatched_version
    RETURNING new.bulk_no AS bulk_no, old.ended AS before, new.ended AS after,
        new.credits - coalesce(old.credits, 0) AS credits,
        CASE new.accepted WHEN 2 THEN new.parts ELSE 0 END - CASE old.accepted WHEN 2 THEN old.parts ELSE 0 END AS parts
)
SELECT bulk_no, before, after, count(*) AS messages, sum(parts)::bigint AS parts, sum(credits)::bigint AS credits
FROM changed GROUP BY bulk_no, before, after -- tenant_id: above
"""  # noqa: S608 - the rows are the constant above


async def save_dispatched(tx: Tx, columns: Sequence[Sequence[Any]]) -> list[Record]:
    """How messages were left; answers (bulk_no, before, after, messages, parts, credits) for the live counts: parts
    that a carrier took, and credits, as they have changed."""
    try:
        async with tx.savepoint():  # allow commit-at-the-edge: the error that is expected undoes this alone
            return await tx.fetch(_DISPATCHED_FIRST, *columns)
    except UniqueViolation:
        return await tx.fetch(_DISPATCHED, *columns)


_RECEIVED: Final = """
    SELECT ($1::uuid[])[m.chunk] AS tenant_id, ($2::bigint[])[m.chunk] AS bulk_no, m.seq, ($3::int[])[m.chunk] AS chunk,
        m.version, to_timestamp(nullif(m.unix_ms, 0) / 1000.0) AS at, m.receipt, m.error
    FROM unnest($4::text::int[], $5::text::int[], $6::text::int[], $7::text::bigint[], $8::text::smallint[],
        $9::text::text[])
        AS m(chunk, seq, version, unix_ms, receipt, error)
    ORDER BY 1, 2, 3
"""
# Nearly every receipt is of a message that has its row, and an UPDATE takes four fifths of an upsert's time.
# allow ordered-locks: should it lock in another order than _RECEIVED has, the auditor or the agent tries again
_RECEIPTS_OF_ROWS: Final = f"""
WITH changed AS (
    UPDATE message m SET receipt_version = n.version, receipt_at = n.at, receipt = n.receipt, receipt_error = n.error
    -- tenant_id: below
    FROM ({_RECEIVED}) n
    WHERE m.tenant_id = n.tenant_id AND m.bulk_no = n.bulk_no AND m.seq = n.seq AND m.receipt_version < n.version
    RETURNING new.bulk_no AS bulk_no, old.ended AS before, new.ended AS after
)
SELECT bulk_no, before, after, count(*) AS messages, 0 AS parts, 0 AS credits
FROM changed GROUP BY bulk_no, before, after -- tenant_id: above
"""  # noqa: S608 - the rows are the constant above
# allow ordered-locks: _RECEIVED is in order
_RECEIPTS: Final = f"""
WITH changed AS (
    INSERT INTO message (tenant_id, bulk_no, seq, chunk, receipt_version, receipt_at, receipt, receipt_error)
    {_RECEIVED}
    ON CONFLICT (tenant_id, bulk_no, seq) DO UPDATE SET receipt_version = excluded.receipt_version,
        receipt_at = excluded.receipt_at, receipt = excluded.receipt, receipt_error = excluded.receipt_error
    WHERE message.receipt_version < excluded.receipt_version
    RETURNING new.bulk_no AS bulk_no, old.ended AS before, new.ended AS after
)
SELECT bulk_no, before, after, count(*) AS messages, 0 AS parts, 0 AS credits
FROM changed GROUP BY bulk_no, before, after -- tenant_id: above
"""  # noqa: S608 - the rows are the constant above


async def save_receipts(tx: Tx, columns: Sequence[Sequence[Any]], messages: int) -> list[Record]:
    """What receipts say of so many messages; answers as save_dispatched."""
    changed = await tx.fetch(_RECEIPTS_OF_ROWS, *columns)
    if sum(row["messages"] for row in changed) < messages:
        # Some have no row yet, or it knows better: what has just been updated is left as it is.
        changed += await tx.fetch(_RECEIPTS, *columns)
    return changed


_COUNT: Final = """
WITH n AS (
    SELECT x.bulk_no, array_agg(x.count ORDER BY x.code) AS delta
    FROM unnest($1::bigint[], $2::int[], $3::int[]) AS x(bulk_no, code, count) GROUP BY x.bulk_no
), s AS (
    SELECT * FROM unnest($4::bigint[], $5::bigint[], $6::bigint[]) AS s(bulk_no, parts, credits)
), locked AS (
    SELECT tenant_id, bulk_id, bulk_no FROM bulk WHERE bulk_no IN (SELECT bulk_no FROM n)
    ORDER BY tenant_id, bulk_id FOR UPDATE
)
UPDATE bulk b SET heard_at = kit_now(), parts = b.parts + s.parts, credits = b.credits + s.credits, counts = (
    SELECT array_agg(c + d ORDER BY i) FROM unnest(b.counts, n.delta) WITH ORDINALITY AS both_(c, d, i))
FROM n JOIN s USING (bulk_no) JOIN locked USING (bulk_no)
WHERE b.tenant_id = locked.tenant_id AND b.bulk_id = locked.bulk_id
"""


async def add_counts(tx: Tx, changes: Mapping[int, Change]) -> None:
    """Add to the live counts, in one order of sends."""
    if not changes:
        return
    flat = [(bulk_no, code, count) for bulk_no, one in changes.items() for code, count in enumerate(one.counts)]
    sums = [(bulk_no, one.parts, one.credits) for bulk_no, one in changes.items()]
    await tx.execute(_COUNT, *map(list, zip(*flat, strict=True)), *map(list, zip(*sums, strict=True)))


_TIMES: Final = """
WITH n AS (
    SELECT bulk_no, min(at) AS first_at, max(at) AS last_at
    FROM unnest($1::bigint[], $2::timestamptz[]) AS x(bulk_no, at) GROUP BY bulk_no
), locked AS (
    SELECT tenant_id, bulk_id, n.first_at, n.last_at FROM bulk b JOIN n USING (bulk_no)
    WHERE b.first_at IS NULL OR n.first_at < b.first_at OR n.last_at > b.last_at
    ORDER BY tenant_id, bulk_id FOR UPDATE OF b
)
UPDATE bulk b SET first_at = least(b.first_at, n.first_at), last_at = greatest(b.last_at, n.last_at)
FROM locked n WHERE b.tenant_id = n.tenant_id AND b.bulk_id = n.bulk_id
"""


async def save_times(tx: Tx, times: Sequence[tuple[int, datetime]]) -> None:
    """When messages of these sends (send, time) left, for the rate."""
    if times:
        await tx.execute(_TIMES, [bulk_no for bulk_no, _ in times], [at for _, at in times])


_REQUESTED: Final = """
UPDATE bulk SET kind = $3, message_class = $4, sender = $5, recipients = $6, requested_at = $7, asked = $8
WHERE tenant_id = $1 AND bulk_id = $2
"""


async def save_requested(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """What was asked for; said once for each send."""
    await tx.executemany(_REQUESTED, sorted(rows, key=itemgetter(0, 1)))


_ACCOUNTED: Final = """
UPDATE bulk SET accounted_version = $3, closed = $4, refunded = $5, accounted_used = $6, released = $7, held = $8,
    heard_at = kit_now()
WHERE tenant_id = $1 AND bulk_id = $2 AND accounted_version < $3
"""


async def save_accounted(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """Whether a send has ended, and what became of its credits."""
    await tx.executemany(_ACCOUNTED, sorted(rows, key=itemgetter(0, 1)))


_CONTROLLED: Final = """
UPDATE bulk SET control_version = $3, control = $4, control_reason = $5
WHERE tenant_id = $1 AND bulk_id = $2 AND control_version < $3
"""


async def save_controlled(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """Whether a send is stopped or paused."""
    await tx.executemany(_CONTROLLED, sorted(rows, key=itemgetter(0, 1)))


_PACED: Final = """
UPDATE bulk SET paced_version = $3, paced_control = $4, paced_at = $5, paced_why = $6, parts_left = $7,
    parts_per_second = $8, finish_at = $9, promised_at = $10, promised_finish_at = $11, finished_at = $12,
    paced_reserved = $13
WHERE tenant_id = $1 AND bulk_id = $2 AND paced_version < $3
"""


async def save_paced(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """How fast a send leaves, and when the last of it will have left."""
    await tx.executemany(_PACED, sorted(rows, key=itemgetter(0, 1)))


_RECIPIENTS: Final = """
INSERT INTO recipients (tenant_id, bulk_no, chunk, seqs, numbers, customers, texts, text_index)
VALUES ($1, $2, $3, $4::text::int[], $5::text::bigint[], $6::text::bigint[], $7::text::text[], $8::text::smallint[])
ON CONFLICT DO NOTHING
"""


async def save_recipients(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """Who gets what."""
    await tx.executemany(_RECIPIENTS, sorted(rows, key=itemgetter(0, 1, 2)))


_REPLIED: Final = """
INSERT INTO reply (tenant_id, inbound_id, bulk_id, seq, verdict, rule, received_at, number_hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (tenant_id, inbound_id) DO UPDATE SET bulk_id = excluded.bulk_id, seq = excluded.seq,
    verdict = excluded.verdict, rule = excluded.rule, received_at = excluded.received_at,
    number_hash = excluded.number_hash
    WHERE excluded.verdict <> 5 OR reply.verdict = 0
"""


async def save_replied(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """What a customer's message answers, and how it was read: said again where it was unclear (5) and was decided."""
    await tx.executemany(_REPLIED, sorted(rows, key=itemgetter(0, 1)))


_OPTED: Final = """
INSERT INTO reply (tenant_id, inbound_id, opted_out) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, inbound_id) DO UPDATE SET opted_out = excluded.opted_out
"""


async def save_opted(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """That a customer's message was an opt-out."""
    await tx.executemany(_OPTED, sorted(rows, key=itemgetter(0, 1)))


_WRITTEN: Final = """
INSERT INTO reply (tenant_id, inbound_id, text, received_at, number_hash) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant_id, inbound_id) DO UPDATE SET text = excluded.text,
    received_at = coalesce(reply.received_at, excluded.received_at), number_hash = excluded.number_hash
"""


async def save_written(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """What a customer wrote."""
    await tx.executemany(_WRITTEN, sorted(rows, key=itemgetter(0, 1)))
