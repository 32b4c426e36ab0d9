"""Where an HTTP carrier may be, and that it is who it says: before anything is written."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import http_world
import pytest

from muster.dispatch.sender.http_link import HttpLink
from muster.kit.testing import eventually


class Heard:
    """A server that says nothing and counts what it hears."""

    def __init__(self) -> None:
        self.connections = 0
        self.octets = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.octets += len(await reader.read(1_000))
        writer.close()


@asynccontextmanager
async def heard(tls: ssl.SSLContext | None = None) -> AsyncIterator[Heard]:
    found = Heard()
    async with await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=tls) as server:
        found.port = server.sockets[0].getsockname()[1]
        yield found


async def has_failed(link: HttpLink) -> bool:
    return link.why not in ("", "not connected yet")


async def is_connected(link: HttpLink) -> bool:
    return link.connections == 1


@pytest.mark.parametrize(
    ("url", "networks"),
    [
        ("http://127.0.0.1:{port}", ""),
        ("http://127.0.0.1:{port}", "10.0.0.0/8"),
        ("http://localhost:{port}", "10.0.0.0/8"),
        ("http://[::ffff:127.0.0.1]:{port}", "10.0.0.0/8"),
        ("http://127.1:{port}", "10.0.0.0/8"),
        ("http://0x7f.1:{port}", "10.0.0.0/8"),
        ("http://0.0.0.0:{port}", "10.0.0.0/8"),
        ("https://127.0.0.1:{port}", ""),
        ("https://169.254.169.254", ""),
    ],
)
async def test_a_carrier_outside_the_operators_networks_is_not_reached(url: str, networks: str) -> None:
    async with heard() as server, http_world.link(url.format(port=server.port), networks) as link:
        await eventually(lambda: has_failed(link))
    assert "MUSTER_CARRIER_NETWORKS" in link.why
    assert server.connections == 0


async def test_a_carrier_within_them_is_connected_to_and_told_nothing_before_there_is_a_message() -> None:
    async with heard() as server, http_world.link(f"http://127.0.0.1:{server.port}") as link:
        await eventually(lambda: is_connected(link))
        assert link.free_slots >= 255, "a message of any length"
        assert link.why == ""
    assert server.octets == 0


@pytest.mark.parametrize(
    ("trusted", "host", "why"),
    [(True, "127.0.0.1", ""), (True, "localhost", "certificate"), (False, "127.0.0.1", "certificate")],
)
async def test_a_certificate_that_is_not_trusted_or_not_of_that_host_ends_before_anything_is_written(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool, host: str, why: str
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    # As the system may list ::1 for localhost too.
    networks = "127.0.0.0/8 ::1/128"
    async with heard(tls) as server, http_world.link(f"https://{host}:{server.port}", networks) as link:
        await eventually(lambda: has_failed(link) if why else is_connected(link))
        assert why in link.why
        assert link.connections == (0 if why else 1)
    assert server.octets == 0
