"""Searches that were saved under a name."""

from typing import Final
from uuid import UUID

from muster.kit.pg import Record, Tx

_PAGE: Final = """
SELECT name, query, changed_at, changed_by FROM saved_search
WHERE tenant_id = $1 AND ($2::text IS NULL OR name > $2) ORDER BY name LIMIT $3
"""


async def page_of_searches(tx: Tx, tenant_id: UUID, after: str | None, limit: int) -> list[Record]:
    """Saved searches by name."""
    return await tx.fetch(_PAGE, tenant_id, after, limit)


_BY_NAME: Final = """
SELECT name, query, changed_at, changed_by FROM saved_search WHERE tenant_id = $1 AND name = $2
"""


async def search_of(tx: Tx, tenant_id: UUID, name: str) -> Record | None:
    """One saved search."""
    return await tx.fetchrow(_BY_NAME, tenant_id, name)


_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1::text || '.saved_search', 0))"
_COUNT: Final = "SELECT count(*) FROM saved_search WHERE tenant_id = $1 AND name <> $2"


async def others_saved(tx: Tx, tenant_id: UUID, name: str) -> int:
    """How many searches of other names there are; no other can be saved until the transaction ends."""
    await tx.execute(_LOCK, str(tenant_id))
    return int(await tx.fetchval(_COUNT, tenant_id, name))


_SAVE: Final = """
INSERT INTO saved_search (tenant_id, name, query, changed_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, name) DO UPDATE SET query = $3, changed_by = $4, changed_at = kit_now()
WHERE saved_search.query <> $3 RETURNING true
"""


async def save_search(tx: Tx, tenant_id: UUID, name: str, query: str, by: str) -> bool:
    """Keep a query under a name; False where it is kept so already."""
    return bool(await tx.fetchval(_SAVE, tenant_id, name, query, by))


async def forget_search(tx: Tx, tenant_id: UUID, name: str) -> bool:
    """Forget a search; False if there was none."""
    return (
        await tx.execute("DELETE FROM saved_search WHERE tenant_id = $1 AND name = $2", tenant_id, name) == "DELETE 1"
    )
