"""One connection to PostgreSQL, and what stands against it in words that say what to do."""

import ssl
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from muster.kit.pg_tls import Tls

# What OpenSSL says of a certificate whose name or address is not the one that was connected to.
_OTHER_NAME: Final = (62, 64)
_REFUSED: Final = "rejected SSL upgrade"


class Untrusted(ConnectionError):
    """PostgreSQL was reached and is not spoken to: it has no TLS, or its certificate is not good. Says what to do."""


async def connect(address: str, *, tls: Tls = None, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection, as asyncpg.connect makes it. Untrusted where TLS stands against it: an OSError, since a server or
    an authority that is replaced may be trusted a minute later."""
    try:
        return await asyncpg.connect(address, ssl=tls, **options)
    except ssl.SSLCertVerificationError as error:
        what = (
            "name in the address one that stands in its certificate"
            if error.verify_code in _OTHER_NAME
            else "put the authority that signed it into the file that MUSTER_POSTGRES_CA names"
        )
        raise Untrusted(f"the certificate of {_server(address)} is refused: {error.verify_message}; {what}") from error
    except ConnectionError as error:
        if _REFUSED not in str(error):
            raise
        raise Untrusted(
            f"{_server(address)} speaks no TLS: turn `ssl` on there, or, where nobody else reaches the network between,"
            " set MUSTER_POSTGRES_TLS to disable"
        ) from error


def _server(address: str) -> str:
    return f"PostgreSQL at {urlsplit(address).netloc.rpartition('@')[2]}"
