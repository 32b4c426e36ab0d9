"""A carrier that does what a test says, word for word. The simulator's own tests show the session on a real server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from muster.smpp import Decoder, Pdu, Session, SessionOptions, Submit, encode
from muster.smpp.pdu import Bind, BindResp


class ScriptedCarrier:
    """One connection at a time. Binds are answered; whatever else comes is kept in `heard` for the test to answer."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Pdu] = asyncio.Queue()
        self.bind_status = 0
        self.answers_binds = True
        self.port = 0
        self._writer: asyncio.StreamWriter | None = None
        self.gone = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer, decoder = writer, Decoder()
        try:
            while data := await reader.read(65536):
                for pdu in decoder.feed(data):
                    if isinstance(pdu, Bind) and self.answers_binds:
                        self.say(BindResp(pdu.sequence, pdu.mode, self.bind_status, "scripted"))
                    else:
                        self.heard.put_nowait(pdu)
        except ConnectionError:
            pass
        finally:
            self.gone.set()
            writer.close()

    def say(self, *pdus: Pdu | bytes) -> None:
        assert self._writer is not None
        self._writer.write(b"".join(pdu if isinstance(pdu, bytes) else encode(pdu) for pdu in pdus))

    def hang_up(self) -> None:
        assert self._writer is not None
        self._writer.transport.abort()

    def half_close(self) -> None:
        assert self._writer is not None
        self._writer.write_eof()

    def stop_reading(self) -> None:
        assert self._writer is not None
        self._writer.transport.pause_reading()

    def read_on(self) -> None:
        assert self._writer is not None
        self._writer.transport.resume_reading()

    async def hear(self) -> Pdu:
        async with asyncio.timeout(120):
            return await self.heard.get()

    async def submits(self, count: int) -> list[Submit]:
        heard = [await self.hear() for _ in range(count)]
        return [pdu for pdu in heard if isinstance(pdu, Submit)]


@pytest.fixture
async def carrier() -> AsyncIterator[ScriptedCarrier]:
    scripted = ScriptedCarrier()
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    scripted.port = server.sockets[0].getsockname()[1]
    yield scripted
    server.close()
    if scripted._writer is not None:
        scripted._writer.transport.abort()
        async with asyncio.timeout(120):
            await scripted.gone.wait()


Connect = Callable[..., Awaitable[Session]]


@pytest.fixture
async def connect(carrier: ScriptedCarrier) -> AsyncIterator[Connect]:
    sessions: list[Session] = []

    async def open_session(hooks: dict[str, Any] | None = None, **limits: Any) -> Session:
        options = SessionOptions("muster", "secret", **({"window": 10} | limits))
        session = await Session.connect("127.0.0.1", carrier.port, options, **(hooks or {}))
        sessions.append(session)
        return session

    yield open_session
    for session in sessions:
        await session.unbind(timeout_s=0.02)
