"""The saga of one send: `advance(bulk, fact) -> (bulk, effects)`, one pure total function.

Facts may come twice, late and in any order. A duplicate does nothing; a fact that contradicts what is known parks the
bulk: it is not sent further until an operator looks, while stops, settlements and outcomes go on being applied.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias

from muster.dispatch.domain.accounting import NOTHING, Tally, Totals, counts_only, never_falls, totals
from muster.dispatch.domain.slots import Reason


class State(StrEnum):
    """Where a send is. WAITING: no answer about its credits yet."""

    WAITING = "waiting"
    SENDING = "sending"
    PAUSED = "paused"
    CLOSED = "closed"
    REFUSED = "refused"


class Control(StrEnum):
    """What a person may do to a send."""

    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Bulk:
    """All that the saga knows of a send. Credits are integers.

    `ending` says why nothing more is sent; `arrived` and `done` count chunks; `overdue` means that `send_by` has
    passed, so that chunks that never came are not waited for.
    """

    state: State = State.WAITING
    control_version: int = 0
    paused: bool = False
    ending: Reason = Reason.NONE
    overdue: bool = False
    requested: bool = False
    recipients: int = 0
    chunks: int = 0
    asked: int = 0
    send_by_unix_ms: int = 0
    reserved: int | None = None
    arrived: int = 0
    done: int = 0
    totals: Totals = NOTHING
    account_version: int = 0
    settled_version: int = 0
    sweep: bool = False
    parked: str = ""

    @property
    def ended(self) -> bool:
        """Whether the saga has come to its end."""
        return self.state in (State.CLOSED, State.REFUSED)

    @property
    def drained(self) -> bool:
        """Whether every chunk came and has an end."""
        return self.requested and self.done >= self.chunks

    @property
    def claimable(self) -> bool:
        """Whether senders may take its chunks."""
        return self.state is State.SENDING and not self.ending and not self.parked


# -- facts ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Requested:
    """customer-svc has planned it: so many recipients in so many chunks for so many credits."""

    recipients: int
    chunks: int
    asked: int
    send_by_unix_ms: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """customer-svc will never request it."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """credit-svc has set credits aside."""

    credits: int


@dataclass(frozen=True, slots=True)
class Refused:
    """credit-svc has not."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """So many chunks are here now, all together."""

    chunks: int


@dataclass(frozen=True, slots=True)
class Done:
    """So many chunks have come to their end, all together."""

    chunks: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A lease ended or an unknown was resolved: the sums have changed."""


@dataclass(frozen=True, slots=True)
class Summed:
    """What the chunks add up to, read after the saga was locked."""

    tally: Tally


@dataclass(frozen=True, slots=True)
class Settled:
    """credit-svc has applied the totals of this version."""

    version: int


@dataclass(frozen=True, slots=True)
class Controlled:
    """A person stops, pauses or resumes it."""

    control: Control


@dataclass(frozen=True, slots=True)
class SendByPassed:
    """By the database's clock nothing of it may be sent any more."""


@dataclass(frozen=True, slots=True)
class Swept:
    """No chunk of the ended send is queued any more."""


@dataclass(frozen=True, slots=True)
class Unparked:
    """An operator has looked and lets it go on."""


Fact: TypeAlias = (
    Requested
    | Withdrawn
    | Reserved
    | Refused
    | Arrived
    | Done
    | Moved
    | Summed
    | Settled
    | Controlled
    | SendByPassed
    | Swept
    | Unparked
)

# -- effects ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SumUp:
    """Add up the chunks in a later statement and come back with Summed."""


@dataclass(frozen=True, slots=True)
class SayAccounted:
    """Say BulkSmsAccounted with the bulk's totals and version."""

    closed: bool


@dataclass(frozen=True, slots=True)
class SayControlled:
    """Say BulkSmsControlled."""

    control: Control


