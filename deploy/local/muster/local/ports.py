"""Free TCP ports, below the range from which the kernel takes the ports of outgoing connections.

A port from that range could be taken by some connection while its part is being restarted. A whole stack takes a block
of ports: of two that start at once, each has chosen long before its last part listens.
"""

import random
import socket
from collections.abc import Container

BLOCK_SIZE = 64
_BLOCKS = range(20_000, 28_000, BLOCK_SIZE)
_FIRST, _LAST = 28_000, 31_999  # single ports
_TRIES = 1_000


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(taken: Container[int] = ()) -> int:
    """A random free port that is not in `taken`; OSError if there is none."""
    source = random.SystemRandom()
    for _ in range(_TRIES):
        port = source.randint(_FIRST, _LAST)
        if port not in taken and is_free(port):
            return port
    raise OSError(f"no free port between {_FIRST} and {_LAST}")


def reserve_block(preferred: int | None = None) -> tuple[int, socket.socket]:
    """The first port of a block that nobody else has, `preferred` if possible, and what keeps it until it is closed.

    The first port itself is bound and never listened on: that is the reservation. OSError if all are taken.
    """
    candidates = random.SystemRandom().sample(_BLOCKS, len(_BLOCKS))
    if preferred is not None and preferred in _BLOCKS:
        candidates.insert(0, preferred)
    for first in candidates:
        reservation = socket.socket()
        try:
            reservation.bind(("127.0.0.1", first))
        except OSError:
            reservation.close()
        else:
            return first, reservation
    raise OSError("no free block of ports")


def accepts(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
