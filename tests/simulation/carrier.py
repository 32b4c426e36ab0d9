"""SMPP carriers that behave as the seed says, and write down every message that they take."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, Final

from muster.smpp import Decoder, Deliver, ReceiptState, Submit, encode
from muster.smpp.pdu import (
    Bind,
    BindResp,
    DeliverResp,
    EnquireLink,
    EnquireLinkResp,
    SubmitResp,
    Unbind,
    UnbindResp,
)

if TYPE_CHECKING:
    from simulation.loop import Node
    from simulation.world import World

PORT: Final = 2775
THROTTLED: Final = 0x58
_REFUSED: Final = 0x0B
_LOST: Final = 0.2
_AGAIN_S: Final = 3.0
_ENDS: Final = (ReceiptState.DELIVERED,) * 6 + (ReceiptState.UNDELIVERABLE, ReceiptState.EXPIRED, ReceiptState.REJECTED)


@dataclass(slots=True)
class Taken:
    """A submit that the carrier accepted: nothing takes that back."""

    at: float
    source: str
    destination: str
    text: str
    carrier_id: str


@dataclass(slots=True)
class Written:
    """A submit that reached the carrier, whatever became of it."""

    at: float
    source: str
    destination: str
    text: str


class Link(asyncio.Protocol):
    """One connection."""

    def __init__(self, carrier: "Carrier") -> None:
        self._carrier = carrier
        self._decoder = Decoder()
        self._transport: Any = None
        self._sequence = 0
        self.unanswered: dict[int, Deliver] = {}

    def connection_made(self, transport: Any) -> None:
        """By the network."""
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        """By the network: what was not answered is delivered again on the next bind."""
        self._carrier.left(self)

    def data_received(self, data: bytes) -> None:
        """By the network."""
        submits = []
        for pdu in self._decoder.feed(data):
            match pdu:
                case Submit():
                    submits.append(pdu)
                case Bind():
                    self.write(encode(BindResp(pdu.sequence, pdu.mode, 0, "carrier")))
                    self._carrier.bound(self)
                case EnquireLink(sequence):
                    self.write(encode(EnquireLinkResp(sequence)))
                case Unbind(sequence):
                    self.write(encode(UnbindResp(sequence)))
                    self._transport.close()
                case DeliverResp(sequence, status):
                    self._carrier.answered(self.unanswered.pop(sequence, None), status)
        if submits:
            self._carrier.take(self, submits)

    def write(self, octets: bytes) -> None:
        """Send."""
        self._transport.write(octets)

    def reset(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    @property
    def client(self) -> "Node":
        """Whose process is at the other end."""
        node = self._transport.peer.node
        assert node is not None
        return node

    def deliver(self, deliver: Deliver) -> None:
        """Bring a receipt or somebody's words; kept until it is answered."""
        self._sequence += 1
        deliver.sequence = self._sequence
        self.unanswered[self._sequence] = deliver
        self.write(encode(deliver))


