"""Lists of customers, and who is on them.

Who is archived stays on a list, and is neither counted nor shown. A list is locked before customers are, and customers
in the order of their ids, by whoever changes its members.
"""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from muster.customer.domain.lists import ListKind
from muster.customer.store.query import Sql
from muster.kit.pg import Record, Tx

# $1 is the tenant. Few are archived: subtracting them keeps to two indexes.
_SELECT: Final = """
SELECT l.list_id, l.name, l.name_key, l.kind, l.created_at, l.created_by, l.changed_at, l.changed_by, l.version,
    (SELECT count(*) FROM customer_list_member m WHERE m.tenant_id = $1 AND m.list_id = l.list_id)
    - (SELECT count(*) FROM customer c JOIN customer_list_member m USING (tenant_id, customer_id)
       WHERE c.tenant_id = $1 AND c.archived_at IS NOT NULL AND m.list_id = l.list_id) AS customers
FROM customer_list l WHERE l.tenant_id = $1 """
_BY_ID: Final = _SELECT + "AND l.list_id = $2"
_BY_NAME: Final = _SELECT + "AND l.name_key = customer_list_key($2)"
_PAGE: Final = (
    _SELECT
    + """AND l.name_key > $2 AND ($3::text IS NULL OR strpos(l.name_key, customer_list_key($3)) > 0)
    AND ($4::text IS NULL OR l.kind = $4)
ORDER BY l.name_key LIMIT $5"""
)


async def list_of(tx: Tx, tenant_id: UUID, list_id: UUID) -> Record | None:
    """A list, with how many customers are on it."""
    return await tx.fetchrow(_BY_ID, tenant_id, list_id)


async def list_named(tx: Tx, tenant_id: UUID, name: str) -> Record | None:
    """The list of a name, however its capitals are written."""
    return await tx.fetchrow(_BY_NAME, tenant_id, name)


async def page_of_lists(
    tx: Tx, tenant_id: UUID, *, after: str, search: str | None, kind: ListKind | None, limit: int
) -> list[Record]:
    """Lists by name, those behind the key `after`. search: a part of the name."""
    return await tx.fetch(_PAGE, tenant_id, after, search, kind, limit)


_IDS_OF_NAMES: Final = """
SELECT n, l.list_id FROM unnest($2::text[]) n JOIN customer_list l
    ON l.tenant_id = $1 AND l.name_key = customer_list_key(n)
"""


async def ids_of(tx: Tx, tenant_id: UUID, names: Collection[str]) -> dict[str, UUID]:
    """The lists of names, each as it is written there; a name that no list has is left out."""
    return {row["n"]: row["list_id"] for row in await tx.fetch(_IDS_OF_NAMES, tenant_id, list(names))} if names else {}


async def unknown_names(tx: Tx, tenant_id: UUID, names: Collection[str]) -> list[str]:
    """Those of the names that no list has."""
    return sorted(set(names) - (await ids_of(tx, tenant_id, names)).keys())


_NAMED: Final = """
SELECT n AS given, l.list_id FROM unnest($2::text[]) n
    JOIN customer_list l ON l.tenant_id = $1 AND (l.name_key = customer_list_key(n) OR l.list_id::text = lower(n))
"""
_NAMES: Final = "SELECT list_id, name FROM customer_list WHERE tenant_id = $1 AND list_id = ANY($2::uuid[])"


async def lists_given(tx: Tx, tenant_id: UUID, given: Collection[str]) -> dict[str, UUID]:
    """The lists that are given by name or id, without those that there are not."""
    return {row["given"]: row["list_id"] for row in await tx.fetch(_NAMED, tenant_id, list(given))} if given else {}


async def names_of(tx: Tx, tenant_id: UUID, list_ids: Collection[UUID]) -> dict[UUID, str]:
    """The names of lists, without those that are forgotten."""
    if not list_ids:
        return {}
    return {row["list_id"]: row["name"] for row in await tx.fetch(_NAMES, tenant_id, list(list_ids))}


_LOCK_ALL: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1::text || '.customer_list', 0))"
_COUNT: Final = "SELECT count(*) FROM customer_list WHERE tenant_id = $1"


async def count_lists(tx: Tx, tenant_id: UUID) -> int:
    """How many lists there are; none can be made until the transaction ends."""
    await tx.execute(_LOCK_ALL, str(tenant_id))
    return int(await tx.fetchval(_COUNT, tenant_id))