@dataclass(frozen=True, slots=True)
class Alarm:
    """The bulk was parked: a person must look."""

    why: str


Effect: TypeAlias = SumUp | SayAccounted | SayControlled | Alarm
Step: TypeAlias = tuple[Bulk, tuple[Effect, ...]]

_SUM_UP: Final = (SumUp(),)


def advance(bulk: Bulk, fact: Fact) -> Step:
    """What the send is after this fact, and what follows from it. Total: each state takes each fact."""
    return _RULES[type(fact)](bulk, fact)


def _park(bulk: Bulk, why: str) -> Step:
    return replace(bulk, parked=bulk.parked or why), () if bulk.parked else (Alarm(why),)


def _sum_if_reserved(bulk: Bulk) -> tuple[Effect, ...]:
    return _SUM_UP if bulk.reserved is not None else ()


def _on_requested(bulk: Bulk, fact: Requested) -> Step:
    if bulk.requested:
        same = (bulk.recipients, bulk.chunks, bulk.asked) == (fact.recipients, fact.chunks, fact.asked)
        return (bulk, ()) if same else _park(bulk, "requested twice with different figures")
    if bulk.state is State.CLOSED and bulk.reserved is None:
        return _park(bulk, "requested after it was withdrawn")
    known = replace(
        bulk,
        requested=True,
        recipients=fact.recipients,
        chunks=fact.chunks,
        asked=fact.asked,
        send_by_unix_ms=fact.send_by_unix_ms,
    )
    return known, _SUM_UP if known.drained else ()


def _on_withdrawn(bulk: Bulk, _fact: Withdrawn) -> Step:
    if bulk.state is State.CLOSED and not bulk.requested:
        return bulk, ()
    if bulk.requested or bulk.reserved is not None or bulk.state is State.REFUSED:
        return _park(bulk, "withdrawn after it was requested")
    return replace(bulk, state=State.CLOSED, ending=bulk.ending or Reason.STOPPED), ()


def _on_reserved(bulk: Bulk, fact: Reserved) -> Step:
    if bulk.reserved is not None:
        return (bulk, ()) if bulk.reserved == fact.credits else _park(bulk, "reserved twice with different credits")
    if bulk.state is State.REFUSED:
        return _park(bulk, "reserved after it was refused")
    known = replace(bulk, reserved=fact.credits)
    if bulk.state is State.CLOSED or bulk.ending:
        # An ended send gives all of it back: at once, whatever else is still to come.
        known = known if bulk.state is State.CLOSED else replace(known, state=State.SENDING)
        return known, _SUM_UP
    known = replace(known, state=State.PAUSED if bulk.paused else State.SENDING)
    return known, _SUM_UP if known.drained else ()


def _on_refused(bulk: Bulk, _fact: Refused) -> Step:
    if bulk.state in (State.REFUSED, State.CLOSED) and bulk.reserved is None:
        return bulk, ()
    if bulk.reserved is not None:
        return _park(bulk, "refused after it was reserved")
    ended = replace(bulk, state=State.REFUSED, ending=bulk.ending or Reason.CREDITS)
    return replace(ended, sweep=bulk.arrived > bulk.done), ()


def _on_arrived(bulk: Bulk, fact: Arrived) -> Step:
    if fact.chunks <= bulk.arrived:
        return bulk, ()
    here = replace(bulk, arrived=fact.chunks)
    if bulk.requested and fact.chunks > bulk.chunks:
        return _park(here, "more chunks came than were requested")
    return replace(here, sweep=bool(bulk.ending) or bulk.sweep), ()


def _on_done(bulk: Bulk, fact: Done) -> Step:
    if fact.chunks <= bulk.done:
        return bulk, ()
    known = replace(bulk, done=fact.chunks)
    return known, _SUM_UP if known.drained or known.ending else ()


