"""What was counted of an audience is known again as long as nothing it was counted by has changed: exactly, and without
counting a million a second time while somebody types. Where few have changed, they alone are judged again.

Triggers note each transaction that changes people, numbers, consent, lists, suppressions or failures, and whom
(`audience_change`). What a statement said is kept in this process with a snapshot from before it ran; it still holds
where every transaction that is noted by now is one that the snapshot saw. Nothing of people is stored for it.
"""

import asyncio
import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from sys import byteorder
from typing import Any, Final
from uuid import UUID
from weakref import WeakValueDictionary

from muster.customer.domain.tally import Full, Tally
from muster.customer.store.audience_few import rows_of_few
from muster.kit import clock, metrics
from muster.kit.pg import Record, Tx

KEPT_S: Final = 15 * 60.0
"""What nobody has asked for so long is not used: what is noted is forgotten after twice as long."""
FORGET_S: Final = 2 * KEPT_S
_ROWS_MAX: Final = 5_000
_OCTETS_MAX: Final = 64 << 20
_ROW_OCTETS: Final = 500
_COUNT_OCTETS: Final = 600
_TURN_IDS: Final = 16_384
"""So many customers are taken in before others of the process have their turn: about a millisecond."""

_LOOK: Final = """
SELECT pg_current_snapshot()::text AS snapshot,
    EXISTS (SELECT FROM audience_change c WHERE c.tenant_id = $1 AND c.xid >= pg_snapshot_xmin($2::text::pg_snapshot)
            AND NOT pg_visible_in_snapshot(c.xid, $2::text::pg_snapshot) AND (c.customer_id >= 0 OR $3)) AS changed,
    EXISTS (SELECT FROM audience_change c
            WHERE c.tenant_id = $1 AND c.xid = pg_current_xact_id_if_assigned()) AS own
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """An audience that is to be judged. few: the statement for those who have changed (FEW of store/audience_sql.py),
    with the snapshot as its last argument; whole: gives the one for all of them (COUNTED); before: statements to be run
    before the one and the other; sends: whether it goes by what was sent."""

    few: str
    arguments: tuple[Any, ...]
    whole: Callable[[Tx], Awaitable[str]]
    before: tuple[str, str]
    sends: bool


@dataclass(frozen=True, slots=True)
class Told:
    """How many customers of an audience there are of each verdict that somebody has, with one of those who are texted
    (else 0), and the snapshot that saw it. tally: who they are, where that is known, as of then or later. memo: what is
    made of the counts, as long as they hold."""

    counts: Sequence[tuple[str, int, int]]
    snapshot: str
    tally: Tally | None
    memo: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Rows of a statement, what was gathered, or what was judged. snapshot: of before it."""

    snapshot: str
    at_s: float
    octets: int
    rows: Sequence[Record] = ()
    told: Told | None = None
    gathered: frozenset[tuple[Any, ...]] = frozenset()


_Key = tuple[UUID, bytes]
_Run = Callable[[Tx, _Kept | None, str], Awaitable[_Kept]]


