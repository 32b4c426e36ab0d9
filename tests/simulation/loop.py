"""An event loop whose time is the seed's: it jumps to the next timer when nothing is ready, and does no I/O.

Callbacks belong to simulated processes (`Node`). Within one process they run in asyncio's order; between processes the
seed decides who goes first. A frozen process gets no turn until it thaws, a dead one never again.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any

NODE: ContextVar["Node | None"] = ContextVar("simulated process", default=None)
DYING_S = 15.0


class Node:
    """What the loop knows of a simulated process: its tasks, and whether it may go on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.context: Context = copy_context()
        self.context.run(NODE.set, self)
        self.tasks: dict[Task, None] = {}
        self.frozen_until = 0.0
        self.parked: list[asyncio.Handle] = []
        self.died_at: float | None = None
        self.ends: list[Callable[[], object]] = []
        self.expelled = False
        self.service = ""
        self.process: Any = None

    @property
    def dead(self) -> bool:
        """Whether it has crashed: nothing that it does has an effect any more."""
        return self.died_at is not None


class Task(asyncio.Task):  # type: ignore[type-arg]
    """A task whose place in a set is the same in every run."""

    def __init__(self, coro: Coroutine[Any, Any, Any], *, loop: "SimLoop", **options: Any) -> None:
        self._serial = loop.next_serial()
        self.node = NODE.get() if options.get("context") is None else options["context"].get(NODE)
        if self.node is not None:
            self.node.tasks[self] = None
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self._serial


class Future(asyncio.Future):  # type: ignore[type-arg]
    """A future whose place in a set is the same in every run."""

    def __init__(self, *, loop: "SimLoop") -> None:
        self._serial = loop.next_serial()
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._serial


class Stuck(Exception):
    """Nothing is ready and no timer is set: everybody waits for ever."""


class SimLoop(asyncio.BaseEventLoop):
    """See the module. `network` gives its connections."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self._rng = rng
        self._now = 0.0
        self._serial = 0
        self._clock_resolution = 1e-9
        self._frozen: set[Node] = set()
        # Beside the serial, so that no two timers are ever compared themselves: that is a call of Python each time.
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self.turns = 0
        self.network: Any = None
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _loop, _context: None)

    @staticmethod
    def _make_task(loop: Any, coro: Any, **options: Any) -> Task:
        return Task(coro, loop=loop, **options)

    def next_serial(self) -> int:
        """Tasks and futures are numbered as they are made."""
        self._serial += 1
        return self._serial

    def time(self) -> float:
        """Seconds of the seed's time."""
        return self._now

    def create_future(self) -> Future:
        """As asyncio's."""
        return Future(loop=self)

    async def create_connection(self, factory: Callable[[], Any], host: Any = None, port: Any = None, **_: Any) -> Any:
        """By the simulated network."""
        return await self.network.connect(factory, port)

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        """As asyncio's, without its checks."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        """As asyncio's; of one moment, in the order in which they were set."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, self.next_serial(), timer))
        return timer

    # -- processes ----------------------------------------------------------------------------------------------------

    def freeze(self, node: Node, seconds: float) -> None:
        """Give this process no turn for a time, as SIGSTOP does."""
        node.frozen_until = max(node.frozen_until, self._now + seconds)
        self._frozen.add(node)
        self.call_at(node.frozen_until, self._thaw, node, context=Context())

    def kill(self, node: Node) -> None:
        """End this process where it stands, as kill -9 does: its tasks unwind without any effect."""
        if node.dead:
            return
        node.died_at = self._now
        self._frozen.discard(node)
        self._ready.extend(node.parked)
        node.parked.clear()
        for end in node.ends:
            end()
        current = asyncio.current_task(self)
        for task in list(node.tasks):
            if task is not current:
                task.cancel()

    def _thaw(self, node: Node) -> None:
        if self._now >= node.frozen_until and node in self._frozen:
            self._frozen.discard(node)
            self._ready.extend(node.parked)
            node.parked.clear()

    # -- turns --------------------------------------------------------------------------------------------------------

    def _run_once(self) -> None:
        timers, ready = self._timers, self._ready
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not ready:
            if not timers:
                raise Stuck
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            ready.append(heapq.heappop(timers)[2])
        if len(ready) == 1:
            self._run(ready.popleft(), None)
            return
        queues: dict[Node | None, deque[asyncio.Handle]] = {}
        while ready:
            handle = ready.popleft()
            queues.setdefault(handle._context.get(NODE), deque()).append(handle)
        order = list(queues)
        while order:
            at = int(self._rng.random() * len(order)) if len(order) > 1 else 0
            node = order[at]
            self._run(queues[node].popleft(), node)
            if not queues[node]:
                order[at] = order[-1]
                order.pop()

    def _run(self, handle: asyncio.Handle, node: Node | None) -> None:
        if handle._cancelled:
            return
        node = node or handle._context.get(NODE)
        if node is not None:
            if node in self._frozen:
                node.parked.append(handle)
                return
            if node.died_at is not None and self._now - node.died_at > DYING_S:
                return
        self.turns += 1
        handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """They are dropped when their time comes."""

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """There is no other thread."""
