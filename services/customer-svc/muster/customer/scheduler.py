"""The scheduler: starts what is due, each start once, and says what became of it.

A start is one transaction of its tenant, which holds the lock of the schedule's row: it stores what became of the start
under its time on the wall, the send if there is one, and when the next start is. A crash undoes all of it, and a
scheduler takes it again; no two have the same row.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NoReturn
from uuid import UUID

from muster.customer.domain.limits import NO_LIMITS
from muster.customer.domain.limits import Limits as SendLimits
from muster.customer.domain.recurrence import next_start
from muster.customer.domain.schedules import SUSPENDED, Outcome, Verdict
from muster.customer.domain.wall_clock import TZ_VERSION, zone_of
from muster.customer.handlers import scheduling
from muster.customer.handlers.scheduling import Started
from muster.customer.store import schedules
from muster.customer.store.schedules import Schedule
from muster.kit import clock, metrics, observe, spans
from muster.kit.pg import RETRIABLE, Database, Tx

log = observe.logger(__name__)

Decide = Callable[[Tx, UUID, Schedule, datetime], Awaitable[Started | None]]

_FAILED: Final = Started(
    Verdict(Outcome.FAILED, "failed", "A defect of ours stood against it; nothing was sent and no credits reserved.")
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Schedules taken in one turn, time between turns that found nothing, and the time that one start may take."""

    at_once: int
    idle_ms: int
    start_timeout_ms: int


class Scheduler:
    """Starts the schedules of all tenants. key: of bulk ids; link_url: where links in messages
    lead; wake: called when facts were stored; guard:
    how much a business may send."""

    def __init__(
        self,
        db: Database,
        key: bytes,
        link_url: str,
        limits: Limits,
        wake: Callable[[], None],
        tz_version: str = TZ_VERSION,
        guard: SendLimits = NO_LIMITS,
    ) -> None:
        self._db = db
        self._key = key
        self._link_url = link_url
        self._limits = limits
        self._wake = wake
        self._tz_version = tz_version
        self._guard = guard
        for outcome in (*Outcome, SUSPENDED):
            metrics.schedule_starts.labels(outcome)  # from 0 on, so that an alert sees the first

    async def run(self) -> NoReturn:
        """Take turns for ever; ends by cancellation only."""
        while True:
            try:
                worked = await self.turn()
            except RETRIABLE as error:
                log.warning("scheduler.retry", exc_info=error)
                worked = False
            if not worked:
                await asyncio.sleep(self._limits.idle_ms / 1000)

    async def turn(self) -> bool:
        """Tell anew what an older time zone database has told, then make each tenant's longest due start.

        False where there was nothing to do.
        """
        async with self._db.worker() as tx:
            outdated = await schedules.outdated(tx, self._tz_version, self._limits.at_once)
        for tenant_id, schedule_id in outdated:
            await self._tell_anew(tenant_id, schedule_id)
        async with self._db.worker() as tx:
            due = await schedules.due(tx, self._limits.at_once)
        decided = [await self._guarded(tenant_id, schedule_id) for tenant_id, schedule_id in due]
        if any(decided):
            self._wake()
        return any(decided) or bool(outdated)

    async def _tell_anew(self, tenant_id: UUID, schedule_id: UUID) -> None:
        """The same time on the wall, where the zone still has it, else the one that follows."""
        async with self._db.request(tenant_id) as tx:
            schedule = await schedules.take(tx, tenant_id, schedule_id)
            zone = zone_of(schedule.time_zone) if schedule else None
            if schedule is None or schedule.next_wall is None:
                return
            _, last_at = await schedules.last_start(tx, tenant_id, schedule_id)
            before = schedule.next_wall - timedelta(minutes=1)
            later_than = None if schedule.local_time else last_at
            told = next_start(schedule.rule, zone, before, later_than) if zone else None
            told = await scheduling.begun(tx, tenant_id, schedule, told, clock.now())
            await schedules.set_next(tx, tenant_id, schedule_id, told, self._tz_version)

    async def _guarded(self, tenant_id: UUID, schedule_id: UUID) -> bool:
        """One start; where a defect of ours stands against it that is said, and it keeps nobody else waiting."""
        try:
            with spans.span("start schedule", parent=spans.new()):
                return await self._start(tenant_id, schedule_id, self._decide)
        except RETRIABLE:
            raise
        except Exception:
            log.exception("schedule.failed", schedule_id=str(schedule_id))
        return await self._start(tenant_id, schedule_id, _fail)

    async def _decide(self, tx: Tx, tenant_id: UUID, schedule: Schedule, now: datetime) -> Started | None:
        await tx.allow_statements(self._limits.start_timeout_ms)
        return await scheduling.start(tx, tenant_id, schedule, self._key, now, self._link_url, self._guard)

    async def _start(self, tenant_id: UUID, schedule_id: UUID, decide: Decide) -> bool:
        """Whether something was decided; not so where another has it in hand, or it waits."""
        now = clock.now()
        async with self._db.request(tenant_id) as tx:
            schedule = await schedules.take(tx, tenant_id, schedule_id)
            if schedule is None or schedule.next_wall is None or schedule.next_at is None or schedule.next_at > now:
                return False
            started = await decide(tx, tenant_id, schedule, now)
            if started is None:
                return False
            this = schedule.next_wall, schedule.next_at
            added = await schedules.add_start(
                tx, tenant_id, schedule_id, this, started.verdict, now, bulk_id=started.bulk_id, credits=started.credits
            )
            if not added and started.bulk_id:
                raise RuntimeError("a start that was decided before is not made again")
            await scheduling.tell(tx, tenant_id, schedule, started, now)
            zone = zone_of(schedule.time_zone)
            later_than = None if schedule.local_time else schedule.next_at
            following = next_start(schedule.rule, zone, schedule.next_wall, later_than) if zone else None
            following = await scheduling.begun(tx, tenant_id, schedule, following, now)
            await schedules.set_next(tx, tenant_id, schedule_id, following, self._tz_version)
        outcome, late_s = started.verdict.outcome, (now - schedule.next_at).total_seconds()
        metrics.schedule_starts.labels(_counted_as(started.verdict)).inc()
        if outcome is Outcome.STARTED:
            metrics.schedule_late_seconds.observe(late_s)
        log.info("schedule.start", schedule_id=str(schedule_id), outcome=outcome.value, code=started.verdict.code)
        return True


def _counted_as(verdict: Verdict) -> str:
    """The word of the metric: what was missed because an operator has stopped it is nobody's defect."""
    return SUSPENDED if verdict.code == SUSPENDED else verdict.outcome.value


async def _fail(_: Tx, __: UUID, ___: Schedule, ____: datetime) -> Started | None:
    return _FAILED
