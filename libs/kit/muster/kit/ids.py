"""Identifiers: UUIDv7 (RFC 9562), and a kind of it that proves who it was given to.

They are asyncpg's own kind of UUID, which is one and equals any other: it is made, hashed and written in a tenth of the
time, and there are several to each event.
"""

import hmac
import os
from hashlib import sha256
from uuid import UUID

from asyncpg.pgproto import pgproto

from muster.kit import clock

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_CHECK_BITS = 48
_CHECK_MASK = (1 << _CHECK_BITS) - 1


def parse_uuid(text: str) -> UUID:
    """The UUID of 32 hexadecimal digits with or without hyphens; ValueError for anything else."""
    return pgproto.UUID(text)


def uuid7() -> UUID:
    """A UUID that starts with the time in milliseconds, so that ids made later sort later."""
    random = int.from_bytes(os.urandom(10))
    return _compose(random >> 62 & 0xFFF, random & ((1 << 62) - 1))


def as_uuid8(identifier: UUID) -> UUID:
    """The same with the version 8, whose meaning is its maker's."""
    return pgproto.UUID((identifier.int & ~(0xF << 76) | 0x8 << 76).to_bytes(16))


def checked_uuid(key: bytes, tenant_id: UUID) -> UUID:
    """A UUIDv7 whose last 48 random bits are a check keyed by tenant; `verify_checked` knows it again.

    The other 26 random bits and the time keep apart what one tenant makes.
    """
    random = int.from_bytes(os.urandom(4))
    bare = _compose(random >> 14 & 0xFFF, (random & 0x3FFF) << _CHECK_BITS)
    return UUID(int=bare.int | _check(key, tenant_id, bare.int))


def verify_checked(key: bytes, tenant_id: UUID, identifier: UUID) -> bool:
    """Whether `checked_uuid` can have given this identifier to this tenant: no guess, and no other tenant's."""
    bare = identifier.int & ~_CHECK_MASK
    given = (identifier.int & _CHECK_MASK).to_bytes(6)
    return identifier.version == 7 and hmac.compare_digest(given, _check(key, tenant_id, bare).to_bytes(6))


def _compose(high_12_bits: int, low_62_bits: int) -> UUID:
    whole = (clock.unix_ms() << 80) | _VERSION_7 | (high_12_bits << 64) | _VARIANT | low_62_bits
    return pgproto.UUID(whole.to_bytes(16))


def _check(key: bytes, tenant_id: UUID, bare: int) -> int:
    digest = hmac.digest(key, tenant_id.bytes + bare.to_bytes(16), sha256)
    return int.from_bytes(digest[:6])
