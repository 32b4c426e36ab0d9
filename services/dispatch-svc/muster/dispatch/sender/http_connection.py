"""One HTTP/1.1 connection to a carrier: one request at a time, written in one call, and its answer within bounds.

By h11, which does no I/O: whoever writes decides when, and knows whether anything was written. A client library that
connects, waits and tries again on its own cannot say that, and a message would be sent twice.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias, cast

import h11

from muster.dispatch.domain.http.model import Reply, Request

ANSWER_BYTES_MAX: Final = 65_536
_HEAD_BYTES_MAX: Final = 16_384
_TIMEOUT_OF: Final = re.compile(r"timeout\s*=\s*([0-9]{1,5})", re.ASCII | re.IGNORECASE)


class Lost(NamedTuple):
    """No answer that could be read; `timeout` where none came in time."""

    timeout: bool = False


Answered: TypeAlias = Callable[[Reply | Lost], None]


class Prepared(NamedTuple):
    """A request in octets, and what reads its answer."""

    octets: bytes
    reader: h11.Connection


def prepare(host: str, base_path: str, request: Request) -> Prepared:
    """Put a request into octets. h11.LocalProtocolError where a header cannot be written."""
    reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES_MAX)
    headers = [
        ("host", host),
        *request.headers,
        *((("content-length", str(len(request.body))),) if request.method != "GET" else ()),
        ("accept", "application/json"),
        ("user-agent", "muster"),
    ]
    head = h11.Request(method=request.method, target=base_path + request.path, headers=headers)
    parts = (reader.send(head), reader.send(h11.Data(request.body)), reader.send(h11.EndOfMessage()))
    return Prepared(b"".join(part or b"" for part in parts), reader)


class Connection(asyncio.Protocol):
    """`on_change` is called when it becomes idle or goes away. It closes itself when it was idle for `idle_s`: sooner
    than a carrier would that closes while a request is on its way."""

    def __init__(self, idle_s: float, on_change: Callable[[], None]) -> None:
        self._idle_s = idle_s
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader: h11.Connection | None = None
        self._answered: Answered | None = None
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()

    @property
    def idle(self) -> bool:
        """Whether a request may be written now, into an empty buffer."""
        transport = self._transport
        return (
            transport is not None
            and self._answered is None
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        )

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._answered is not None

    def begin(self, prepared: Prepared, timeout_s: float, answered: Answered) -> None:
        """Write a request; `answered` is called once, later. Only while idle."""
        assert self.idle
        assert self._transport is not None
        self._reader, self._answered = prepared.reader, answered
        self._status, self._headers = 0, {}
        self._body.clear()
        self._set_timer(timeout_s, self._late)
        self._transport.write(prepared.octets)

    def close(self) -> None:
        """End it; what is unanswered is lost."""
        if self._transport is not None:
            self._transport.abort()

    # -- called by asyncio --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._set_timer(self._idle_s, self.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._set_timer(0, None)
        self._finish(Lost())
        if not self.closed.done():
            self.closed.set_result(None)
        self._on_change()

    def eof_received(self) -> bool:
        """The end of an answer that has no length, or of the connection; asyncio closes our side too."""
        self._read(b"")
        return False

    def data_received(self, data: bytes) -> None:
        """Octets; those that nobody asked for end the connection."""
        if self._answered is None:
            self.close()
        else:
            self._read(data)

    # -- answers ------------------------------------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        reader = self._reader
        if reader is None or self._answered is None:
            return
        try:
            reader.receive_data(data)
            while self._take(reader.next_event()):
                pass
        except h11.RemoteProtocolError:
            self.close()
            self._finish(Lost())

    def _take(self, event: object) -> bool:
        """Whether there may be more events."""
        match event:
            case h11.Response():
                self._status = event.status_code
                self._headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
            case h11.Data():
                self._body += event.data
                if len(self._body) > ANSWER_BYTES_MAX:
                    self.close()
                    self._finish(Lost())
                    return False
            case h11.EndOfMessage():
                self._end()
                return False
            case h11.InformationalResponse():
                pass
            case _:
                return False
        return True

    def _end(self) -> None:
        reader, reply = self._reader, Reply(self._status, self._headers, bytes(self._body))
        rest = reader.trailing_data[0] if reader is not None else b""
        if reader is None or reader.our_state is not h11.DONE or reader.their_state is not h11.DONE or rest:
            self.close()  # it ends with this answer, or is not to be trusted with another
        else:
            self._set_timer(min(self._idle_s, _kept_s(self._headers)), self.close)
        self._finish(reply)

    def _finish(self, answer: Reply | Lost) -> None:
        answered, self._answered, self._reader = self._answered, None, None
        if answered is not None:
            answered(answer)
            self._on_change()

    def _late(self) -> None:
        self.close()
        self._finish(Lost(timeout=True))

    def _set_timer(self, delay_s: float, act: Callable[[], None] | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, act) if act is not None else None


def _kept_s(headers: dict[str, str]) -> float:
    """How long the carrier keeps a connection that is idle, by its own word, less what a request takes to arrive."""
    found = _TIMEOUT_OF.search(headers.get("keep-alive", ""))
    return max(0.1, int(found[1]) - 1.0) if found else float("inf")
