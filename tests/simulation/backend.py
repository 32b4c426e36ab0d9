"""Real connections, which outlive the simulated ones that use them."""

import asyncio
from asyncio import events
from collections.abc import Coroutine
from hashlib import sha256
from typing import Any

import asyncpg

_SERVER = {
    # The holder of a lock cannot go on while another one waits: a wait is refused at once, in every run.
    "lock_timeout": "1ms",
    "statement_timeout": "0",
    "timezone": "UTC",
    # What a plan is must not depend on how often this connection ran it in other seeds.
    "plan_cache_mode": "force_generic_plan",
    "max_parallel_workers_per_gather": "0",
    "synchronous_commit": "off",
}
_OCTETS = 1 << 18


class Backend:
    """A real connection. It outlives simulated connections, and is as new for each."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dsn: str, number: int) -> None:
        self.number = number
        self._loop = loop
        # A statement that leaves the cache would be prepared anew, at a moment that the seed does not know.
        options: dict[str, Any] = {"statement_cache_size": 1000, "max_cached_statement_lifetime": 0}
        self.real: asyncpg.Connection[Any] = self.run(
            asyncpg.connect(dsn, loop=loop, server_settings=_SERVER, **options)
        )
        self._protocol: Any = self.real._protocol  # type: ignore[attr-defined]
        self._socket: Any = self.real._transport.get_extra_info("socket")._sock  # type: ignore[attr-defined]
        self._socket.settimeout(None)
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
        work = getattr(self.real, method)(*args, **options)
        events._set_running_loop(loop)
        try:
            while True:
                waited = work.send(None)
                waited._asyncio_future_blocking = False
                while not waited.done():
                    if loop._ready:  # type: ignore[attr-defined]
                        loop._run_once()  # type: ignore[attr-defined]
                    elif octets := self._socket.recv(_OCTETS):
                        self._protocol.data_received(octets)
                    else:
                        raise ConnectionResetError("the server has ended a real connection")
        except StopIteration as done:
            return done.value
        finally:
            events._set_running_loop(running)

    def renew(self, seed: str) -> None:
        """As a connection that was just made."""
        share = int.from_bytes(sha256(f"{seed}/{self.number}".encode()).digest()[:4]) / 2**32
        self.call("execute", f"DISCARD PLANS; SELECT setseed({share * 2 - 1})")
        self.set_us = 0

    def forget(self) -> None:
        """Undo what its simulated connection left open."""
        if self.real.is_in_transaction():
            self.call("execute", "ROLLBACK")
        if self.locks:
            self.call("execute", "SELECT pg_advisory_unlock_all()")
        self.set_us, self.locks = 0, False
