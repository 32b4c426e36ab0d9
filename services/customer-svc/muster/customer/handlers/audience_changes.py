"""Changes of what audiences are counted by, forgotten once nobody looks for them (store/audience_counts.py)."""

from muster.customer.store.audience_counts import all_over_before, forget_changes
from muster.kit.pg import Database


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
