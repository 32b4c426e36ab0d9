"""An account over TLS: its certificates are verified, against its own authority and by its own name."""

import datetime
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import carriers_world
import pytest
from carriers_world import Operator, operator, senders, settings
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.server import Carrier

NAME = "smpp.carrier.example"
NOT_ITS_NAME = "its certificate is not accepted: IP address mismatch, certificate is not valid for '127.0.0.1'."
NOT_TRUSTED = "its certificate is not accepted: self-signed certificate"


def certificate(folder: Path) -> Path:
    """A self-signed certificate of that name and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "carrier")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    formats = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = folder / "carrier.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *formats) + built.public_bytes(serialization.Encoding.PEM)
    )
    return pem


@pytest.fixture
async def op(db: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Operator]:
    carriers_world.without_kafka(monkeypatch)
    async with operator(db, settings()) as found:
        yield found


async def test_only_the_carrier_of_the_right_name_and_authority_is_bound_to(
    db: Database, op: Operator, tmp_path: Path
) -> None:
    pem = certificate(tmp_path)
    trusted = pem.read_text()[pem.read_text().index("-----BEGIN CERTIFICATE") :]
    async with Carrier(CarrierOptions(password="muster", tls_certificate=str(pem))) as carrier:
        await op.create("west", carrier.port, smpp={"tls": True, "tls_ca": trusted})
        async with senders(db, 2, settings(carrier_rebind_s_max=0.3)):
            await eventually(lambda: stands(op, 0, NOT_ITS_NAME))
            await op.change("west", smpp={"tls_server_name": NAME, "tls_ca": ""})
            await eventually(lambda: stands(op, 0, NOT_TRUSTED))
            assert not carrier.accounts, "nobody has said a password"
            await op.change("west", smpp={"tls_ca": trusted})
            await eventually(lambda: stands(op, 1, ""))


async def stands(op: Operator, connections: int, why: str) -> Any:
    standing = await op.standing("west")
    return standing["applied"] and (standing["connections"], standing["why"]) == (connections, why)
