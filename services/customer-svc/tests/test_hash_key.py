"""The key of number hashes is never exchanged unnoticed."""

from typing import Any

import pytest

from muster.customer.store.hash_key import HashKeyExchanged, hold_to


async def test_no_other_key_is_taken_than_the_first(salon: Any) -> None:
    for _ in range(2):
        async with salon.db.worker() as tx:
            await hold_to(tx, bytes(32), 1)
    async with salon.db.worker() as tx:
        for key, generation in ((bytes(31) + b"x", 1), (bytes(32), 2)):
            with pytest.raises(HashKeyExchanged, match="MUSTER_HASH_KEY"):
                await hold_to(tx, key, generation)
        await hold_to(tx, bytes(32), 1)