class Counts:
    """What statements about audiences have said, those used last, of all tenants of this process."""

    def __init__(self, octets_max: int = _OCTETS_MAX) -> None:
        self._octets_max = octets_max
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._turns: WeakValueDictionary[_Key, asyncio.Lock] = WeakValueDictionary()
        self.octets = 0

    async def fetch(self, tx: Tx, tenant_id: UUID, sql: str, *arguments: Any, before: str = "") -> Sequence[Record]:
        """The rows of a statement about this tenant's audience, which must read nothing but what triggers note and what
        is in its arguments. before: a statement to be run before it, where it is run."""

        async def run(tx: Tx, _: _Kept | None, snapshot: str) -> _Kept:
            metrics.audience_counts.labels("run").inc()
            if before:
                await tx.execute(before)
            rows = await tx.fetch(sql, *arguments)
            octets = _ROW_OCTETS * (len(rows) + 1) if len(rows) <= _ROWS_MAX else self._octets_max + 1
            return _Kept(snapshot, clock.monotonic(), octets, rows=rows)

        kept = await self._asked(tx, _key(tenant_id, sql, arguments), run, sends="plan_frozen" in sql)
        return kept.rows

    async def gather(self, tx: Tx, tenant_id: UUID, sql: str, *arguments: Any) -> frozenset[tuple[Any, ...]]:
        """The different rows of a statement that looks at customers one by one, those too that there were before
        somebody changed: what may be there, where it does no harm that it is not."""

        async def run(tx: Tx, kept: _Kept | None, snapshot: str) -> _Kept:
            if kept is not None:
                rows = await tx.fetch(rows_of_few(sql, len(arguments) + 1), *arguments, kept.snapshot)
                if not rows[0]["whole"]:
                    metrics.audience_counts.labels("some").inc()
                    found = kept.gathered.union(more for row in rows if (more := tuple(row)[2:])[0] is not None)
                    return _gathered(found, rows[0]["snapshot"])
            metrics.audience_counts.labels("run").inc()
            return _gathered(frozenset(map(tuple, await tx.fetch(sql, *arguments))), snapshot)

        key = _key(tenant_id, rows_of_few(sql, 0), arguments)
        return (await self._asked(tx, key, run, sends=False)).gathered

    async def judge(self, tx: Tx, tenant_id: UUID, asked: Judged) -> Told:
        """An audience as it is judged now."""
        key = _key(tenant_id, asked.few, asked.arguments)

        async def run(tx: Tx, kept: _Kept | None, snapshot: str) -> _Kept:
            try:
                told = await _some(tx, asked, kept)
            except Full:
                self._drop(key)
                told = None
            if told is not None:
                return _kept(told, told.snapshot)
            # What was changed between the look and the count is judged again then: it comes to the same.
            told = await _all(tx, asked)
            made = _kept(told, snapshot)
            # Better the counts alone than none.
            return made if made.octets <= self._octets_max else _kept(replace(told, tally=None), snapshot)

        found = (await self._asked(tx, key, run, sends=asked.sends)).told
        assert found is not None
        return found

    async def _asked(self, tx: Tx, key: _Key, run: _Run, *, sends: bool) -> _Kept:
        """What is known, or what is said now, which others wait for who ask for the same."""
        kept, snapshot, state = await self._look(tx, key, sends=sends)
        if state == "own":
            # What this very transaction has changed may still be undone.
            return await run(tx, None, snapshot)
        if kept is not None and state == "known":
            return kept
        async with self._turns.setdefault(key, asyncio.Lock()):
            if self._fresh(key) is not kept:
                kept, snapshot, state = await self._look(tx, key, sends=sends)
                if kept is not None and state == "known":
                    return kept
            made = await run(tx, kept, snapshot)
            self._keep(key, made)
            return made

    async def _look(self, tx: Tx, key: _Key, *, sends: bool) -> tuple[_Kept | None, str, str]:
        """What is kept, the snapshot of now, and whether it still holds: `known`, `changed`, or `own` where this
        transaction has changed it itself."""
        kept = self._fresh(key)
        look = await tx.fetchrow(_LOOK, key[0], kept.snapshot if kept else None, sends)
        assert look is not None
        snapshot = look["snapshot"]
        if look["own"]:
            return None, snapshot, "own"
        if kept is None or look["changed"]:
            return kept, snapshot, "changed"
        metrics.audience_counts.labels("known").inc()
        told = None if kept.told is None else replace(kept.told, snapshot=snapshot)
        renewed = replace(kept, snapshot=snapshot, at_s=clock.monotonic(), told=told)
        if self._kept.get(key) is kept:
            self._kept[key] = renewed
            self._kept.move_to_end(key)
        return renewed, snapshot, "known"

    def _fresh(self, key: _Key) -> _Kept | None:
        kept = self._kept.get(key)
        return kept if kept is not None and clock.monotonic() - kept.at_s < KEPT_S else None

    def _keep(self, key: _Key, kept: _Kept) -> None:
        self._drop(key)
        if kept.octets > self._octets_max:
            return
        self._kept[key] = kept
        self.octets += kept.octets
        while self.octets > self._octets_max:
            self._drop(next(iter(self._kept)))
        metrics.audience_counts_bytes.set(self.octets)

    def _drop(self, key: _Key) -> None:
        known = self._kept.pop(key, None)
        if known is not None:
            self.octets -= known.octets


def _key(tenant_id: UUID, sql: str, arguments: tuple[Any, ...]) -> _Key:
    return tenant_id, hashlib.blake2b(repr((sql, arguments)).encode(), digest_size=16).digest()


def _gathered(rows: frozenset[tuple[Any, ...]], snapshot: str) -> _Kept:
    return _Kept(snapshot, clock.monotonic(), _ROW_OCTETS * (len(rows) + 1), gathered=rows)


def _kept(told: Told, snapshot: str) -> _Kept:
    octets = _COUNT_OCTETS * (len(told.counts) + 1) + (told.tally.octets if told.tally is not None else 0)
    return _Kept(snapshot, clock.monotonic(), octets, told=told)


async def _some(tx: Tx, asked: Judged, kept: _Kept | None) -> Told | None:
    """Those who have changed judged again; None where it is not known what they were, or where they are too many."""
    tally = kept.told.tally if kept is not None and kept.told is not None else None
    if kept is None or tally is None:
        return None
    await tx.execute(asked.before[0])
    rows = await tx.fetch(asked.few, *asked.arguments, kept.snapshot)
    if rows[0]["whole"]:
        return None
    metrics.audience_counts.labels("some").inc()
    for row in rows:
        if row["customer_id"] is not None:
            tally.judge(row["customer_id"], row["verdict"], row["number"])
    return Told(tally.counts(), rows[0]["snapshot"], tally)


async def _all(tx: Tx, asked: Judged) -> Told:
    """Everybody judged."""
    metrics.audience_counts.labels("run").inc()
    sql = await asked.whole(tx)
    await tx.execute(asked.before[1])
    rows = await tx.fetch(sql, *asked.arguments)
    counted = [row for row in rows if row["customers"] is not None]
    detailed = [row for row in rows if row["customers"] is None]
    counts = sorted((row["verdict"], row["customers"], row["oldest"] or 0) for row in counted)
    snapshot = counted[0]["snapshot"] if counted else await tx.fetchval("SELECT pg_current_snapshot()::text")
    try:
        tally = await _tally(counts, detailed) if detailed or not counted else None
    except Full:
        tally = None
    return Told(counts, snapshot, tally)


async def _tally(counts: Sequence[tuple[str, int, int]], rows: Sequence[Record]) -> Tally:
    tally = Tally()
    for verdict, _, one_of in counts:
        tally.show(verdict, one_of)
    for row in rows:
        if row["sharing"]:
            tally.add_sharing(row["verdict"], row["shared"], row["sharing"])
        ids = array("q", row["ids"] or b"")
        if byteorder == "little":
            ids.byteswap()
        for first in range(0, len(ids), _TURN_IDS):
            tally.add_all(row["verdict"], ids[first : first + _TURN_IDS])
            await asyncio.sleep(0)
    tally.count_sharing()
    return tally


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
