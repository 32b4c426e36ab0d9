"""A real PostgreSQL that takes TLS alone: who knows its authority and its name gets through, and nobody else."""

import asyncio
import datetime
import os
import ssl
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from muster.kit.migrate import migrate
from muster.kit.pg import Database, Overloaded
from muster.kit.pg_connect import Untrusted, connect
from muster.kit.pg_tls import tls_of
from muster.kit.testing import eventually
from muster.local.postgres import Postgres
from muster.local.scratch import scratch

# PostgreSQL from the package index is built without TLS: Debian's is, of any version.
INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
IS_TLS = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
DAY = datetime.timedelta(days=1)
needs_tls = pytest.mark.skipif(not INSTALLED, reason="PostgreSQL with TLS (Debian: postgresql) is not installed")


class Authority:
    """Signs certificates; its own is in the file `ca`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.ca = folder / f"{name}.crt"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        itself = self._of(self._name, self._key).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        self.ca.write_bytes(itself.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def server(self) -> dict[str, bytes]:
        """The two files of a server whose only name is 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "postgres")])
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        signed = self._of(name, key).add_extension(names, False).sign(self._key, hashes.SHA256())
        formats = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return {
            "server.crt": signed.public_bytes(serialization.Encoding.PEM),
            "server.key": key.private_bytes(serialization.Encoding.PEM, *formats),
        }

    def _of(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        number = x509.random_serial_number()
        return x509.CertificateBuilder(self._name, name, key.public_key(), number, now - DAY, now + DAY)


class Guarded(Postgres):
    """Debian's server, which hears nobody who does not speak TLS."""

    locale = ("--locale=C",)

    def __init__(self, directory: Path, files: dict[str, bytes]) -> None:
        super().__init__(directory, durable=False)
        self._files = files

    def prepare(self) -> None:
        super().prepare()
        for name, content in self._files.items():
            file = self._data() / name
            file.write_bytes(content)
            file.chmod(0o600)
            if self._user:
                os.chown(file, self._user.uid, self._user.gid)

    def why_not_ready(self) -> str | None:
        asked = [str(self._binary("pg_isready")), "-h", "127.0.0.1", "-p", str(self.port)]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode else None

    def _settings(self) -> dict[str, str]:
        since_18 = {"io_method", "scram_iterations"}
        return {name: value for name, value in super()._settings().items() if name not in since_18} | {"ssl": "on"}

    def _binary(self, name: str) -> Path:
        return INSTALLED[-1].with_name(name)

    def _write_hba(self, data: Path) -> None:
        super()._write_hba(data)
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "authority")


@pytest.fixture(scope="module")
def guarded(authority: Authority) -> Iterator[Postgres]:
    with scratch("muster-test-") as directory:
        server = Guarded(directory, authority.server())
        server.start()
        yield server
        server.stop()
        server.remove()


@needs_tls
async def test_who_knows_the_authority_migrates_and_works_by_tls_on_every_kind_of_connection(
    guarded: Postgres, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "0001_notes.sql").write_text("CREATE TABLE note (id bigint PRIMARY KEY);")
    tls = tls_of("verify-full", str(authority.ca))
    await migrate(guarded.dsn(), "guarded", files=tmp_path, tls=tls)
    app, worker = (f"postgresql://guarded_{role}@127.0.0.1:{guarded.port}/guarded" for role in ("app", "worker"))
    db = await Database.connect(app, worker, tls=tls)
    try:
        async with db.worker() as tx:
            assert await tx.fetchval(IS_TLS) is True
        async with db.dedicated() as connection:
            assert await connection.fetchval(IS_TLS) is True
    finally:
        await db.close()
        await eventually(nothing_is_open)


async def nothing_is_open() -> bool:
    """TLS says goodbye after `close` has returned: a loop that ends before leaves a socket behind."""
    await asyncio.sleep(0)
    selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
    return len(selector.get_map()) == 1  # by which other threads wake the loop


@needs_tls
async def test_a_server_of_another_authority_or_another_name_is_refused_with_what_to_do(
    guarded: Postgres, authority: Authority, tmp_path: Path
) -> None:
    other = tls_of("verify-full", str(Authority(tmp_path, "another").ca))
    right = tls_of("verify-full", str(authority.ca))
    with pytest.raises(Untrusted, match=r"is refused: unable to get local issuer certificate; put the authority that"):
        await connect(guarded.dsn(), tls=other)
    with pytest.raises(Untrusted, match=r"at localhost:\d+ is refused: Hostname mismatch, .*; name in the address one"):
        await connect(guarded.dsn().replace("127.0.0.1", "localhost"), tls=right)
    with pytest.raises(Untrusted, match="is refused"):
        await migrate(guarded.dsn(), "guarded", files=tmp_path, tls=other)
    db = await Database.connect(None, guarded.dsn(), tls=other)
    with pytest.raises(Overloaded, match=r"does not take connections: the certificate of PostgreSQL at 127"):
        async with db.worker():
            pass
    await db.close()
    await eventually(nothing_is_open)


async def test_a_server_that_speaks_no_tls_is_not_spoken_to_by_who_asks_for_it(postgres_server: str) -> None:
    with pytest.raises(Untrusted, match=r"PostgreSQL at 127\.0\.0\.1:\d+ speaks no TLS: turn `ssl` on there"):
        await connect(postgres_server, tls=ssl.create_default_context())
