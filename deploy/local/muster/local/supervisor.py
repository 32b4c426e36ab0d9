"""Starts parts, restarts those that die, ends them in order."""

import asyncio
import contextlib
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from muster.local.process import Command, PartError, failure, spawn

_POLL_S = 0.1
_BACK_OFF_FIRST_S = 0.25
_BACK_OFF_MAX_S = 10.0
_STEADY_S = 30.0  # who ran this long starts again with the first back-off


class Stage(IntEnum):
    """When a part is ended, lowest first."""

    SERVICE = 0
    EDGE = 1
    STORE = 2


# Together below the ten seconds that Ctrl-C may take.
_STOP_LIMIT_S = {Stage.SERVICE: 4.0, Stage.EDGE: 1.5, Stage.STORE: 3.5}


@dataclass(frozen=True)
class Part:
    """One process to keep running. `why_not_ready` (called in a thread) is None when it serves, else the reason."""

    name: str
    command: Callable[[], Command]
    why_not_ready: Callable[[], str | None]
    stage: Stage = Stage.SERVICE
    limit_s: float = 120.0
    prepare: Callable[[], None] | None = None


@dataclass
class _Child:
    part: Part
    command: Command
    process: subprocess.Popen[bytes]
    failures: int = 0
    started: float = field(default_factory=time.monotonic)
    restart_at: float | None = None


