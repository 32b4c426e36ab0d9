"""A windowed SMPP client session over asyncio.

The sender's contract: commit how far a window may go, then `submit` it. Nothing is written unless the connection is
bound, the window has the slots, the transport's buffer is empty and the guard, asked at the last moment, says yes;
in each other case all of the batch is `NotSent`. What was written ends as `Accepted`, `Rejected`, `NotSent`
(throttled) or `Unknown`.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Hashable, Sequence
from typing import Final, TypeAlias

from muster.smpp.codec import Decoder, encode
from muster.smpp.deadlines import Deadlines
from muster.smpp.inbound import DeliverHandler, DeliverQueue, refusal_of, refuse_delivers
from muster.smpp.options import BindRefused, SessionCounts, SessionOptions
from muster.smpp.outcomes import (
    BUSY,
    NO_SLOTS,
    NOT_CONNECTED,
    STALE,
    Accepted,
    Message,
    NotSent,
    Outcome,
    Unknown,
    UnknownReason,
    outcome_of,
)
from muster.smpp.pdu import (
    Bind,
    BindResp,
    Deliver,
    DeliverResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Malformed,
    Pdu,
    QueryResp,
    SubmitResp,
    Unbind,
    UnbindResp,
)
from muster.smpp.query import Queries
from muster.smpp.receipts import Delivered, DeliverReceipt
from muster.smpp.status import ESME_ROK
from muster.smpp.window import Batch, Indexed, LateResponse, OutcomeSink, Window

log = logging.getLogger(__name__)

Guard: TypeAlias = Callable[[], bool]
LateHandler: TypeAlias = Callable[[list[LateResponse]], None]

_BUFFER_POLL_S: Final = 0.001
_CLOSE_GRACE_S: Final = 0.5
# While messages go out receipts never cease: what is unanswered comes again by the next bind.
_IDLE_S: Final = 0.5


class Session(asyncio.Protocol):
    """One bind. Made by `connect`; ends once, and `closed` then resolves to the reason."""

    def __init__(
        self,
        options: SessionOptions,
        *,
        on_deliver: DeliverHandler = refuse_delivers,
        on_late_response: LateHandler | None = None,
        write_guard: Guard | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._options = options
        self._decoder = Decoder(options.pdu_octets_max)
        self._window = Window(options.window)
        self._transport: asyncio.Transport | None = None
        self._raw: asyncio.Transport | None = None
        self._bind_answer: asyncio.Future[BindResp] = loop.create_future()
        self._unbind_answer: asyncio.Future[None] = loop.create_future()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._beat: asyncio.TimerHandle | None = None
        self._deadlines = Deadlines(options.response_timeout_s, self._expire)
        self._heard_at = loop.time()
        self._stopping = False
        self._reason = ""
        self.delivers = DeliverQueue(
            on_deliver, self._write, waiting_max=options.deliver_waiting_max, batch_max=options.deliver_batch_max
        )
        ask, sequence = (lambda one: self._write(encode(one))), (lambda: self._window.take_sequences(1))
        self.queries = Queries(ask, sequence, options.response_timeout_s)
        self._on_late_response = on_late_response
        self._write_guard = write_guard
        self.bound = False
        self.counts = SessionCounts()
        self.closed: asyncio.Future[str] = loop.create_future()

    # -- beginning ------------------------------------------------------------------------------------------------

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        options: SessionOptions,
        *,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        on_deliver: DeliverHandler = refuse_delivers,
        on_late_response: LateHandler | None = None,
        write_guard: Guard | None = None,
    ) -> "Session":
        """A bound session. Raises OSError, ssl.SSLError, TimeoutError (`bind_timeout_s` for all of it) or
        BindRefused."""
        session = cls(options, on_deliver=on_deliver, on_late_response=on_late_response, write_guard=write_guard)
        try:
            async with asyncio.timeout(options.bind_timeout_s):
                await session._open(host, port, tls, server_hostname)
                await session._bind()
        except BaseException:
            session._drop("bind failed")
            raise
        return session

    async def _open(self, host: str, port: int, tls: ssl.SSLContext | None, server_hostname: str | None) -> None:
        raw, _ = await self._loop.create_connection(lambda: self, host, port)
        self._raw = self._transport = raw
        # Over plain TCP first, then TLS: so that the buffers of both layers are ours to look at before a write.
        if tls is not None:
            self._transport = None
            self._transport = await self._loop.start_tls(raw, self, tls, server_hostname=server_hostname or host)
            if self._transport is None:
                raise ConnectionError("connection lost during the TLS handshake")
        raw.set_write_buffer_limits(high=0)

    async def _bind(self) -> None:
        options = self._options
        sequence = self._window.take_sequences(1)
        self._write(encode(Bind(sequence, options.mode, options.system_id, options.password, options.system_type)))
        answer = await self._bind_answer
        if answer.status != ESME_ROK:
            raise BindRefused(answer.status)
        self.bound = True
        self._beat = self._loop.call_later(options.enquire_link_interval_s, self._on_beat)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio, once. Everything written and unanswered is unknown from here."""
        self.bound = False
        self._deadlines.cancel()
        if self._beat is not None:
            self._beat.cancel()
        self.delivers.forget()
        self.queries.forget()
        reason = UnknownReason.CLOSED if self._stopping else UnknownReason.CONNECTION_LOST
        self.counts.unknown += self._window.fail_all(reason)
        self._quiet.set()
        if not self._bind_answer.done():
            self._bind_answer.set_exception(ConnectionError("connection lost before the bind was answered"))
            self._bind_answer.exception()  # marks it as seen: there may be nobody left who waits
        if not self._unbind_answer.done():
            self._unbind_answer.set_result(None)
        if not self.closed.done():
            self.closed.set_result(self._reason or "connection lost")

    # -- sending --------------------------------------------------------------------------------------------------

    @property
    def free_slots(self) -> int:
        """How many messages a batch may have now."""
        return self._window.free_slots

    @property
    def in_flight(self) -> int:
        """Written and unanswered."""
        return self._window.in_flight

    @property
    def write_buffer_octets(self) -> int:
        """What this process still holds of earlier writes, in the transport and, under TLS, in the one below it."""
        if self._transport is None or self._raw is None:
            return 0
        below = self._raw.get_write_buffer_size() if self._raw is not self._transport else 0
        return self._transport.get_write_buffer_size() + below

    async def writable(self) -> bool:
        """Wait until the write buffer is empty; False if the session ended instead."""
        # Polled: no event says when both layers of TLS are empty, and it is rarely needed at all.
        while self.bound and self.write_buffer_octets:  # noqa: ASYNC110
            await asyncio.sleep(_BUFFER_POLL_S)
        return self.bound

    def start(
        self, messages: Sequence[Message], on_outcomes: OutcomeSink, *, guard: Guard | None = None, tag: Hashable = None
    ) -> NotSent | None:
        """Write the whole batch now, or nothing of it and say why. Never waits, so nothing can come between guard
        and write.

        `on_outcomes` gets (index, outcome) lists, one call for each read of the socket that answered some of this
        batch, until each index was handed over exactly once. `tag` names the batch in a LateResponse.
        """
        if not self.bound or self._stopping or self._transport is None or self._transport.is_closing():
            return NOT_CONNECTED
        if len(messages) > self._window.free_slots:
            return NO_SLOTS
        if self.write_buffer_octets:
            return BUSY
        if not messages:
            return None
        base, octets = self._build(messages)
        check = guard or self._write_guard
        if check is not None and not check():
            return STALE
        # Registered first: no answer may find its sequence missing.
        batch = self._window.open(base, len(messages), on_outcomes, tag)
        self._quiet.clear()
        self._deadlines.add(batch)
        self.counts.submitted += len(messages)
        self._write(octets)
        return None

    def _build(self, messages: Sequence[Message]) -> tuple[int, bytearray]:
        base = self._window.take_sequences(len(messages))
        octets = bytearray()
        for sequence, (template, destination, payload, data_coding, esm_class, tlvs) in enumerate(messages, base):
            octets += template.build(sequence, destination, data_coding, esm_class, payload, tlvs)
        return base, octets

    async def submit(
        self, messages: Sequence[Message], *, guard: Guard | None = None, tag: Hashable = None
    ) -> list[Outcome]:
        """Wait for an empty write buffer, `start`, and wait for all outcomes, in the order of `messages`.

        Cancelling this does not unsend: use `start` where each outcome must be heard whatever happens to the caller.
        """
        await self.writable()
        outcomes: list[Outcome] = [NOT_CONNECTED] * len(messages)
        left = len(messages)
        done: asyncio.Future[None] = self._loop.create_future()

        def collect(indexed: list[Indexed]) -> None:
            nonlocal left
            for index, outcome in indexed:
                outcomes[index] = outcome
            left -= len(indexed)
            if not left and not done.done():
                done.set_result(None)

        refused = self.start(messages, collect, guard=guard, tag=tag)
        if refused is not None:
            return [refused] * len(messages)
        if messages:
            await done
        return outcomes

    def _expire(self, batch: Batch) -> None:
        self.counts.unknown += self._window.expire(batch, UnknownReason.TIMEOUT)
        self._note_quiet()

    def _note_quiet(self) -> None:
        if not self._window.in_flight:
            self._quiet.set()

    # -- receiving ------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Called by asyncio. Outcomes and deliver_sm are handed over once for all that this read brought."""
        self._heard_at = self._loop.time()
        delivers: list[Delivered] = []
        late: list[LateResponse] = []
        for pdu in self._decoder.feed(data):
            if isinstance(pdu, SubmitResp):
                self._on_answer(pdu, late)
            elif isinstance(pdu, DeliverReceipt | Deliver):
                delivers.append(pdu)
            else:
                self._on_other(pdu, late)
        self._window.flush()
        self._note_quiet()
        if late and self._on_late_response is not None:
            self._on_late_response(late)
        if delivers:
            self.delivers.offer(delivers)
        if self._decoder.error is not None:
            self._drop(f"protocol error: {self._decoder.error}")

    def _on_answer(self, answer: SubmitResp | GenericNack, late: list[LateResponse]) -> None:
        outcome = outcome_of(answer, self._options.codes)
        if not self._window.answer(answer.sequence, outcome):
            self._on_unexpected(answer.sequence, outcome, late)
        elif isinstance(outcome, Accepted):
            self.counts.accepted += 1
        elif isinstance(outcome, NotSent):
            self.counts.throttled += 1
        elif isinstance(outcome, Unknown):
            self.counts.unknown += 1
        else:
            self.counts.rejected += 1

    def _on_unexpected(self, sequence: int, outcome: Outcome, late: list[LateResponse]) -> None:
        response = self._window.late(sequence, outcome)
        if response is None:
            self.counts.stray += 1
        else:
            self.counts.late += 1
            late.append(response)

    def _on_other(self, pdu: Pdu, late: list[LateResponse]) -> None:
        match pdu:
            case EnquireLink(sequence):
                self._write(encode(EnquireLinkResp(sequence)))
            case EnquireLinkResp() | DeliverResp():
                pass  # the first says only that somebody is there, the second answers nothing that we send
            case BindResp():
                if not self._bind_answer.done():
                    self._bind_answer.set_result(pdu)
            case QueryResp():
                self.queries.answered(pdu.sequence, pdu)
            case GenericNack():
                if self.queries.answered(pdu.sequence, None):
                    return
                if self._bind_answer.done():
                    self._on_answer(pdu, late)
                else:
                    self._bind_answer.set_result(BindResp(pdu.sequence, self._options.mode, pdu.status))
            case Unbind(sequence):
                self._write(encode(UnbindResp(sequence)))
                self._close("unbound by the carrier")
            case UnbindResp():
                if not self._unbind_answer.done():
                    self._unbind_answer.set_result(None)
            case _:
                self._on_odd(pdu)

    def _on_odd(self, pdu: Pdu) -> None:
        if isinstance(pdu, Malformed):
            self.counts.malformed += 1
            log.warning("unreadable PDU 0x%08x: %s", pdu.command_id, pdu.reason)
        else:
            self.counts.unknown_pdus += 1
        self._write(refusal_of(pdu))

    # -- ending ---------------------------------------------------------------------------------------------------

    def _on_beat(self) -> None:
        options = self._options
        silent_s = self._loop.time() - self._heard_at
        if silent_s > options.enquire_link_interval_s + options.response_timeout_s:
            self._drop("enquire_link was not answered")
            return
        self._write(encode(EnquireLink(self._window.take_sequences(1))))
        wait_s = min(options.enquire_link_interval_s, options.response_timeout_s)
        self._beat = self._loop.call_later(wait_s, self._on_beat)

    async def unbind(self, timeout_s: float = 5.0) -> None:
        """Write no more, wait for answers, and a moment for handlers, unbind, close. Takes at most `timeout_s` and two
        seconds; what is unanswered then is unknown."""
        self._stopping = True
        if self.bound:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s / 2):
                    await self._quiet.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_IDLE_S, timeout_s / 2)):
                    await self.delivers.idle()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s / 2):
                    self._write(encode(Unbind(self._window.take_sequences(1))))
                    await asyncio.shield(self._unbind_answer)
        self._close("unbound")
        await asyncio.wait({self.closed}, timeout=_CLOSE_GRACE_S)
        self._drop("unbound")
        await asyncio.wait({self.closed}, timeout=_CLOSE_GRACE_S)

    def _write(self, octets: bytes | bytearray) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)

    def _close(self, reason: str) -> None:
        """Close once the buffer is written. Once: closed a second time asyncio's TLS forgets what it would abort."""
        self._end(reason)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def _drop(self, reason: str) -> None:
        """Close now; what is in the buffer is lost."""
        self._end(reason)
        for transport in (self._transport, self._raw):
            if transport is not None:
                transport.abort()

    def _end(self, reason: str) -> None:
        self._reason = self._reason or reason
        self.bound = False
