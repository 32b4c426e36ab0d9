"""Carrier accounts between their rows, which hold sealed passwords, and the values that senders work with.

A password comes in by the API or the environment, is sealed at once with a key that only the environment holds, and is
opened by the sender that binds with it. A reference to a variable or file would need a restart for each new account; a
hash cannot be bound with. The seal is bound to the account's name: moved to another row it does not open.
"""

import hashlib
import hmac
import json
import os
from dataclasses import asdict
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from muster.dispatch.domain.carriers import Account, State, read_options
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import carriers
from muster.dispatch.store.carriers import Row
from muster.kit.pg import Tx

_NONCE_BYTES: Final = 12


class SealBroken(Exception):
    """A password was sealed with another key, or for another account: it has to be given again."""


class Seal:
    """AES-256-GCM by a key that the database does not hold."""

    def __init__(self, secret: bytes) -> None:
        derived = HKDF(SHA256(), 64, salt=None, info=b"muster.dispatch.seal").derive(secret)
        self._cipher = AESGCM(derived[:32])
        self._mark_key = derived[32:]

    def seal(self, account: str, plain: str) -> bytes:
        """nonce and ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain.encode(), account.encode())

    def open(self, account: str, sealed: bytes) -> str:
        """What was sealed. SealBroken where it cannot be opened."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], account.encode()).decode()
        except InvalidTag as error:
            raise SealBroken("its password was sealed with another key: give it again") from error

    def mark(self, words: str) -> bytes:
        """The same for the same words, telling nobody without the key what they are."""
        return hmac.digest(self._mark_key, words.encode(), hashlib.sha256)


def account_of(row: Row, seal: Seal) -> Account:
    """The account of a row. SealBroken where its password cannot be opened."""
    return Account(
        name=row.account,
        kind=row.kind,
        options=read_options(row.kind, row.options),
        secret=seal.open(row.account, row.secret) if row.secret else "",
        state=State(row.state),
        version=row.version,
        window=row.parts_window,
        parts_per_second=row.parts_per_second,
        reference_bits=row.reference_bits,
    )


async def seed(tx: Tx, settings: DispatchSettings) -> None:
    """The account that the environment describes is one of the accounts: changed by the API like any other, and as the
    environment says again once it says something else."""
    account, seal = settings.account(), Seal(settings.seal_secret)
    options = asdict(account.options)
    row = Row(
        account=account.name,
        kind=account.kind,
        state=State.OPEN,
        parts_window=account.window,
        parts_per_second=account.parts_per_second,
        reference_bits=account.reference_bits,
        options=options,
        secret=seal.seal(account.name, account.secret),
    )
    words = [row.kind, row.parts_window, row.parts_per_second, row.reference_bits, options, account.secret]
    await carriers.seed(tx, row, seal.mark(json.dumps(words, sort_keys=True)))
