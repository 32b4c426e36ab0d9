"""How a process of Muster runs: one loop, supervised parts, health and metrics on a port of their own, ordered end.

    run(api, load(CreditSettings))

ends with exit code 0 after SIGTERM, SIGINT or the return of `main`, and with 1 when `main` or a supervised part died
or the end took longer than `stop_s_max`.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

import uvloop

from muster.kit import failpoint, health, metrics, observe, spans
from muster.kit.settings import ProcessSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

log = observe.logger(__name__)

_BEAT_S = 1.0
_STALL_S = 1.0
_STEP_S_MAX = 10.0
_GRACE_S = 3.0
_MAIN_S_MAX = 2.0
_GARBAGE_YOUNG_MAX, _GARBAGE_OLDER_MAX = 20_000, 20
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

Stop = Callable[[], Awaitable[object]]
S = TypeVar("S", bound=ProcessSettings)


class Process(Generic[S]):
    """What `main` gets: a place to hang the parts of a process, so that they live and end together."""

    def __init__(self, settings: S) -> None:
        self.settings = settings
        self.failed = False
        self._ready = False
        self._stopping = asyncio.Event()
        self._stops: list[tuple[str, Stop]] = []
        self._parts: dict[str, asyncio.Task[Any]] = {}
        self._unwinding = asyncio.Lock()
        self._beat = asyncio.get_running_loop().time()
        self._health: asyncio.Server | None = None

    def supervise(self, name: str, work: Coroutine[Any, Any, object], *, stop: Stop | None = None) -> asyncio.Task[Any]:
        """Run `work` for as long as the process lives. Its end, by error or not, ends the process with exit code 1.

        At the end of the process, in its place of the LIFO order of `on_stop`, it is asked to end by `stop`, where
        there is one, and is cancelled if it has not done so within 3 s.
        """
        task = asyncio.create_task(work, name=name)
        self._parts[name] = task
        metrics.parts_alive.labels(name).set(1)
        task.add_done_callback(self._part_ended)
        self._stops.append((name, lambda: self._end_part(task, stop)))
        return task

    def on_stop(self, stop: Stop) -> None:
        """Call `stop` at the end of the process, last given first, each bounded by 10 s."""
        self._stops.append((getattr(stop, "__qualname__", repr(stop)), stop))

    @property
    def mark(self) -> int:
        """What `unwind` goes back to: all that is begun from here on."""
        return len(self._stops)

    async def unwind(self, mark: int) -> None:
        """Stop what was begun since `mark`, last begun first, while the process lives on. The end of the process waits
        for it."""
        await asyncio.shield(asyncio.ensure_future(self._unwind(mark)))

    def ready(self) -> None:
        """Say that the process can do its work: /health/ready answers 200 from now on."""
        self._ready = True
        log.info("process.ready", metrics_port=self.health_port)

    async def stopped(self) -> None:
        """Wait until the process is to end."""
        await self._stopping.wait()

    def stop(self) -> None:
        """Ask the process to end in order."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether the process is on its way out."""
        return self._stopping.is_set()

    @property
    def is_ready(self) -> bool:
        """Ready, all supervised parts alive, and not on its way out."""
        return self._ready and not self.stopping and not any(task.done() for task in self._parts.values())

    @property
    def is_alive(self) -> bool:
        """Whether the loop turned within the last seconds."""
        return asyncio.get_running_loop().time() - self._beat < self.settings.alive_s_max

    @property
    def health_port(self) -> int:
        """The port of /health/live, /health/ready and /metrics; 0 before they are served."""
        return int(self._health.sockets[0].getsockname()[1]) if self._health and self._health.sockets else 0

    async def open(self) -> None:
        """Start the heartbeat and the health server."""
        self._health = await health.serve(self, self.settings.metrics_host, self.settings.metrics_port)
        self.supervise("heartbeat", self._heartbeat())

    async def close(self) -> None:
        """Stop everything, last started first; what hangs is named in the log and left behind."""
        await self._unwind(0)
        if self._health is not None:
            self._health.close()

    async def _unwind(self, mark: int) -> None:
        async with self._unwinding:
            while len(self._stops) > mark:
                name, stop = self._stops.pop()
                try:
                    async with asyncio.timeout(_STEP_S_MAX):
                        await stop()
                except TimeoutError:
                    self.failed = True
                    log.error("process.stop_timeout", part=name)
                except Exception:
                    self.failed = True
                    log.exception("process.stop_failed", part=name)

    async def _end_part(self, task: asyncio.Task[Any], stop: Stop | None) -> None:
        if self._parts.get(task.get_name()) is task:
            del self._parts[task.get_name()]
        await _end_part(task, stop)

    def _part_ended(self, task: asyncio.Task[Any]) -> None:
        name = task.get_name()
        metrics.parts_alive.labels(name).set(0)
        error = None if task.cancelled() else task.exception()
        asked = self.stopping or self._parts.get(name) is not task
        if asked and error is None:
            return
        self.failed = True
        log.error("process.part_died", part=name, exc_info=error)
        self.stop()

    async def _heartbeat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _BEAT_S
            await asyncio.sleep(_BEAT_S)
            failpoint.hit("loop.stall")
            self._beat = loop.time()
            lag = max(0.0, self._beat - due)
            metrics.loop_lag_seconds.set(lag)
            if lag > _STALL_S:
                metrics.loop_stalls.inc()
                log.warning("process.loop_stalled", lag_ms=round(lag * 1000))


