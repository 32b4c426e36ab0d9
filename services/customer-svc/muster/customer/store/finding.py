"""Customers that fit a query: a page of them, and how many there are, within a bound of time at a million customers.

A word or a number that few have is looked up by its index first. All else is judged window by window along the primary
key, which finds what many have at once; what few have may take several pages, the first of which may be empty.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from muster.customer.domain.query import Node, mentions
from muster.customer.store.query import Sql, condition_of, probes_of
from muster.kit import clock
from muster.kit.pg import Tx

CANDIDATES_MAX: Final = 2_000
COUNTED_MAX: Final = 10_000
_PROBES_MAX: Final = 8
_WINDOW_FIRST: Final = 2_000
_WINDOW_MIN: Final = 500
_WINDOW_MAX: Final = 25_000
_SAMPLES: Final = 60
_SAMPLE_IDS_MIN: Final = 20
_SAMPLE_IDS_MAX: Final = 200
_ID_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Found:
    """Ids of customers who fit, the oldest first. next_after: where to go on; None where there is no more."""

    ids: Sequence[int]
    next_after: int | None


@dataclass(frozen=True, slots=True)
class Counted:
    """How many fit; where it is not exact, estimated from customers of all ages, and at least what was counted."""

    count: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Search:
    """A query of a tenant, whose days begin in its time zone. Who is archived is left out unless it asks for them."""

    tenant_id: UUID
    node: Node
    time_zone: ZoneInfo
    budget_ms: int

    @property
    def condition(self) -> Sql:
        """On `c`, behind five parameters of the statement's own."""
        made = condition_of(self.node, 5, time_zone=self.time_zone, each=True)
        kept = "true" if mentions(self.node, "archived") else "c.archived_at IS NULL"
        return Sql(f"{kept} AND {made.text}", made.arguments)


_AMONG: Final = """
SELECT c.customer_id FROM customer c
WHERE c.tenant_id = $1 AND c.customer_id > $2 AND $3::bigint = $3 AND c.customer_id = ANY($4::bigint[]) AND {condition}
ORDER BY c.customer_id
"""

_WITHIN: Final = """
SELECT c.customer_id FROM customer c
WHERE c.tenant_id = $1 AND c.customer_id > $2 AND c.customer_id <= $3 AND {condition}
ORDER BY c.customer_id LIMIT $4
"""


async def find(tx: Tx, search: Search, after: int, limit: int) -> Found:
    """The next customers who fit. Fewer than `limit` with a place to go on: the time was over, there may be more."""
    candidates = await _candidates(tx, search)
    if candidates is not None:
        ids = await _among(tx, search, after, candidates)
        return Found(ids[:limit], ids[limit - 1] if len(ids) > limit else None)
    sql, arguments = _WITHIN.format(condition=search.condition.text), search.condition.arguments
    found: list[int] = []
    async for low, high in _Windows(search).after(tx, after):
        if high is None:
            break
        rows = await tx.fetch(sql, search.tenant_id, low, high, limit + 1 - len(found), *arguments)
        found += [row["customer_id"] for row in rows]
        if len(found) > limit:
            return Found(found[:limit], found[limit - 1])
        after = high
    else:
        return Found(found, after)
    return Found(found, None)


async def _among(tx: Tx, search: Search, after: int, candidates: Sequence[int]) -> list[int]:
    if not candidates:
        return []
    sql = _AMONG.format(condition=search.condition.text)
    rows = await tx.fetch(sql, search.tenant_id, after, 0, candidates, *search.condition.arguments)
    return [row["customer_id"] for row in rows]


# Of a business whose customers were imported a minute ago nothing is known: the planner expects a few, gathers and
# sorts what turns out to be all of them, and does so for each of the ranges below. Of a word that many have it expects
# to meet enough soon, wherever it begins to read, which may be a long way from this business. And to start processes
# takes longer than what they would help with.
_ALONG_THE_KEY: Final = """
SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off;
SET LOCAL max_parallel_workers_per_gather = 0
"""


async def _candidates(tx: Tx, search: Search) -> list[int] | None:
    """All who may fit by the words and numbers of a query, if they are few; None where they are many."""
    await tx.execute(_ALONG_THE_KEY)
    few: set[int] | None = None
    for probe in probes_of(search.node)[:_PROBES_MAX]:
        rows = await tx.fetch(probe.text, search.tenant_id, *probe.arguments, CANDIDATES_MAX + 1)
        if len(rows) <= CANDIDATES_MAX:
            ids = {row["customer_id"] for row in rows}
            few = ids if few is None else few & ids
    return None if few is None else sorted(few)


