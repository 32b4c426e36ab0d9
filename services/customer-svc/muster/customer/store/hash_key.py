"""By which key numbers are hashed. It cannot be exchanged: of an erased person nothing but the hash is left of a
suppression, and with another key it would hold of nobody."""

import hashlib
from typing import Final

from muster.kit.pg import Tx

_SAME: Final = """
WITH first AS (
    INSERT INTO hash_key (generation, fingerprint) VALUES ($1, $2) ON CONFLICT (one) DO NOTHING
    RETURNING generation, fingerprint
)
SELECT (generation, fingerprint) = ($1::smallint, $2::bytea)
FROM (SELECT * FROM first UNION ALL SELECT generation, fingerprint FROM hash_key) k LIMIT 1
"""


class HashKeyExchanged(Exception):
    """The settings have another key than the one by which the numbers in the database are hashed."""

    def __init__(self) -> None:
        super().__init__(
            "MUSTER_HASH_KEY or MUSTER_HASH_GENERATION is not the one by which the numbers in this database are hashed:"
            " whoever opted out would be texted. Give the former one back (docs/erasure.md)."
        )


async def hold_to(tx: Tx, key: bytes, generation: int) -> None:
    """Keep the fingerprint of the key of the first start, and refuse any other: HashKeyExchanged (worker)."""
    fingerprint = hashlib.blake2b(b"the key of numbers", digest_size=16, key=key).digest()
    if not await tx.fetchval(_SAME, generation, fingerprint):
        raise HashKeyExchanged
