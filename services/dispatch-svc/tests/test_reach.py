"""What an operator reads of a carrier that cannot be reached."""

import errno
import socket
import ssl

import pytest

from muster.dispatch.handlers.hosts import HostRefused
from muster.dispatch.sender.reach import why_not


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (TimeoutError(), "no answer in time"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('10.0.0.1', 1)"), "nobody listens there"),
        (ConnectionResetError(), "it hung up"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1)"), "no TLS: "),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "No route to host"),
        (HostRefused("outside MUSTER_CARRIER_NETWORKS"), "outside MUSTER_CARRIER_NETWORKS"),
        (OSError(), "OSError"),
    ],
)
def test_why_a_carrier_is_not_reached_is_said_in_words(error: Exception, why: str) -> None:
    assert why_not(error).startswith(why)
