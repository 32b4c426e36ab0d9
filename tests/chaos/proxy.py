"""A TCP proxy of our own: what stands between a service and a server, and can do to it what networks do.

Everything is carried by the event loop that starts it; faults are switched on and off from any thread.
"""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_CHUNK = 65_536
_LOOK_S = 0.02
UP, DOWN = "up", "down"  # from the client to the server; its answers


@dataclass(frozen=True)
class Fault:
    """What happens to each direction. Held bytes go on when the fault is over, as TCP would send them again."""

    hold: tuple[str, ...] = ()
    delay_s: float = 0.0
    slice_bytes: int = 0
    corrupt_ratio: float = 0.0


NONE = Fault()
BLACKHOLE = Fault(hold=(UP, DOWN))
NO_ANSWERS = Fault(hold=(DOWN,))
ONE_BYTE = Fault(slice_bytes=1)


class Proxy:
    """One server behind a port of ours. `fired` counts what its faults did to traffic."""

    def __init__(self, name: str, upstream_port: int, seed: int = 1) -> None:
        self.name = name
        self.fired: Counter[str] = Counter()
        self._upstream_port = upstream_port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.get_running_loop()
        self._fault = NONE
        self._random = random.Random(seed)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving = asyncio.create_task(self._serve())

    # -- from any thread ----------------------------------------------------------------------------------------------

    def use(self, fault: Fault) -> None:
        """From now on do this to all traffic."""
        self._fault = fault

    def heal(self) -> None:
        """Carry everything again."""
        self._fault = NONE

    def cut(self) -> None:
        """Reset every connection that there is; new ones are carried."""
        self._loop.call_soon_threadsafe(self._each, "cut", _reset)

    def half_close(self) -> None:
        """End one direction of every connection: the clients hear the end, and may go on talking."""
        self._loop.call_soon_threadsafe(self._each, "half_close", _end_writing)

    # -- on the loop --------------------------------------------------------------------------------------------------

    async def until_idle(self) -> None:
        """Wait until every connection of now has come to its end."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """End the proxy and all it carries."""
        tasks = [self._serving, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()

    def _each(self, kind: str, act: Callable[[asyncio.StreamWriter], None]) -> None:
        for writer in list(self._writers):
            self.fired[kind] += 1
            act(writer)

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._listener, limit=_CHUNK)
        async with server:
            await server.serve_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port, limit=_CHUNK)
        except OSError:
            writer.close()
            return
        # Only the clients' side is in reach of cut and half-close; what it means for the server follows from it.
        self._writers.add(writer)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(UP, reader, up_writer))
                both.create_task(self._carry(DOWN, up_reader, writer))
        except* (ConnectionError, OSError):
            pass  # one side is gone: the other is told below
        finally:
            self._writers.discard(writer)
            for one in (writer, up_writer):
                _reset(one)

    async def _carry(self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(_CHUNK):
            fault = self._fault
            if fault.delay_s:
                self.fired["delay"] += 1
                await asyncio.sleep(fault.delay_s)
            if direction in self._fault.hold:
                self.fired["hold"] += 1
                while direction in self._fault.hold:  # noqa: ASYNC110 - switched from another thread
                    await asyncio.sleep(_LOOK_S)
            if fault.corrupt_ratio and self._random.random() < fault.corrupt_ratio:
                self.fired["corrupt"] += 1
                octets = self._corrupted(octets)
            if fault.slice_bytes:
                self.fired["slice"] += 1
                await self._sliced(octets, fault.slice_bytes, writer)
            else:
                writer.write(octets)
                await writer.drain()
        if not writer.is_closing() and writer.can_write_eof():
            writer.write_eof()

    async def _sliced(self, octets: bytes, size: int, writer: asyncio.StreamWriter) -> None:
        """In pieces that leave one by one: the kernel would join them otherwise."""
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(octets), size):
            writer.write(octets[start : start + size])
            await writer.drain()
            await asyncio.sleep(0)

    def _corrupted(self, octets: bytes) -> bytes:
        at = self._random.randrange(len(octets))
        return octets[:at] + bytes([octets[at] ^ 0xFF]) + octets[at + 1 :]


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side sees a reset, not an orderly end."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


def _end_writing(writer: asyncio.StreamWriter) -> None:
    if writer.can_write_eof() and not writer.is_closing():
        writer.write_eof()


class Proxies:
    """A proxy for each service and server: `proxies["credit", "kafka"]`. Its `between` is what a Stack asks."""

    def __init__(self) -> None:
        self._proxies: dict[tuple[str, str], Proxy] = {}

    def between(self, service: str, server: str, port: int) -> int:
        """The port through which a service reaches a server at `port`; on the event loop."""
        if (service, server) not in self._proxies:
            self._proxies[service, server] = Proxy(f"{service}-{server}", port)
        return self._proxies[service, server].port

    def __getitem__(self, between: tuple[str, str]) -> Proxy:
        return self._proxies[between]

    def __iter__(self) -> Iterator[Proxy]:
        return iter(self._proxies.values())

    def to(self, server: str, *services: str) -> list[Proxy]:
        """The proxies before a server (every node of it), of some services or of all."""
        return [
            proxy
            for (service, behind), proxy in self._proxies.items()
            if behind.split(".")[0] == server and (not services or service in services)
        ]

    def heal(self) -> None:
        """Carry everything again."""
        for proxy in self._proxies.values():
            proxy.heal()

    async def close(self) -> None:
        """End all of them."""
        for proxy in self._proxies.values():
            await proxy.close()
