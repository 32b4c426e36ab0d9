"""A carrier and sessions in the test's own loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from muster.local.carrier import Carrier, CarrierOptions
from muster.smpp import Deliver, Message, Receipt, Session, SessionOptions, SubmitTemplate, read_receipt

TEMPLATE = SubmitTemplate("61400000000")


def messages(count: int, text: bytes = b"hello") -> list[Message]:
    return [Message(TEMPLATE, b"6141234%04d" % n, text) for n in range(count)]


class Phonebook:
    """What one session heard by deliver_sm. `fails` makes its handler fail so many times first."""

    def __init__(self) -> None:
        self.heard: list[Deliver] = []
        self.fails = 0
        self._more = asyncio.Condition()

    async def on_deliver(self, batch: list[Deliver]) -> None:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("database is gone")
        async with self._more:
            self.heard.extend(batch)
            self._more.notify_all()

    async def wait(self, count: int) -> list[Deliver]:
        async with asyncio.timeout(120), self._more:
            await self._more.wait_for(lambda: len(self.heard) >= count)
        return self.heard

    async def receipts(self, count: int) -> list[Receipt]:
        return [receipt for receipt in map(read_receipt, await self.wait(count)) if receipt is not None]


class Stage:
    """One carrier, its control port, and any number of sessions."""

    def __init__(self, carrier: Carrier, http: httpx.AsyncClient) -> None:
        self.carrier = carrier
        self.http = http
        self.sessions: list[Session] = []

    async def connect(self, book: Phonebook | None = None, **options: Any) -> Session:
        hooks: dict[str, Any] = {"on_deliver": book.on_deliver} if book else {}
        chosen = SessionOptions(**({"system_id": "muster", "password": "secret", "response_timeout_s": 60.0} | options))
        session = await Session.connect("127.0.0.1", self.carrier.port, chosen, **hooks)
        self.sessions.append(session)
        return session

    async def stats(self) -> dict[str, Any]:
        return dict((await self.http.get("/stats")).json())


Stager = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def staged() -> AsyncIterator[Stager]:
    async with AsyncExitStack() as stack:

        async def build(**options: Any) -> Stage:
            carrier = await stack.enter_async_context(Carrier(CarrierOptions(**({"first_id": 100} | options))))
            url = f"http://127.0.0.1:{carrier.control_port}"
            stage = Stage(carrier, await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False)))
            stack.push_async_callback(_leave, stage)
            return stage

        yield build


async def _leave(stage: Stage) -> None:
    for session in stage.sessions:
        await session.unbind(timeout_s=0.02)
