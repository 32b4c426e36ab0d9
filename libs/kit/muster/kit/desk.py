"""Work that a request hands over to a worker task, whose answer it awaits: a request itself never gets the worker role.

For what spans tenants or comes before a tenant is known: token lookups, laws, transfers. The work is code of the
service, never something that a request brings along.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from muster.kit.pg import Database, Tx

T = TypeVar("T")

_AT_ONCE_MAX = 4
_WAITING_MAX = 200


class DeskFull(Exception):
    """Too much work waits already."""


class Desk:
    """Runs handed-over work in worker transactions, a few at once."""

    def __init__(self, db: "Database", *, at_once_max: int = _AT_ONCE_MAX, waiting_max: int = _WAITING_MAX) -> None:
        self._db = db
        self._free = asyncio.Semaphore(at_once_max)
        self._tasks: set[asyncio.Task[object]] = set()
        self._tasks_max = at_once_max + waiting_max

    async def ask(self, work: Callable[["Tx"], Awaitable[T]]) -> T:
        """The answer of `work`, run in a worker transaction of its own; its exceptions come through; DeskFull.

        A caller that is cancelled leaves the work to end by itself.
        """
        if len(self._tasks) >= self._tasks_max:
            raise DeskFull
        task = asyncio.create_task(self._do(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _do(self, work: Callable[["Tx"], Awaitable[T]]) -> T:
        async with self._free, self._db.worker() as tx:
            return await work(tx)
