"""A carrier account: what is agreed with a carrier, how it is spoken to, and where it may be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias

from muster.dispatch.domain.http import ADAPTERS
from muster.dispatch.domain.http.model import Http
from muster.dispatch.domain.http.read import Wrong, read_http


class Long(StrEnum):
    """How a carrier wants the parts of a long message."""

    HEADER = "header"  # a user data header in each part; its reference has as many bits as the message was priced with
    SAR = "sar"  # sar_* TLVs beside each part
    PAYLOAD = "payload"  # one submit_sm with message_payload, which the carrier splits


@dataclass(frozen=True, slots=True)
class Smpp:
    """The profile of an SMPP account. Types of number and numbering plans are those of SMPP 3.4, 5.2.5 and 5.2.6;
    `binds` is how many sessions are kept, each with the account's window; `tls_ca` are certificates in PEM, "" for
    those that the system trusts."""

    host: str
    port: int
    system_id: str
    system_type: str = ""
    binds: int = 1
    tls: bool = False
    tls_server_name: str = ""
    tls_ca: str = ""
    number_ton: int = 1
    number_npi: int = 1
    name_ton: int = 5
    name_npi: int = 0
    destination_ton: int = 1
    destination_npi: int = 1
    gsm7_data_coding: int = 0
    ucs2_data_coding: int = 8
    registered_delivery: int = 1
    service_type: str = ""
    long_messages: Long = Long.HEADER
    response_timeout_s: float = 20.0
    enquire_link_s: float = 30.0
    query_sm: bool = False
    # Code, such as 0x401 -> what it says of the message: not_sent, rejected or unknown.
    codes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The sandbox has nothing to be agreed on."""


# What a kind of account is described by; a new kind adds its own.
Options: TypeAlias = Smpp | Http | Sandbox


class State(StrEnum):
    """What an account is for now."""

    OPEN = "open"  # sends
    DRAINING = "draining"  # sends nothing new; stays connected, for receipts and what people write
    CLOSED = "closed"  # is connected nowhere


@dataclass(frozen=True, slots=True)
class Account:
    """One account as its sender has adopted it. `window`: parts unanswered at once; `parts_per_second` 0: as fast as
    the carrier answers; `version` rises with each change."""

    name: str
    kind: str
    options: Options
    secret: str = field(default="", repr=False)
    state: State = State.OPEN
    version: int = 0
    window: int = 1000
    parts_per_second: int = 0
    reference_bits: int = 8


Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address


def read_networks(words: str) -> list[Network]:
    """Networks by spaces, such as `10.0.0.0/8 fd00::/8`. ValueError names the one that is none."""
    return [ip_network(word) for word in words.split()]


def read_address(host: str) -> Address | None:
    """The address that a host is, None for a name."""
    try:
        found = ip_address(host)
    except ValueError:
        return None
    # One address, written in two ways, has one answer.
    return getattr(found, "ipv4_mapped", None) or found


def is_allowed(address: Address, networks: Sequence[Network]) -> bool:
    """Whether a carrier may be at this address: in one of the operator's networks, or in public if he names none."""
    if not networks:
        return address.is_global and not address.is_multicast
    return any(address in network for network in networks)


def read_options(kind: str, given: Mapping[str, Any]) -> Options:
    """What a kind is described by, from how it is stored. ValueError for a kind that nobody speaks, or a profile that
    this version cannot read."""
    if kind == "http":
        http = read_http(given, ADAPTERS)
        if isinstance(http, Wrong):
            raise ValueError(f"{http.field} {http.why}")
        return http
    if kind != "smpp":
        raise ValueError(f"no carrier is of the kind {kind}")
    known = {name: value for name, value in given.items() if name in Smpp.__dataclass_fields__}
    return Smpp(**{**known, "long_messages": Long(known.get("long_messages", Long.HEADER))})
