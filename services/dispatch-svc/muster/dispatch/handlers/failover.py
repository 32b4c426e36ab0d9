"""Leads what waits away from accounts that fail, and back: judges accounts once a second, and lets chunks of which
nothing was ever intended go where routes lead them now."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from muster.dispatch.domain import routing
from muster.dispatch.domain.failover import Health, Limits, first, judge
from muster.dispatch.domain.routing import WHOLE, Table
from muster.dispatch.events import ChunkKey
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import health, moving, routes
from muster.dispatch.store.health import Looked
from muster.dispatch.store.moving import Move, Queued
from muster.kit import metrics, observe
from muster.kit.pg import Database

log = observe.logger(__name__)

EVERY_S: Final = 1.0
_FRESH_S_MIN: Final = 3.0
_PAGE: Final = 500
_BEGIN: Final = ChunkKey(UUID(int=0), UUID(int=0), 0)


class Failover:
    """One for each worker; of all workers one at a time looks."""

    def __init__(self, db: Database, settings: DispatchSettings) -> None:
        self._db = db
        # A sender says that often how its account stands; two words that were missed are a slow database.
        self._fresh_s = max(_FRESH_S_MIN, 3 * settings.dispatch_account_look_s)
        self._limits = Limits(
            down_s=settings.dispatch_down_s,
            percent_max=settings.dispatch_failing_percent_max,
            judged_min=settings.dispatch_failing_parts_min,
            rest_s=settings.dispatch_rest_s_min,
            rest_s_max=settings.dispatch_rest_s_max,
            step_s=settings.dispatch_mend_step_s,
        )
        # By which routes and accounts all that waits was led last; None: something may wait elsewhere.
        self._led: Table | None = None

    async def look(self) -> bool:
        """Judge accounts, then lead what waits, if anything has changed. False: there is no more to do at once."""
        async with self._db.worker() as tx:
            if not await health.take_turn(tx):
                return False
            looked = await health.look(tx, self._fresh_s)
            found = {one.account: _judged(one, self._limits) for one in looked}
            await health.save(tx, found)
            table = await routes.table(tx)
        _tell(looked, found)
        # While one gets less than its share, chunks that came just as it fell ill may wait for it.
        if table != self._led or any(way.share < WHOLE for way in table.ways.values()):
            await self._lead(table)
        self._led = table
        return False

    async def _lead(self, table: Table) -> None:
        after, moved = _BEGIN, 0
        while True:
            async with self._db.worker() as tx:
                page = await moving.page(tx, after, _PAGE)
                moves = [move for one in page if (move := _move(one, table)) is not None]
                moved += await moving.move(tx, moves) if moves else 0
            if len(page) < _PAGE:
                break
            after = page[-1].key
        if moved:
            metrics.chunks_rerouted.inc(moved)
            log.info("routes.chunks_moved", chunks=moved)


def _move(queued: Queued, table: Table) -> Move | None:
    key = queued.key
    way = table.choose(queued.needs, routing.key_of(key.bulk_id, key.chunk), queued.route)
    if way is None or way.account == queued.account:
        return None
    return Move(key, queued.account, way.account, way.route)


def _judged(one: Looked, limits: Limits) -> Health:
    return first(one.seen) if one.before is None else judge(one.before, one.seen, limits)


def _tell(looked: list[Looked], found: Mapping[str, Health]) -> None:
    metrics.carriers_failing.set(sum(one.share < WHOLE for one in found.values()))
    for one in looked:
        now, before = found[one.account], one.before
        share = before.share if before is not None else WHOLE
        if now.share == share:
            continue
        if now.share < share:
            metrics.failovers.labels(now.why.value).inc()
        level = log.warning if now.share < share else log.info
        level("carrier.share_changed", account=one.account, percent=now.share, before=share, why=now.why.value)
