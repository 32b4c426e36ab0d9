"""Imports: their figures and what was wrong in their rows."""

from collections.abc import Sequence
from uuid import UUID

from muster.customer.domain.importing import RowError
from muster.kit.pg import Record, Tx

_TAKE_TURN = "SELECT pg_try_advisory_xact_lock(hashtextextended('import/' || $1::uuid::text, 0))"


async def take_turn(tx: Tx, tenant_id: UUID) -> bool:
    """Whether no other import of the tenant runs: two at once would each make the customers that both describe."""
    return bool(await tx.fetchval(_TAKE_TURN, tenant_id))


_SAVE = """
INSERT INTO customer_import (tenant_id, import_id, rows, created, updated, unchanged, rejected, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def save_import(
    tx: Tx,
    tenant_id: UUID,
    import_id: UUID,
    *,
    rows: int,
    created: int,
    updated: int,
    unchanged: int,
    rejected: int,
    by: str,
) -> None:
    """Store the figures of an import; rows = created + updated + unchanged + rejected."""
    known = updated + unchanged
    await tx.execute(_SAVE, tenant_id, import_id, rows, created, known, unchanged, rejected, by)


_SAVE_ERRORS = """
INSERT INTO customer_import_error (tenant_id, import_id, ordinal, row, field, "column", code, message)
SELECT $1, $2, $3 + e.n, e.row, e.field, e.col, e.code, e.message
FROM unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[]) WITH ORDINALITY
    AS e (row, field, col, code, message, n)
"""


async def save_errors(tx: Tx, tenant_id: UUID, import_id: UUID, after: int, errors: Sequence[RowError]) -> None:
    """Store errors, the first with ordinal `after` + 1."""
    if errors:
        columns = zip(*[(e.row, e.field, e.column, e.code, e.message) for e in errors], strict=True)
        await tx.execute(_SAVE_ERRORS, tenant_id, import_id, after, *map(list, columns))


_IMPORT = """
SELECT import_id, rows, created, updated - unchanged AS updated, unchanged, rejected, created_at FROM customer_import
WHERE tenant_id = $1 AND import_id = $2
"""


async def import_of(tx: Tx, tenant_id: UUID, import_id: UUID) -> Record | None:
    """The figures of one import."""
    return await tx.fetchrow(_IMPORT, tenant_id, import_id)


_IMPORTS = """
SELECT import_id, rows, created, updated - unchanged AS updated, unchanged, rejected, created_at FROM customer_import
WHERE tenant_id = $1 AND ($2::uuid IS NULL OR import_id < $2) ORDER BY import_id DESC LIMIT $3
"""


async def page_of_imports(tx: Tx, tenant_id: UUID, before: UUID | None, limit: int) -> list[Record]:
    """Imports, the newest first (their ids are in order of time)."""
    return await tx.fetch(_IMPORTS, tenant_id, before, limit)


_ERRORS = """
SELECT ordinal, row, field, "column", code, message FROM customer_import_error
WHERE tenant_id = $1 AND import_id = $2 AND ordinal > $3 ORDER BY ordinal LIMIT $4
"""


async def page_of_errors(tx: Tx, tenant_id: UUID, import_id: UUID, after: int, limit: int) -> list[Record]:
    """Errors in the order of the file."""
    return await tx.fetch(_ERRORS, tenant_id, import_id, after, limit)
