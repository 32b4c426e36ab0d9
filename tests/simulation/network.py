"""Connections in memory, for SMPP: bytes arrive in order and a little later; either end may be cut."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulation.loop import Node
    from simulation.world import World


class Transport(asyncio.Transport):
    """One end."""

    def __init__(self, world: "World", node: "Node | None", protocol: Any) -> None:
        super().__init__()
        self._world = world
        self.node = node
        self._protocol = protocol
        self._closing = False
        self._last = 0.0
        self.peer: Transport | None = None
        if node is not None:
            node.ends.append(self.abort)

    def write(self, data: Any) -> None:
        """To the other end."""
        if self._closing or (self.node is not None and self.node.dead):
            return
        self._later(self._peer._receive, bytes(data))

    def is_closing(self) -> bool:
        """As asyncio's."""
        return self._closing

    def get_write_buffer_size(self) -> int:
        """The socket takes everything."""
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def close(self) -> None:
        """Both ends hear of it, after what was written."""
        self._end()

    def abort(self) -> None:
        """Both ends hear of it."""
        self._end()

    @property
    def _peer(self) -> "Transport":
        assert self.peer is not None
        return self.peer

    def _end(self) -> None:
        if not self._closing:
            self._closing = True
            self._call(self._world.loop.time(), self._protocol.connection_lost, None)
            self._later(self._peer._lost)

    def _lost(self) -> None:
        if not self._closing:
            self._closing = True
            self._protocol.connection_lost(ConnectionResetError("reset by peer"))

    def _receive(self, data: bytes) -> None:
        if not self._closing:
            self._protocol.data_received(data)

    def _later(self, act: Callable[..., None], *args: object) -> None:
        """In the other end's turn, behind what was sent before."""
        self._last = max(self._last, self._world.loop.time() + self._world.faults.latency())
        self._peer._call(self._last, act, *args)

    def _call(self, when: float, act: Callable[..., None], *args: object) -> None:
        context = self._world.context if self.node is None else self.node.context.copy()
        self._world.loop.call_at(when, act, *args, context=context)


class Network:
    """Who listens, by port: a factory of protocols, None while the port is closed."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.listeners: dict[int, Callable[[], Any] | None] = {}

    async def connect(self, factory: Callable[[], Any], port: int) -> tuple[Transport, Any]:
        """As `create_connection`."""
        await asyncio.sleep(self._world.faults.latency())
        node = self._world.here()
        self._world.check(node)
        if port not in self.listeners:
            # A seam that is not ours any more: production code reaches for the outside world.
            self._world.deaths.append(f"{node.name} connects to port {port}")
            raise ConnectionRefusedError(f"nobody listens on {port}")
        listener = self.listeners[port]
        if listener is None:
            raise ConnectionRefusedError("the carrier is away")
        protocol, theirs = factory(), listener()
        near, far = Transport(self._world, node, protocol), Transport(self._world, None, theirs)
        near.peer, far.peer = far, near
        protocol.connection_made(near)
        theirs.connection_made(far)
        return near, protocol
