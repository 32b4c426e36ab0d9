"""The metrics of the laws are fresh, whether anybody asks or not."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from muster.kit import law_watch, metrics
from muster.kit.law_watch import note, watch_laws
from muster.kit.pg import Database, Tx
from muster.kit.testing import eventually
from muster.laws.result import LawResult, found


def value(law: str) -> tuple[float, float]:
    return metrics.law_checked.labels(law)._value.get(), metrics.law_violations.labels(law)._value.get()


def test_what_a_check_found_is_counted_by_law() -> None:
    note([LawResult("granted", 7, [found("t", "broken")]), LawResult("reserved", 3)])

    assert (value("granted"), value("reserved")) == ((7, 1), (3, 0))


async def test_laws_are_checked_again_and_again_also_after_the_database_was_away(
    service_database: Callable[[str], Awaitable[Database]],
) -> None:
    db = await service_database("credit")
    looks = []

    async def check(tx: Tx) -> list[LawResult]:
        looks.append(await tx.fetchval("SELECT 1"))
        if len(looks) == 2:
            raise asyncpg.CannotConnectNowError
        return [LawResult("tenant", len(looks))]

    watching = asyncio.ensure_future(watch_laws(db, check, 0.001))
    try:
        await eventually(lambda: seen(looks, 4))
    finally:
        watching.cancel()
    assert value("tenant")[0] >= 3


async def seen(looks: list[int], count: int) -> bool:
    return len(looks) >= count


async def test_a_check_that_takes_long_is_made_less_often(
    service_database: Callable[[str], Awaitable[Database]], monkeypatch: pytest.MonkeyPatch
) -> None:
    db = await service_database("credit")
    rests: list[float] = []
    time = iter([100.0, 103.0])
    # The transaction's own clock readings are others: the watch alone is given these.
    monkeypatch.setattr(law_watch, "clock", type("Clock", (), {"monotonic": staticmethod(lambda: next(time))}))

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        raise asyncio.CancelledError

    monkeypatch.setattr(law_watch, "asyncio", type("Loop", (), {"sleep": staticmethod(rest)}))

    async def check(_: Tx) -> list[LawResult]:
        return []

    with pytest.raises(asyncio.CancelledError):
        await watch_laws(db, check, 1.0)

    assert rests == [3.0 * law_watch.REST]
