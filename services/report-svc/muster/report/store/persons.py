"""What the report holds of people: who got what, and what they wrote."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from muster.kit.pg import Record, Tx

_NUMBERS: Final = """
SELECT r.bulk_no, r.chunk, b.bulk_id, r.numbers FROM recipients r JOIN bulk b USING (tenant_id, bulk_no)
WHERE r.tenant_id = $1 AND (r.bulk_no, r.chunk) > ($2, $3) ORDER BY r.bulk_no, r.chunk LIMIT $4
"""


async def numbers(tx: Tx, tenant_id: UUID, after: tuple[int, int], limit: int) -> list[Record]:
    """The numbers of chunks behind a place, in order: bulk_no, chunk, bulk_id, numbers."""
    return await tx.fetch(_NUMBERS, tenant_id, *after, limit)


_LOCK: Final = """
SELECT seqs, numbers, customers, texts, text_index FROM recipients WHERE tenant_id = $1 AND bulk_no = $2 AND chunk = $3
FOR NO KEY UPDATE
"""
_BLANK: Final = """
UPDATE recipients SET numbers = $4, customers = $5, texts = $6, text_index = $7
WHERE tenant_id = $1 AND bulk_no = $2 AND chunk = $3
"""


async def lock_chunk(tx: Tx, tenant_id: UUID, bulk_no: int, chunk: int) -> Record:
    """Who got what in a chunk, for a change."""
    row = await tx.fetchrow(_LOCK, tenant_id, bulk_no, chunk)
    assert row is not None, "rows of this table are never deleted"
    return row


async def put_chunk(tx: Tx, tenant_id: UUID, bulk_no: int, chunk: int, columns: Sequence[Sequence[Any]]) -> None:
    """Put it back: numbers, customers, texts, text_index."""
    await tx.execute(_BLANK, tenant_id, bulk_no, chunk, *map(list, columns))


# allow ordered-locks: one process forgets at a time, and whoever else writes a reply takes that row alone
_BLANK_REPLIES: Final = """
UPDATE reply r SET text = NULL FROM unnest($2::bytea[], $3::timestamptz[]) AS g (number_hash, erased_at)
WHERE r.tenant_id = $1 AND r.number_hash = g.number_hash AND r.text IS NOT NULL
    AND coalesce(r.received_at <= g.erased_at, true)
"""
# allow ordered-locks: the same
_BLANK_ANSWERS: Final = """
UPDATE reply r SET text = NULL FROM bulk b, unnest($3::int[], $4::timestamptz[]) AS g (seq, erased_at)
WHERE r.tenant_id = $1 AND b.tenant_id = $1 AND b.bulk_no = $2 AND r.bulk_id = b.bulk_id AND r.seq = g.seq
    AND r.text IS NOT NULL AND coalesce(r.received_at <= g.erased_at, true)
"""


async def blank_replies(tx: Tx, tenant_id: UUID, gone: Mapping[bytes, datetime]) -> None:
    """What these numbers wrote until they were erased."""
    await tx.execute(_BLANK_REPLIES, tenant_id, list(gone), list(gone.values()))


async def blank_answers(tx: Tx, tenant_id: UUID, bulk_no: int, seqs: Mapping[int, datetime]) -> None:
    """The same of what answers these messages, also where nobody noted whose words it was."""
    await tx.execute(_BLANK_ANSWERS, tenant_id, bulk_no, list(seqs), list(seqs.values()))
