"""Imports: how they stand, their figures, and what was wrong in their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import orjson

from muster.customer.domain.importing import Repair, RowError
from muster.customer.store import import_files as files
from muster.kit.pg import Record, Tx

UPLOADING, WAITING, READING, PREVIEW, APPLYING = "uploading", "waiting", "reading", "preview", "applying"
DONE, REFUSED, CANCELLED, FAILED = "done", "refused", "cancelled", "failed"
ENDED = (DONE, REFUSED, CANCELLED)

_BEGIN = """
INSERT INTO customer_import (tenant_id, import_id, state, file_name, rows, created, updated, unchanged, rejected,
                             created_by)
VALUES ($1, $2, 'uploading', $3, 0, 0, 0, 0, 0, $4)
"""
_COUNT_OPEN = """
SELECT count(*) FROM customer_import WHERE tenant_id = $1 AND state NOT IN ('done', 'refused', 'cancelled', 'failed')
"""


async def begin(tx: Tx, tenant_id: UUID, import_id: UUID, file_name: str, by: str) -> None:
    """Store an import of which nothing has come yet."""
    await tx.execute(_BEGIN, tenant_id, import_id, file_name, by)


async def count_open(tx: Tx, tenant_id: UUID) -> int:
    """Imports that are under way."""
    return int(await tx.fetchval(_COUNT_OPEN, tenant_id))


_GROWN = """
UPDATE customer_import SET bytes = $3, changed_at = kit_now()
WHERE tenant_id = $1 AND import_id = $2 AND state = 'uploading' RETURNING true
"""


async def grown(tx: Tx, tenant_id: UUID, import_id: UUID, size_bytes: int) -> bool:
    """Say how much of it has come; False where it was given up."""
    return bool(await tx.fetchval(_GROWN, tenant_id, import_id, size_bytes))


_UPLOADED = """
UPDATE customer_import SET state = 'waiting', options = $3::text::jsonb, preview = $4, changed_at = kit_now()
WHERE tenant_id = $1 AND import_id = $2 AND state = 'uploading' RETURNING true
"""


async def uploaded(tx: Tx, tenant_id: UUID, import_id: UUID, options: Mapping[str, Any], *, preview: bool) -> bool:
    """All of it has come: it may be read. False where it was given up."""
    return bool(await tx.fetchval(_UPLOADED, tenant_id, import_id, _json(options), preview))


_DROP = "DELETE FROM customer_import WHERE tenant_id = $1 AND import_id = $2 AND state = 'uploading'"


async def drop(tx: Tx, tenant_id: UUID, import_id: UUID) -> None:
    """Forget an upload that came to nothing, with the pieces that have come."""
    if await tx.execute(_DROP, tenant_id, import_id) == "DELETE 1":
        await files.forget_parts(tx, tenant_id, import_id)


_ROW = """
SELECT import_id, state, file_name, options::text AS options, preview, file::text AS file, problem::text AS problem,
    repairs::text AS repairs, bytes, bytes_read, rows, coalesce(rows_total, CASE WHEN state = 'done' THEN rows END)
    AS rows_total, created, updated - unchanged AS updated, unchanged, rejected, removed, listed, list_id,
    errors, next_block, epoch, created_at, created_by, finished_at
FROM customer_import WHERE tenant_id = $1 """
_ONE = _ROW + "AND import_id = $2"
_LOCKED = _ONE + " FOR NO KEY UPDATE"
_TAKEN = _ONE + " AND state = 'applying' FOR NO KEY UPDATE SKIP LOCKED"


async def import_of(tx: Tx, tenant_id: UUID, import_id: UUID) -> Record | None:
    """An import as it stands; options, file, problem and repairs as JSON texts."""
    return await tx.fetchrow(_ONE, tenant_id, import_id)


async def lock_import(tx: Tx, tenant_id: UUID, import_id: UUID) -> Record | None:
    """As `import_of`, for a change."""
    return await tx.fetchrow(_LOCKED, tenant_id, import_id)


_REFRESH_STATISTICS = "ANALYZE customer, customer_number, customer_other_number, customer_list_member"


async def refresh_statistics(tx: Tx) -> None:
    """Tell the planner what the tables that an import fills hold now, as the worker: a second for millions of rows."""
    await tx.execute(_REFRESH_STATISTICS)


_TURN = "SELECT pg_try_advisory_xact_lock(hashtextextended('import/' || $1::uuid::text, 0))"


async def take_applying(tx: Tx, tenant_id: UUID, import_id: UUID) -> Record | None:
    """As `lock_import` where it is being applied, and nobody else applies one of the tenant's: two at once would each
    make the customers that both describe."""
    if not await tx.fetchval(_TURN, tenant_id):
        return None
    return await tx.fetchrow(_TAKEN, tenant_id, import_id)


_IMPORTS = (
    _ROW
    + """AND ($2::uuid IS NULL OR import_id < $2) AND (options ->> 'mode' IS NOT DISTINCT FROM 'upload') = $3
