"""One history: processes of all services over one bus, one carrier and six databases, in the time of one seed."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from aiokafka import TopicPartition

from muster.kit import metrics
from muster.kit.process import Process, _end_main, _until_done
from simulation.broker import SESSION_S, Broker
from simulation.carrier import Carrier, Taken, Written
from simulation.chapters import OTHER_ACCOUNT, OTHER_PORT, Hours, Turn, chapters_of, hours_of
from simulation.cluster import Cluster
from simulation.database import Connection, Crashed
from simulation.faults import Faults
from simulation.loop import NODE, Node, SimLoop
from simulation.memory import Memory
from simulation.network import Network
from simulation.trace import Trace

START_US: Final = 1_768_442_400_000_000  # 2026-01-15T02:00:00Z
_RESTART_S: Final = (0.3, 3.0)

Main = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Spec:
    """How a process is started: of which service, by which `main`, with which settings."""

    service: str
    main: Main
    settings: Any


class Running(Process[Any]):
    """The real process, which says what its parts died of."""

    died: Callable[[str, BaseException], None]

    def _part_ended(self, task: asyncio.Task[Any]) -> None:
        super()._part_ended(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.died(task.get_name(), error)


class World:
    """Everything of one seed."""

    def __init__(self, seed: str, cluster: Cluster, every: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.cluster = cluster
        self.loop = SimLoop(self.rng("loop"))
        self.loop.network = self.network = Network(self)
        self.trace = Trace(self.loop.time, every=every)
        self.context = copy_context()
        self.faults = Faults(self, self.rng("faults"))
        self.broker = Broker(self)
        self._write_chapters(chapters_of(int(seed)))
        self.carrier = Carrier(self, self.rng("carrier"))
        self.carriers = {"smpp": self.carrier}
        if "accounts" in self.chapters:
            self.carriers[OTHER_ACCOUNT] = Carrier(self, self.rng("other carrier"), OTHER_PORT)
        self.specs: dict[str, Spec] = {}
        self.nodes: dict[str, Node] = {}
        self.started: list[Node] = []
        self.apps: dict[str, tuple[Node, Any]] = {}
        self.connections: dict[Connection, None] = {}
        self.letters: list[tuple[float, str]] = []
        self.deaths: list[str] = []
        self.statements = 0
        self.memory = Memory()
        self._starts = self.rng("starts")
        self._asleep: dict[str, float] = {}

    def _write_chapters(self, chapters: frozenset[str]) -> None:
        """What this history has besides, and when it begins."""
        rng = self.rng("turn")
        kind = hours_of(rng) if "hours" in chapters else ""
        self.chapters = chapters
        self.turn = Turn.of(rng, kind) if chapters & {"schedule", "hours"} else None
        self.hours = Hours(kind, self.turn) if kind and self.turn else None
        self.start_us = self.turn.start_us if self.turn else START_US
        # By how much the clock on the wall of whoever starts schedules is wrong.
        self.wrong_by_s = rng.choice((0.0, 0.0, -25.0, 25.0)) if "schedule" in chapters else 0.0
        self._rerouted = _rerouted()

    def rng(self, purpose: str) -> Random:
        """Randomness of its own for each purpose, so that one does not shift another."""
        return Random(f"{self.seed}/{purpose}")

    # -- time and place -----------------------------------------------------------------------------------------------

    def now_us(self) -> int:
        """Microseconds since 1970, by the seed."""
        return self.start_us + round(self.loop.time() * 1e6)

    def shown_us(self) -> int:
        """The same by the clock of the process whose code this is."""
        node = NODE.get()
        wrong_by_s = self.wrong_by_s if node is not None and node.name == "customer.worker" else 0.0
        return self.now_us() + round(wrong_by_s * 1e6)

    @staticmethod
    def text_of(us: int) -> str:
        """A moment as PostgreSQL reads it."""
        return datetime.fromtimestamp(us / 1e6, UTC).isoformat()

    def here(self) -> Node:
        """The process whose code this is."""
        node = NODE.get()
        assert node is not None, "production code runs in a simulated process"
        return node

    def check(self, node: Node) -> None:
        """Raises Crashed in what is dead."""
        if node.dead:
            raise Crashed

    # -- what the carriers saw ----------------------------------------------------------------------------------------

    @property
    def taken(self) -> list[Taken]:
        """What carriers have accepted."""
        return [one for carrier in self.carriers.values() for one in carrier.taken]

    @property
    def writes(self) -> list[Written]:
        """What reached carriers."""
        return [one for carrier in self.carriers.values() for one in carrier.writes]

    @property
    def rerouted(self) -> int:
        """Chunks that were led to another account."""
        return _rerouted() - self._rerouted

    # -- processes ----------------------------------------------------------------------------------------------------

    def add(self, name: str, spec: Spec) -> None:
        """A process that is always started again."""
        self.specs[name] = spec
        self.start(name)

    def start(self, name: str) -> None:
        """Start it, as a process that knows nothing of an earlier one."""
        spec, node = self.specs[name], Node(name)
        node.service = spec.service
        self.nodes[name] = node
        self.started.append(node)
        self.trace.add(name, "start", "")
        self.loop.create_task(self._live(node, spec), context=node.context.copy())
        if self._asleep.get(name, 0.0) > self.loop.time():
            self.freeze(node, self._asleep[name] - self.loop.time())

    async def _live(self, node: Node, spec: Spec) -> None:
        """As `muster.kit.process.run`, without signals and sockets."""
        process = Running(spec.settings)
        process.died = lambda part, error: self._died(node, part, error)
        node.process = process
        work: Coroutine[Any, Any, None] = spec.main(process)  # type: ignore[assignment]
        task = asyncio.ensure_future(work)
        await _until_done(process, task)
        process.stop()
        await _end_main(process, task)
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            self._died(node, "main", error)
        await process.close()
        if not node.dead:
            self.crash(node)

    def _died(self, node: Node, part: str, error: BaseException) -> None:
        if not node.dead:
            self.trace.add(node.name, f"part {part} died", repr(error))
            self.deaths.append(f"{node.name} {part}: {error!r}")

    def crash(self, node: Node) -> None:
        """kill -9, or the end of a process; it is started again a little later."""
        if node.dead:
            return
        self.trace.add(node.name, "ends", "")
        self.loop.kill(node)
        self.loop.call_later(0.0, self._left, context=self.context)
        if self.nodes.get(node.name) is node and node.name in self.specs:
            self.loop.call_later(self._starts.uniform(*_RESTART_S), self._restart, node, context=self.context)

    def _restart(self, node: Node) -> None:
        if self.nodes.get(node.name) is node:
            self.start(node.name)

    def _left(self) -> None:
        """What the dead held of groups is given to others once their session is over."""
        for name, group in self.broker.groups.items():
            if any(member.node.dead and not member.stopped for member in group.members):
                self.loop.call_later(SESSION_S, self.broker.joined, name, context=self.context)

    def terminate(self, node: Node) -> None:
        """SIGTERM: it ends in order."""
        if node.process is not None:
            node.process.stop()

    def freeze(self, node: Node, seconds: float) -> None:
        """SIGSTOP and, later, SIGCONT."""
        self.loop.freeze(node, seconds)
        if seconds > SESSION_S:
            self.loop.call_later(SESSION_S, self._expel, node, context=self.context)
        if seconds > SESSION_S or node.expelled:
            self.loop.call_later(seconds + 0.5, self._expel, node, context=self.context)

    def oversleep(self, name: str, until: float) -> None:
        """Freeze a process until then, and each that is started in its place."""
        self._asleep[name] = until
        if not self.nodes[name].dead:
            self.freeze(self.nodes[name], until - self.loop.time())

    def _expel(self, node: Node) -> None:
        """Groups give up on who says nothing, and take him back when he speaks."""
        node.expelled = node.frozen_until > self.loop.time()
        for name, group in self.broker.groups.items():
            if any(member.node is node for member in group.members):
                self.broker.joined(name)

    def replace(self, node: Node) -> None:
        """Start another one beside it, as a cluster does with what does not answer; the old one may come back."""
        if self.nodes.get(node.name) is node and not node.name.endswith(".api"):
            self.loop.call_later(SESSION_S, self._restart, node, context=self.context)

    def cut_connections(self, node: Node) -> None:
        """The server ends all database connections of a process."""
        for connection in [one for one in self.connections if one.node is node]:
            connection.lose()

    def alive(self) -> list[Node]:
        """The present process of each name."""
        return [node for node in self.nodes.values() if not node.dead]

    def end_surplus(self) -> None:
        """End those beside which another one was started, and let nobody sleep on."""
        for node in self.started:
            if not node.dead and self.nodes.get(node.name) is not node:
                self.crash(node)

    # -- what is left to do -------------------------------------------------------------------------------------------

    def services(self) -> list[str]:
        """All of them."""
        return sorted({spec.service for spec in self.specs.values()})

    def lag(self) -> str:
        """What is not applied yet, over all groups; empty if all is."""
        for name, group in self.broker.groups.items():
            read = dict(group.committed)
            if name != "report":
                rows = self.cluster.look(name, "SELECT topic, partition, next_offset FROM consumer_offset")
                read = {TopicPartition(row[0], row[1]): row[2] for row in rows}
            if lag := self.broker.lag(group.topics, read):
                return f"{name} has not applied {lag} records"
        return ""


def _rerouted() -> int:
    """By the metric of this interpreter, which goes on from seed to seed."""
    return int(metrics.chunks_rerouted.collect()[0].samples[0].value)
