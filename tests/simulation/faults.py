"""What goes wrong, by the seed: each kind is counted when it happens. `calm` ends it all, and the system must heal."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from simulation.loop import Node
    from simulation.world import World

# Probability of each kind: of processes by statement (where a transaction begins, and where one ends that has only
# looked, nothing goes wrong of its own), of the bus by publication or record, of the carrier by submit or receipt. A
# seed takes some kinds and leaves others, and is wilder or milder.
KINDS: Final[Mapping[str, float]] = {
    "crash before a statement": 0.0045,
    "crash after a statement": 0.0045,
    "crash after a commit": 0.014,
    "frozen after a commit": 0.02,
    "commit lost, done": 0.018,
    "commit lost, undone": 0.018,
    "connection cut": 0.0045,
    "connection refused": 0.006,
    "frozen a moment": 0.003,
    "zombie": 0.0025,
    "terminated": 0.002,
    "slow statement": 0.014,
    "crash before publishing": 0.02,
    "crash after publishing": 0.03,
    "published in part": 0.03,
    "published, not acknowledged": 0.03,
    "not published": 0.03,
    "record delayed": 0.08,
    "answer lost": 0.08,
    "asked twice at once": 0.08,
    "submit dropped with its connection": 0.02,
    "submit taken, connection dropped": 0.03,
    "submit taken, sender dies": 0.015,
    "submit never answered": 0.03,
    "submit throttled": 0.06,
    "submit rejected": 0.05,
    "answer late": 0.04,
    "receipt lost": 0.08,
    "receipt twice": 0.1,
    "receipt early": 0.1,
    "receipt late": 0.1,
    "crash at a start of a schedule": 2.5,
}
_FAVOURED_TIMES: Final = 5.0
_favoured: frozenset[str] = frozenset()
_ALWAYS: Final = frozenset({"submit rejected", "receipt twice", "crash at a start of a schedule"})
_START: Final = "INSERT INTO schedule_start"
RESPONSE_TIMEOUT_S: Final = 5.0


def favour(kinds: Iterable[str]) -> None:
    """Let these kinds happen in each history that this process simulates from now on, and more often than else: what
    shows a deliberate fault is not to wait for a seed that takes it. KeyError for a kind that there is not."""
    global _favoured
    _favoured = frozenset(kind for kind in kinds if KINDS[kind])


class Faults:
    """Asked at every seam; answers "nothing" until `start`, and again after `calm`."""

    def __init__(self, world: "World", rng: Random) -> None:
        self._world = world
        self._rng = rng
        self.fired: Counter[str] = Counter()
        wildness = rng.choice((0.4, 1.0, 1.0, 2.0))
        chosen = [kind for kind in KINDS if kind in _ALWAYS or rng.random() < 0.6]
        self._planned = {kind: KINDS[kind] * wildness for kind in chosen}
        self._planned |= {kind: KINDS[kind] * _FAVOURED_TIMES for kind in KINDS if kind in _favoured}
        self._rates: dict[str, float] = {}

    def start(self) -> None:
        """From now on things go wrong."""
        self._rates = dict(self._planned)

    def calm(self) -> None:
        """No more of it."""
        self._rates = {}

    def _one_of(self, *kinds: str) -> str:
        """Which of these kinds happens now, if any; it is counted."""
        if not self._rates:
            return ""
        dice = self._rng.random()
        for kind in kinds:
            dice -= self._rates.get(kind, 0.0)
            if dice < 0:
                self.fired[kind] += 1
                return kind
        return ""

    # -- processes ----------------------------------------------------------------------------------------------------

    async def before(self, node: "Node", tag: str) -> None:
        """Before a statement."""
        kind = self._one_of(
            "crash before a statement", "connection cut", "frozen a moment", "zombie", "terminated", "slow statement"
        )
        if tag.startswith(_START):
            kind = self._one_of("crash at a start of a schedule") or kind
        if not kind:
            return
        world = self._world
        world.trace.add(node.name, tag, kind)
        match kind:
            case "crash before a statement" | "crash at a start of a schedule":
                world.crash(node)
            case "connection cut":
                world.cut_connections(node)
            case "frozen a moment":
                world.freeze(node, self._rng.uniform(0.5, 4.0))
                await asyncio.sleep(0)
            case "zombie":
                self._zombie(node)
                await asyncio.sleep(0)
            case "terminated":
                world.terminate(node)
            case _:
                await asyncio.sleep(self._rng.uniform(0.05, 2.5))

    def _zombie(self, node: "Node") -> None:
        """Frozen for longer than the others wait: somebody else takes its work, and then it goes on."""
        world, seconds = self._world, self._rng.uniform(8.0, 25.0)
        world.freeze(node, seconds)
        if self._rng.random() < 0.6:
            world.loop.call_later(self._rng.uniform(1.0, 6.0), world.cut_connections, node, context=world.context)
        world.replace(node)

    async def after(self, node: "Node", tag: str) -> None:
        """After a statement: its answer takes a moment."""
        committed = ("crash after a commit", "frozen after a commit")
        kind = self._one_of(*committed) if tag == "COMMIT" else self._one_of("crash after a statement")
        if tag == "publish" and (published := self._one_of("crash after publishing")):
            kind = published
        if kind:
            self._world.trace.add(node.name, tag, kind)
            if kind == "frozen after a commit":
                # As between an intent and its write: the longest that a lease lasts, and longer.
                self._world.freeze(node, self._rng.uniform(1.0, 9.0))
                await asyncio.sleep(0)
            else:
                self._world.crash(node)
            return
        await asyncio.sleep(self._rng.uniform(0.0002, 0.002))

    def commit(self, node: "Node") -> bool | None:
        """Whether the answer to this COMMIT is lost (None: no), and if so, whether it was committed."""
        kind = self._one_of("commit lost, done", "commit lost, undone")
        return kind == "commit lost, done" if kind else None

    def refuses_connection(self, node: "Node") -> bool:
        """Whether the database takes no connection now."""
        return bool(self._one_of("connection refused"))

    # -- the bus ------------------------------------------------------------------------------------------------------

    async def publish(self, node: "Node", count: int) -> tuple[int, bool]:
        """How many of these records are written, and whether the answer is that it failed."""
        kind = self._one_of(
            "crash before publishing", "published in part", "published, not acknowledged", "not published"
        )
        await asyncio.sleep(self._rng.uniform(0.001, 0.01))
        if kind == "crash before publishing":
            self._world.crash(node)
        if node.dead:
            return 0, True
        match kind:
            case "published in part":
                return self._rng.randrange(count + 1), True
            case "published, not acknowledged":
                return count, True
            case "not published":
                return 0, True
        return count, False

    def delivery(self, tp: Any) -> float:
        """How long a record takes to be seen."""
        if self._one_of("record delayed"):
            return self._rng.uniform(0.5, 6.0)
        return self._rng.uniform(0.001, 0.03)

    def batch(self, most: int) -> int:
        """How many records a poll gives."""
        return self._rng.choice((1, 2, 5, most)) if self._rates else most

    # -- people -------------------------------------------------------------------------------------------------------

    def of_request(self) -> str:
        """What happens to a request: its answer is lost on the way, or an impatient person asks twice."""
        return self._one_of("answer lost", "asked twice at once")

    # -- the network and the carrier ----------------------------------------------------------------------------------

    def latency(self) -> float:
        """Of one write."""
        return self._rng.uniform(0.0005, 0.005)

    def fate(self) -> str:
        """Of one submit."""
        kind = self._one_of(
            "submit dropped with its connection", "submit taken, connection dropped", "submit taken, sender dies",
            "submit never answered", "submit throttled", "submit rejected",
        )  # fmt: skip
        return {
            "submit dropped with its connection": "drop",
            "submit taken, connection dropped": "take and drop",
            "submit taken, sender dies": "take and die",
            "submit never answered": "silent",
            "submit throttled": "throttle",
            "submit rejected": "reject",
        }.get(kind, "accept")

    def answer_delay(self) -> float:
        """Of one answer to a submit."""
        if self._one_of("answer late"):
            return RESPONSE_TIMEOUT_S + self._rng.uniform(0.1, 5.0)
        return self._rng.uniform(0.002, 0.1)

    def receipts(self) -> list[float]:
        """When the receipts of an accepted message come."""
        match self._one_of("receipt lost", "receipt twice", "receipt early", "receipt late"):
            case "receipt lost":
                return []
            case "receipt twice":
                first = self._rng.uniform(0.1, 2.0)
                return [first, first + self._rng.choice((0.0, 0.01, 1.0))]
            case "receipt early":
                return [0.0]
            case "receipt late":
                return [self._rng.uniform(8.0, 45.0)]
        return [self._rng.uniform(0.15, 2.0)]
