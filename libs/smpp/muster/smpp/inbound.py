"""What comes in: deliver_sm to a handler in batches, each answered only after the handler is done with it; and what to
answer to the rest."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import TypeAlias

from muster.smpp.codec import encode, encode_deliver_resp
from muster.smpp.pdu import DELIVER_SM, RESPONSE_BIT, GenericNack, Malformed, Pdu, UnknownPdu
from muster.smpp.receipts import Delivered
from muster.smpp.status import ESME_RINVCMDID, ESME_ROK, ESME_RSYSERR, ESME_RX_P_APPN, ESME_RX_T_APPN

log = logging.getLogger(__name__)

DeliverHandler: TypeAlias = Callable[[list[Delivered]], Awaitable[None]]


class SomeNotTaken(Exception):
    """Raised by a handler that has stored all of a batch but these `sequences`: they alone come again. Any other
    exception means that nothing was stored."""

    def __init__(self, sequences: Collection[int]) -> None:
        super().__init__(f"{len(sequences)} were not stored")
        self.sequences = frozenset(sequences)


async def refuse_delivers(delivers: list[Delivered]) -> None:
    """For a session that was given nothing to do with them."""
    raise RuntimeError(f"{len(delivers)} deliver_sm and no on_deliver")


def refusal_of(pdu: Pdu) -> bytes:
    """What to answer to a PDU that cannot be read, or that nobody here speaks; nothing to an answer."""
    if isinstance(pdu, Malformed) and pdu.command_id == DELIVER_SM:
        return encode_deliver_resp(pdu.sequence, ESME_RX_P_APPN)  # for good: it is no more readable the next time
    if isinstance(pdu, Malformed):
        return b"" if pdu.command_id & RESPONSE_BIT else encode(GenericNack(pdu.sequence, ESME_RSYSERR))
    if isinstance(pdu, UnknownPdu) and not pdu.is_request:
        return b""
    return encode(GenericNack(pdu.sequence, ESME_RINVCMDID))


class DeliverQueue:
    """One handler call at a time, with all that came meanwhile (at most `batch_max`): the handler's commit is a
    group commit.

    Beyond `waiting_max` deliver_sm are answered "try again" at once instead of being held: reading is not paused, since
    that would delay the answers to our own submits into timeouts.
    """

    def __init__(
        self, handler: DeliverHandler, write: Callable[[bytes], None], *, waiting_max: int, batch_max: int
    ) -> None:
        self._handler = handler
        self._write = write
        self._waiting: deque[Delivered] = deque()
        self._waiting_max = waiting_max
        self._batch_max = batch_max
        self._task: asyncio.Task[None] | None = None
        self.handled = 0
        self.failed = 0
        self.refused = 0

    @property
    def waiting(self) -> int:
        """How many came in and are not in the handler's hands yet."""
        return len(self._waiting)

    def offer(self, delivers: list[Delivered]) -> None:
        """Take what just came in; what exceeds the bound is answered ESME_RX_T_APPN."""
        room = max(0, self._waiting_max - len(self._waiting))
        self._waiting.extend(delivers[:room])
        if len(delivers) > room:
            self.refused += len(delivers) - room
            self._answer(delivers[room:], ESME_RX_T_APPN)
        if self._task is None and self._waiting:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(self._batch_max, len(self._waiting)))]
                refused = await self._handle(batch)
                taken = [deliver for deliver in batch if deliver.sequence not in refused] if refused else batch
                self.handled += len(taken)
                self.failed += len(batch) - len(taken)
                self._answer(taken, ESME_ROK)
                self._answer([deliver for deliver in batch if deliver.sequence in refused], ESME_RX_T_APPN)
        finally:
            self._task = None

    async def _handle(self, batch: list[Delivered]) -> frozenset[int]:
        """The sequences of those that were not stored: the carrier keeps them and comes again."""
        try:
            await self._handler(batch)
        except SomeNotTaken as some:
            return some.sequences
        except Exception as failure:
            # The type only: the message of an error may hold numbers or texts.
            log.error("deliver_sm handler failed: %s (%d messages will come again)", type(failure).__name__, len(batch))
            return frozenset(deliver.sequence for deliver in batch)
        return frozenset()

    def _answer(self, batch: list[Delivered], status: int) -> None:
        if batch:
            self._write(b"".join([encode_deliver_resp(deliver.sequence, status) for deliver in batch]))

    async def idle(self) -> None:
        """Return when nothing waits any more."""
        while self._task is not None:
            await asyncio.wait({self._task})

    def forget(self) -> None:
        """Drop what waits: it was not answered, so it comes again. A handler at work is let finish, since a cancelled
        transaction may have committed all the same."""
        self._waiting.clear()
