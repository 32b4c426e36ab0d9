"""Work of a process that the database may be away for: tried until it is done, or done again and again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

from muster.kit import observe
from muster.kit.pg import RETRIABLE

RETRY_S = 1.0

log = observe.logger(__name__)


async def until_done(name: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do this once; while the database is away, each second: services start in any order. Bugs are raised."""
    while True:
        try:
            await work()
        except RETRIABLE as error:
            log.warning("work.failed", work=name, exc_info=error)
            await asyncio.sleep(RETRY_S)
        else:
            return


async def repeat(name: str, every_s: float, work: Callable[[], Awaitable[object]], *, pause_s: float = 0) -> NoReturn:
    """Do this for ever, each `every_s` seconds; after `pause_s` where it says, by a true value, that there is more.

    While the database is away it is done the next time. Bugs are raised.
    """
    while True:
        more: object = False
        try:
            more = await work()
        except RETRIABLE as error:
            log.warning("work.failed", work=name, exc_info=error)
        await asyncio.sleep(pause_s if more else every_s)
