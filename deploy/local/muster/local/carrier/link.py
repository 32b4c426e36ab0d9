"""One SMPP connection, seen from the carrier."""

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Final, cast

from muster.local.carrier.account import Account
from muster.local.carrier.deliveries import Delivery
from muster.smpp import BindMode, Decoder, DeliverReceipt, Submit, encode
from muster.smpp.pdu import (
    RESPONSE_BIT,
    SEQUENCE_MAX,
    Bind,
    BindResp,
    DeliverResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Malformed,
    Pdu,
    Query,
    QueryResp,
    SubmitResp,
    Unbind,
    UnbindResp,
    UnknownPdu,
)
from muster.smpp.status import ESME_RINVBNDSTS, ESME_RINVCMDID, ESME_ROK, ESME_RSYSERR

if TYPE_CHECKING:
    from muster.local.carrier.server import Carrier

_ASKED_MAX: Final = 2
_LOOK_S: Final = 1.0
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Link(asyncio.Protocol):
    """Reads PDUs, answers the simple ones, hands submits over by the batch that one read brought."""

    def __init__(self, carrier: "Carrier") -> None:
        self._carrier = carrier
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._sequence = 0
        self.serial = 0
        self.submits = 0
        self.account: Account | None = None
        self.mode: BindMode | None = None
        self.unanswered: dict[int, Delivery] = {}
        self._heard_at = 0.0
        self._asked = 0
        self._watch: asyncio.TimerHandle | None = None

    @property
    def receives(self) -> bool:
        """Whether deliver_sm may be sent here."""
        return self.mode in (BindMode.RECEIVER, BindMode.TRANSCEIVER)

    def next_sequence(self) -> int:
        """For a request of the carrier's own."""
        self._sequence = self._sequence % SEQUENCE_MAX + 1
        return self._sequence

    def write(self, octets: bytes | bytearray) -> None:
        """Send; nothing if the connection is closing."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)

    def reset(self) -> None:
        """Drop the connection the hard way: the peer sees RST, and loses what was on its way."""
        if self._transport is None:
            return
        plug = self._transport.get_extra_info("socket")
        if plug is not None:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._carrier.links.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self._carrier.links.discard(self)
        if self._watch is not None:
            self._watch.cancel()
        if self.account is not None:
            self.mode = None
            self.account.leave(self)

    def pause_writing(self) -> None:
        """Called by asyncio: whoever does not read its answers gets no more questions read."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Called by asyncio."""
        if self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        submits: list[Submit] = []
        answered = False
        self._heard_at, self._asked = asyncio.get_running_loop().time(), 0
        for pdu in self._decoder.feed(data):
            if isinstance(pdu, Submit):
                submits.append(pdu)
            elif isinstance(pdu, DeliverResp):
                answered = True
                self._on_answer(pdu.sequence, pdu.status)
            else:
                if submits:  # in the order they came: an unbind behind them must not take their answers
                    self._on_submits(submits)
                    submits = []
                self._on_other(pdu)
        if submits:
            self._on_submits(submits)
        if answered and self.account is not None:
            self.account.pump()
        if self._decoder.error is not None and self._transport is not None:
            self._transport.close()

    def _on_answer(self, sequence: int, status: int) -> None:
        delivery = self.unanswered.pop(sequence, None)
        if delivery is not None and self.account is not None:
            self.account.answered(delivery, status)

    def _on_submits(self, submits: list[Submit]) -> None:
        if self.account is None or self.mode in (None, BindMode.RECEIVER):
            self.write(b"".join(encode(SubmitResp(submit.sequence, ESME_RINVBNDSTS)) for submit in submits))
            return
        self.submits += len(submits)
        self._carrier.take(self, self.account, submits)

    def _on_other(self, pdu: Pdu | DeliverReceipt) -> None:
        match pdu:
            case Bind():
                self._on_bind(pdu)
            case EnquireLink(sequence):
                self._carrier.stats.enquire_links += 1
                self.write(encode(EnquireLinkResp(sequence)))
            case Query(sequence):
                if self.account is None:
                    self.write(encode(QueryResp(sequence, ESME_RINVBNDSTS)))
                else:
                    self._carrier.answer_query(self, pdu)
            case Unbind(sequence):
                self.write(encode(UnbindResp(sequence)))
                if self._transport is not None:
                    self._transport.close()
            case EnquireLinkResp():
                pass  # says only that somebody is there
            case GenericNack():
                self._on_answer(pdu.sequence, pdu.status or ESME_RSYSERR)
            case UnknownPdu() | Malformed() if not pdu.command_id & RESPONSE_BIT:
                self._carrier.stats.unknown_pdus += 1
                status = ESME_RINVCMDID if isinstance(pdu, UnknownPdu) else ESME_RSYSERR
                self.write(encode(GenericNack(pdu.sequence, status)))
            case _:
                self._carrier.stats.unknown_pdus += 1

    def _on_bind(self, bind: Bind) -> None:
        status = ESME_RINVBNDSTS if self.account is not None else self._carrier.admit(bind)
        self.write(encode(BindResp(bind.sequence, bind.mode, status, "muster")))
        if status != ESME_ROK:
            self._carrier.stats.binds_refused += 1
            return
        self.mode = bind.mode
        self.serial = self._carrier.next_serial()
        self.account = self._carrier.account(bind.system_id)
        self.account.join(self)
        self._look_after()

    def _look_after(self) -> None:
        """Ask a bind that says nothing whether it is there; drop it when it has not answered twice."""
        loop, every_s = asyncio.get_running_loop(), self._carrier.options.enquire_link_s
        if every_s and loop.time() - self._heard_at >= every_s:
            if self._asked >= _ASKED_MAX:
                self._carrier.stats.disconnects += 1
                self.reset()
                return
            self._asked += 1
            self._carrier.stats.enquire_links_sent += 1
            self.write(encode(EnquireLink(self.next_sequence())))
        self._watch = loop.call_later(every_s or _LOOK_S, self._look_after)
