"""What is held of people by their numbers: who gets what in chunks that are not done, and numbers of which no tenant is
known yet."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from muster.kit.pg import Record, Tx

_CHUNKS: Final = """
SELECT bulk_id, chunk, plain, personal FROM chunk_body b
WHERE tenant_id = $1 AND personal IS NOT NULL AND (bulk_id, chunk) > ($3, $4)
    AND EXISTS (SELECT FROM unnest($2::bytea[]) h WHERE position(h IN b.plain) > 0)
ORDER BY bulk_id, chunk LIMIT $5 FOR NO KEY UPDATE
"""


async def chunks_with(
    tx: Tx, tenant_id: UUID, hashes: Sequence[bytes], after: tuple[UUID, int], limit: int
) -> list[Record]:
    """Chunks that are not done and seem to hold one of these numbers, locked: bulk_id, chunk and both halves."""
    return await tx.fetch(_CHUNKS, tenant_id, hashes, *after, limit)


_REPLACE: Final = "UPDATE chunk_body SET personal = $4 WHERE tenant_id = $1 AND bulk_id = $2 AND chunk = $3"


async def replace_personal(tx: Tx, tenant_id: UUID, bulk_id: UUID, chunk: int, personal: bytes) -> None:
    """Put another half with numbers and texts into a chunk that is locked."""
    await tx.execute(_REPLACE, tenant_id, bulk_id, chunk, personal)


# Of each table with numbers as carriers or operators write them: where they are, since when, how they are taken out.
# allow ordered-locks: one process forgets at a time, and whoever else changes such a row takes that row alone
LOOSE: Final[Mapping[str, tuple[str, str]]] = {
    "receipt_waiting": ("number, received_at", "UPDATE receipt_waiting SET number = '' WHERE {these}"),
    "callback_receipt": ("number, received_at", "UPDATE callback_receipt SET number = '' WHERE {these}"),
    "carrier_test": ("number, created_at", "UPDATE carrier_test SET number = '', body = '' WHERE {these}"),
    "inbound_part": ("source, received_at", "DELETE FROM inbound_part WHERE {these}"),
    # allow tenant-in-tenant-sql: written to a number that nobody has
    "inbound_message": ("number, received_at", "UPDATE inbound_message SET number = NULL, body = NULL WHERE {these}"),
}
_NUMBERS: Final = """
SELECT DISTINCT {number} AS number FROM {table} WHERE {number} <> '' AND {number} > $1 ORDER BY 1 LIMIT $2
"""
_THESE: Final = (
    "({number}, true) IN (SELECT n, {table}.{at} <= e FROM unnest($1::text[], $2::timestamptz[]) AS g (n, e))"
)


async def loose_numbers(tx: Tx, table: str, after: str, limit: int) -> list[str]:
    """Numbers as they are in one of these tables, in order."""
    number, _, _ = LOOSE[table][0].partition(", ")
    rows = await tx.fetch(_NUMBERS.format(number=number, table=table), after, limit)
    return [row["number"] for row in rows]


async def forget_loose(tx: Tx, table: str, numbers: Mapping[str, object]) -> None:
    """Take numbers out of what came until they were erased."""
    columns, statement = LOOSE[table]
    number, _, at = columns.partition(", ")
    these = _THESE.format(number=number, table=table, at=at)
    await tx.execute(statement.format(these=these), list(numbers), list(numbers.values()))