_BOUND: Final = """
SELECT max(customer_id) AS high, count(*) AS rows FROM (
    SELECT customer_id FROM customer WHERE tenant_id = $1 AND customer_id > $2 ORDER BY customer_id LIMIT $3) w
"""


class _Windows:
    """Ranges of ids, of as many customers as there is time for: what has been gone through says how fast that is."""

    def __init__(self, search: Search, *, hurried: bool = True) -> None:
        self._search = search
        self._hurried = hurried
        self._rows = 0
        self._began = clock.monotonic()

    def in_time(self, seconds: float) -> int:
        """How many customers can be judged in so many seconds."""
        spent = clock.monotonic() - self._began
        return int(self._rows / spent * seconds) if spent > 0 else _WINDOW_MAX

    async def after(self, tx: Tx, place: int) -> AsyncIterator[tuple[int, int | None]]:
        """(low, high] one after the other; at last (place, None) where there is nobody beyond. It ends without that
        where the time is over."""
        ends = self._began + self._search.budget_ms / 1000
        size = _WINDOW_FIRST
        while size >= _WINDOW_MIN:
            bound = await tx.fetchrow(_BOUND, self._search.tenant_id, place, size)
            assert bound is not None
            if bound["rows"]:
                self._rows += bound["rows"]
                yield place, bound["high"]
                place = bound["high"]
            if bound["rows"] < size:
                yield place, None
                return
            size = min(self.in_time(ends - clock.monotonic()), _WINDOW_MAX) if self._hurried else _WINDOW_MAX


_COUNT: Final = """
SELECT count(*) FROM customer c
WHERE c.tenant_id = $1 AND c.customer_id > $2 AND c.customer_id <= $3 AND $4::bigint = $4 AND {condition}
"""


async def count(tx: Tx, search: Search, *, exact: bool = False) -> Counted:
    """How many fit: exactly up to COUNTED_MAX where that is quick, or where it is asked for; else an estimate."""
    candidates = await _candidates(tx, search)
    if candidates is not None:
        return Counted(len(await _among(tx, search, 0, candidates)), exact=True)
    sql, arguments = _COUNT.format(condition=search.condition.text), search.condition.arguments
    counted = 0
    windows = _Windows(search, hurried=not exact)
    async for low, high in windows.after(tx, 0):
        if high is None:
            return Counted(counted, exact=True)
        counted += await tx.fetchval(sql, search.tenant_id, low, high, 0, *arguments)
        if counted > COUNTED_MAX and not exact:
            break
    judged_max = windows.in_time(search.budget_ms / 1000)
    return Counted(max(counted, await _estimate(tx, search, judged_max)), exact=False)


# Ordered and limited, so that each range is read along the key: its width alone lets the planner think of everybody.
_SAMPLED: Final = """
SELECT count(*) FROM unnest($2::bigint[]) AS s (low) CROSS JOIN LATERAL (
    SELECT * FROM customer k WHERE k.tenant_id = $1 AND k.customer_id >= s.low ORDER BY k.customer_id LIMIT $3) c
WHERE c.customer_id < s.low + $3 AND $4::bigint = $4 AND {condition}
"""
_ENDS: Final = """
SELECT (SELECT customer_id FROM customer WHERE tenant_id = $1 ORDER BY customer_id LIMIT 1) AS low,
    (SELECT customer_id FROM customer WHERE tenant_id = $1 ORDER BY customer_id DESC LIMIT 1) AS high
"""


async def _estimate(tx: Tx, search: Search, judged_max: int) -> int:
    """From short ranges of ids at equal distances: how many fit there, times how much of all ids they are."""
    ends = await tx.fetchrow(_ENDS, search.tenant_id)
    assert ends is not None
    if ends["low"] is None:
        return 0
    step = max(int(ends["high"] - ends["low"] + 1) // _SAMPLES, 1)
    width = min(step, max(_SAMPLE_IDS_MIN, min(judged_max // _SAMPLES, _SAMPLE_IDS_MAX)))
    lows = [ends["low"] + at * step + (step - width) // 2 for at in range(_SAMPLES)]
    sql, arguments = _SAMPLED.format(condition=search.condition.text), search.condition.arguments
    seen: int = await tx.fetchval(sql, search.tenant_id, lows, width, 0, *arguments)
    return _rounded(seen * step // width)


def _rounded(count: int) -> int:
    """Two figures of it: more would pretend to know."""
    unit = int(10 ** max(len(str(count)) - 2, 0))
    return count // unit * unit