_ADD: Final = """
INSERT INTO customer_list (tenant_id, list_id, name, kind, created_by, changed_by) VALUES ($1, $2, $3, $4, $5, $5)
ON CONFLICT (tenant_id, name_key) DO NOTHING RETURNING true
"""


async def add_list(tx: Tx, tenant_id: UUID, list_id: UUID, name: str, kind: ListKind, by: str) -> bool:
    """Make a list with nobody on it; False where the name is taken."""
    return bool(await tx.fetchval(_ADD, tenant_id, list_id, name, kind, by))


_LOCK: Final = "SELECT FROM customer_list WHERE tenant_id = $1 AND list_id = $2 FOR NO KEY UPDATE"


async def lock_list(tx: Tx, tenant_id: UUID, list_id: UUID) -> Record | None:
    """As `list_of`, for a change of it or of its members."""
    await tx.execute(_LOCK, tenant_id, list_id)
    return await list_of(tx, tenant_id, list_id)


_RENAME: Final = """
UPDATE customer_list SET name = $3, changed_at = kit_now(), changed_by = $4, version = version + 1
WHERE tenant_id = $1 AND list_id = $2
"""


async def rename(tx: Tx, tenant_id: UUID, list_id: UUID, name: str, by: str) -> None:
    """Give a list another name, which no other has."""
    await tx.execute(_RENAME, tenant_id, list_id, name, by)


async def remove_list(tx: Tx, tenant_id: UUID, list_id: UUID) -> None:
    """Forget a list; the customers stay."""
    await tx.execute("DELETE FROM customer_list WHERE tenant_id = $1 AND list_id = $2", tenant_id, list_id)


_MEMBERS: Final = """
SELECT m.customer_id FROM customer_list_member m JOIN customer c USING (tenant_id, customer_id)
WHERE m.tenant_id = $1 AND m.list_id = $2 AND m.customer_id > $3 AND c.archived_at IS NULL
ORDER BY m.customer_id LIMIT $4
"""


async def page_of_members(tx: Tx, tenant_id: UUID, list_id: UUID, after: int, limit: int) -> list[int]:
    """Ids of who is on a list, those above `after`."""
    return [row["customer_id"] for row in await tx.fetch(_MEMBERS, tenant_id, list_id, after, limit)]


# Who was merged into another customer is the other one, whom a removal takes along: both are locked.
_ADD_IDS: Final = """
WITH asked AS (
    SELECT customer_id, merged_into FROM customer
    WHERE tenant_id = $1 AND (customer_id = ANY($3::bigint[]) OR customer_id IN (
        SELECT merged_into FROM customer WHERE tenant_id = $1 AND customer_id = ANY($3::bigint[])))
    ORDER BY customer_id FOR KEY SHARE
)
INSERT INTO customer_list_member (tenant_id, list_id, customer_id)
SELECT DISTINCT $1, $2::uuid, coalesce(merged_into, customer_id) FROM asked
WHERE customer_id = ANY($3::bigint[]) ORDER BY 3
ON CONFLICT DO NOTHING
"""
_ADD_FOUND: Final = """
WITH asked AS (
    SELECT c.customer_id FROM customer c
    WHERE c.tenant_id = $1 AND c.customer_id > $3 AND c.customer_id <= $4 AND c.merged_into IS NULL AND {condition}
    ORDER BY c.customer_id FOR KEY SHARE
)
INSERT INTO customer_list_member (tenant_id, list_id, customer_id)
SELECT $1, $2::uuid, customer_id FROM asked ORDER BY customer_id
ON CONFLICT DO NOTHING
"""
_REMOVE: Final = """
DELETE FROM customer_list_member WHERE tenant_id = $1 AND list_id = $2::uuid AND customer_id IN (
    SELECT m.customer_id FROM customer_list_member m JOIN customer c USING (tenant_id, customer_id)
    WHERE m.tenant_id = $1 AND m.list_id = $2::uuid AND {condition} ORDER BY m.customer_id FOR UPDATE OF m)
"""
_IDS: Final = """m.customer_id IN (
    SELECT coalesce(k.merged_into, k.customer_id) FROM customer k
    WHERE k.tenant_id = $1 AND k.customer_id = ANY($3::bigint[]))"""
