"""Signatures by a private key of the carrier's: checked here, since the domain has no cryptography but hashes."""

import base64
import binascii
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from muster.dispatch.domain.http.model import NotGenuine, Signed

_DIGESTS: Final[dict[str, hashes.HashAlgorithm]] = {
    "SHA224": hashes.SHA224(),
    "SHA256": hashes.SHA256(),
    "SHA512": hashes.SHA512(),
}


def public_key(text: str) -> RSAPublicKey | None:
    """An RSA key as base64 of its SubjectPublicKeyInfo; None for anything else."""
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPublicKey) else None


def genuine(said: bytes | NotGenuine | Signed) -> bytes | NotGenuine:
    """What makes a call unlike any other, once one of the account's keys fits its signature."""
    if not isinstance(said, Signed):
        return said
    keys = [key for key in map(public_key, said.keys) if key is not None]
    if any(_fits(key, said, digest) for key in keys for digest in said.digests):
        return said.known
    return NotGenuine.SIGNATURE


def _fits(key: RSAPublicKey, said: Signed, digest: str) -> bool:
    try:
        key.verify(said.signature, said.octets, PKCS1v15(), _DIGESTS[digest])
    except InvalidSignature:
        return False
    return True
