"""One seed, from empty databases to its verdict."""

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any, Final

from simulation.cluster import Cluster
from simulation.loop import DYING_S, Stuck
from simulation.oracles import judge
from simulation.services import installed, quiet, specs_of
from simulation.story import Story
from simulation.world import World

_COLLECTED_EVERY: Final = 10
_BEGUN: Final = count()


@dataclass(slots=True)
class Outcome:
    """What became of one seed."""

    seed: int
    wrong: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)
    fired: dict[str, int] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    last: list[str] = field(default_factory=list)
    transitions: int = 0
    statements: int = 0
    records: int = 0
    accepted: int = 0
    sends: int = 0
    simulated_s: float = 0.0
    seconds: float = 0.0

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def simulate(seed: int, cluster: Cluster, every: Callable[[str], None] | None = None) -> Outcome:
    """Run one history."""
    began = time.perf_counter()
    quiet()
    cluster.empty(str(seed))
    world = World(str(seed), cluster, every)
    outcome = Outcome(seed)
    # Collected between seeds only: when a cycle is freed must not depend on what ran before. What the first seed finds
    # is frozen, and nothing later: the world before is still held by what this one replaces, and would stay for ever.
    begun = next(_BEGUN)
    if begun % _COLLECTED_EVERY == 0:
        gc.collect()
    if begun == 0:
        gc.freeze()
    gc.disable()
    try:
        # Of two accounts each is to get something.
        sizes = (2, 3) if "accounts" in world.chapters else (2, 3, 500)
        with installed(world, chunk_max=world.rng("chunks").choice(sizes)):
            try:
                world.loop.run_until_complete(world.loop.create_task(_history(world, outcome), context=world.context))
            finally:
                _end(world)
    except Stuck:
        outcome.wrong.append("everybody waits for ever")
    except AssertionError as error:
        outcome.wrong.append(f"not as it must be: {error}")
    finally:
        world.loop.close()
    outcome.digest, outcome.last, outcome.transitions = world.trace.digest, list(world.trace.last), world.trace.lines
    outcome.statements, outcome.accepted = world.statements, len(world.taken)
    outcome.records = sum(len(log.records) for log in world.broker.logs.values())
    outcome.fired = dict(world.faults.fired)
    outcome.simulated_s, outcome.seconds = world.loop.time(), time.perf_counter() - began
    return outcome


async def _history(world: World, outcome: Outcome) -> None:
    for name, spec in specs_of(world.chapters).items():
        world.add(name, spec)
    story = Story(world)
    ended = await story.tell()
    if not ended:
        outcome.wrong.append(f"law bounded: {story.unsettled()}")
    outcome.sends = len(story.sends)
    story.chapters.count(story.sends)
    outcome.told = dict(story.chapters.told)
    wrong, outcome.checked = await judge(world, story)
    outcome.wrong += wrong


def _end(world: World) -> None:
    """Nothing of it goes on."""
    world.specs.clear()
    for node in world.started:
        world.loop.kill(node)
    world.loop.run_until_complete(asyncio.sleep(DYING_S))
