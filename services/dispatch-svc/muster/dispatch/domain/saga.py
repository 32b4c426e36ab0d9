"""The saga of one send: `advance(bulk, fact) -> (bulk, effects)`, one pure total function.

Where the send goes and what follows is data: domain/matrix.py. Here is how a fact is read (`heard_as`) and which of its
figures are kept (`_TAKES`). Facts may come twice, late and in any order. A fact that contradicts what is known parks
the bulk: it is not sent further until an operator looks, while stops, time, settlements and outcomes go on being
applied, so that it ends all the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from muster.dispatch.domain.accounting import Totals, all_ended, counts_only, nearest, never_falls, totals
from muster.dispatch.domain.bulk import (
    Alarm,
    Arrived,
    Bulk,
    Control,
    Controlled,
    Done,
    Effect,
    Ended,
    Fact,
    GivenUp,
    Moved,
    Refused,
    Requested,
    Reserved,
    SayAccounted,
    SayControlled,
    SendByPassed,
    Settled,
    State,
    Step,
    Summed,
    SumUp,
    Swept,
    Unparked,
    Withdrawn,
)
from muster.dispatch.domain.matrix import STATE_OF, Cell, Heard, Says, Situation, cell_of
from muster.dispatch.domain.slots import Reason

__all__ = [
    "Alarm",
    "Arrived",
    "Bulk",
    "Control",
    "Controlled",
    "Done",
    "Effect",
    "Ended",
    "Fact",
    "GivenUp",
    "Moved",
    "Refused",
    "Requested",
    "Reserved",
    "SayAccounted",
    "SayControlled",
    "SendByPassed",
    "Settled",
    "State",
    "Step",
    "SumUp",
    "Summed",
    "Swept",
    "Unparked",
    "Withdrawn",
    "advance",
    "heard_as",
    "situation_of",
]

_EFFECT: Final[Mapping[Says, Effect]] = {
    Says.SUM: SumUp(),
    Says.TOTALS: SayAccounted(closed=False),
    Says.CLOSED: SayAccounted(closed=True),
    Says.STOP: SayControlled(Control.STOP),
    Says.PAUSE: SayControlled(Control.PAUSE),
    Says.RESUME: SayControlled(Control.RESUME),
}
_CANNOT_BE: Final = Cell(takes=False, parks="a fact that the matrix says cannot be")


def advance(bulk: Bulk, fact: Fact) -> Step:
    """What the send is after this fact, and what follows from it. Total: each state takes each fact."""
    at = situation_of(bulk)
    cell = cell_of(at, heard_as(bulk, fact)) or _CANNOT_BE
    after: Bulk = _TAKES[type(fact)](bulk, fact) if cell.takes else bulk
    if cell.to is not None and after.state is not STATE_OF[cell.to]:
        after = replace(after, state=STATE_OF[cell.to])
    says: tuple[Says, ...] = cell.says
    alarm: tuple[Effect, ...] = ()
    if cell.parks and bulk.parked:
        says = tuple(one for one in says if one is not Says.PAUSE)
    elif cell.parks:
        after, alarm = replace(after, parked=cell.parks), (Alarm(cell.parks),)
    effects = tuple(_EFFECT[one] for one in says)
    return _numbered(after, effects), alarm + effects


def _numbered(bulk: Bulk, effects: tuple[Effect, ...]) -> Bulk:
    """What is said has a version that is higher than before."""
    for effect in effects:
        if isinstance(effect, SayAccounted):
            bulk = replace(bulk, account_version=bulk.account_version + 1)
        elif isinstance(effect, SayControlled):
            bulk = replace(bulk, control_version=bulk.control_version + 1)
    return bulk


def situation_of(bulk: Bulk) -> Situation:
    """The column of the matrix."""
    match bulk.state:
        case State.REFUSED:
            return Situation.REFUSED
        case State.CLOSED if bulk.reserved is not None:
            return Situation.CLOSED
        case State.CLOSED:
            return Situation.WITHDRAWN if bulk.withdrawn else Situation.CLOSED_UNPAID
        case State.PAUSED:
            return Situation.PAUSED
        case State.SENDING:
            return Situation.ENDING if bulk.ending else Situation.SENDING
    if bulk.ending:
        return Situation.WAITING_STOPPED
    return Situation.WAITING_PAUSED if bulk.paused else Situation.WAITING


def heard_as(bulk: Bulk, fact: Fact) -> Heard:
    """The row of the matrix: what this fact is to this send."""
    return _HEARD[type(fact)](bulk, fact)


# -- how facts are read -----------------------------------------------------------------------------------------------


def _hear_requested(bulk: Bulk, fact: Requested) -> Heard:
    if bulk.requested:
        same = (bulk.recipients, bulk.chunks, bulk.asked) == (fact.recipients, fact.chunks, fact.asked)
        return Heard.REQUESTED_AGAIN if same else Heard.REQUESTED_OTHERWISE
    if bulk.arrived > fact.chunks:
        return Heard.REQUESTED_FEWER
    return Heard.REQUESTED_LAST if _take_requested(bulk, fact).drained else Heard.REQUESTED


def _hear_withdrawn(bulk: Bulk, _fact: Withdrawn) -> Heard:
    return Heard.WITHDRAWN_REQUESTED if bulk.requested else Heard.WITHDRAWN


def _hear_reserved(bulk: Bulk, fact: Reserved) -> Heard:
    if bulk.reserved is None:
        return Heard.RESERVED_LAST if bulk.drained else Heard.RESERVED
    return Heard.RESERVED_AGAIN if bulk.reserved == fact.credits else Heard.RESERVED_OTHERWISE


def _hear_arrived(bulk: Bulk, fact: Arrived) -> Heard:
    if fact.chunks <= bulk.arrived:
        return Heard.ARRIVED_AGAIN
    return Heard.ARRIVED_BEYOND if bulk.requested and fact.chunks > bulk.chunks else Heard.ARRIVED


def _hear_done(bulk: Bulk, fact: Done) -> Heard:
    if fact.chunks <= bulk.done:
        return Heard.DONE_AGAIN
    return Heard.DONE_LAST if _take_done(bulk, fact).drained else Heard.DONE


def _hear_summed(bulk: Bulk, fact: Summed) -> Heard:
    if not (bulk.ending or bulk.ended or bulk.drained):
        return Heard.SUMMED_EARLY
    last = _ends(bulk, fact)
    if _contradicts(bulk, fact):
        return Heard.SUMMED_WRONG_LAST if last else Heard.SUMMED_WRONG
    if last:
        return Heard.SUMMED_LAST
    # What has credits says its totals once at least.
    unsaid = bulk.reserved is not None and not bulk.account_version
    return Heard.SUMMED if unsaid or _totals(bulk, fact) != bulk.totals else Heard.SUMMED_SAME


def _hear_controlled(_bulk: Bulk, fact: Controlled) -> Heard:
    return {Control.STOP: Heard.STOP, Control.PAUSE: Heard.PAUSE, Control.RESUME: Heard.RESUME}[fact.control]


def _hear_given_up(bulk: Bulk, fact: GivenUp) -> Heard:
    if not bulk.waits_for_chunks:
        return Heard.GIVEN_UP_AGAIN
    return Heard.GIVEN_UP_LAST if _take_given_up(bulk, fact).drained else Heard.GIVEN_UP


_HEARD: Final[Mapping[type, Callable[..., Heard]]] = {
    Requested: _hear_requested,
    Withdrawn: _hear_withdrawn,
    Reserved: _hear_reserved,
    Refused: lambda _bulk, _fact: Heard.REFUSED,
    Arrived: _hear_arrived,
    Done: _hear_done,
    Moved: lambda bulk, _fact: Heard.MOVED_LAST if bulk.drained else Heard.MOVED,
    Summed: _hear_summed,
    Settled: lambda bulk, fact: Heard.SETTLED if fact.version <= bulk.account_version else Heard.SETTLED_UNSAID,
    Controlled: _hear_controlled,
    SendByPassed: lambda bulk, _fact: Heard.SEND_BY_AGAIN if bulk.overdue else Heard.SEND_BY,
    Swept: lambda _bulk, _fact: Heard.SWEPT,
    Unparked: lambda bulk, _fact: Heard.UNPARKED if bulk.parked else Heard.UNPARKED_AGAIN,
    Ended: lambda _bulk, _fact: Heard.ENDED,
    GivenUp: _hear_given_up,
}

# -- sums -------------------------------------------------------------------------------------------------------------


def _ends(bulk: Bulk, fact: Summed) -> bool:
    """Whether nothing is left to wait for: a send without credits is over only when it is to end."""
    if bulk.ended or not bulk.drained or fact.tally.open:
        return False
    held = fact.tally.unknown_credits + fact.tally.on_wire_credits
    return bool(bulk.ending) if bulk.reserved is None else not held


def _contradicts(bulk: Bulk, fact: Summed) -> bool:
    """Whether more was used than reserved, what was used or given back has fallen, or an ended send holds something."""
    if bulk.reserved is None:
        return False
    after = totals(bulk.reserved, fact.tally, bulk.ending)
    return after is None or not never_falls(bulk.totals, after) or bool(bulk.ended and after.held)


def _totals(bulk: Bulk, fact: Summed) -> Totals:
    over = bulk.ended or _ends(bulk, fact)
    reason = _ending(bulk) if over else bulk.ending
    if bulk.reserved is None:
        after = replace(counts_only(fact.tally), reason=reason)
    elif _contradicts(bulk, fact):
        after = nearest(bulk.totals, bulk.reserved, fact.tally, reason, may_hold=not bulk.ended)
    else:
        after = totals(bulk.reserved, fact.tally, reason) or bulk.totals
    return all_ended(after, fact.tally, bulk.recipients) if over else after


def _ending(bulk: Bulk) -> Reason:
    """Why a send that ends was cut short: chunks that were given up are messages that were stopped."""
    short = bulk.given_up and bulk.arrived < bulk.chunks
    return bulk.ending or (Reason.STOPPED if short else Reason.NONE)


# -- what is kept of facts --------------------------------------------------------------------------------------------


def _take_requested(bulk: Bulk, fact: Requested) -> Bulk:
    return replace(
        bulk,
        requested=True,
        recipients=fact.recipients,
        chunks=fact.chunks,
        asked=fact.asked,
        send_by_unix_ms=fact.send_by_unix_ms,
    )


def _take_withdrawn(bulk: Bulk, _fact: Withdrawn) -> Bulk:
    return replace(_end(bulk, Reason.STOPPED), withdrawn=True)


def _take_reserved(bulk: Bulk, fact: Reserved) -> Bulk:
    return replace(bulk, reserved=fact.credits, send_by_unix_ms=bulk.send_by_unix_ms or fact.send_by_unix_ms)


def _take_refused(bulk: Bulk, _fact: Refused) -> Bulk:
    return _end(bulk, Reason.CREDITS)


def _take_arrived(bulk: Bulk, fact: Arrived) -> Bulk:
    return replace(
        bulk,
        arrived=fact.chunks,
        send_by_unix_ms=bulk.send_by_unix_ms or fact.send_by_unix_ms,
        sweep=bulk.sweep or _over(bulk),
    )


def _take_done(bulk: Bulk, fact: Done) -> Bulk:
    return replace(bulk, done=fact.chunks)


def _take_moved(bulk: Bulk, _fact: Moved) -> Bulk:
    # A lease that ended may have left its chunk in the queue of a send that is over.
    return replace(bulk, sweep=bulk.sweep or (_over(bulk) and bulk.arrived > bulk.done))


def _take_summed(bulk: Bulk, fact: Summed) -> Bulk:
    ending = _ending(bulk) if _ends(bulk, fact) else bulk.ending
    return replace(bulk, totals=_totals(bulk, fact), ending=ending)


def _take_settled(bulk: Bulk, fact: Settled) -> Bulk:
    return replace(bulk, settled_version=max(bulk.settled_version, fact.version))


def _take_controlled(bulk: Bulk, fact: Controlled) -> Bulk:
    return (
        _end(bulk, Reason.STOPPED)
        if fact.control is Control.STOP
        else replace(bulk, paused=fact.control is Control.PAUSE)
    )


def _take_given_up(bulk: Bulk, _fact: GivenUp) -> Bulk:
    return replace(bulk, given_up=True)


def _over(bulk: Bulk) -> bool:
    return bulk.ended or bool(bulk.ending)


def _end(bulk: Bulk, reason: Reason) -> Bulk:
    """Nothing more of it is claimed, for the first reason that there was; a paused one goes on only to its end."""
    return replace(bulk, ending=bulk.ending or reason, paused=False, sweep=bulk.sweep or bulk.arrived > bulk.done)


_TAKES: Final[Mapping[type, Callable[..., Bulk]]] = {
    Requested: _take_requested,
    Withdrawn: _take_withdrawn,
    Reserved: _take_reserved,
    Refused: _take_refused,
    Arrived: _take_arrived,
    Done: _take_done,
    Moved: _take_moved,
    Summed: _take_summed,
    Settled: _take_settled,
    Controlled: _take_controlled,
    SendByPassed: lambda bulk, _fact: replace(_end(bulk, Reason.SEND_BY), overdue=True),
    Swept: lambda bulk, _fact: replace(bulk, sweep=False),
    Unparked: lambda bulk, _fact: replace(bulk, parked=""),
    Ended: lambda bulk, _fact: replace(_end(bulk, Reason.STOPPED), given_up=True),
    GivenUp: _take_given_up,
}