ORDER BY import_id DESC LIMIT $4"""
)


async def page_of_imports(
    tx: Tx, tenant_id: UUID, before: UUID | None, limit: int, *, uploads: bool = False
) -> list[Record]:
    """Imports, or the uploads of lists, the newest first (their ids are in order of time)."""
    return await tx.fetch(_IMPORTS, tenant_id, before, uploads, limit)


# Of each tenant what was begun, else what came first, which others wait for where it failed lately; the tenants behind
# the one served last come first.
_NEXT_TO_APPLY = """
SELECT tenant_id, import_id FROM (
    SELECT DISTINCT ON (tenant_id) tenant_id, import_id, retry_at FROM customer_import WHERE state = 'applying'
    ORDER BY tenant_id, next_block > 0 DESC, import_id) f
WHERE coalesce(retry_at <= kit_now(), true) ORDER BY tenant_id > $1 DESC, tenant_id LIMIT $2
"""
_NEXT_TO_READ = """
SELECT DISTINCT ON (tenant_id > $1, tenant_id) tenant_id, import_id FROM customer_import
WHERE state = 'waiting' OR (state = 'reading' AND lease_until < kit_now())
ORDER BY tenant_id > $1 DESC, tenant_id, import_id LIMIT $2
"""


async def next_to_apply(tx: Tx, served: UUID, limit: int) -> list[tuple[UUID, UUID]]:
    """Tenants with the import of theirs that is to be applied (worker)."""
    return [(row["tenant_id"], row["import_id"]) for row in await tx.fetch(_NEXT_TO_APPLY, served, limit)]


async def next_to_read(tx: Tx, served: UUID, limit: int) -> list[tuple[UUID, UUID]]:
    """Tenants with the import of theirs that is to be read (worker)."""
    return [(row["tenant_id"], row["import_id"]) for row in await tx.fetch(_NEXT_TO_READ, served, limit)]


_FIRST_TO_APPLY = """
SELECT import_id FROM (
    SELECT import_id, retry_at FROM customer_import WHERE tenant_id = $1 AND state = 'applying'
    ORDER BY next_block > 0 DESC, import_id LIMIT 1) f
WHERE coalesce(retry_at <= kit_now(), true)
"""


async def first_to_apply(tx: Tx, tenant_id: UUID) -> UUID | None:
    """The import of a tenant that is to be applied."""
    found: UUID | None = await tx.fetchval(_FIRST_TO_APPLY, tenant_id)
    return found


_COUNT_FAILURE = """
UPDATE customer_import SET failures = failures + 1, changed_at = kit_now(),
    retry_at = kit_now() + make_interval(secs => least(300, 2 ^ failures - 1))
WHERE tenant_id = $1 AND import_id = $2 AND state = 'applying' RETURNING failures
"""


async def count_failure(tx: Tx, tenant_id: UUID, import_id: UUID) -> int:
    """A block could not be applied: it is tried again later, each time after twice as long. How often that was, since
    one was applied; 0 where nobody applies the import any more."""
    return int(await tx.fetchval(_COUNT_FAILURE, tenant_id, import_id) or 0)


_FAIL = """
UPDATE customer_import SET state = 'failed', problem = $3::text::jsonb, lease_until = NULL, changed_at = kit_now()
WHERE tenant_id = $1 AND import_id = $2 AND state IN ('waiting', 'reading', 'applying') RETURNING true
"""
_GO_ON = """
UPDATE customer_import SET state = CASE WHEN file IS NULL THEN 'waiting' ELSE 'applying' END, problem = NULL,
    failures = 0, retry_at = NULL, changed_at = kit_now()
