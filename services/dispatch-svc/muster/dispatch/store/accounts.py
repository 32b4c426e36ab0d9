"""Who owns a carrier account: a lock on a connection of its own, which outlives transactions."""

from typing import TYPE_CHECKING, Final

from muster.kit.pg import Record

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[Record]

_TRY: Final = "SELECT pg_try_advisory_lock(hashtextextended('dispatch.account.' || $1, 0))"
_ALIVE: Final = "SELECT"


async def try_own(connection: "Connection", account: str) -> bool:  # allow transaction-first: outlives them
    """Own the account for as long as the connection lives; False while somebody else does."""
    owned: bool = await connection.fetchval(_TRY, account)
    return owned


async def still_own(connection: "Connection") -> None:  # allow transaction-first: outlives them
    """Raises when the connection is gone, and the lock with it."""
    await connection.execute(_ALIVE)
