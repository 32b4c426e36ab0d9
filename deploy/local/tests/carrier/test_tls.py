"""SMPP over TLS with verification, and the session on the loop that production uses."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from muster.local.carrier import Carrier, CarrierOptions
from muster.smpp import Accepted, Message, NotSent, NotSentReason, Session, SessionOptions, Unknown, UnknownReason

from .conftest import Phonebook, messages

loops = pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
LoopFactory = Callable[[], asyncio.AbstractEventLoop]
SECRET = SessionOptions("muster", "secret")


@loops
def test_messages_and_receipts_go_over_tls(certificate: Path, loop_factory: LoopFactory) -> None:
    async def scenario() -> None:
        async with Carrier(CarrierOptions(tls_certificate=str(certificate))) as carrier:
            book = Phonebook()
            trust = ssl.create_default_context(cafile=str(certificate))
            session = await Session.connect("127.0.0.1", carrier.port, SECRET, tls=trust, on_deliver=book.on_deliver)
            for _ in range(3):
                outcomes = await session.submit(messages(300))
                assert all(isinstance(outcome, Accepted) for outcome in outcomes)
            assert len(await book.receipts(900)) == 900
            assert session.write_buffer_octets == 0
            await session.unbind()
            assert carrier.stats.receipts_acked == 900

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(scenario())


@loops
@pytest.mark.parametrize(("trusts", "server_hostname"), [(False, None), (True, "another.example")])
def test_a_certificate_that_is_not_trusted_or_not_of_that_host_is_refused(
    certificate: Path, loop_factory: LoopFactory, trusts: bool, server_hostname: str | None
) -> None:
    async def scenario() -> None:
        async with Carrier(CarrierOptions(tls_certificate=str(certificate))) as carrier:
            trust = ssl.create_default_context(cafile=str(certificate) if trusts else None)
            with pytest.raises(ssl.SSLCertVerificationError):
                await Session.connect("127.0.0.1", carrier.port, SECRET, tls=trust, server_hostname=server_hostname)
            assert carrier.accounts == {}  # no bind, hence no password, was sent

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(scenario())


@loops
def test_a_full_window_is_unknown_when_the_connection_is_reset(loop_factory: LoopFactory) -> None:
    async def scenario() -> None:
        async with Carrier(CarrierOptions(disconnect_every=50)) as carrier:
            session = await Session.connect("127.0.0.1", carrier.port, SECRET)
            outcomes = await session.submit(messages(200))
            assert outcomes == [Unknown(UnknownReason.CONNECTION_LOST)] * 200
            assert await session.submit(messages(1)) == [NotSent(NotSentReason.CLOSED)]

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(scenario())


@loops
def test_windows_written_one_after_the_other_all_arrive_once(loop_factory: LoopFactory) -> None:
    async def scenario() -> None:
        async with Carrier(CarrierOptions()) as carrier:
            book = Phonebook()
            options = SessionOptions("muster", "secret", window=200)
            session = await Session.connect("127.0.0.1", carrier.port, options, on_deliver=book.on_deliver)
            to_send = messages(5000)
            lanes = [to_send[start::2] for start in range(2)]

            async def send(lane: list[Message]) -> None:
                for start in range(0, len(lane), 100):
                    outcomes = await session.submit(lane[start : start + 100])
                    assert all(isinstance(outcome, Accepted) for outcome in outcomes)

            await asyncio.gather(*map(send, lanes))
            assert len(await book.receipts(5000)) == 5000
            await session.unbind()
            assert (carrier.stats.accepted, carrier.stats.duplicates) == (5000, 0)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(scenario())
