"""The carrier by HTTP: messages come in as JSON, receipts and inbound messages go out as signed calls.

POST /v1/messages with `Authorization: Bearer <password>` and to, from, text, reference and receipts_url (the last two
may be left out) is answered 202 with id and parts, or 4xx with a code. GET /v1/messages/{id} says where one of the last
is, and GET /v1/messages?reference= which have a reference. Calls are signed as Standard Webhooks ask, and
made again until they are answered with a success. Fates, delays and losses are those of SMPP.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections import OrderedDict
from functools import cache
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx

from muster.local.carrier import queries
from muster.local.carrier.behaviour import Fate
from muster.local.carrier.exchange import Asked, NotHttp, read_request, write_answer
from muster.local.carrier.stats import MESSAGES_KEPT, e164
from muster.smpp import ReceiptState, Submit
from muster.smpp.status import NOT_SENT_STATUSES
from muster.text import TextRefused, split

if TYPE_CHECKING:
    from muster.local.carrier.server import Carrier

_UCS2: Final = 8
_ATTEMPTS_MAX: Final = 20
_RETRY_S: Final = 0.5
_MESSAGES: Final = "/v1/messages"
_CALLS_AT_ONCE: Final = 16
_CALL_TIMEOUT_S: Final = 10.0
_WAITING_MAX: Final = 100_000
_DUPLICATE_AFTER_S: Final = 0.05
_ENDS: Final = {
    ReceiptState.DELIVERED: ("delivered", ""),
    ReceiptState.UNDELIVERABLE: ("undelivered", "00A"),
    ReceiptState.EXPIRED: ("expired", "027"),
    ReceiptState.ENROUTE: ("sent", ""),
}
_MOMENT: Final = "%Y-%m-%dT%H:%M:%SZ"


def webhook_headers(secret: str, call_id: str, unix_s: int, body: bytes) -> dict[str, str]:
    """What makes a call genuine; a secret that begins with whsec_ is base64."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    signed = hmac.digest(key, f"{call_id}.{unix_s}.".encode() + body, hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": call_id,
        "webhook-timestamp": str(unix_s),
        "webhook-signature": "v1," + base64.b64encode(signed).decode(),
    }


@cache
def _tls() -> SSLContext:
    """One for all carriers: to read the system's certificates takes 20 ms."""
    return httpx.create_ssl_context(trust_env=False)


