"""Keeps the metrics of the laws fresh, whether anybody asks or not."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import NoReturn

from muster.kit import clock, metrics
from muster.kit.pg import Database, Tx
from muster.kit.repeat import repeat
from muster.laws.result import LawResult

REST = 19
"""A check is followed by a rest of so many times as long: on a large database it is made less often, and never takes
more than a twentieth of the time."""


def note(results: Iterable[LawResult]) -> None:
    """What a check found, as metrics."""
    for result in results:
        metrics.law_checked.labels(result.law).set(result.checked)
        metrics.law_violations.labels(result.law).set(result.count)


async def watch_laws(db: Database, check: Callable[[Tx], Awaitable[list[LawResult]]], every_s: float) -> NoReturn:
    """Check the laws of a service for ever, each `every_s` seconds or less often: a supervised part of a process."""

    async def look() -> None:
        began = clock.monotonic()
        async with db.worker() as tx:
            note(await check(tx))
        await asyncio.sleep(REST * (clock.monotonic() - began))

    await repeat("laws.watch", every_s, look)
