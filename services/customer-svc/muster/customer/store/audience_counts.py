"""What was counted of an audience is known again as long as nothing it was counted by has changed: exactly, and without
counting a million a second time while somebody types.

Triggers note each transaction that changes people, numbers, consent, lists, suppressions or failures
(`audience_change`). Rows of a statement are kept in this process with a snapshot from before it ran; they still hold
where every transaction that is noted by now is one that the snapshot saw. Nothing of people is stored for it.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from muster.kit import clock, metrics
from muster.kit.pg import Record, Tx

KEPT_S: Final = 15 * 60.0
"""Rows are not used for longer: what is noted is forgotten after twice as long, and a quote's snapshot may be an hour
older than the quote (store/audience.py)."""
FORGET_S: Final = 2 * KEPT_S
_ROWS_MAX: Final = 5_000
_ALL_ROWS_MAX: Final = 50_000

_LOOK: Final = """
SELECT pg_current_snapshot()::text AS snapshot,
    EXISTS (SELECT FROM audience_change c WHERE c.tenant_id = $1 AND c.xid >= pg_snapshot_xmin($2::text::pg_snapshot)
            AND NOT pg_visible_in_snapshot(c.xid, $2::text::pg_snapshot)) AS changed,
    EXISTS (SELECT FROM audience_change c
            WHERE c.tenant_id = $1 AND c.xid = pg_current_xact_id_if_assigned()) AS own
"""


@dataclass(frozen=True, slots=True)
class _Kept:
    rows: Sequence[Record]
    snapshot: str
    at_s: float


class Counts:
    """Rows of statements about audiences, the ones used last, of all tenants of this process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[UUID, bytes], _Kept] = OrderedDict()
        self._rows = 0

    async def fetch(self, tx: Tx, tenant_id: UUID, sql: str, *arguments: Any, before: str = "") -> Sequence[Record]:
        """The rows of a statement about this tenant's audience, which must read nothing but what triggers note and what
        is in its arguments. before: a statement to be run before it, where it is run."""
        key = tenant_id, hashlib.blake2b(repr((sql, arguments)).encode(), digest_size=16).digest()
        kept = self._fresh(key)
        look = await tx.fetchrow(_LOOK, tenant_id, kept.snapshot if kept else None)
        assert look is not None
        if kept is not None and not look["changed"]:
            self._kept.move_to_end(key)
            metrics.audience_counts.labels("known").inc()
            return kept.rows
        metrics.audience_counts.labels("run").inc()
        if before:
            await tx.execute(before)
        rows = await tx.fetch(sql, *arguments)
        # What this very transaction has changed may still be undone.
        if not look["own"]:
            self._keep(key, _Kept(rows, look["snapshot"], clock.monotonic()))
        return rows

    def _fresh(self, key: tuple[UUID, bytes]) -> _Kept | None:
        kept = self._kept.get(key)
        return kept if kept is not None and clock.monotonic() - kept.at_s < KEPT_S else None

    def _keep(self, key: tuple[UUID, bytes], kept: _Kept) -> None:
        self._drop(key)
        if len(kept.rows) > _ROWS_MAX:
            return
        self._kept[key] = kept
        self._rows += _weight(kept)
        while self._rows > _ALL_ROWS_MAX:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[UUID, bytes]) -> None:
        known = self._kept.pop(key, None)
        if known is not None:
            self._rows -= _weight(known)


def _weight(kept: _Kept) -> int:
    return len(kept.rows) + 1


counts: Final = Counts()
"""Of this process."""

_OVER: Final = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
# allow ordered-locks: nobody else takes rows of transactions that are over
_FORGET: Final = "DELETE FROM audience_change WHERE xid < $1::text::xid8 AND tenant_id IS NOT NULL"


async def all_over_before(tx: Tx) -> str:
    """The transaction before which all are over."""
    xid: str = await tx.fetchval(_OVER)
    return xid


async def forget_changes(tx: Tx, before: str) -> None:
    """Forget what transactions before this one have changed (worker)."""
    await tx.execute(_FORGET, before)