def _on_moved(bulk: Bulk, _fact: Moved) -> Step:
    # A lease that ended may have left its chunk in the queue of a send that is over.
    over = replace(bulk, sweep=bulk.sweep or (bool(bulk.ending) and bulk.arrived > bulk.done))
    return over, _SUM_UP if over.ending or over.drained else ()


def _on_summed(bulk: Bulk, fact: Summed) -> Step:
    if not (bulk.ending or bulk.drained):
        return bulk, ()
    if bulk.reserved is None:
        return replace(bulk, totals=counts_only(fact.tally)), ()
    after = totals(bulk.reserved, fact.tally, bulk.ending)
    if after is None:
        return _park(bulk, "more used than reserved")
    if not never_falls(bulk.totals, after):
        return _park(bulk, "totals fell")
    closed = not after.held and (bulk.drained or bulk.overdue or bulk.state is State.CLOSED) and not fact.tally.open
    state = State.CLOSED if closed else bulk.state
    if bulk.account_version and (after, state) == (bulk.totals, bulk.state):
        return bulk, ()
    said = replace(bulk, state=state, totals=after, account_version=bulk.account_version + 1)
    return said, (SayAccounted(closed=closed),)


def _on_settled(bulk: Bulk, fact: Settled) -> Step:
    if fact.version > bulk.account_version:
        return _park(bulk, "settled a version that was never said")
    return replace(bulk, settled_version=max(bulk.settled_version, fact.version)), ()


def _on_controlled(bulk: Bulk, fact: Controlled) -> Step:
    if bulk.ended or bulk.ending:
        return bulk, ()
    match fact.control:
        case Control.STOP:
            return _stop(bulk)
        case Control.PAUSE if not bulk.paused:
            return _control(_moved(bulk, State.SENDING, State.PAUSED, paused=True), fact.control)
        case Control.RESUME if bulk.paused:
            return _control(_moved(bulk, State.PAUSED, State.SENDING, paused=False), fact.control)
    return bulk, ()


def _moved(bulk: Bulk, of: State, to: State, *, paused: bool) -> Bulk:
    """Paused or not; where it waits for its credits it goes on waiting."""
    return replace(bulk, paused=paused, state=to if bulk.state is of else bulk.state)


def _control(bulk: Bulk, control: Control) -> Step:
    return replace(bulk, control_version=bulk.control_version + 1), (SayControlled(control),)


def _stop(bulk: Bulk) -> Step:
    stopped, said = _control(_end(bulk, Reason.STOPPED), Control.STOP)
    return stopped, said + _sum_if_reserved(bulk)


def _end(bulk: Bulk, reason: Reason) -> Bulk:
    """Nothing more of it is claimed; a paused one goes on only to its end."""
    state = State.SENDING if bulk.state is State.PAUSED else bulk.state
    return replace(bulk, ending=reason, state=state, paused=False, sweep=bulk.arrived > bulk.done)


def _on_send_by_passed(bulk: Bulk, _fact: SendByPassed) -> Step:
    if bulk.ended or bulk.overdue:
        return bulk, ()
    over = replace(bulk, overdue=True)
    if not over.ending:
        over = _end(over, Reason.SEND_BY)
    return over, _sum_if_reserved(bulk)


def _on_swept(bulk: Bulk, _fact: Swept) -> Step:
    return (replace(bulk, sweep=False), ()) if bulk.sweep else (bulk, ())


def _on_unparked(bulk: Bulk, _fact: Unparked) -> Step:
    return replace(bulk, parked=""), ()


_RULES: Final[Mapping[type, Callable[..., Step]]] = {
    Requested: _on_requested,
    Withdrawn: _on_withdrawn,
    Reserved: _on_reserved,
    Refused: _on_refused,
    Arrived: _on_arrived,
    Done: _on_done,
    Moved: _on_moved,
    Summed: _on_summed,
    Settled: _on_settled,
    Controlled: _on_controlled,
    SendByPassed: _on_send_by_passed,
    Swept: _on_swept,
    Unparked: _on_unparked,
}
