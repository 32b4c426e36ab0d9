"""Breadth first through every reachable state of a world: laws in each state, an end within reach of each.

A world is made of the real cores. It says where it starts, which steps lead on, what is broken in a state, and which
states are ends. Breadth first, so that the path to the first broken state found is a shortest one.
"""

import gc
import time
from array import array
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

State = tuple[Any, ...]


class Step(NamedTuple):
    """What may happen next. `must`: it comes of itself, sooner or later, unless something else comes first; the rest
    (a person's wish, a crash, a loss) may come or not."""

    label: str
    after: State
    must: bool = True


class World(Protocol):
    """Something to explore. `withheld` counts steps that a bound kept back; `stands_for` is how many states of the
    whole those explored stand for, where each stands for many, or 0."""

    name: str
    bounds: Mapping[str, int | str]
    withheld: int
    stands_for: int

    def start(self) -> Iterable[State]: ...

    def steps(self, state: State) -> Iterable[Step]: ...

    def broken(self, state: State) -> str: ...

    def is_end(self, state: State) -> bool: ...

    def show(self, state: State) -> str: ...


@dataclass(slots=True)
class Explored:
    """What an exploration came to. `problem` is empty, or what is broken in the last state of `story`."""

    world: str
    bounds: Mapping[str, int | str]
    states: int = 0
    transitions: int = 0
    withheld: int = 0
    ends: int = 0
    depth: int = 0
    stands_for: int = 0
    cpu_seconds: float = 0.0
    problem: str = ""
    story: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The result for people."""
        bounds = ", ".join(f"{name} {value}" for name, value in self.bounds.items())
        head = (
            f"{self.world}: {self.states:,} states, {self.transitions:,} transitions, {self.ends:,} ends, depth"
            f" {self.depth}, {self.cpu_seconds:.1f} s of CPU; {self.withheld:,} steps kept back by the bounds"
        )
        if self.stands_for:
            head += f"; stands for {self.stands_for:,} states at most"
        found = [f"  broken: {self.problem}", *(f"  {at:3} {line}" for at, line in enumerate(self.story))]
        return [head, f"  bounds: {bounds}", *(found if self.problem else ["  every law holds in each state"])]


class TooLarge(Exception):
    """The world has more states than it was said to have: its bounds do not bound it."""


class Exploration:
    """One run through one world."""

    def __init__(self, world: World, states_max: int) -> None:
        self._world = world
        self._states_max = states_max
        self._number: dict[Hashable, int] = {}
        self.states: list[State] = []
        self._parents = array("i")
        self._labels: list[str] = []
        # Steps that must come, of all states one after another; where those of each state begin.
        self._leads = array("i")
        self._begins = array("i", [0])

    def run(self) -> Explored:
        """Everything that can be reached, or up to the first broken state."""
        began = time.process_time()
        result = Explored(self._world.name, self._world.bounds)
        for state in self._world.start():
            self._add(state, -1, "")
        broken = self._forward(result)
        if broken is None:
            broken = self._without_end(result)
        if broken is not None:
            result.story = self._story(broken)
        result.states, result.withheld = len(self.states), self._world.withheld
        result.stands_for = self._world.stands_for
        result.cpu_seconds = time.process_time() - began
        return result

    def _add(self, state: State, parent: int, label: str) -> int:
        number = self._number[state] = len(self.states)
        if number >= self._states_max:
            raise TooLarge(f"{self._world.name}: more than {self._states_max:,} states")
        self.states.append(state)
        self._parents.append(parent)
        self._labels.append(label)
        return number

    def _forward(self, result: Explored) -> int | None:
        states, number, steps = self.states, self._number, self._world.steps
        level_ends, at = len(states), 0
        while at < len(states):
            if at == level_ends:
                result.depth += 1
                level_ends = len(states)
            state = states[at]
            result.problem = self._world.broken(state)
            if result.problem:
                return at
            for label, after, must in steps(state):
                result.transitions += 1
                to = number.get(after)
                if to is None:
                    to = self._add(after, at, label)
                if must and to != at:
                    self._leads.append(to)
            self._begins.append(len(self._leads))
            at += 1
        return None

    def _without_end(self, result: Explored) -> int | None:
        """The first state from which no end can be reached by what must come."""
        count = len(self.states)
        ends = [at for at in range(count) if self._world.is_end(self.states[at])]
        result.ends = len(ends)
        begins, sources = self._reversed(count)
        seen = bytearray(count)
        for at in ends:
            seen[at] = 1
        work = ends
        while work:
            at = work.pop()
            for source in sources[begins[at] : begins[at + 1]]:
                if not seen[source]:
                    seen[source] = 1
                    work.append(source)
        lost = seen.find(0)
        if lost < 0:
            return None
        result.problem = f"bounded: no end can be reached from here; {self._world.show(self.states[lost])}"
        return lost

    def _reversed(self, count: int) -> tuple[Sequence[int], Sequence[int]]:
        """Where each state is led to from: the sources of state n are sources[begins[n]:begins[n + 1]]."""
        begins = array("i", bytes(4 * (count + 2)))
        for to in self._leads:
            begins[to + 2] += 1
        for at in range(2, count + 2):
            begins[at] += begins[at - 1]
        sources = array("i", bytes(4 * len(self._leads)))
        own = self._begins
        for source in range(count):
            for to in self._leads[own[source] : own[source + 1]]:
                sources[begins[to + 1]] = source
                begins[to + 1] += 1
        return begins, sources

    def _story(self, at: int) -> list[str]:
        told = []
        while at >= 0:
            told.append(f"{self._labels[at] or 'at the start'}\n        {self._world.show(self.states[at])}")
            at = self._parents[at]
        return told[::-1]


def explore(world: World, states_max: int) -> Explored:
    """Explore a world; TooLarge instead of stopping short."""
    # No state is ever garbage: who collects looks at millions of them again and again for nothing.
    collects = gc.isenabled()
    gc.disable()
    try:
        return Exploration(world, states_max).run()
    finally:
        if collects:
            gc.enable()
