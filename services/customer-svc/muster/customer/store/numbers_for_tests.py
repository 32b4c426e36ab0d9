"""Numbers that a business sends its tests to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from muster.customer.domain.customers import Mobile
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class TestNumber:
    """A number for tests. user_id: whose own it is; '': the business's."""

    test_number_id: UUID
    mobile: Mobile
    name: str
    user_id: str
    created_by: str


_COLUMNS: Final = "test_number_id, number, name, user_id, created_at, created_by"
_ALL: Final = f"SELECT {_COLUMNS} FROM test_number WHERE tenant_id = $1 ORDER BY user_id, test_number_id"  # noqa: S608


async def all_of(tx: Tx, tenant_id: UUID) -> list[Record]:
    """Those of a business, its own first; they are few."""
    return await tx.fetch(_ALL, tenant_id)


_USABLE: Final = """
SELECT number FROM test_number
WHERE tenant_id = $1 AND user_id IN ('', $2) AND ($3::bigint[] IS NULL AND user_id = $2 OR number = ANY ($3::bigint[]))
"""


async def usable(tx: Tx, tenant_id: UUID, user_id: str, numbers: Sequence[int] | None) -> set[int]:
    """Those of these numbers to which this person may send a test; None: their own."""
    return {row["number"] for row in await tx.fetch(_USABLE, tenant_id, user_id, numbers and list(numbers))}


_ALONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended('test-numbers/' || $1::uuid::text, 0))"
_COUNT: Final = "SELECT count(*) FROM test_number WHERE tenant_id = $1 AND NOT (user_id <> '' AND user_id = $2)"


async def count_others(tx: Tx, tenant_id: UUID, user_id: str) -> int:
    """How many there are beside this person's own; nobody adds one before this transaction has ended."""
    await tx.execute(_ALONE, tenant_id)
    count: int = await tx.fetchval(_COUNT, tenant_id, user_id)
    return count


_PUT_OWN: Final = """
INSERT INTO test_number (tenant_id, test_number_id, number, number_hash, name, user_id, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant_id, user_id) WHERE user_id <> '' DO UPDATE SET number = $3, number_hash = $4, name = $5,
    created_at = kit_now()
"""
_ADD: Final = """
INSERT INTO test_number (tenant_id, test_number_id, number, number_hash, name, user_id, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant_id, number, user_id) DO UPDATE SET name = $5
"""


async def save(tx: Tx, tenant_id: UUID, one: TestNumber) -> None:
    """Keep a number; a person's own takes the place of the one that they had, the business's is kept once."""
    values = (one.test_number_id, one.mobile.number, one.mobile.number_hash, one.name, one.user_id, one.created_by)
    await tx.execute(_PUT_OWN if one.user_id else _ADD, tenant_id, *values)


_REMOVE: Final = """
DELETE FROM test_number WHERE tenant_id = $1 AND test_number_id = $2 AND ($3::text IS NULL OR user_id = $3)
"""


async def remove(tx: Tx, tenant_id: UUID, test_number_id: UUID, only_of: str | None) -> bool:
    """Forget a number, of this person alone where that is said; False where there is none."""
    done: str = await tx.execute(_REMOVE, tenant_id, test_number_id, only_of)
    return done == "DELETE 1"


# allow ordered-locks: all that it locks is about one person, who is gone
_FORGET: Final = "DELETE FROM test_number WHERE tenant_id = $1 AND number_hash = ANY ($2::bytea[])"


async def forget(tx: Tx, tenant_id: UUID, hashes: Collection[bytes]) -> None:
    """Whoever has these numbers is erased."""
    await tx.execute(_FORGET, tenant_id, list(hashes))