class Carrier:
    """Serves a port of the world's network."""

    def __init__(self, world: "World", rng: Random, port: int = PORT) -> None:
        self._world = world
        self._rng = rng
        self._links: list[Link] = []
        self._waiting: list[Deliver] = []
        self._next_id = 0
        self.taken: list[Taken] = []
        self.writes: list[Written] = []
        self.hexadecimal = rng.random() < 0.2
        self.other_base = rng.random() < 0.5
        # Of texts that begin like this it loses some, with the connection that they came by.
        self.loses = ""
        self._to_lose = 4
        self._lost = world.rng("lost")
        self._port = port
        self._open()

    def _open(self) -> None:
        self._world.network.listeners[self._port] = lambda: Link(self)

    @property
    def waiting(self) -> int:
        """What is not delivered yet."""
        return len(self._waiting) + sum(len(link.unanswered) for link in self._links)

    @property
    def is_bound(self) -> bool:
        """Whether somebody is connected."""
        return bool(self._links)

    def bound(self, link: Link) -> None:
        """Bring what waits."""
        self._links.append(link)
        self._pump()

    def left(self, link: Link) -> None:
        """Its unanswered ones come again, on another bind."""
        if link in self._links:
            self._links.remove(link)
        self._waiting.extend(link.unanswered.values())
        link.unanswered.clear()
        self._pump()

    def answered(self, deliver: Deliver | None, status: int) -> None:
        """Refused ones come again later."""
        if deliver is not None and status:
            self._later(_AGAIN_S, self.bring, deliver)

    def bring(self, deliver: Deliver) -> None:
        """Deliver on whatever bind there is."""
        self._waiting.append(deliver)
        self._pump()

    def _pump(self) -> None:
        while self._waiting and self._links:
            self._links[-1].deliver(self._waiting.pop(0))

    def disconnect(self) -> None:
        """Cut every connection."""
        for link in list(self._links):
            link.reset()

    def leave(self, seconds: float) -> None:
        """Be away, and come back."""
        self._world.network.listeners[self._port] = None
        self.disconnect()
        self._later(seconds, self._open)

    # -- submits ------------------------------------------------------------------------------------------------------

    def take(self, link: Link, submits: Sequence[Submit]) -> None:
        """Decide and answer each; perhaps cut the connection in the middle."""
        world, faults = self._world, self._world.faults
        for submit in submits:
            text = submit.payload.decode("latin-1")
            self.writes.append(Written(world.loop.time(), submit.source, submit.destination, text))
            fate = faults.fate()
            if self._to_lose and self.loses and text.startswith(self.loses) and self._lost.random() < _LOST:
                self._to_lose -= 1
                fate = "drop"
            world.trace.add("carrier", f"submit {submit.destination}", fate)
            if fate == "drop":
                link.reset()
                return
            status = {"throttle": THROTTLED, "reject": _REFUSED}.get(fate, 0)
            carrier_id = self._accept(submit) if not status else ""
            if fate != "silent":
                delay = faults.answer_delay()
                self._later(delay, link.write, encode(SubmitResp(submit.sequence, status, carrier_id)))
            if fate == "take and drop":
                link.reset()
                return
            if fate == "take and die":
                world.crash(link.client)
                return

    def _accept(self, submit: Submit) -> str:
        world = self._world
        self._next_id += 1
        carrier_id = f"{0xA000 + self._next_id:x}" if self.hexadecimal else str(1_000_000 + self._next_id)
        text = submit.payload.decode("latin-1")
        self.taken.append(Taken(world.loop.time(), submit.source, submit.destination, text, carrier_id))
        for delay in world.faults.receipts():
            self._later(delay, self._receipt, submit, carrier_id, self._end_of(carrier_id), world.now_us())
        return carrier_id

    def _end_of(self, carrier_id: str) -> ReceiptState:
        """The same for each receipt of a message."""
        return _ENDS[Random(carrier_id).randrange(len(_ENDS))]

    def _receipt(self, submit: Submit, carrier_id: str, state: ReceiptState, taken_us: int) -> None:
        dates = [
            datetime.fromtimestamp(us / 1e6, UTC).strftime("%y%m%d%H%M%S") for us in (taken_us, self._world.now_us())
        ]
        shown = str(int(carrier_id, 16)) if self.hexadecimal and self.other_base else carrier_id
        text = f"id:{shown} sub:001 dlvrd:001 submit date:{dates[0]} done date:{dates[1]} stat:{state.value} err:000"
        self.bring(
            Deliver(
                sequence=0, source=submit.destination, destination=submit.source, esm_class=4, data_coding=0,
                payload=text.encode(), source_ton=submit.destination_ton, source_npi=submit.destination_npi,
                destination_ton=submit.source_ton, destination_npi=submit.source_npi,
            )
        )  # fmt: skip

    def inbound(self, source: str, destination: str, text: str) -> None:
        """Somebody writes."""
        self.bring(
            Deliver(
                sequence=0, source=source, destination=destination, esm_class=0, data_coding=0, payload=text.encode(),
                source_ton=1, source_npi=1, destination_ton=1, destination_npi=1,
            )
        )  # fmt: skip

    def _later(self, delay: float, act: Any, *args: object) -> None:
        self._world.loop.call_later(delay, act, *args, context=self._world.context)
