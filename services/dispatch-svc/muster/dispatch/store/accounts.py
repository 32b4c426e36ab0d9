"""Who owns a carrier account: a lock on a connection of its own, which outlives transactions."""

from typing import TYPE_CHECKING, Final

from muster.kit.pg import Record, Tx

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[Record]

_TRY: Final = "SELECT pg_try_advisory_lock(hashtextextended('dispatch.account.' || $1, 0))"
_ALIVE: Final = "SELECT"


async def try_own(connection: "Connection", account: str) -> bool:  # allow transaction-first: outlives them
    """Own the account for as long as the connection lives; False while somebody else does."""
    owned: bool = await connection.fetchval(_TRY, account)
    return owned


# One look into the index for each account that has leases at all.
# allow tenant-in-tenant-sql: of all tenants at once, and nothing of theirs but the account
_WITH_DEAD: Final = "SELECT DISTINCT account FROM attempt WHERE state = 1 AND lease_until < kit_now()"


async def with_dead(tx: Tx) -> list[str]:
    """Accounts of which a lease has run out."""
    return [row["account"] for row in await tx.fetch(_WITH_DEAD)]


async def still_own(connection: "Connection") -> None:  # allow transaction-first: outlives them
    """Raises when the connection is gone, and the lock with it."""
    await connection.execute(_ALIVE)