WHERE tenant_id = $1 AND import_id = $2 AND state = 'failed'
"""


async def fail(tx: Tx, tenant_id: UUID, import_id: UUID, problem: Mapping[str, Any]) -> bool:
    """Give it up, with all that it needs to go on; False where it has ended."""
    return bool(await tx.fetchval(_FAIL, tenant_id, import_id, _json(problem)))


async def go_on(tx: Tx, tenant_id: UUID, import_id: UUID) -> None:
    """Take one up again that was given up, where it was; its row is locked."""
    await tx.execute(_GO_ON, tenant_id, import_id)


_TAKE_READING = """
UPDATE customer_import SET state = 'reading', epoch = epoch + 1, lease_until = kit_now() + make_interval(secs => $3),
    bytes_read = 0, rows_total = NULL, changed_at = kit_now()
WHERE tenant_id = $1 AND import_id = $2 AND (state = 'waiting' OR (state = 'reading' AND lease_until < kit_now()))
RETURNING epoch
"""


async def take_reading(tx: Tx, tenant_id: UUID, import_id: UUID, lease_s: float) -> int | None:
    """Take an import to read it, from its start; the epoch of the lease, None where somebody else has it."""
    epoch: int | None = await tx.fetchval(_TAKE_READING, tenant_id, import_id, lease_s)
    return epoch


_HOLD_READING = """
UPDATE customer_import SET lease_until = kit_now() + make_interval(secs => $4), bytes_read = $5, changed_at = kit_now()
WHERE tenant_id = $1 AND import_id = $2 AND state = 'reading' AND epoch = $3 RETURNING true
"""


async def hold_reading(tx: Tx, tenant_id: UUID, import_id: UUID, epoch: int, lease_s: float, bytes_read: int) -> bool:
    """Keep a lease, and say how far it is; False where it is somebody else's, or the import has ended."""
    return bool(await tx.fetchval(_HOLD_READING, tenant_id, import_id, epoch, lease_s, bytes_read))


_HAVE_READ = """
UPDATE customer_import SET state = CASE WHEN preview THEN 'preview' ELSE 'applying' END, file = $4::text::jsonb,
    options = $5::text::jsonb, rows_total = $6, bytes_read = bytes, lease_until = NULL, changed_at = kit_now()
WHERE tenant_id = $1 AND import_id = $2 AND state = 'reading' AND epoch = $3 RETURNING true
"""


async def have_read(
    tx: Tx,
    tenant_id: UUID,
    import_id: UUID,
    epoch: int,
    file: Mapping[str, Any],
    options: Mapping[str, Any],
    rows: int,
) -> bool:
    """All of the file has been read: it waits to be looked at, or is applied. False where the lease is lost."""
    changed = await tx.fetchval(_HAVE_READ, tenant_id, import_id, epoch, _json(file), _json(options), rows)
    return bool(changed)


_FORGOTTEN = """
SELECT tenant_id, import_id, state FROM customer_import
WHERE (state = 'uploading' AND changed_at < kit_now() - make_interval(mins => $1))
    OR (state IN ('preview', 'failed') AND changed_at < kit_now() - make_interval(days => $2))
ORDER BY tenant_id, import_id LIMIT $3
"""


async def forgotten(tx: Tx, upload_min: int, preview_d: int, limit: int) -> list[tuple[UUID, UUID, str]]:
    """Uploads that were cut off and imports that nobody starts, or starts again, with their state (worker)."""
    rows = await tx.fetch(_FORGOTTEN, upload_min, preview_d, limit)
    return [(row["tenant_id"], row["import_id"], row["state"]) for row in rows]


_OLD = """
SELECT tenant_id, import_id FROM customer_import
WHERE rejected > 0 AND NOT swept AND finished_at < kit_now() - make_interval(days => $1)
ORDER BY tenant_id, import_id LIMIT $2
"""
_FORGET_REJECTED = "DELETE FROM customer_import_rejected WHERE tenant_id = $1 AND import_id = $2"
_SWEPT = "UPDATE customer_import SET swept = true WHERE tenant_id = $1 AND import_id = $2"


async def old(tx: Tx, rejected_d: int, limit: int) -> list[tuple[UUID, UUID]]:
    """Imports of which the rows that were left out are kept no longer (worker)."""
    return [(row["tenant_id"], row["import_id"]) for row in await tx.fetch(_OLD, rejected_d, limit)]


async def forget_rejected(tx: Tx, tenant_id: UUID, import_id: UUID) -> None:
    """Drop the rows that were left out; what was wrong with them stays."""
    await tx.execute(_FORGET_REJECTED, tenant_id, import_id)
    await tx.execute(_SWEPT, tenant_id, import_id)


