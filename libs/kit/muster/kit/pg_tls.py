"""How PostgreSQL is spoken to: in the clear, or by TLS with its certificate and its name checked."""

import ssl
from ipaddress import ip_address
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

Mode = Literal["verify-full", "disable"]
VERIFY_FULL: Final = "verify-full"
Tls: TypeAlias = ssl.SSLContext | Literal[False] | None
"""A context that checks; False for in the clear; None for what the address itself says (`sslmode`)."""


def tls_of(mode: Mode | None, ca: str) -> Tls:
    """`ca`: a file of authorities, those of the system for "". OSError where it cannot be read or is none."""
    if mode == VERIFY_FULL:
        return ssl.create_default_context(cafile=ca or None)
    return None if mode is None else False


def said(address: str) -> set[str]:
    """The parameters of TLS that stand in an address, such as `sslmode`."""
    return {name for name in parse_qs(urlsplit(address).query) if name.startswith("ssl")}


def is_safe(address: str) -> bool:
    """Whether an address says itself that the server is checked, or leads to this machine."""
    parts = urlsplit(address)
    given = parse_qs(parts.query)
    hosts = [host for value in given.get("host", []) for host in value.split(",")]
    # Several hosts stand as `one:5432,two:5432`, which urlsplit takes for one host and a strange port.
    hosts += [_host(one) for one in parts.netloc.rpartition("@")[2].split(",")]
    return given.get("sslmode") == [VERIFY_FULL] or all(map(_is_here, hosts))


def _host(netloc: str) -> str:
    return urlsplit(f"//{netloc}").hostname or ""


def _is_here(host: str) -> bool:
    if not host or host == "localhost" or host.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
