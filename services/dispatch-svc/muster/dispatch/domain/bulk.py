"""What the saga knows of a send, what it may hear of it, and what may follow."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from muster.dispatch.domain.accounting import NOTHING, Tally, Totals
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

    `ending` says why nothing more is sent; `arrived` and `done` count chunks. `overdue`: `send_by` has passed;
    `given_up`: an operator does not wait for what is not here; `withdrawn`: it will never be requested.
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
    withdrawn: bool = False
    given_up: bool = False

    @property
    def ended(self) -> bool:
        """Whether the saga has come to its end."""
        return self.state in (State.CLOSED, State.REFUSED)

    @property
    def waits_for_chunks(self) -> bool:
        """Whether chunks that are not here yet may still come in time."""
        return not (self.overdue or self.given_up or self.withdrawn)

    @property
    def drained(self) -> bool:
        """Whether every chunk that is waited for came and has an end."""
        if self.waits_for_chunks:
            return self.requested and self.done >= self.chunks
        return self.done >= self.arrived

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
    """credit-svc has set credits aside; `send_by` as it was asked, 0 where it was not said."""

    credits: int
    send_by_unix_ms: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """credit-svc has not."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """So many chunks are here now, all together; `send_by` is theirs, 0 where it was not said."""

    chunks: int
    send_by_unix_ms: int = 0


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
    """By the database's clock nothing of it may be sent any more. Also where nobody has said until when, and so long
    was nothing heard that it cannot be in time any more."""


@dataclass(frozen=True, slots=True)
class Swept:
    """No chunk of the ended send is queued any more."""


@dataclass(frozen=True, slots=True)
class Unparked:
    """An operator has looked and lets it go on."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An operator ends it: nothing more is sent, and nothing that is not here is waited for."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """An operator waits no more for chunks that never came: what is here is sent, and then it ends."""


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
    | Ended
    | GivenUp
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
