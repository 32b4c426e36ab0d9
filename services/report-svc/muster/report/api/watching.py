"""Sends that are watched just now: each is looked at once a tick, however many watch it."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from muster.kit import clock, observe
from muster.kit.pg import RETRIABLE
from muster.report.settings import ReportSettings

log = observe.logger(__name__)

Key = tuple[UUID, UUID]
"""Tenant and send."""
_ID_CHARACTERS: Final = 16


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to show: `data` as it is sent. `over`: the send has ended; `waits`: receipts may still
    come, or when it had left."""

    data: str
    over: bool
    waits: bool

    @property
    def id(self) -> str:
        """Equal for equal numbers, whichever process shows them: so a reader who comes back is told only what is
        new."""
        return hashlib.blake2b(self.data.encode(), digest_size=_ID_CHARACTERS // 2).hexdigest()


Look = Callable[[], Awaitable[Shown]]


class Watch:
    """One send that is watched. `shown` is the last look; `ended`: there will be nothing new; `closed`: nobody looks
    any more."""

    def __init__(self, look: Look, first: Shown, settings: ReportSettings) -> None:
        self.shown = first
        self.ended = self.closed = False
        self.news = asyncio.Event()
        self._look = look
        self._settings = settings
        self._changed_at = clock.monotonic()
        self._judge()

    async def run(self) -> None:
        """Look until there is nothing new to come: often while the numbers change, seldom while they do not. A database
        that is away is looked at again."""
        settings = self._settings
        pause_s = settings.report_events_poll_s
        while not self.ended:
            await asyncio.sleep(pause_s)
            try:
                found = await self._look()
            except RETRIABLE as error:
                log.warning("events.database_away", why=type(error).__name__)
                continue
            pause_s = min(2 * pause_s, settings.report_events_poll_s_max)
            if found != self.shown:
                pause_s, self._changed_at = settings.report_events_poll_s, clock.monotonic()
                self._tell(found)
            self._judge()

    def close(self) -> None:
        """Let every reader go."""
        self.closed = True
        self._tell(self.shown)

    def _judge(self) -> None:
        quiet = clock.monotonic() - self._changed_at >= self._settings.report_events_quiet_s
        if self.shown.over and (quiet or not self.shown.waits):
            self.ended = True
            self._tell(self.shown)

    def _tell(self, shown: Shown) -> None:
        """Each change has an event of its own, so that no reader misses one that comes while it speaks."""
        self.shown = shown
        told, self.news = self.news, asyncio.Event()
        told.set()


class Watching:
    """The sends that are watched in this process, each with how many watch it."""

    def __init__(self, settings: ReportSettings) -> None:
        self._settings = settings
        self._watches: dict[Key, Watch] = {}
        self._looking: dict[Key, asyncio.Task[None]] = {}
        self._readers: dict[Key, int] = {}
        self._closing = False

    def known(self, key: Key) -> Shown | None:
        """The last look at a send that is watched already."""
        watch = self._watches.get(key)
        return None if watch is None else watch.shown

    def enter(self, key: Key, look: Look, first: Shown) -> Watch:
        """Watch a send; the first reader begins to look. `first`: a look just taken."""
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = Watch(look, first, self._settings)
            task = self._looking[key] = asyncio.create_task(watch.run())
            task.add_done_callback(lambda done: _looked(watch, done))
        if self._closing:
            watch.close()
        self._readers[key] = self._readers.get(key, 0) + 1
        return watch

    def leave(self, key: Key) -> None:
        """Watch no more; the last reader ends the looking."""
        self._readers[key] -= 1
        if not self._readers[key]:
            del self._readers[key], self._watches[key]
            self._looking.pop(key).cancel()

    async def close(self) -> None:
        """Let every reader of this process go: it will come back to another."""
        self._closing = True
        for watch in self._watches.values():
            watch.close()


def _looked(watch: Watch, done: "asyncio.Task[None]") -> None:
    """A look that failed for good ends its streams; their readers come back, and are told why by the first look."""
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("events.look_failed", exc_info=error)
        watch.close()
