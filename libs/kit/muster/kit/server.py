"""uvicorn inside a process that handles signals and the end of things itself."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import socket

import uvicorn

_TICK_S = 1.0


class Server(uvicorn.Server):
    """uvicorn's server, stopped by `stop` and never by a signal of its own."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._asked = asyncio.Event()
        self._ended = asyncio.Event()

    async def serve(self, sockets: list[socket] | None = None) -> None:
        """Serve until `stop`; RuntimeError if the application's lifespan fails."""
        try:
            await super().serve(sockets)
        except SystemExit as error:
            raise RuntimeError("the HTTP server did not start") from error
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Refuse new connections, finish what is in flight (bounded by timeout_graceful_shutdown), and return."""
        self.should_exit = True
        self._asked.set()
        await self._ended.wait()

    async def main_loop(self) -> None:
        """Once a second (the Date header), where uvicorn looks ten times: a process at rest costs next to nothing."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._asked.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's."""
        yield
