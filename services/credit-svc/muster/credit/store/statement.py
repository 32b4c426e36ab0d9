"""SQL of the statement: entries of one account, newest first for a person, oldest first for a file."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from muster.kit.pg import Tx


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries; None: all. `since` is within, `until` is not."""

    kinds: tuple[str, ...] | None = None
    bulk_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    reference: str | None = None


_WANTED = """
tenant_id = $1 AND ($2::text[] IS NULL OR kind = ANY ($2)) AND ($3::uuid IS NULL OR bulk_id = $3)
    AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5)
    AND ($6::text IS NULL OR reference = $6)
"""
_ENTRY = """
account_version, at, kind, credits, bulk_id, available_after, reserved_after, consumed_after, owed_after, reason,
    reference
"""
_PAGE = f"""
SELECT {_ENTRY} FROM entry WHERE {_WANTED} AND ($7::bigint IS NULL OR account_version < $7)
ORDER BY account_version DESC LIMIT $8
"""  # noqa: S608 - of constants


async def page(tx: Tx, tenant_id: UUID, wanted: Wanted, before: int | None, limit: int) -> list[dict[str, Any]]:
    """The newest `limit` entries of a tenant that are wanted, below the account version `before`."""
    return [dict(row) for row in await tx.fetch(_PAGE, tenant_id, *_filters(wanted), before, limit)]


_COUNT = f"""
SELECT count(tenant_id) AS entries, coalesce(max(account_version), 0) AS upto FROM entry WHERE {_WANTED}
"""  # noqa: S608


async def extent(tx: Tx, tenant_id: UUID, wanted: Wanted) -> tuple[int, int]:
    """How many entries are wanted, and the account version of the last of them."""
    row = await tx.fetchrow(_COUNT, tenant_id, *_filters(wanted))
    assert row is not None, "an aggregate has one row"
    return row["entries"], row["upto"]


_AFTER = f"""
SELECT {_ENTRY} FROM entry WHERE {_WANTED} AND account_version > $7 AND account_version <= $8
ORDER BY account_version LIMIT $9
"""  # noqa: S608


async def after(tx: Tx, tenant_id: UUID, wanted: Wanted, version: int, upto: int, limit: int) -> list[dict[str, Any]]:
    """The oldest `limit` wanted entries after an account version, up to another."""
    return [dict(row) for row in await tx.fetch(_AFTER, tenant_id, *_filters(wanted), version, upto, limit)]


def _filters(wanted: Wanted) -> tuple[Any, ...]:
    kinds = list(wanted.kinds) if wanted.kinds else None
    return kinds, wanted.bulk_id, wanted.since, wanted.until, wanted.reference
