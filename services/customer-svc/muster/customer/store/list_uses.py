"""What else names a list: saved searches and schedules, by its id or in the words of a query."""

from typing import Final
from uuid import UUID

from muster.kit.pg import Record, Tx

# The field of a query that compares with a list has these letters.
_SEARCHES: Final = """
SELECT name, query FROM saved_search WHERE tenant_id = $1 AND strpos(lower(query), 'list') > 0 ORDER BY name
"""


async def searches_with_lists(tx: Tx, tenant_id: UUID) -> list[Record]:
    """Saved searches that may ask for a list: name and query."""
    return await tx.fetch(_SEARCHES, tenant_id)


_SCHEDULES: Final = """
SELECT schedule_id, name, audience ->> 'query' AS query, audience #>> '{exclude,query}' AS unwanted,
    strpos(audience::text, $2::uuid::text) > 0 AS by_id
FROM schedule WHERE tenant_id = $1 AND state IN ('active', 'paused')
    AND (strpos(lower(audience ->> 'query'), 'list') > 0 OR strpos(lower(audience #>> '{exclude,query}'), 'list') > 0
         OR strpos(audience::text, $2::uuid::text) > 0)
ORDER BY schedule_id FOR UPDATE
"""


async def schedules_with_lists(tx: Tx, tenant_id: UUID, list_id: UUID) -> list[Record]:
    """Schedules that may start again and may ask for a list, locked: their queries of whom they want and do not want
    (NULL: none), and whether they name this list by its id."""
    return await tx.fetch(_SCHEDULES, tenant_id, list_id)


_REWRITE_SEARCH: Final = "UPDATE saved_search SET query = $3 WHERE tenant_id = $1 AND name = $2"


async def rewrite_search(tx: Tx, tenant_id: UUID, name: str, query: str) -> None:
    """Let a saved search say the same in other words."""
    await tx.execute(_REWRITE_SEARCH, tenant_id, name, query)


_REWRITE_SCHEDULE: Final = """
UPDATE schedule SET audience = jsonb_set(audience, $3::text[], to_jsonb($4::text), false)
WHERE tenant_id = $1 AND schedule_id = $2
"""


async def rewrite_schedule(tx: Tx, tenant_id: UUID, schedule_id: UUID, path: tuple[str, ...], query: str) -> None:
    """Let a query of a schedule's audience say the same in other words; its row is locked."""
    await tx.execute(_REWRITE_SCHEDULE, tenant_id, schedule_id, list(path), query)