class HttpFront:
    """The HTTP port of one carrier."""

    def __init__(self, carrier: "Carrier") -> None:
        self._carrier = carrier
        self._writers: set[asyncio.StreamWriter] = set()
        self._client = httpx.AsyncClient(verify=_tls(), timeout=_CALL_TIMEOUT_S, trust_env=False)
        self._free = asyncio.Semaphore(_CALLS_AT_ONCE)
        self._calls: set[asyncio.Task[bool]] = set()
        self._call = 0
        self._references: OrderedDict[int, str] = OrderedDict()

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

    async def close(self) -> None:
        """End all connections and calls."""
        self.reset()
        for call in list(self._calls):
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._client.aclose()

    def reset(self) -> int:
        """Drop every connection; how many."""
        writers = list(self._writers)
        for writer in writers:
            writer.transport.abort()
        return len(writers)

    # -- messages -----------------------------------------------------------------------------------------------------

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            asked = await read_request(reader)
        except NotHttp as wrong:
            write_answer(writer, wrong.status, {"code": "not_http"})
            return False
        status, value = self._answer(asked)
        await self._carrier.until_answered()
        if status == 0:  # taken, and never answered
            await reader.read()
            return False
        if status == _RESET:
            writer.transport.abort()
            return False
        write_answer(writer, status, value, *((("Retry-After", "0"),) if status == 429 else ()))
        return not asked.close

    def _answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        target = urlsplit(asked.target)
        path, _, message_id = target.path.rpartition(_MESSAGES + "/")
        asks = asked.method == "GET" and (target.path == _MESSAGES or (not path and bool(message_id)))
        if not asks and (asked.method, target.path) != ("POST", _MESSAGES):
            return 404, {"code": "no_such_route"}
        if asked.headers.get("authorization") != f"Bearer {self._carrier.options.password}":
            return 401, {"code": "unauthorized"}
        try:
            if asks:
                return self._where(message_id if target.path != _MESSAGES else "", target.query)
            given = json.loads(asked.body)
            to, sender, text, url = given["to"], given["from"], given["text"], given.get("receipts_url") or ""
            reference = given.get("reference") or ""
            if not all(isinstance(word, str) for word in (to, sender, text, url, reference)):
                return 400, {"code": "not_text"}
            parts = len(split(text, 8))
        except (ValueError, TypeError, KeyError, AttributeError, TextRefused):
            return 400, {"code": "unreadable"}
        return self._take(
            Submit(0, sender, to.removeprefix("+"), text.encode("utf-16-be"), data_coding=_UCS2), reference, url, parts
        )

    def _where(self, message_id: str, query: str) -> tuple[int, dict[str, Any]]:
        """Where messages are; 0 where the question gets no answer."""
        if queries.is_lost(self._carrier):
            return 0, {}
        if message_id:
            found = self._standing(queries.number_of(message_id, 10))
            self._carrier.stats.queries_failed += found is None
            return (200, found) if found else (404, {"code": "no_such_message"})
        wanted = parse_qs(query).get("reference", [""])[0]
        numbers = [number for number, reference in self._references.items() if reference == wanted]
        return 200, {"messages": [found for number in numbers if (found := self._standing(number))]}

    def _standing(self, number: int) -> dict[str, Any] | None:
        found = queries.standing(self._carrier, number)
        if found is None:
            return None
        status, error = _ENDS[found.state]
        at = time.strftime(_MOMENT, time.gmtime(found.final_at)) if found.final_at else None
        about = {"id": str(number), "reference": self._references.get(number, ""), "to": e164(found.submit.destination)}
        return {**about, "status": status, "error": error, "at": at}

    def _take(self, submit: Submit, reference: str, receipts_url: str, parts: int) -> tuple[int, dict[str, Any]]:
        fate, number, reset = self._carrier.take_one(submit)
        if fate.status:
            busy = fate.status in NOT_SENT_STATUSES
            return (429, {"code": "throttled"}) if busy else (400, {"code": "invalid_number"})
        self._references[number] = reference
        if len(self._references) > MESSAGES_KEPT:
            self._references.popitem(last=False)
        if receipts_url:
            about = {"id": str(number), "to": e164(submit.destination), "from": submit.source}
            self._plan(receipts_url, about, fate)
        if reset:
            return _RESET, {}
        return (0, {}) if fate.response_lost else (202, {"id": str(number), "parts": parts})

    # -- calls --------------------------------------------------------------------------------------------------------

    def _plan(self, url: str, about: dict[str, str], fate: Fate) -> None:
        stats, options = self._carrier.stats, self._carrier.options
        if fate.receipt_lost:
            stats.receipts_lost += 1
            return
        status, error = _ENDS[fate.state]
        told = {**about, "status": status, "error": error}
        delay_s = options.receipt_delay_ms / 1000 + fate.reorder_s
        stats.receipts_reordered += bool(fate.reorder_s)
        stats.receipts_repeated += fate.receipt_twice
        for after_s in (delay_s, delay_s + _DUPLICATE_AFTER_S)[: 1 + fate.receipt_twice]:
            asyncio.get_running_loop().call_later(after_s, self._tell, url, told)

    def _tell(self, url: str, told: dict[str, str]) -> None:
        if len(self._calls) >= _WAITING_MAX:
            self._carrier.stats.receipts_dropped += 1
            return
        self._carrier.stats.receipts_sent += 1
        call = asyncio.ensure_future(self.call(url, {**told, "at": time.strftime(_MOMENT, time.gmtime())}))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        call.add_done_callback(self._told)

    def _told(self, call: "asyncio.Task[bool]") -> None:
        if not call.cancelled():
            self._carrier.stats.receipts_acked += call.result()

    async def inbound(self, url: str, source: str, destination: str, text: str) -> bool:
        """A text from a phone; whether it was taken."""
        self._carrier.stats.inbound_sent += 1
        told = {"id": self._next_call("in"), "from": source, "to": destination, "text": text}
        taken = await self.call(url, told)
        self._carrier.stats.inbound_acked += taken
        return taken

    def _next_call(self, kind: str) -> str:
        self._call += 1
        return f"{kind}_{self._carrier.options.seed}_{time.time_ns():x}_{self._call}"

    async def call(self, url: str, told: dict[str, str]) -> bool:
        """Say it until it is taken: the id stays, the time and the signature are new each time."""
        call_id, body = self._next_call("msg"), json.dumps(told).encode()
        for _ in range(_ATTEMPTS_MAX):
            await self._carrier.until_answered()
            async with self._free:
                if await self._try(url, call_id, body):
                    return True
            await asyncio.sleep(_RETRY_S)
        return False

    async def _try(self, url: str, call_id: str, body: bytes) -> bool:
        options = self._carrier.options
        headers = webhook_headers(options.callback_secret or options.password, call_id, int(time.time()), body)
        try:
            answer = await self._client.post(url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL):
            return False
        return answer.is_success


_RESET: Final = -1
