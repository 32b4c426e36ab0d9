"""Templates: every version of a text that is kept, and what asks for each. Nothing is ever changed or removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson

from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What a version of a template says. language: of `text`; others: the text by language."""

    name: str
    text: str
    category: str = ""
    language: str = ""
    others: Mapping[str, str] | None = None
    archived: bool = False


_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('template/' || $1::uuid::text || $2::uuid::text, 0))"


async def lock_template(tx: Tx, tenant_id: UUID, template_id: UUID) -> None:
    """Let nobody else add a version until the transaction ends."""
    await tx.execute(_LOCK, tenant_id, template_id)


_COLUMNS: Final = """template_id, version, name, category, language, text, others::text AS others, archived, created_at,
    created_by"""
_ADD: Final = f"""
INSERT INTO template (tenant_id, template_id, version, name, text, created_by, category, language, others, archived)
SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6, $7, $8::text::jsonb, $9
FROM template WHERE tenant_id = $1 AND template_id = $2
RETURNING {_COLUMNS}
"""  # noqa: S608 - of constants


async def add_version(tx: Tx, tenant_id: UUID, template_id: UUID, new: NewVersion, by: str) -> Record:
    """Store the next version of a template, the first of a new one; two at once take turns."""
    await lock_template(tx, tenant_id, template_id)
    others = orjson.dumps(dict(new.others or {})).decode()
    given = (new.name, new.text, by, new.category, new.language, others, new.archived)
    row = await tx.fetchrow(_ADD, tenant_id, template_id, *given)
    assert row is not None
    return row


_ONE: Final = f"""
SELECT {_COLUMNS} FROM template WHERE tenant_id = $1 AND template_id = $2 AND ($3::bigint IS NULL OR version = $3)
ORDER BY version DESC LIMIT 1
"""  # noqa: S608


async def version_of(tx: Tx, tenant_id: UUID, template_id: UUID, version: int | None = None) -> Record | None:
    """A version of a template; the newest unless said."""
    return await tx.fetchrow(_ONE, tenant_id, template_id, version)


_PAGE: Final = f"""
SELECT * FROM (SELECT DISTINCT ON (template_id) {_COLUMNS} FROM template
    WHERE tenant_id = $1 AND ($2::uuid IS NULL OR template_id > $2) ORDER BY template_id, version DESC) t
WHERE archived = $3 AND ($4::text IS NULL OR category = $4) ORDER BY template_id LIMIT $5
"""  # noqa: S608


async def page(
    tx: Tx, tenant_id: UUID, after: UUID | None, limit: int, *, archived: bool = False, category: str | None = None
) -> list[Record]:
    """The newest version of each template."""
    return await tx.fetch(_PAGE, tenant_id, after, archived, category, limit)


_VERSIONS: Final = f"""
SELECT {_COLUMNS} FROM template WHERE tenant_id = $1 AND template_id = $2 AND ($3::bigint IS NULL OR version < $3)
ORDER BY version DESC LIMIT $4
"""  # noqa: S608


async def versions(tx: Tx, tenant_id: UUID, template_id: UUID, before: int | None, limit: int) -> list[Record]:
    """The versions of a template, the newest first."""
    return await tx.fetch(_VERSIONS, tenant_id, template_id, before, limit)


_LIVE: Final = """
SELECT count(*) FROM (SELECT DISTINCT ON (template_id) archived FROM template WHERE tenant_id = $1
                      ORDER BY template_id, version DESC) t WHERE NOT archived
"""


async def live(tx: Tx, tenant_id: UUID) -> int:
    """How many templates a tenant has that are not archived."""
    count: int = await tx.fetchval(_LIVE, tenant_id)
    return count


_CATEGORIES: Final = """
SELECT category, count(*) AS templates FROM (SELECT DISTINCT ON (template_id) category, archived FROM template
    WHERE tenant_id = $1 ORDER BY template_id, version DESC) t
WHERE NOT archived GROUP BY category ORDER BY category
"""


async def categories(tx: Tx, tenant_id: UUID) -> list[Record]:
    """Each category with how many templates are in it."""
    return await tx.fetch(_CATEGORIES, tenant_id)


@dataclass(frozen=True, slots=True)
class Uses:
    """How many pin a version: sends; schedules that are active or paused; quotes that still hold and nobody used."""

    sends: int = 0
    schedules: int = 0
    drafts: int = 0


_USES: Final = """
SELECT template_id, version, sum(sends)::bigint AS sends, sum(schedules)::bigint AS schedules,
    sum(drafts)::bigint AS drafts
FROM (
    SELECT template_id, template_version AS version, count(*) FILTER (WHERE used_by IS NOT NULL) AS sends,
        0 AS schedules, count(*) FILTER (WHERE used_by IS NULL AND expires_at > kit_now()) AS drafts
    FROM quote WHERE tenant_id = $1 AND template_id = ANY ($2::uuid[]) GROUP BY 1, 2
    UNION ALL
    SELECT template_id, template_version, 0, count(*), 0 FROM schedule
    WHERE tenant_id = $1 AND template_id = ANY ($2::uuid[]) AND state IN ('active', 'paused') GROUP BY 1, 2
) u GROUP BY 1, 2
"""


async def uses(tx: Tx, tenant_id: UUID, template_ids: list[UUID]) -> dict[tuple[UUID, int], Uses]:
    """What pins these templates, by template and version."""
    rows = await tx.fetch(_USES, tenant_id, template_ids)
    return {(row["template_id"], row["version"]): Uses(row["sends"], row["schedules"], row["drafts"]) for row in rows}