_REMOVE_IDS: Final = _REMOVE.format(condition=_IDS)
_REMOVE_FOUND: Final = _REMOVE.format(condition="m.customer_id > $3 AND m.customer_id <= $4 AND {condition}")
_CUSTOMERS: Final = """
SELECT max(customer_id) FROM (SELECT customer_id FROM customer
    WHERE tenant_id = $1 AND $2::uuid IS NOT NULL AND customer_id > $3 ORDER BY customer_id LIMIT $4) w
"""
_ON_IT: Final = """
SELECT max(customer_id) FROM (SELECT customer_id FROM customer_list_member
    WHERE tenant_id = $1 AND list_id = $2 AND customer_id > $3 ORDER BY customer_id LIMIT $4) w
"""
_AT_ONCE: Final = 20_000


async def add_members(tx: Tx, tenant_id: UUID, list_id: UUID, customer_ids: Sequence[int]) -> int:
    """Put customers on a list that is locked; how many were not on it."""
    return _rows(await tx.execute(_ADD_IDS, tenant_id, list_id, list(customer_ids)))


async def add_found(tx: Tx, tenant_id: UUID, list_id: UUID, condition: Sql) -> int:
    """Put all who fit on a list that is locked; how many were not on it. condition: on `c`, its parameters from $5 on
    (Search.condition)."""
    return await _by_windows(tx, (tenant_id, list_id), _CUSTOMERS, _ADD_FOUND, condition)


async def remove_members(tx: Tx, tenant_id: UUID, list_id: UUID, customer_ids: Sequence[int]) -> int:
    """Take customers off a list that is locked; how many were on it."""
    return _rows(await tx.execute(_REMOVE_IDS, tenant_id, list_id, list(customer_ids)))


async def remove_found(tx: Tx, tenant_id: UUID, list_id: UUID, condition: Sql) -> int:
    """Take all who fit off a list that is locked; how many were on it. condition: as of `add_found`."""
    return await _by_windows(tx, (tenant_id, list_id), _ON_IT, _REMOVE_FOUND, condition)


async def _by_windows(tx: Tx, of: tuple[UUID, UUID], bound: str, change: str, condition: Sql) -> int:
    """A million at once would take longer than a statement may: some thousand at a time, in one transaction."""
    sql, changed, after = change.format(condition=condition.text), 0, 0
    while (upto := await tx.fetchval(bound, *of, after, _AT_ONCE)) is not None:
        changed += _rows(await tx.execute(sql, *of, after, upto, *condition.arguments))
        after = upto
    return changed


_TOUCH: Final = """
UPDATE customer_list SET changed_at = kit_now(), changed_by = $3 WHERE tenant_id = $1 AND list_id = $2
"""


async def touch(tx: Tx, tenant_id: UUID, list_id: UUID, by: str) -> None:
    """Say who has changed the members of a list."""
    await tx.execute(_TOUCH, tenant_id, list_id, by)


_OF_CUSTOMER: Final = """
SELECT l.list_id AS id, l.name, l.kind, m.added_at
FROM customer_list_member m JOIN customer_list l USING (tenant_id, list_id)
WHERE m.tenant_id = $1 AND m.customer_id = $2 ORDER BY l.name_key LIMIT $3
"""


async def lists_of_customer(tx: Tx, tenant_id: UUID, customer_id: int, limit: int) -> list[Record]:
    """The lists that a customer is on, by name."""
    return await tx.fetch(_OF_CUSTOMER, tenant_id, customer_id, limit)


_LOCK_THEIRS: Final = """
SELECT FROM customer_list l WHERE l.tenant_id = $1 AND l.list_id IN (
    SELECT list_id FROM customer_list_member WHERE tenant_id = $1 AND customer_id = $2)
ORDER BY l.list_id FOR KEY SHARE
"""
_MOVE: Final = """
INSERT INTO customer_list_member (tenant_id, list_id, customer_id, added_at)
SELECT tenant_id, list_id, $3, added_at FROM customer_list_member WHERE tenant_id = $1 AND customer_id = $2
ORDER BY list_id
ON CONFLICT DO NOTHING
"""


async def move(tx: Tx, tenant_id: UUID, gone: int, kept: int) -> None:
    """Put a customer on the lists of the one who is merged into them; both are locked."""
    await tx.execute(_LOCK_THEIRS, tenant_id, gone)
    await tx.execute(_MOVE, tenant_id, gone, kept)
    await tx.execute("DELETE FROM customer_list_member WHERE tenant_id = $1 AND customer_id = $2", tenant_id, gone)


def _rows(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
