"""A look into the databases behind all roles, by one connection each: who waits looks ten times a second."""

import asyncio
from collections import defaultdict
from typing import Any

import asyncpg

_GONE = (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError)


class Databases:
    """Connections that stay as long as their server does."""

    def __init__(self) -> None:
        self._open: dict[str, asyncpg.Connection[asyncpg.Record]] = {}
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def fetch(self, dsn: str, query: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
        """Rows; OSError or asyncpg's where the server is away."""
        async with self._turns[dsn]:
            if (known := self._open.pop(dsn, None)) is not None and not known.is_closed():
                try:
                    return await self._ask(dsn, known, query, values)
                except _GONE:  # its server was ended since; there may be another
                    known.terminate()
            return await self._ask(dsn, await asyncpg.connect(dsn, timeout=10), query, values)

    async def _ask(
        self, dsn: str, connection: "asyncpg.Connection[asyncpg.Record]", query: str, values: tuple[Any, ...]
    ) -> list[dict[str, Any]]:
        try:
            rows = [dict(row) for row in await connection.fetch(query, *values)]
        except BaseException:
            connection.terminate()
            raise
        self._open[dsn] = connection
        return rows

    def close(self) -> None:
        """Cut all of them."""
        for connection in self._open.values():
            connection.terminate()
        self._open.clear()
