"""Traces of real sends (`make bench BENCH=finish`), played to what promises: what it would have said, look by look."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from muster.dispatch.domain.meter import Meter, Taken
from muster.dispatch.domain.pace import Course, Piece, Work, finishes, follow, outlook

TRACES = Path(__file__).parent / "traces"
FRESH_S = 5.0


@dataclass(frozen=True, slots=True)
class Promise:
    """What was promised of a send and what came of it; times are seconds of the trace. `here`: when the last of its
    messages was in the queue."""

    send: int
    began: float
    here: float
    promised: float
    promised_finish: float
    finished: float

    @property
    def missed(self) -> float:
        """By how much, as a share of the time from the beginning to the last message."""
        return abs(self.finished - self.promised_finish) / (self.finished - self.began)


@dataclass(slots=True)
class Player:
    """Plays one trace."""

    meters: dict[str, Meter] = field(default_factory=dict)
    rates: dict[str, tuple[float, Taken]] = field(default_factory=dict)
    courses: dict[int, Course] = field(default_factory=dict)
    here: dict[int, float] = field(default_factory=dict)

    def play(self, trace: dict[str, Any]) -> Iterator[Promise]:
        """The promises that were to be kept, in the order in which their sends ended."""
        told = [(one[0], name, one[1:]) for name in ("taken", "looks", "ended") for one in trace[name]]
        for at, name, what in sorted(told, key=lambda one: one[0]):
            if name == "taken":
                self._take(at, *what)
            elif name == "looks":
                self._look(at, *what)
            elif (promise := self._end(*what)) is not None:
                yield promise

    def _take(self, at: float, account: str, limit: int, parts: int, refused: int, *odd: bool) -> None:
        if account not in self.meters:
            self.meters[account] = Meter(hungry=True)
            self.meters[account].take(at - 1, limit)  # at rest, which is not in the trace
        meter = self.meters[account]
        meter.parts, meter.refused = parts, refused
        meter.hungry, meter.arriving = odd
        self.rates[account] = at, meter.take(at, limit)

    def _look(self, at: float, pieces: list[Any], begun: list[int], coming: list[int]) -> None:
        works: dict[int, list[Piece]] = {}
        for tenant, send, account, parts, due_s, rank, until_s in pieces:
            until = math.inf if until_s is None else until_s
            key = (rank[0], rank[1], UUID(int=send))
            works.setdefault(send, []).append(
                Piece(UUID(int=tenant), UUID(int=send), account, parts, due_s, key, until)
            )
        taken = {account: one for account, (since, one) in self.rates.items() if at - since < FRESH_S}
        rates = {account: one.parts_per_second for account, one in taken.items()}
        doubts = {account: one.doubt for account, one in taken.items()}
        found = finishes((piece for work in works.values() for piece in work), rates)
        self.here.update(dict.fromkeys(coming, at))
        for send in begun:
            work = Work(tuple(works[send]), 1, 0, 0, begun=True, coming=send in coming)
            ahead = outlook(work, found[UUID(int=send)], doubts)
            self.courses[send] = follow(self.courses.get(send), work, ahead, at)

    def _end(self, send: int, why: str, last: float | None) -> Promise | None:
        course = self.courses.pop(send)
        if why or course.promised is None or course.promised_finish is None or last is None:
            return None
        here = self.here.get(send, course.began)
        return Promise(send, course.began, here, course.promised, course.promised_finish, last)


def played(path: Path) -> list[Promise]:
    """What was promised in this trace, and what came of it."""
    return list(Player().play(json.loads(path.read_text(encoding="utf-8"))))
