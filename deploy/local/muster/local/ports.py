"""Free TCP ports, below the range from which the kernel takes the ports of outgoing connections.

A port from that range could be taken by some connection while its part is being restarted.
"""

import random
import socket
from collections.abc import Container

_FIRST, _LAST = 20_000, 31_999
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
    """A random free port that is not in `taken`; RuntimeError if there is none."""
    source = random.SystemRandom()
    for _ in range(_TRIES):
        port = source.randint(_FIRST, _LAST)
        if port not in taken and is_free(port):
            return port
    raise RuntimeError(f"no free port between {_FIRST} and {_LAST}")


def accepts(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
