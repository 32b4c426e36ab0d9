"""Questions to an HTTP carrier: what became of messages. They send nothing, and take no connection from what is sent.

One after the other on a connection of their own. A carrier that is busy or gives no answer is asked no more of that
batch: what was not asked is not counted as asked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from muster.dispatch.domain.http import adapter_of
from muster.dispatch.domain.http.model import Busy, Found, Http, Reply, Request, Secrets, Sought
from muster.dispatch.domain.http.wire import by_status
from muster.dispatch.sender.http_connection import Connection, Lost, prepare
from muster.dispatch.sender.link import Question
from muster.dispatch.sender.mailbox import report
from muster.kit import clock
from muster.smpp import Receipt, ReceiptState

_PAUSE_S: Final = 5.0
_ANY: Final = "any"


class HttpAsker:
    """Asks by the account's adapter, where its profile says so."""

    def __init__(self, http: Http, secrets: Secrets, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._http, self._secrets, self._connect = http, secrets, connect
        self._adapter = adapter_of(http)
        self._connection: Connection | None = None
        self._quiet_until = 0.0
        self.asks_by_id = http.ask_status and self._request(Sought(carrier_id=_ANY)) is not None
        self.asks_by_reference = http.ask_status and self._request(Sought(reference=_ANY)) is not None

    def _request(self, sought: Sought) -> Request | None:
        return self._adapter.lookup(self._http, self._secrets, sought)

    async def ask(self, questions: Sequence[Question]) -> list[Receipt | None]:
        """Answers to the first of them."""
        answers: list[Receipt | None] = []
        for question in questions:
            if clock.monotonic() < self._quiet_until:
                break
            sought = Sought(question.carrier_id, question.reference)
            reply = await self._ask(sought)
            if isinstance(reply, Lost) or self._is_busy(reply):
                self._quiet_until = clock.monotonic() + _PAUSE_S
                break
            found = self._adapter.found(self._http, reply, sought) if 200 <= reply.status < 300 else None
            answers.append(None if found is None else _as_receipt(found))
        return answers

    def _is_busy(self, reply: Reply) -> bool:
        """Whether it says nothing about the message, and everything about whoever asks, or the carrier itself; that it
        knows no such message is an answer."""
        if reply.status == 404:
            return False
        return reply.status >= 500 or isinstance(by_status(reply, None), Busy)

    async def _ask(self, sought: Sought) -> Reply | Lost:
        request, url = self._request(sought), urlsplit(self._http.base_url)
        assert request is not None  # nobody asks what this carrier cannot be asked
        answered: asyncio.Future[Reply | Lost] = asyncio.get_running_loop().create_future()
        try:
            if self._connection is None or not self._connection.idle:
                self._connection = await self._connect()
            prepared = prepare(url.netloc, url.path, request)
            self._connection.begin(prepared, self._http.response_timeout_s, answered.set_result)
        except (OSError, TimeoutError):
            return Lost()
        return await answered

    def close(self) -> None:
        """End its connection."""
        if self._connection is not None:
            self._connection.close()


def _as_receipt(found: Found) -> Receipt:
    if found.ended is None:
        return Receipt(found.carrier_id, ReceiptState.ENROUTE)
    return report(found.ended).receipt
