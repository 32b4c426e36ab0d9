"""Signatures of what is kept as evidence, by Ed25519: whoever has a copy can verify it, and nobody but us can sign."""

import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SEED_BYTES: Final = 32


class Signer:
    """Signs by a key that is derived from the one of ids of sends: it lasts as long as these do."""

    def __init__(self, key: bytes) -> None:
        seed = hashlib.blake2b(digest_size=_SEED_BYTES, key=key[:64], person=b"checks-signing").digest()
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._private.public_key()

    @property
    def public_key(self) -> bytes:
        """32 bytes, as RFC 8032 writes them."""
        return self._public.public_bytes_raw()

    def sign(self, octets: bytes) -> bytes:
        """64 bytes."""
        return self._private.sign(octets)

    def verify(self, octets: bytes, signature: bytes) -> bool:
        """Whether this key has signed these."""
        try:
            self._public.verify(signature, octets)
        except InvalidSignature:
            return False
        return True