_START = """
UPDATE customer_import SET state = 'applying', options = $3::text::jsonb, changed_at = kit_now()
WHERE tenant_id = $1 AND import_id = $2 AND state = 'preview'
"""


async def start(tx: Tx, tenant_id: UUID, import_id: UUID, options: Mapping[str, Any]) -> None:
    """Apply one that was looked at; its row is locked."""
    await tx.execute(_START, tenant_id, import_id, _json(options))


_END = """
UPDATE customer_import SET state = $3, problem = $4::text::jsonb, lease_until = NULL,
    changed_at = kit_now(), finished_at = kit_now()
WHERE tenant_id = $1 AND import_id = $2 AND state NOT IN ('done', 'refused', 'cancelled')
"""


async def end(tx: Tx, tenant_id: UUID, import_id: UUID, state: str, problem: Mapping[str, Any] | None = None) -> None:
    """Nothing more is done for it."""
    told = None if problem is None else _json(problem)
    await tx.execute(_END, tenant_id, import_id, state, told)


_FILLED = """
UPDATE customer_import SET list_id = $3, listed = $4, removed = $5 WHERE tenant_id = $1 AND import_id = $2
"""


async def filled(tx: Tx, tenant_id: UUID, import_id: UUID, list_id: UUID, listed: int, removed: int) -> None:
    """Say which list it has filled, how many came onto it, and how many were taken off it."""
    await tx.execute(_FILLED, tenant_id, import_id, list_id, listed, removed)


_PROGRESS = """
UPDATE customer_import SET next_block = $3, created = created + $4, updated = updated + $5, unchanged = unchanged + $6,
    rejected = rejected + $7, rows = rows + $4 + $5 + $7, errors = errors + $8, repairs = $9::text::jsonb,
    failures = 0, retry_at = NULL, changed_at = kit_now()
WHERE tenant_id = $1 AND import_id = $2
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of rows; errors: all that was wrong with those rejected."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    errors: int = 0


async def progress(
    tx: Tx, tenant_id: UUID, import_id: UUID, next_block: int, more: Counts, repairs: Sequence[Repair]
) -> None:
    """A block has been applied, with this transaction; its row is locked."""
    told = _json([asdict(repair) for repair in repairs])
    counts = (more.created, more.updated + more.unchanged, more.unchanged, more.rejected, more.errors)
    await tx.execute(_PROGRESS, tenant_id, import_id, next_block, *counts, told)


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


_SAVE_REJECTED = """
INSERT INTO customer_import_rejected (tenant_id, import_id, row, cells)
SELECT $1, $2, r.row, ARRAY(SELECT jsonb_array_elements_text(r.cells::jsonb))
FROM unnest($3::bigint[], $4::text[]) AS r (row, cells)
"""


async def save_rejected(tx: Tx, tenant_id: UUID, import_id: UUID, rows: Sequence[tuple[int, Sequence[str]]]) -> None:
    """Keep rows that were left out, as the file has them."""
    if rows:
        numbers, cells = [row for row, _ in rows], [_json(cells) for _, cells in rows]
        await tx.execute(_SAVE_REJECTED, tenant_id, import_id, numbers, cells)


_ERRORS = """
SELECT ordinal, row, field, "column", code, message FROM customer_import_error
WHERE tenant_id = $1 AND import_id = $2 AND ordinal > $3 ORDER BY ordinal LIMIT $4
"""


async def page_of_errors(tx: Tx, tenant_id: UUID, import_id: UUID, after: int, limit: int) -> list[Record]:
    """Errors in the order of the file."""
    return await tx.fetch(_ERRORS, tenant_id, import_id, after, limit)


_REJECTED = """
SELECT r.row, r.cells, e.columns, e.reasons
FROM (SELECT row, cells FROM customer_import_rejected
      WHERE tenant_id = $1 AND import_id = $2 AND row > $3 ORDER BY row LIMIT $4) r,
    LATERAL (SELECT array_agg("column" ORDER BY ordinal) AS columns, array_agg(message ORDER BY ordinal) AS reasons
             FROM customer_import_error k WHERE k.tenant_id = $1 AND k.import_id = $2 AND k.row = r.row) e
ORDER BY r.row
"""


async def page_of_rejected(tx: Tx, tenant_id: UUID, import_id: UUID, after: int, limit: int) -> list[Record]:
    """Rows that were left out, in order, each with all that is wrong with it."""
    return await tx.fetch(_REJECTED, tenant_id, import_id, after, limit)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
