"""The keys that sign tokens: made by one replica, sealed in the database, known to all, followed by younger ones."""

import asyncio
import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any, NoReturn

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muster.kit import clock, observe
from muster.kit.ids import uuid7
from muster.kit.pg import RETRIABLE, Database, Tx
from muster.kit.tokens import ALGORITHM, Caller
from muster.tenant import domain, store
from muster.tenant.domain import SigningKey
from muster.tenant.settings import TenantSettings
from muster.tenant.store.seal import Seal

log = observe.logger(__name__)

# Beyond the life of a token: clocks of verifiers, and replicas that look at the database only now and then.
_MARGIN = timedelta(hours=1)


class NoSigningKey(Exception):
    """The keys were not read yet."""


class Keyring:
    """What this replica knows of the signing keys. `refresh` reads them, and makes one where one is due."""

    def __init__(self, settings: TenantSettings) -> None:
        self.seal = Seal(settings.seal_secret)
        self._settings = settings
        self._keys: list[SigningKey] = []

    async def refresh(self, db: Database) -> None:
        """Read all keys; make a new one and forget old ones where that is due. One replica at a time."""
        async with db.worker() as tx:
            keys = await self._read(tx)
            if self._is_work_due(keys):
                await store.lock_keyring(tx)
                keys = await self._renew(tx, await self._read(tx))
        self._keys = keys

    async def run(self, db: Database) -> NoReturn:
        """Refresh now and then, for ever: a supervised part. While the database is away the known keys serve."""
        while True:
            await asyncio.sleep(self._settings.tenant_keyring_poll_s)
            try:
                await self.refresh(db)
            except RETRIABLE as error:
                log.warning("keyring.refresh_failed", exc_info=error)

    def sign(self, caller: Caller, life_s: int) -> str:
        """A token for `caller`, valid for `life_s`; NoSigningKey."""
        key = domain.signer(self._keys, clock.now(), self._lead)
        if key is None or key.private_key is None:
            raise NoSigningKey
        now_s = clock.unix_ms() // 1000
        claims = {
            "iss": self._settings.token_issuer,
            "aud": self._settings.token_audience,
            "sub": caller.user_id,
            "tenant": str(caller.tenant_id),
            "role": caller.role.value,
            "key": caller.key_id,
            "country": caller.country,
            "session": caller.session_id,
            "iat": now_s,
            "exp": now_s + life_s,
            "jti": str(uuid7()),
        }
        private_key = Ed25519PrivateKey.from_private_bytes(key.private_key)
        return jwt.encode(claims, private_key, algorithm=ALGORITHM, headers={"kid": key.kid})

    def jwks(self) -> dict[str, Any]:
        """The public halves (RFC 7517, RFC 8037); NoSigningKey before they were read."""
        if not self._keys:
            raise NoSigningKey
        return {"keys": [_jwk(key) for key in self._keys]}

    async def fetch(self) -> Mapping[str, Any]:
        """The same for the verifier of this process; ValueError before they were read."""
        if not self._keys:
            raise ValueError("the signing keys were not read yet")
        return self.jwks()

    @property
    def _lead(self) -> timedelta:
        return timedelta(seconds=self._settings.tenant_signing_key_lead_s)

    @property
    def _trust(self) -> timedelta:
        return self._lead + timedelta(seconds=self._settings.tenant_token_s) + _MARGIN

    async def _read(self, tx: Tx) -> list[SigningKey]:
        return [
            SigningKey(key.kid, key.public_key, self.seal.open(sealed), key.created_at)
            for key, sealed in await store.signing_keys(tx)
        ]

    def _is_new_key_due(self, keys: list[SigningKey]) -> bool:
        return domain.is_new_key_due(keys, clock.now(), timedelta(days=self._settings.tenant_signing_key_d))

    def _is_work_due(self, keys: list[SigningKey]) -> bool:
        return self._is_new_key_due(keys) or bool(domain.retired(keys, clock.now(), self._trust))

    async def _renew(self, tx: Tx, keys: list[SigningKey]) -> list[SigningKey]:
        if self._is_new_key_due(keys):
            key = _new_key()
            assert key.private_key is not None
            await store.add_signing_key(tx, key, self.seal.seal(key.private_key))
            keys = [*keys, key]
            log.info("keyring.key_made", kid=key.kid, keys=len(keys))
        forgotten = set(domain.retired(keys, clock.now(), self._trust))
        await store.forget_signing_keys(tx, sorted(forgotten))
        return [key for key in keys if key.kid not in forgotten]


def _new_key() -> SigningKey:
    private_key = Ed25519PrivateKey.generate()
    public_key = private_key.public_key().public_bytes_raw()
    return SigningKey(_thumbprint(public_key), public_key, private_key.private_bytes_raw(), clock.now())


def _thumbprint(public_key: bytes) -> str:
    """RFC 7638."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": _base64(public_key)}
    return _base64(sha256(json.dumps(members, separators=(",", ":")).encode()).digest())


def _jwk(key: SigningKey) -> dict[str, str]:
    public = {"kty": "OKP", "crv": "Ed25519", "x": _base64(key.public_key)}
    return {**public, "kid": key.kid, "use": "sig", "alg": ALGORITHM}


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
