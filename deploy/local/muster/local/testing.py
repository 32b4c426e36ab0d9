"""A pytest plugin: real PostgreSQL and real Kafka for tests, each started once a session by the first test that asks.

Fixtures: `postgres_server` (the superuser's DSN), `new_database` (a factory of empty databases), `kafka_server`
(bootstrap address), `certificate` (for a server of TLS on 127.0.0.1). Both servers are children that the kernel ends
with pytest, also when that is killed with -9.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from muster.local.databases import Databases

SCRATCH = "muster-test-"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The superuser's DSN of a fresh PostgreSQL 18: postgresql://postgres@127.0.0.1:<port>/postgres."""
    from muster.local.postgres import Postgres
    from muster.local.scratch import scratch

    with scratch(SCRATCH) as directory:
        server = Postgres(directory, durable=False)
        server.start()
        try:
            yield server.dsn()
        finally:
            server.stop()
            server.remove()


@pytest.fixture(scope="session")
def new_database(postgres_server: str) -> Iterator[Databases]:
    """A factory: `new_database()` makes an empty database and returns the superuser's DSN of it; see `Databases`."""
    from muster.local.databases import Databases

    databases = Databases(postgres_server)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[str]:
    """The bootstrap address (host:port) of a fresh one-node Kafka that creates no topics by itself."""
    from muster.local.kafka import Kafka
    from muster.local.scratch import scratch

    with scratch(SCRATCH) as directory:
        server = Kafka(directory)
        server.start()
        try:
            yield server.bootstrap
        finally:
            server.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "carrier")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path_factory.mktemp("tls") / "carrier.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(secret + built.public_bytes(serialization.Encoding.PEM))
    return pem