class Supervisor:
    """Keeps parts running. `say` prints a line; `on_change` is called whenever a process id changed; each process
    inherits the open files `keep_open`. `codes` has the exit codes of each part that ended by itself, in their order.

    All processes are started from the thread that runs the event loop, which must be the main thread: see
    `process.spawn`.
    """

    def __init__(
        self,
        logs: Path,
        *,
        say: Callable[[str], None] = print,
        on_change: Callable[[], None] = lambda: None,
        keep_open: tuple[int, ...] = (),
        back_off_max_s: float = _BACK_OFF_MAX_S,
    ) -> None:
        self.restarts: Counter[str] = Counter()
        self.codes: dict[str, list[int]] = {}
        self._back_off_max_s = back_off_max_s
        self._held: set[str] = set()
        self._logs = logs
        self._say = say
        self._on_change = on_change
        self._keep_open = keep_open
        self._children: dict[str, _Child] = {}
        self._starting: dict[str, _Child] = {}
        self._watching: asyncio.Task[None] | None = None
        self._changed = False
        self._untold: OSError | None = None

    def pids(self) -> dict[str, int]:
        """Process ids of the parts that run, by name."""
        return {name: child.process.pid for name, child in self._children.items()}

    def log(self, name: str) -> Path:
        """The log file of a part."""
        return self._logs / f"{name}.log"

    async def start(self, *parts: Part) -> None:
        """Start parts side by side; returns when all are ready; PartError for the first that does not come up."""
        self._logs.mkdir(parents=True, exist_ok=True)
        await _side_by_side(self._start(part) for part in parts)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    async def run_once(self, commands: Mapping[str, Command], limit_s: float = 180.0) -> None:
        """Run commands by name, side by side, to their end; PartError for the first that fails or takes longer."""
        self._logs.mkdir(parents=True, exist_ok=True)
        await _side_by_side(self._run_once(name, command, limit_s) for name, command in commands.items())

    async def _run_once(self, name: str, command: Command, limit_s: float) -> None:
        _keep_one_run_back(self.log(name))
        process = spawn(command, self.log(name), self._keep_open)
        try:
            ended = await _until(lambda: process.poll() is not None, limit_s)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if not ended or process.returncode != 0:
            reason = f"it ended with code {process.returncode}" if ended else f"not done after {limit_s:.0f} s"
            raise PartError(failure(name, reason, self.log(name)))

    async def wait_ready(self, name: str) -> None:
        """Wait until a part serves (again); PartError after its limit."""
        part = self._children[name].part
        deadline = time.monotonic() + part.limit_s
        while True:
            child = self._children[name]
            reason = await asyncio.to_thread(part.why_not_ready)
            if reason is None and child is self._children[name] and child.process.poll() is None:
                return
            if time.monotonic() > deadline:
                raise PartError(failure(name, f"not ready after {part.limit_s:.0f} s: {reason}", self.log(name)))
            await asyncio.sleep(_POLL_S)

    def hold(self, name: str) -> None:
        """Leave a part dead from when it dies until `release`."""
        self._held.add(name)

    def release(self, name: str) -> None:
        """Start a part again that was held."""
        self._held.discard(name)

    async def end(self, name: str) -> None:
        """End one part for good, as `stop` would."""
        child = self._children.pop(name)
        await _end([child], _STOP_LIMIT_S[child.part.stage])
        self._on_change()

    async def stop(self) -> None:
        """End all parts, stage by stage; who does not end in time is killed."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None
        children = [*self._children.values(), *self._starting.values()]
        for stage in Stage:
            await _end([child for child in children if child.part.stage is stage], _STOP_LIMIT_S[stage])
        self._children.clear()
        self._starting.clear()

    async def _start(self, part: Part) -> None:
        begun = time.monotonic()
        _keep_one_run_back(self.log(part.name))
        try:
            if part.prepare is not None:
                await asyncio.to_thread(part.prepare)
            child = self._starting[part.name] = self._spawn(part)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            raise PartError(failure(part.name, str(error), self.log(part.name))) from error
        while (reason := await asyncio.to_thread(part.why_not_ready)) is not None or child.process.poll() is not None:
            if child.process.poll() is not None:
                reason = f"it ended with code {child.process.returncode}"
                raise PartError(failure(part.name, reason, self.log(part.name)))
            if time.monotonic() - begun > part.limit_s:
                reason = f"not ready after {part.limit_s:.0f} s: {reason}"
                raise PartError(failure(part.name, reason, self.log(part.name)))
            await asyncio.sleep(_POLL_S)
        self._children[part.name] = self._starting.pop(part.name)
        self._say(f"  {part.name:<22} {time.monotonic() - begun:5.1f} s")
        self._on_change()

    def _spawn(self, part: Part) -> _Child:
        command = part.command()
        return _Child(part, command, spawn(command, self.log(part.name), self._keep_open))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            for name, child in list(self._children.items()):
                if child.restart_at is None:
                    if (code := child.process.poll()) is not None:
                        self.codes.setdefault(name, []).append(code)
                        self._plan_restart(name, child, f"ended with code {code}")
                elif time.monotonic() >= child.restart_at and name not in self._held:
                    self._restart(name, child)
            self._tell_change()

    def _plan_restart(self, name: str, child: _Child, reason: str) -> None:
        now = time.monotonic()
        child.failures = 1 if now - child.started > _STEADY_S else child.failures + 1
        # A power that no float could hold is never computed: who fails for days is still asked every ten seconds.
        wait_s = min(self._back_off_max_s, _BACK_OFF_FIRST_S * 2 ** min(child.failures - 1, 16))
        child.restart_at = now + wait_s
        where = f" (log: {self.log(name)})" if child.failures > 1 else ""
        self._say(f"  {name} {reason}; starting it again in {wait_s:g} s{where}")

    def _restart(self, name: str, child: _Child) -> None:
        try:
            self._children[name] = self._spawn(child.part)
        except (OSError, subprocess.SubprocessError) as error:  # no process to be had, a full disk: it may pass
            self._plan_restart(name, child, f"could not be started: {error}")
            return
        self._children[name].failures = child.failures
        self.restarts[name] += 1
        self._changed = True

    def _tell_change(self) -> None:
        """Tell of restarts; where that fails (a full disk), say so once and try again until it works."""
        if not self._changed:
            return
        try:
            self._on_change()
        except OSError as error:
            if self._untold is None:
                self._say(f"  the new process ids could not be written down: {error}")
            self._untold = error
        else:
            self._changed, self._untold = False, None


def _keep_one_run_back(log: Path) -> None:
    """A run's log begins with the run; that of the run before is beside it."""
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))


async def _end(children: Iterable[_Child], limit_s: float) -> None:
    running = [child for child in children if child.process.poll() is None]
    for child in running:
        child.process.send_signal(child.command.stop_signal)
    await _until(lambda: all(child.process.poll() is not None for child in running), limit_s)
    for child in running:
        if child.process.poll() is None:
            # What the kernel would send it if we died: for PostgreSQL this ends its backends too.
            child.process.send_signal(child.command.death_signal)
    for child in running:
        try:
            await asyncio.to_thread(child.process.wait, 1.0)
        except subprocess.TimeoutExpired:
            child.process.kill()
            await asyncio.to_thread(child.process.wait)


async def _side_by_side(works: Iterable[Coroutine[None, None, None]]) -> None:
    """Do all; the first that fails cancels the others, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except ExceptionGroup as errors:  # not except*: before Python 3.11.4 that wraps what is raised in it once more
        failed, others = errors.split(PartError)
        if failed is None or others is not None:
            raise
        raise failed.exceptions[0] from None


async def _until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Whether `condition` became true within the limit."""
    deadline = time.monotonic() + limit_s
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110 - a child's end sets no event
        await asyncio.sleep(_POLL_S / 2)
    return condition()
