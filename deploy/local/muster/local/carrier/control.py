"""The control port: a few JSON routes over HTTP/1.1, for tests, the demo and the bench."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

from muster.local.carrier.account import newest_receiver
from muster.local.carrier.deliveries import Inbound
from muster.local.carrier.exchange import NotHttp, read_request, write_answer
from muster.local.carrier.inbound import deliver_pdus
from muster.local.carrier.options import OptionError, changed, live_options
from muster.local.carrier.stats import MESSAGES_KEPT
from muster.smpp.status import ESME_ROK

if TYPE_CHECKING:
    from muster.local.carrier.server import Carrier

_INBOUND_TIMEOUT_S: Final = 10.0
_ADDRESS_CHARS_MAX: Final = 20

Answer: TypeAlias = tuple[int, Any]
Query: TypeAlias = dict[str, str]
Route: TypeAlias = Callable[[Query, dict[str, Any]], Awaitable[Answer]]


class Control:
    """Routes of one carrier."""

    def __init__(self, carrier: "Carrier") -> None:
        self._carrier = carrier
        self._writers: set[asyncio.StreamWriter] = set()
        self._reference = 0
        self._routes: dict[tuple[str, str], Route] = {
            ("GET", "/stats"): self._stats,
            ("GET", "/messages"): self._messages,
            ("GET", "/faults"): self._faults,
            ("PUT", "/faults"): self._change_faults,
            ("POST", "/reset"): self._reset,
            ("POST", "/inbound"): self._inbound,
            ("POST", "/disconnect"): self._disconnect,
            ("POST", "/pause"): self._pause,
            ("POST", "/resume"): self._resume,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; asyncio's callback."""
        self._writers.add(writer)
        try:
            while await self._exchange(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # the client is gone, or does not speak HTTP: nobody is left to be told
        finally:
            self._writers.discard(writer)
            writer.close()

    def close(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            asked = await read_request(reader)
        except NotHttp as wrong:
            write_answer(writer, wrong.status, {"error": "not a request"})
            return False
        write_answer(writer, *await self._answer(asked.method, asked.target, asked.body))
        return not asked.close

    async def _answer(self, method: str, target: str, body: bytes) -> Answer:
        url = urlsplit(target)
        route = self._routes.get((method, url.path))
        if route is None:
            return 404, {"error": "no such route", "routes": [" ".join(key) for key in self._routes]}
        try:
            values = json.loads(body) if body.strip() else {}
            if not isinstance(values, dict):
                raise ValueError("the body is a JSON object")
            return await route({name: found[-1] for name, found in parse_qs(url.query).items()}, values)
        except OptionError as wrong:
            return 400, {"error": str(wrong), "field": wrong.field}
        except ValueError as wrong:
            return 400, {"error": str(wrong)}

    async def _stats(self, query: Query, _: dict[str, Any]) -> Answer:
        return 200, self._carrier.report(destinations=query.get("destinations", "1") != "0")

    async def _messages(self, query: Query, _: dict[str, Any]) -> Answer:
        limit = int(query.get("limit", "100")) if query.get("limit", "100").isdecimal() else 0
        if not 1 <= limit <= MESSAGES_KEPT:
            raise OptionError("limit", f"is a whole number from 1 to {MESSAGES_KEPT}")
        # A plus in a query is a space for whoever decodes it, and people forget to write %2B.
        destination = query["destination"].replace(" ", "+") if "destination" in query else None
        return 200, self._carrier.stats.last_messages(destination, limit)

    async def _faults(self, _: Query, __: dict[str, Any]) -> Answer:
        return 200, live_options(self._carrier.options)

    async def _change_faults(self, _: Query, values: dict[str, Any]) -> Answer:
        self._carrier.use(changed(self._carrier.options, values))
        return 200, live_options(self._carrier.options)

    async def _reset(self, _: Query, __: dict[str, Any]) -> Answer:
        self._carrier.reset()
        return 200, {}

    async def _disconnect(self, _: Query, __: dict[str, Any]) -> Answer:
        return 200, {"disconnected": self._carrier.disconnect()}

    async def _pause(self, _: Query, __: dict[str, Any]) -> Answer:
        self._carrier.pause()
        return 200, {"paused": True}

    async def _resume(self, _: Query, __: dict[str, Any]) -> Answer:
        self._carrier.resume()
        return 200, {"paused": False}

    async def _inbound(self, _: Query, values: dict[str, Any]) -> Answer:
        for name in ("from", "to", "text"):
            if not isinstance(values.get(name), str) or not values[name]:
                raise OptionError(name, "is text, and not empty")
        for name in ("from", "to"):
            if not values[name].isascii() or len(values[name]) > _ADDRESS_CHARS_MAX:
                raise OptionError(name, f"is at most {_ADDRESS_CHARS_MAX} characters of ASCII")
        if self._carrier.options.inbound_url:
            taken = await self._carrier.http.inbound(
                self._carrier.options.inbound_url, values["from"], values["to"], values["text"]
            )
            return 200, {"delivered": taken}
        accounts = self._carrier.accounts
        named = values.get("system_id")
        account = accounts.get(named) if named else newest_receiver(accounts.values())
        self._reference = self._reference % 255 + 1
        pdus = deliver_pdus(values["from"], values["to"], values["text"], values, self._reference)
        if account is None or not account.receivers:
            return 503, {"delivered": False, "error": "nobody is bound to receive"}
        parts = [Inbound(pdu) for pdu in pdus]
        account.deliver(parts)
        try:
            async with asyncio.timeout(_INBOUND_TIMEOUT_S):
                statuses = [await part.answer for part in parts]
        except TimeoutError:
            return 504, {"delivered": False, "error": "no deliver_sm_resp in time"}
        status = next((status for status in statuses if status != ESME_ROK), ESME_ROK)
        return 200, {"delivered": status == ESME_ROK, "status": status, "parts": len(parts)}
