"""Deliberate faults in the real code, which the simulation has to find: those of the explorer that have a seed, and
some in what is not a core: statements, transactions, the bus, the API.

A patch that no longer applies fails: the function or the clause that it replaces must be there, as it was.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from exploration.faults import FAULTS as EXPLORED
from exploration.faults import FaultDoesNotApply

import muster.dispatch.store.queue as queue
import muster.kit.consumer.apply as consumer
import muster.kit.idempotency as idempotency
import muster.kit.relay as relay
from muster.dispatch.domain.slots import Slot
from muster.dispatch.sender.job import Job
from muster.dispatch.store import suppressions
from muster.dispatch.store.suppressions import Barred
from muster.smpp import Unknown
from simulation.chapter_mutants import CHAPTER_FAULTS
from simulation.faults import favour


def _function(owner: Any, name: str, has: str, make: Callable[[Any], Any]) -> None:
    """Put another function in the place of one that must be there, and must still do what the other one does not."""
    sound = getattr(owner, name)
    if has not in inspect.getsource(sound):
        raise FaultDoesNotApply(f"{name} has no {has!r} any more")
    setattr(owner, name, make(sound))


def _intent_is_not_stored() -> None:
    def make(_: Any) -> Any:
        async def intend(_tx: Any, intents: Any, *_rest: Any) -> set[Any]:
            return {one.key.chunk for one in intents}

        return intend

    _function(queue, "intend", "_INTEND", make)


def _no_answer_is_taken_for_a_no() -> None:
    def make(take: Any) -> Any:
        def wrong(job: Job, slot: int, outcome: Any) -> None:
            take(job, slot, outcome)
            if isinstance(outcome, Unknown):
                job.slots[slot] = Slot.RETRY

        return wrong

    _function(Job, "take", "self.slots[slot] = Slot.UNKNOWN", make)


def _suppressions_are_not_joined() -> None:
    def make(_: Any) -> Any:
        async def barred(*_args: Any) -> Barred:
            return Barred(frozenset(), frozenset())

        return barred

    _function(suppressions, "barred", "_BARRED", make)


def _what_was_not_published_is_deleted() -> None:
    def make(publish: Any) -> Any:
        async def wrong(self: Any, connection: Any, lane: Any, rows: Any, *rest: Any) -> None:
            await connection.execute(relay._DELETE, int(lane), [row["id"] for row in rows])
            await publish(self, connection, lane, rows, *rest)

        return wrong

    _function(relay.Relay, "_publish", "self._send(", make)


def _an_offset_is_stored_before_its_events() -> None:
    def make(advance: Any) -> Any:
        async def wrong(tx: Any, *args: Any) -> None:
            await advance(tx, *args)
            await tx.execute("COMMIT; BEGIN")

        return wrong

    _function(consumer, "advance", "_ADVANCE", make)


def _a_key_is_taken_again() -> None:
    def make(_: Any) -> Any:
        async def answer(_self: Any, _tx: Any, _caller: Any, _body: Any, make: Any, **_rest: Any) -> Any:
            return idempotency._response(*idempotency._rendered(*await make()))

        return answer

    _function(idempotency.Once, "answer", "_CLAIM", make)


# With a seed that finds each.
_ONLY_HERE: Final[Mapping[str, tuple[int, Callable[[], object]]]] = {
    "an intent is not stored": (3, _intent_is_not_stored),
    "no answer is taken for a no": (5, _no_answer_is_taken_for_a_no),
    "suppressions are not joined": (3, _suppressions_are_not_joined),
    "what was not published is deleted": (4, _what_was_not_published_is_deleted),
    "an offset is stored before its events": (4, _an_offset_is_stored_before_its_events),
    "a key is taken again": (1, _a_key_is_taken_again),
}
_EVERYWHERE: Final = [fault for fault in EXPLORED if fault.seed]


FAULTS: Final[Mapping[str, Callable[[], object]]] = {
    **{name: apply for name, (_, apply) in _ONLY_HERE.items()},
    **{fault.name: fault.put_everywhere for fault in _EVERYWHERE},
    **{fault.name: fault.apply for fault in CHAPTER_FAULTS},
}
_FIRST_SEEDS: Final[Mapping[str, int]] = {
    **{name: seed for name, (seed, _) in _ONLY_HERE.items()},
    **{fault.name: fault.seed for fault in _EVERYWHERE},
}
# What goes wrong where a fault shows, if that is seldom else.
_SHOWN_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "an intent is not stored": ("submit taken, sender dies",),
    "what an intent covered goes back to the queue": ("submit taken, sender dies",),
    "a request for credits that was answered is answered anew": ("record delayed",),
}
_FOUND_WITHIN_SEEDS: Final = 120


def seeds_of(name: str) -> list[int]:
    """Seeds that should find a fault, the likeliest first: a seed belongs to a commit, and where the one that is named
    does not find it any more, another one must."""
    for fault in CHAPTER_FAULTS:
        if fault.name == name:
            return fault.seeds()
    return list(dict.fromkeys((_FIRST_SEEDS[name], *range(1, _FOUND_WITHIN_SEEDS + 1))))


def finds(name: str, wrong: list[str]) -> bool:
    """Whether this is how a fault shows: by anything that is wrong, or by the law that is there for it."""
    law = next((fault.law for fault in CHAPTER_FAULTS if fault.name == name), "")
    return any(one.startswith(law) for one in wrong)


def apply(name: str) -> None:
    """Put this fault into the code that this interpreter runs, where what shows it happens often."""
    FAULTS[name]()
    favour(_SHOWN_BY.get(name, ()))
