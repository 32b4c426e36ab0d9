"""Deliberate faults in the real code, each one function or one clause: the simulation must find every one of them.

A patch that no longer applies fails: the function or the clause that it replaces must be there.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import muster.credit.domain.reservations as reservations
import muster.dispatch.store.queue as queue
import muster.kit.consumer.apply as consumer
import muster.kit.idempotency as idempotency
import muster.kit.relay as relay
from muster.dispatch.domain import slots
from muster.dispatch.domain.slots import Slot
from muster.dispatch.sender.job import Job
from muster.dispatch.store import suppressions
from muster.dispatch.store.suppressions import Barred
from muster.smpp import Unknown


def _function(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put another function in the place of one that must be there."""
    setattr(owner, name, make(getattr(owner, name)))


def _clause(module: Any, name: str, clause: str, instead: str) -> None:
    """Take a clause out of a statement that must have it."""
    sql = getattr(module, name)
    assert clause in sql, f"{name} has no {clause!r} any more"
    setattr(module, name, sql.replace(clause, instead))


def _intent_is_not_stored() -> None:
    def make(_: Any) -> Any:
        async def intend(_tx: Any, intents: Any, *_rest: Any) -> set[Any]:
            return {one.key.chunk for one in intents}

        return intend

    _function(queue, "intend", make)


def _what_may_have_gone_is_sent_again() -> None:
    _function(slots, "recover", lambda _: lambda before, *_rest: before)


def _no_answer_is_taken_for_a_no() -> None:
    def make(take: Any) -> Any:
        def wrong(job: Job, slot: int, outcome: Any) -> None:
            take(job, slot, outcome)
            if isinstance(outcome, Unknown):
                job.slots[slot] = Slot.RETRY

        return wrong

    _function(Job, "take", make)


def _unknown_is_never_settled() -> None:
    _function(slots, "settle", lambda _: lambda before, *, charge: before)


def _suppressions_are_not_joined() -> None:
    def make(_: Any) -> Any:
        async def barred(*_args: Any) -> Barred:
            return Barred(frozenset(), frozenset())

        return barred

    _function(suppressions, "barred", make)


def _a_reservation_forgets_its_answer() -> None:
    _function(reservations, "reserve", lambda reserve: lambda account, _known, request: reserve(account, None, request))


def _a_settlement_takes_any_version() -> None:
    def make(settle: Any) -> Any:
        def wrong(account: Any, known: Any, totals: Any) -> Any:
            if known is None:
                return settle(account, known, totals)
            # What was said before is forgotten: it is posted and voided once more.
            return settle(account, known._replace(version=-1, used=0, released=0, closed=False), totals)

        return wrong

    _function(reservations, "settle", make)


def _what_was_not_published_is_deleted() -> None:
    def make(publish: Any) -> Any:
        async def wrong(self: Any, connection: Any, lane: Any, rows: Any, *rest: Any) -> None:
            await connection.execute(relay._DELETE, int(lane), [row["id"] for row in rows])
            await publish(self, connection, lane, rows, *rest)

        return wrong

    _function(relay.Relay, "_publish", make)


def _an_offset_is_stored_before_its_events() -> None:
    def make(advance: Any) -> Any:
        async def wrong(tx: Any, *args: Any) -> None:
            await advance(tx, *args)
            await tx.execute("COMMIT; BEGIN")

        return wrong

    _function(consumer, "advance", make)


def _a_key_is_taken_again() -> None:
    def make(_: Any) -> Any:
        async def answer(_self: Any, _tx: Any, _caller: Any, _body: Any, make: Any, **_rest: Any) -> Any:
            return idempotency._response(*idempotency._rendered(*await make()))

        return answer

    _function(idempotency.Once, "answer", make)


def _a_stopped_chunk_is_claimed() -> None:
    for statement in ("_WAITING", "_CLAIM", "_INTEND"):
        _clause(queue, statement, "state = 'sending' AND ending = ''", "state = 'sending'")


FAULTS: Final[Mapping[str, Callable[[], None]]] = {
    "an intent is not stored": _intent_is_not_stored,
    "what may have gone is sent again": _what_may_have_gone_is_sent_again,
    "no answer is taken for a no": _no_answer_is_taken_for_a_no,
    "unknown is never settled": _unknown_is_never_settled,
    "suppressions are not joined": _suppressions_are_not_joined,
    "a reservation forgets its answer": _a_reservation_forgets_its_answer,
    "a settlement takes any version": _a_settlement_takes_any_version,
    "what was not published is deleted": _what_was_not_published_is_deleted,
    "an offset is stored before its events": _an_offset_is_stored_before_its_events,
    "a key is taken again": _a_key_is_taken_again,
    "a stopped chunk is claimed": _a_stopped_chunk_is_claimed,
}


def apply(name: str) -> None:
    """Put this fault into the code that this interpreter runs."""
    FAULTS[name]()
