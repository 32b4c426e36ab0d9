"""Response timeouts of batches: all have the same length, so they end in order and one timer does for all of them."""

import asyncio
from collections import deque
from collections.abc import Callable

from muster.smpp.window import Batch


class Deadlines:
    """Calls `on_due` for each batch that is not fully answered `timeout_s` after it was added."""

    def __init__(self, timeout_s: float, on_due: Callable[[Batch], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._on_due = on_due
        self._queue: deque[tuple[float, Batch]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, batch: Batch) -> None:
        """From now on."""
        while self._queue and not self._queue[0][1].left:
            self._queue.popleft()
        deadline = self._loop.time() + self._timeout_s
        self._queue.append((deadline, batch))
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        now, self._timer = self._loop.time(), None
        while self._queue and (self._queue[0][0] <= now or not self._queue[0][1].left):
            _, batch = self._queue.popleft()
            if batch.left:
                self._on_due(batch)
        if self._queue and self._timer is None:
            self._timer = self._loop.call_at(self._queue[0][0], self._on_timer)

    def cancel(self) -> None:
        """None of them any more."""
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
