"""How long messages gather: while others keep coming, and no longer than is said."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from muster.customer.gatherer import Gatherer
from muster.customer.handlers.asks import Answer, Ask, No
from muster.kit import clock

WAIT_MS = 1.25


class Database:
    """Gives transactions of nothing."""

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        yield


class Door:
    """Messages that come one by one: the next one each time that the gatherer waits, and so much time goes by then."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, coming: int, takes_ms: float = WAIT_MS, most_ms: float = 50
    ) -> None:
        self.groups: list[int] = []
        self.waits = 0
        self._coming, self._takes_s = coming, takes_ms / 1000
        self._now, self._tasks = 100.0, list[asyncio.Task[Answer]]()
        self._sleep: Callable[[float], Any] = asyncio.sleep
        monkeypatch.setattr(asyncio, "sleep", self._wait)
        monkeypatch.setattr(clock, "monotonic", lambda: self._now)
        self._gatherer = Gatherer(
            Database(),  # type: ignore[arg-type]
            self._take,
            wait_ms=WAIT_MS,
            wait_ms_max=most_ms,
            group_max=500,
            waiting_max=1_000,
        )

    async def open(self) -> None:
        """Let the first in, and wait for the answers to all."""
        self._ask()
        for task in self._tasks:  # grows meanwhile
            await task

    def _ask(self) -> None:
        ask = Ask(None, "+61411000001", 0, "Hi", False, None, None, None)  # type: ignore[arg-type]
        self._coming -= 1
        self._tasks.append(asyncio.ensure_future(self._gatherer.ask(ask)))

    async def _wait(self, seconds: float) -> None:
        if seconds == WAIT_MS / 1000:
            self.waits += 1
            self._now += self._takes_s
            if self._coming:
                self._ask()
        await self._sleep(0)

    async def _take(self, _tx: Any, asks: Sequence[Ask]) -> list[Answer]:
        self.groups.append(len(asks))
        return [No.CLOSED for _ in asks]


async def test_a_message_that_is_alone_waits_once(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch, 1)
    await door.open()
    assert (door.groups, door.waits) == ([1], 1)


async def test_messages_that_keep_coming_are_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch, 12)
    await door.open()
    assert door.groups == [12]


async def test_nobody_waits_longer_than_is_said_however_many_come(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch, 30, takes_ms=10, most_ms=45)
    await door.open()
    assert (door.groups, door.waits) == ([6], 5)