def run(main: Callable[[Process[S]], Awaitable[None]], settings: S) -> NoReturn:
    """Run `main` on uvloop until it returns or the process is told to stop, then leave the process."""
    observe.configure(settings.log_level)
    failpoint.arm(settings.failpoint)
    spans.start(settings, main.__name__)
    collect_seldom()
    code = asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_run(main, settings))
    # All that is ours has ended in order. The interpreter, and the close of a loop, would wait for tasks and threads
    # that a library has left behind: Faust's wait a minute, or for ever, for a broker that is away.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def collect_seldom() -> None:
    """Look for garbage that refers to itself less often, and never in what was imported.

    A batch makes tens of thousands of objects that all end with it, and by themselves; the interpreter would look
    through them, and through all that lives, every 700.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_YOUNG_MAX, _GARBAGE_OLDER_MAX, _GARBAGE_OLDER_MAX)


async def _run(main: Callable[[Process[S]], Awaitable[None]], settings: S) -> int:
    process = Process(settings)
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, process.stop)
    try:
        await process.open()
    except OSError as error:
        log.error("process.not_started", exc_info=error)
        return 1
    task = asyncio.ensure_future(main(process))
    await _until_done(process, task)
    process.stop()
    # A thread: what neither ends nor yields to its cancellation, or blocks the loop, must not keep the process.
    watchdog = threading.Timer(settings.stop_s_max, _give_up)
    watchdog.daemon = True
    watchdog.start()
    await _end_main(process, task)
    await process.close()
    await asyncio.to_thread(spans.stop)
    watchdog.cancel()
    log.info("process.stopped", failed=process.failed)
    return 1 if process.failed else 0


async def _until_done(process: Process[Any], task: asyncio.Future[None]) -> None:
    stopped = asyncio.create_task(process.stopped())
    await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()


async def _end_main(process: Process[Any], task: asyncio.Future[None]) -> None:
    """Let `main` return by itself for a moment, then cancel it; its error is the process's."""
    done, _ = await asyncio.wait((task,), timeout=_MAIN_S_MAX)
    if not done:
        task.cancel()
        done, _ = await asyncio.wait((task,), timeout=_MAIN_S_MAX)
    if done and not task.cancelled() and (error := task.exception()) is not None:
        process.failed = True
        log.error("process.main_failed", exc_info=error)


async def _end_part(task: asyncio.Task[Any], stop: Stop | None) -> None:
    try:
        if stop is not None:
            async with asyncio.timeout(_GRACE_S):
                await stop()
                await asyncio.wait((task,))
    except TimeoutError:
        log.warning("process.part_cut_short", part=task.get_name())
    finally:
        task.cancel()
        await asyncio.wait((task,))


def _give_up() -> None:
    log.error("process.stop_overdue")
    sys.stderr.flush()
    os._exit(1)


def serve_http(process: Process[Any], app: "ASGIApp", settings: ProcessSettings) -> int:
    """Serve `app` by uvicorn as a supervised part; returns the port. OSError where the port is taken.

    Stopping finishes the requests in flight, for at most `http_stop_s_max`.
    """
    from uvicorn import Config

    from muster.kit.server import Server

    listener = socket.create_server((settings.http_host, settings.http_port), backlog=settings.http_backlog)
    config = Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=settings.http_keep_alive_s,
        timeout_graceful_shutdown=max(1, settings.http_stop_s_max - 2),
        backlog=settings.http_backlog,
    )
    server = Server(config)
    process.supervise("http", server.serve(sockets=[listener]))
    process.on_stop(server.stop)
    return int(listener.getsockname()[1])
