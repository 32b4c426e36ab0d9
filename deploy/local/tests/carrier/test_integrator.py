"""The simulator as an outside integrator meets it: octets by hand on a plain socket, in whatever order."""

import asyncio
import struct
from typing import Any

import pytest

from muster.local.carrier import stats as carrier_stats
from muster.local.carrier.behaviour import Behaviour
from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.stats import Stats
from muster.smpp import NotSent, NotSentReason, Submit

from .conftest import Phonebook, Stager, messages

SUBMIT, DELIVER, ENQUIRE, UNBIND, TRANSCEIVER, QUERY, CANCEL = 4, 5, 0x15, 6, 9, 3, 8
RESPONSE = 0x80000000


class Plain:
    """A client that knows SMPP from the specification alone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def say(self, command: int, sequence: int, body: bytes = b"", status: int = 0) -> bytes:
        octets = struct.pack(">IIII", 16 + len(body), command, status, sequence) + body
        self._writer.write(octets)
        return octets

    async def hear(self) -> tuple[int, int, int, bytes]:
        """command_id, status, sequence, body."""
        async with asyncio.timeout(120):
            length, command, status, sequence = struct.unpack(">IIII", await self._reader.readexactly(16))
            return command, status, sequence, await self._reader.readexactly(length - 16)

    async def at_end(self) -> bool:
        async with asyncio.timeout(120):
            return await self._reader.read() == b""

    def close(self) -> None:
        self._writer.close()


BIND = b"muster\0secret\0\0\x34\0\0\0"


def submit(number: bytes, text: bytes, registered: int = 1) -> bytes:
    return b"\0\1\1614000\0\1\1" + number + b"\0\0\0\0\0\0%c\0\0\0%c" % (registered, len(text)) + text


async def plain(stage: Any) -> Plain:
    return Plain(*await asyncio.open_connection("127.0.0.1", stage.carrier.port))


async def test_a_client_of_its_own_making_is_served_in_whatever_order_it_speaks(staged: Stager) -> None:
    stage = await staged(first_id=100, receipt_format="text")
    client = await plain(stage)

    client.say(ENQUIRE, 7)
    client.say(SUBMIT, 8, submit(b"61411", b"too early"))
    client.say(QUERY, 9, b"100\0\0\0\0")
    client.say(CANCEL, 12, b"\0" + b"100\0" + bytes(6))
    for value in struct.pack(">IIII", 16 + len(BIND), TRANSCEIVER, 0, 10) + BIND:
        client._writer.write(bytes((value,)))
        await asyncio.sleep(0)
    client.say(TRANSCEIVER, 11, BIND)
    answers = [await client.hear() for _ in range(6)]

    assert [answer[:3] for answer in answers] == [
        (ENQUIRE | RESPONSE, 0, 7),
        (SUBMIT | RESPONSE, 0x04, 8),
        (QUERY | RESPONSE, 0x04, 9),
        (RESPONSE, 0x03, 12),
        (TRANSCEIVER | RESPONSE, 0, 10),
        (TRANSCEIVER | RESPONSE, 0x04, 11),
    ]

    client.say(SUBMIT, 900, submit(b"61411", b"one"))
    client.say(SUBMIT, 5, submit(b"61422", b"two"))
    heard = [await client.hear() for _ in range(4)]
    accepted = [(sequence, body) for command, _, sequence, body in heard if command == SUBMIT | RESPONSE]
    receipts = [(sequence, body) for command, _, sequence, body in heard if command == DELIVER]
    assert accepted == [(900, b"100\0"), (5, b"101\0")]
    assert [b"id:%d " % number in body for number, (_, body) in zip((100, 101), receipts, strict=True)] == [True] * 2

    for sequence, _ in reversed(receipts):
        client.say(DELIVER | RESPONSE, sequence, b"\0")
    client.say(DELIVER | RESPONSE, 4_000, b"\0")
    client.say(SUBMIT, 12, submit(b"61411", b"three", registered=0))
    client.say(UNBIND, 6)
    assert (await client.hear())[:3] == (SUBMIT | RESPONSE, 0, 12)
    assert (await client.hear())[:3] == (UNBIND | RESPONSE, 0, 6)
    assert await client.at_end()
    client.close()
    stats = await stage.stats()
    assert (stats["receipts_acked"], stats["accepted_by_destination"]) == (2, {"+61411": 2, "+61422": 1})


async def test_a_silent_bind_is_asked_twice_and_then_dropped(staged: Stager) -> None:
    stage = await staged(enquire_link_s=0.05)
    client = await plain(stage)
    client.say(TRANSCEIVER, 1, BIND)
    await client.hear()

    assert [(await client.hear())[0] for _ in range(2)] == [ENQUIRE] * 2

    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await client.hear()
    client.close()
    assert (await stage.stats())["disconnects"] == 1


async def test_a_bind_that_answers_is_kept(staged: Stager) -> None:
    stage = await staged(enquire_link_s=0.1)
    session = await stage.connect(Phonebook())

    async with asyncio.timeout(120):
        while (await stage.stats())["enquire_links_sent"] < 4:
            pass  # each turn is a request to the control port

    assert session.bound
    assert (await stage.stats())["unknown_pdus"] == 0


async def test_throttling_can_be_a_full_queue(staged: Stager) -> None:
    stage = await staged(throttle_ratio=1.0, throttle_status="queue_full")
    session = await stage.connect(Phonebook())

    assert await session.submit(messages(1)) == [NotSent(NotSentReason.QUEUE_FULL, 0x14)]
    assert (await stage.stats())["throttled"] == 1


@pytest.fixture
def ten_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrier_stats, "DESTINATIONS_KEPT", 10)
    monkeypatch.setattr("muster.local.carrier.behaviour.DESTINATIONS_KEPT", 10)


@pytest.mark.usefixtures("ten_kept")
def test_a_run_of_any_length_stays_within_memory() -> None:
    stats, behaviour = Stats(), Behaviour(CarrierOptions(throttle_ratio=0.5))

    for number in range(1_000):
        behaviour.judge(str(number))
        stats.accept(number, 0.0, Submit(number, "1", str(number), b"hi"))

    assert stats.accepted == 1_000
    assert max(len(stats.by_destination), len(stats._seen), len(behaviour._attempts)) <= 22
    assert list(stats.by_destination)[-1] == "999", "the newest are kept"
    stats.accept(1_000, 0.0, Submit(1_000, "1", "999", b"hi"))
    assert stats.duplicates == 1
