"""Argon2id (RFC 9106) of passwords: off the event loop, a few at once, since each takes memory and a core."""

import asyncio
import os
import unicodedata
from collections.abc import Iterable

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

from muster.tenant.domain import Wrong
from muster.tenant.domain.sign_in import check_password
from muster.tenant.settings import TenantSettings


class Hasher:
    """Hashes and checks passwords by the parameters of the settings. A password is taken in NFKC."""

    def __init__(self, settings: TenantSettings) -> None:
        self._argon2 = PasswordHasher(
            time_cost=settings.tenant_hash_rounds,
            memory_cost=settings.tenant_hash_memory_kib,
            parallelism=1,
            type=Type.ID,
        )
        self._turns = asyncio.Semaphore(settings.tenant_hashes_at_once)
        # Compared with where there is no such user, so that the answer takes as long.
        self._nobody = self._argon2.hash(os.urandom(16).hex())

    async def check(self, password: str, known: Iterable[str]) -> Wrong | None:
        """Why this cannot be a password of somebody of whom these words are known."""
        async with self._turns:
            return await asyncio.to_thread(check_password, _normal(password), list(known))

    async def hash(self, password: str) -> str:
        """What may be stored."""
        async with self._turns:
            return await asyncio.to_thread(self._argon2.hash, _normal(password))

    async def holds(self, hashed: str | None, password: str) -> bool:
        """Whether this is the password; where there is none, it takes as long and does not."""
        async with self._turns:
            return await asyncio.to_thread(self._verify, hashed or self._nobody, _normal(password)) and bool(hashed)

    def is_old(self, hashed: str) -> bool:
        """Whether it was made by other parameters than those of today."""
        return self._argon2.check_needs_rehash(hashed)

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._argon2.verify(hashed, password)
        except VerifyMismatchError:
            return False


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
