"""The files of imports: as they came, and as blocks of rows."""

from collections.abc import Sequence
from uuid import UUID

from muster.kit.pg import Record, Tx

_ADD_PARTS = """
INSERT INTO customer_import_part (tenant_id, import_id, part, content)
SELECT $1, $2, $3 + p.n, p.content FROM unnest($4::bytea[]) WITH ORDINALITY AS p (content, n)
"""


async def add_parts(tx: Tx, tenant_id: UUID, import_id: UUID, after: int, parts: Sequence[bytes]) -> None:
    """Store pieces of an upload behind the `after` that are there."""
    await tx.execute(_ADD_PARTS, tenant_id, import_id, after, list(parts))


_PARTS = """
SELECT part, content FROM customer_import_part WHERE tenant_id = $1 AND import_id = $2 AND part > $3
ORDER BY part LIMIT $4
"""


async def parts_of(tx: Tx, tenant_id: UUID, import_id: UUID, after: int, limit: int) -> list[bytes]:
    """Pieces of an upload, in order."""
    return [row["content"] for row in await tx.fetch(_PARTS, tenant_id, import_id, after, limit)]


_ADD_BLOCK = """
INSERT INTO customer_import_block (tenant_id, import_id, block, first_row, rows, content)
VALUES ($1, $2, $3, $4, $5, $6)
"""


async def add_block(
    tx: Tx, tenant_id: UUID, import_id: UUID, block: int, *, first_row: int, rows: int, content: bytes
) -> None:
    """Store a block of rows."""
    await tx.execute(_ADD_BLOCK, tenant_id, import_id, block, first_row, rows, content)


_BLOCK = """
SELECT first_row, rows, content FROM customer_import_block WHERE tenant_id = $1 AND import_id = $2 AND block = $3
"""


async def block_of(tx: Tx, tenant_id: UUID, import_id: UUID, block: int) -> Record | None:
    """A block, None behind the last."""
    return await tx.fetchrow(_BLOCK, tenant_id, import_id, block)


_FIRST_ROW = "SELECT first_row FROM customer_import_block WHERE tenant_id = $1 AND import_id = $2 AND block = $3"


async def first_row_of(tx: Tx, tenant_id: UUID, import_id: UUID, block: int) -> int | None:
    """Which row of the file a block begins with, None behind the last."""
    row: int | None = await tx.fetchval(_FIRST_ROW, tenant_id, import_id, block)
    return row


async def forget_parts(tx: Tx, tenant_id: UUID, import_id: UUID) -> None:
    """Drop the file as it came."""
    await tx.execute("DELETE FROM customer_import_part WHERE tenant_id = $1 AND import_id = $2", tenant_id, import_id)


async def forget_blocks(tx: Tx, tenant_id: UUID, import_id: UUID) -> None:
    """Drop its blocks."""
    await tx.execute("DELETE FROM customer_import_block WHERE tenant_id = $1 AND import_id = $2", tenant_id, import_id)
