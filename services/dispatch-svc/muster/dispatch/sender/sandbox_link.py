"""The link of the sandbox: answers like a carrier, receipts and replies included, and reaches nobody.

What a magic number does is data below, and docs/sandbox.md; every other number is delivered. All is decided by the
number and by how often it was tried, so that nothing is to be remembered over a crash but what the sender itself keeps.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from muster.dispatch.domain.sandbox import ADDRESS_SEPARATOR
from muster.dispatch.sender.job import Job, Outgoing, Window
from muster.dispatch.sender.link import Ears, Guard, Report, Sink, SinkOf
from muster.dispatch.sender.shared import Shared
from muster.kit import clock, observe
from muster.kit.ids import uuid7
from muster.kit.pg import RETRIABLE
from muster.smpp import (
    Accepted,
    Deliver,
    Delivered,
    NotSent,
    Outcome,
    Receipt,
    ReceiptState,
    Rejected,
    SomeNotTaken,
    Unknown,
)
from muster.smpp.outcomes import NotSentReason, UnknownReason
from muster.text.magic import FIRST

T = TypeVar("T")
log = observe.logger(__name__)

_INVALID_DESTINATION: Final = 0x0B  # ESME_RINVDSTADR
_THROTTLED: Final = 0x58  # ESME_RTHROTTLED
_ANSWER_S: Final = 0.02
_RECEIPT_S: Final = 0.3
_REPLY_S: Final = 0.6
_TRY_AGAIN_S: Final = 0.5
_NOT_STORED: Final[tuple[type[Exception], ...]] = (*RETRIABLE, SomeNotTaken)
_WAITING_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a message: how often it is throttled first, whether the carrier rejects it or never answers, what
    the receipt says and with which error (None: there is none), and what its recipient then writes ("": nothing)."""

    throttled: int = 0
    rejected: bool = False
    unanswered: bool = False
    receipt: ReceiptState | None = ReceiptState.DELIVERED
    error: str = "000"
    reply: str = ""


DELIVERED: Final = Fate()
FATES: Final = {
    FIRST + 1: Fate(rejected=True),
    FIRST + 2: Fate(receipt=ReceiptState.UNDELIVERABLE, error="001"),
    FIRST + 3: Fate(receipt=ReceiptState.EXPIRED, error="027"),
    FIRST + 4: Fate(unanswered=True),
    FIRST + 5: Fate(throttled=2),
    FIRST + 6: Fate(receipt=None),
    FIRST + 7: Fate(receipt=ReceiptState.REJECTED, error="009"),
    FIRST + 10: Fate(reply="YES"),
    FIRST + 11: Fate(reply="STOP"),
    FIRST + 12: Fate(reply="HELP"),
    FIRST + 13: Fate(reply="START"),
}


class SandboxLink:
    """A carrier that is not there."""

    whole = True
    connections = 1
    why = ""

    def __init__(self, shared: Shared, ears: Ears) -> None:
        self._account = shared.account
        self._ears = ears
        self._loop = asyncio.get_running_loop()
        self._unanswered = 0
        self._reports: list[Report] = []
        self._replies: list[Delivered] = []
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._stopping = False
        self.number = random.getrandbits(62)

    @property
    def window(self) -> int:
        """Parts that may be unanswered."""
        return self._account.window

    @property
    def free_slots(self) -> int:
        """How many parts may be given now; 0 where more waits to be stored than should."""
        if self._stopping or len(self._reports) + len(self._replies) >= _WAITING_MAX:
            return 0
        return max(0, self._account.window - self._unanswered)

    @property
    def messages(self) -> int:
        """As many as there are parts."""
        return self.free_slots

    async def writable(self) -> bool:
        """Always, until it ends."""
        return not self._stopping

    def start(self, job: Job, window: Window, sink_of: SinkOf, guard: Guard) -> int | None:
        """Take these slots; their answers come a moment later, as a carrier's would."""
        if self._stopping or not guard():
            return None
        messages = job.outgoing(window)
        slots = [slot for message in messages for slot in message.slots]
        if slots:
            self._unanswered += len(slots)
            self._loop.call_later(_ANSWER_S, self._answer, job, messages, sink_of(slots))
        return len(slots)

    def _answer(self, job: Job, messages: Sequence[Outgoing], sink: Sink) -> None:
        outcomes: list[tuple[int, Outcome]] = []
        for message in messages:
            fate = FATES.get(message.number, DELIVERED)
            outcome = _outcome(fate, job.claimed.key.attempt)
            outcomes += [(len(outcomes) + at, outcome) for at in range(len(message.slots))]
            if isinstance(outcome, Accepted):
                self._later(job, message.number, fate, outcome.carrier_id)
        self._unanswered -= len(outcomes)
        sink(outcomes)
        self._ears.on_change()

    def _later(self, job: Job, number: int, fate: Fate, carrier_id: str) -> None:
        """Let the receipt come, and what the recipient writes."""
        sender = job.claimed.about.sender
        if fate.receipt is not None:
            done = clock.now().strftime("%y%m%d%H%M%S")
            receipt = Receipt(carrier_id, fate.receipt, fate.error, done, done, str(number))
            self._loop.call_later(_RECEIPT_S, self._come, self._reports, Report(receipt, str(number), sender))
        if fate.reply:
            to = f"{job.claimed.key.chunk.tenant_id}{ADDRESS_SEPARATOR}{sender}"
            reply = Deliver(0, str(number), to, fate.reply.encode())
            self._loop.call_later(_REPLY_S, self._come, self._replies, reply)

    def _come(self, waiting: list[T], one: T) -> None:
        waiting.append(one)
        self._settled.clear()
        self._wake.set()

    async def run(self) -> None:
        """Hand over what comes, until cancelled; again and again while it cannot be stored."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            reports, replies = self._reports[:], self._replies[:]
            try:
                if reports:
                    await self._ears.on_reports(reports)
                    del self._reports[: len(reports)]
                if replies:
                    await self._ears.on_deliver(replies)
                    del self._replies[: len(replies)]
                if not self._reports and not self._replies:
                    self._settled.set()
            except _NOT_STORED as error:
                # What is stored twice is heard once: receipts by their id, words by their digest.
                log.warning("sandbox.not_stored", why=type(error).__name__)
                await asyncio.sleep(_TRY_AGAIN_S)
                self._wake.set()
            self._ears.on_change()

    async def stop(self) -> None:
        """Take nothing more, and wait for what was promised to come."""
        self._stopping = True
        await asyncio.sleep(_REPLY_S + _ANSWER_S)
        await self._settled.wait()


def _outcome(fate: Fate, attempt: int) -> Outcome:
    if attempt < fate.throttled:
        return NotSent(NotSentReason.THROTTLED, _THROTTLED)
    if fate.rejected:
        return Rejected(_INVALID_DESTINATION)
    return Unknown(UnknownReason.TIMEOUT) if fate.unanswered else Accepted(uuid7().hex)
