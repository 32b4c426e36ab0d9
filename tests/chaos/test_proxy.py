"""The proxy of the chaos rows does what its faults are called."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chaos.proxy import BLACKHOLE, NO_ANSWERS, ONE_BYTE, Fault, Proxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def echo() -> AsyncIterator[tuple[int, list[bytes]]]:
    """The port of a server that echoes, and what it got."""
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(100):
            got.append(octets)
            writer.write(octets)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], got
    server.close()


@pytest.fixture
async def proxy(echo: tuple[int, list[bytes]]) -> AsyncIterator[Proxy]:
    made = Proxy("test", echo[0])
    yield made
    await made.close()


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    yield reader, writer
    writer.close()


async def test_what_is_carried_is_whole_also_in_pieces_of_an_octet(proxy: Proxy, client: Streams) -> None:
    for fault in (Fault(), ONE_BYTE, Fault(delay_s=0.01)):
        proxy.use(fault)
        client[1].write(b"hello")
        assert await client[0].readexactly(5) == b"hello"
    assert set(proxy.fired) == {"slice", "delay"}


@pytest.mark.parametrize(("fault", "arrives"), [(BLACKHOLE, False), (NO_ANSWERS, True)])
async def test_a_black_hole_holds_what_it_is_given_until_it_is_healed(
    proxy: Proxy, client: Streams, echo: tuple[int, list[bytes]], fault: Fault, arrives: bool
) -> None:
    proxy.use(fault)
    client[1].write(b"hello")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client[0].read(1), 0.2)
    assert bool(echo[1]) == arrives
    assert proxy.fired["hold"] == 1

    proxy.heal()

    assert await client[0].readexactly(5) == b"hello"


async def test_a_cut_resets_what_there_is_and_carries_what_comes_after(proxy: Proxy, client: Streams) -> None:
    client[1].write(b"a")
    assert await client[0].readexactly(1) == b"a"
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        await client[0].read(1)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"b")
    assert await reader.readexactly(1) == b"b"
    writer.close()
    assert proxy.fired["cut"] == 1


async def test_a_half_closed_connection_is_heard_to_end_and_still_takes_what_is_said(
    proxy: Proxy, client: Streams, echo: tuple[int, list[bytes]]
) -> None:
    client[1].write(b"a")
    assert await client[0].readexactly(1) == b"a"
    proxy.half_close()
    assert await client[0].read(1) == b""
    client[1].write(b"b")
    client[1].close()
    await proxy.until_idle()
    assert b"".join(echo[1]) == b"ab"


async def test_corruption_changes_what_arrives(proxy: Proxy, client: Streams) -> None:
    proxy.use(Fault(corrupt_ratio=1.0))
    client[1].write(b"hello")
    assert await client[0].readexactly(5) != b"hello"
    assert proxy.fired["corrupt"] == 2
