"""Changes of what audiences are counted by, forgotten once nobody looks for them (store/audience_counts.py)."""

from typing import Final

from muster.customer.store.audience_asked import forget_were
from muster.customer.store.audience_counts import all_over_before, forget_changes
from muster.kit.pg import Database

_AT_ONCE: Final = 5_000
# Of how customers were before a change, behind the end of the last quote that can have seen them so.
_LONGER_H: Final = 2


async def forget_how_they_were(db: Database, quote_valid_h: int) -> bool:
    """Forget how customers were whom no quote has seen so that still holds."""
    async with db.worker() as tx:
        return await forget_were(tx, quote_valid_h + _LONGER_H, _AT_ONCE)


class Forgetting:
    """To be called every FORGET_S."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._over: str | None = None

    async def __call__(self) -> None:
        """Forget what was over at the call before: whoever has counted since has seen it."""
        async with self._db.worker() as tx:
            if self._over is not None:
                await forget_changes(tx, self._over)
            self._over = await all_over_before(tx)
