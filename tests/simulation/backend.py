"""Real connections, which outlive the simulated ones that use them."""

import asyncio
from asyncio import events
from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined]
from collections.abc import Coroutine
from typing import Any, Final

import asyncpg

from muster.kit.pg import _Connection

_SERVER: Final = {
    # The holder of a lock cannot go on while another one waits: a wait is refused at once, in every run.
    "lock_timeout": "1ms",
    "statement_timeout": "0",
    "timezone": "UTC",
    # What a plan is must not depend on how often this connection ran it in other seeds.
    "plan_cache_mode": "force_generic_plan",
    "max_parallel_workers_per_gather": "0",
    "synchronous_commit": "off",
}
_OCTETS: Final = 1 << 18
_HEAD: Final = 5  # of a message of the server: what it is and how long
_IN_FAILED_TRANSACTION: Final = b"C25P02\0"


class Loop(asyncio.SelectorEventLoop):
    """Connections are made and closed on it; in between they are driven by hand."""

    def _make_socket_transport(self, sock: Any, protocol: Any, waiter: Any = None, **options: Any) -> Any:
        return _Line(self, sock, protocol, waiter, **options)


class _Line(_SelectorSocketTransport):  # type: ignore[misc]
    """The socket of a connection. `first` goes out with whatever is written next."""

    by_hand = False
    first = b""

    def write(self, data: Any) -> None:
        """As asyncio's, or at once."""
        if not self.by_hand:
            super().write(data)
            return
        first, self.first = self.first, b""
        self._sock.sendall(first + data if first else data)

    def writelines(self, list_of_data: Any) -> None:
        """As asyncio's."""
        self.write(b"".join(list_of_data))


class Backend:
    """A real connection. It outlives simulated connections, and is as new for each seed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dsn: str, number: int = -1) -> None:
        self.number = number
        self._loop = loop
        # A statement that leaves the cache would be prepared anew, at a moment that the seed does not know.
        options: dict[str, Any] = {"statement_cache_size": 1000, "max_cached_statement_lifetime": 0}
        self.real: asyncpg.Connection[Any] = self.run(
            asyncpg.connect(dsn, loop=loop, ssl=False, connection_class=_Connection, server_settings=_SERVER, **options)
        )
        self._protocol: Any = self.real._protocol  # type: ignore[attr-defined]
        self._line: Any = self.real._transport  # type: ignore[attr-defined]
        self._line.pause_reading()
        self._line.by_hand = True
        self._socket: Any = self._line._sock
        self._socket.settimeout(None)
        self._first = ""
        self._unanswered: bytes | None = None
        self._ended = False
        self.seed = ""
        self.set_us = 0
        self.locks = False

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run this to its end while everything else stands still."""
        running = events._get_running_loop()
        events._set_running_loop(None)
        try:
            return self._loop.run_until_complete(work)
        finally:
            events._set_running_loop(running)

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        """A method of the connection, driven by hand: a task and its turns would cost as much as the statement. So
        would the loop's selector: what the server says is waited for on its socket."""
        running, loop = events._get_running_loop(), self._loop
        first, ended = self._first, self._ended
        self._say_first()
        work = getattr(self.real, method)(*args, **options)
        events._set_running_loop(loop)
        ready: Any = loop._ready  # type: ignore[attr-defined]
        try:
            while True:
                waited = work.send(None)
                waited._asyncio_future_blocking = False
                while not waited.done():
                    if ready:
                        ready.popleft()._run()
                    else:
                        self._receive()
        except StopIteration as done:
            return done.value
        finally:
            events._set_running_loop(running)
            if self._line.first:  # The driver has refused what was asked, and written nothing.
                self._line.first, self._unanswered = b"", None
                self._first, self._ended = first, ended
                self.settle()

    # -- what is said together with what comes next -------------------------------------------------------------------

    def first(self, sql: str) -> None:
        """Statements that cannot fail and whose answer nobody needs: they travel with the next one."""
        self._first += sql

    def end_later(self) -> None:
        """The transaction has only looked: that it ends is said with what comes next."""
        self._first, self._ended = "COMMIT; ", True

    @property
    def is_open(self) -> bool:
        """Whether a transaction is."""
        return not self._ended and bool(self.real.is_in_transaction())

    def _say_first(self) -> None:
        if self._first:
            text = self._first.encode() + b"\0"
            self._line.first = b"Q" + (len(text) + 4).to_bytes(4) + text
            self._first, self._unanswered, self._ended = "", b"", False

    def _receive(self) -> None:
        octets = self._socket.recv(_OCTETS)
        if not octets:
            raise ConnectionResetError("the server has ended a real connection")
        if self._unanswered is not None:
            octets = self._after_first(self._unanswered + octets)
        if octets:
            self._protocol.data_received(octets)

    def _after_first(self, octets: bytes) -> bytes:
        """What follows the answer to what was said first."""
        at = 0
        while len(octets) >= at + _HEAD:
            end = at + 1 + int.from_bytes(octets[at + 1 : at + _HEAD])
            if len(octets) < end:
                break
            kind, message, at = octets[at : at + 1], octets[at:end], end
            if kind == b"E" and _IN_FAILED_TRANSACTION not in message:
                raise RuntimeError(f"what was said first has failed: {message!r}")
            if kind == b"Z":
                self._unanswered = None
                return octets[end:]
        self._unanswered = octets[at:]
        return b""

    # -- from user to user --------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Say what was kept for later: it may hold locks."""
        if self._first:
            first, self._first, self._ended = self._first, "", False
            self.call("execute", first)

    def renew(self, seed: str) -> None:
        """As a connection that was just made: in this seed it has planned nothing."""
        if self.seed != seed:
            self.seed = seed
            self.first("DISCARD PLANS; ")

    def forget(self) -> None:
        """Undo what its simulated connection left open."""
        if self.is_open:
            self.call("execute", "ROLLBACK")
        if self.locks:
            self.call("execute", "SELECT pg_advisory_unlock_all()")
        self.set_us, self.locks = 0, False

    def close(self) -> None:
        """In order."""
        self._line.by_hand = False
        self._line.resume_reading()
        self._socket.setblocking(False)
        self.run(self.real.close(timeout=60))
