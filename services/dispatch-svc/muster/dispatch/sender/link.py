"""What a sender needs of the way to a carrier account, of whatever kind the carrier is.

The sender knows parts: slots of a chunk, of which each has an outcome, a carrier id and a receipt. How these go out is
the link's own affair: `start` is given a job and a window of slots, and the link takes from the job what it speaks,
submit_sm of single parts (`coding.Coding`) or whole messages (`Job.outgoing`). One that takes a message as a whole
answers for each of its slots, with the same carrier id: a receipt is then about all slots of the message that have it.

Nothing that a link does may look at the database, and nothing between the guard and the write may wait.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from muster.dispatch.events import ChunkKey
from muster.dispatch.sender.job import Job, Window
from muster.smpp import Delivered, Outcome, Receipt

Sink: TypeAlias = Callable[[list[tuple[int, Outcome]]], None]
SinkOf: TypeAlias = Callable[[Sequence[int]], Sink]
Guard: TypeAlias = Callable[[], bool]


class Late(NamedTuple):
    """An answer for a part that was given up as unknown before it came."""

    job: Job
    slot: int
    outcome: Outcome


class Report(NamedTuple):
    """A receipt, the number it is about, and the sender of that message."""

    receipt: Receipt
    number: str
    sender: str


class Question(NamedTuple):
    """What became of the message that the carrier gave this id, from this sender; or of the one with our reference, to
    which it gave none that we know?"""

    carrier_id: str
    sender: str
    reference: str = ""


class Asker(Protocol):
    """A link whose carrier may be able to be asked, which sends nothing."""

    @property
    def asks_by_id(self) -> bool:
        """Whether this account asks for messages by the carrier's id."""

    @property
    def asks_by_reference(self) -> bool:
        """Whether this account asks for messages by our reference."""

    async def ask(self, questions: Sequence[Question]) -> list[Receipt | None]:
        """Answers to the first of them, in their order: as a receipt would have said it, of a message that is on its
        way too; None where the carrier does not know. Fewer than questions: the rest was not asked."""


def reference_of(key: ChunkKey, slot: int) -> str:
    """Our reference of the message whose first part this is; it names no person."""
    return f"{key.bulk_id.hex}.{key.chunk}.{slot}"


@dataclass(frozen=True, slots=True)
class Ears:
    """What a link tells its sender.

    `on_deliver` stores what an SMPP carrier delivers, and `on_reports` receipts that came by another way: to be
    answered, or forgotten by who brought them, only when that returns. `on_late`: answers after their time.
    `on_change`: there may be room now, or none any more.
    """

    on_deliver: Callable[[list[Delivered]], Awaitable[None]]
    on_reports: Callable[[Sequence[Report]], Awaitable[None]]
    on_late: Callable[[list[Late]], None]
    on_change: Callable[[], None]


class Link(Protocol):
    """The way to one carrier account: all of its connections."""

    @property
    def number(self) -> int:
        """Another one after each reconnect: what the carrier repeats with a new number it repeats for want of an
        answer."""

    @property
    def whole(self) -> bool:
        """Whether it takes whole messages: then one answer and one receipt stand for all parts of a message."""

    @property
    def connections(self) -> int:
        """How many stand now; one that has none for long needs a person."""

    @property
    def why(self) -> str:
        """Why the last attempt to connect failed or the last connection ended; "" while all is well. No secret."""

    @property
    def window(self) -> int:
        """How many parts may ever be unanswered at once. A message of more parts is cut, unless it goes out whole: a
        link that can cut none has a window of at least 255, the most parts that a message has."""

    @property
    def free_slots(self) -> int:
        """How many parts one `start` may be given now; 0 while there is no connection, or more comes in than can be
        stored."""

    @property
    def messages(self) -> int:
        """How many messages these may be, where each needs something of its own, such as a connection."""

    async def writable(self) -> bool:
        """Wait until nothing is left in this process of what was written before; False if nothing can be written."""

    def start(self, job: Job, window: Window, sink_of: SinkOf, guard: Guard) -> int | None:
        """Write these slots now, or None: certainly nothing was written, and the window is intended again. Never waits.

        How many parts were written; slots that cannot be put into words for this carrier are rejected in the job and
        not counted. `sink_of` is called once with the slots that are written, in their order, and the sink it gives
        once for each of them with (index, outcome), in lists of any length. `guard` is asked last: if it says no,
        nothing is written.
        """

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""

    async def stop(self) -> None:
        """Take nothing more, wait for answers within the settings' bound, disconnect. Unanswered is unknown then."""
