"""Where a carrier is, and whether it may be there: who may enter an account must not reach into our own network."""

import asyncio
import socket

from muster.dispatch.domain.carriers import Address, is_allowed, read_address
from muster.dispatch.settings import DispatchSettings


class HostRefused(OSError):
    """The host is outside the operator's networks."""


async def resolve(host: str) -> list[Address]:
    """The address that a host is, or all that a name has. OSError where it has none."""
    address = read_address(host)
    if address is not None:
        return [address]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as odd:
        raise OSError("no name") from odd
    # A zone (fe80::1%eth0) is not part of an address.
    read = (read_address(str(where[4][0]).partition("%")[0]) for where in found)
    return [one for one in read if one is not None]


async def address_of(settings: DispatchSettings, account: str, host: str) -> str:
    """The address to connect to: looked at here, and connected to as it is, so that a name cannot mean another one
    later. HostRefused if any that the host has is not allowed; what the environment names is."""
    if (account, host) == (settings.carrier_account, settings.carrier_host):
        return host
    found, networks = await resolve(host), settings.networks
    if not found or not all(is_allowed(one, networks) for one in found):
        raise HostRefused(f"{host} is outside MUSTER_CARRIER_NETWORKS")
    return str(found[0])
