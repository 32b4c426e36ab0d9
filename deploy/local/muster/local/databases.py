"""Throw-away databases of a server for tests, made and dropped by one connection that stays."""

import asyncio
import itertools
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg

T = TypeVar("T")


class Databases:
    """`databases()` makes an empty database and returns the superuser's DSN of it; with `template="name"` a copy of
    that database, to which nobody may be connected.

    Usable from any context, also inside a running event loop: the connection lives in a thread of its own.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._numbers = itertools.count(1)
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._turn = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="databases")
        self._thread.start()

    def __call__(self, template: str = "template0") -> str:
        name = f"test_{next(self._numbers)}"
        # As files: to write each block to the log of the server as well takes three times as long.
        self._run(self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'))
        return f"{self._dsn.rsplit('/', 1)[0]}/{name}"

    def drop(self, dsn: str) -> None:
        """Drop a database, whoever is connected to it."""
        self._run(self._execute(f'DROP DATABASE "{urlsplit(dsn).path[1:]}" WITH (FORCE)'))

    def close(self) -> None:
        """End the connection and the thread."""
        self._run(self._disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _execute(self, statement: str) -> None:
        async with self._turn:
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(self._dsn, timeout=5)
            await self._connection.execute(statement)

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close(timeout=5)
