"""Deliberate faults in the real code that only chapters can show, each by the law that has to find it."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from uuid import UUID

from exploration.faults import without

import muster.customer.scheduler as scheduler
import muster.dispatch.handlers.failover as failover
import muster.dispatch.main as dispatch
import muster.dispatch.store.claims as claims
import muster.dispatch.store.moving as moving
import muster.dispatch.store.queue as queue
from muster.kit import clock
from simulation.chapters import first_seeds_with, hours_of

_SEEDS: Final = 60


@dataclass(frozen=True, slots=True)
class ChapterFault:
    """`law` is how what is found begins; `seed` finds it, by now. `turns`: by what happens at its turn of the minute,
    only some histories of the chapter can show it."""

    name: str
    chapter: str
    law: str
    seed: int
    apply: Callable[[], object]
    turns: Callable[[Random], bool] = lambda _: True

    def seeds(self) -> list[int]:
        """Where to look: a seed belongs to a commit, and another one may find it by now."""
        likely = [seed for seed in first_seeds_with(self.chapter, 4 * _SEEDS) if self.turns(Random(f"{seed}/turn"))]
        return list(dict.fromkeys((self.seed, *likely)))[:_SEEDS]


def _hours_are_not_looked_at() -> None:
    for module, name, of in ((claims, "_WAITING", "a."), (claims, "_LEASE", ""), (queue, "_INTEND", "t.")):
        without(module, name, f"AND ({of}allowed IS NULL OR {of}allowed @> kit_now())", "")


def _suspensions_are_not_looked_at() -> None:
    for module, name, saga, nobody in (
        (claims, "_WAITING", "g", "$4"),
        (claims, "_LEASE", "saga", "$7"),
        (queue, "_INTEND", "saga", "$10"),
    ):
        those = f"{saga}.tenant_id, {nobody}"
        clause = f"NOT EXISTS (SELECT FROM suspension h WHERE h.suspended AND h.tenant_id IN ({those}))"
        without(module, name, clause, f"{nobody}::uuid IS NOT NULL")


def _chunks_wander_while_they_are_sent() -> None:
    """Ten times a second each goes to the account that it is not at, and begins anew there."""
    without(moving, "_PAGE", "a.state = 0 AND a.attempt = 0 AND a.intent_upto = 0", "a.state <> 2 AND a.attempt = 0")
    without(moving, "_MOVE", "t.state = 0 AND t.attempt = 0 AND t.intent_upto = 0", "t.state <> 2 AND t.attempt = 0")
    afresh = "state = 0, intent_upto = 0, lease_owner = NULL, lease_until = NULL"
    without(moving, "_MOVE", "SET account = locked.account FROM", f"SET account = locked.account, {afresh} FROM")
    look = failover.Failover.look

    async def always(self: Any) -> bool:
        self._led = None
        return await look(self)

    def elsewhere(queued: Any, table: Any) -> Any:
        other = next(name for name in table.ways if name != queued.account)
        return moving.Move(queued.key, queued.account, other, queued.route)

    failover.Failover.look = always  # type: ignore[method-assign]
    failover._move = elsewhere
    dispatch.FAILOVER_S = 0.1  # type: ignore[misc]


def _a_start_and_its_send_are_two_transactions() -> None:
    sound = scheduler.Scheduler._start

    async def wrong(self: Any, tenant_id: UUID, schedule_id: UUID, decide: Any) -> bool:
        now = clock.now()
        async with self._db.request(tenant_id) as tx:
            schedule = await scheduler.schedules.take(tx, tenant_id, schedule_id)
            if schedule is None or schedule.next_at is None or schedule.next_at > now:
                return False
            started = await decide(tx, tenant_id, schedule, now)

        async def decided(*_: Any) -> Any:
            return started

        return await sound(self, tenant_id, schedule_id, decided)

    scheduler.Scheduler._start = wrong  # type: ignore[method-assign]


def _every_second_start_is_forgotten() -> None:
    sound = scheduler.next_start

    def wrong(rule: Any, zone: Any, wall: Any = None, later_than: Any = None) -> Any:
        found = sound(rule, zone, wall, later_than)
        return found and sound(rule, zone, found.wall, later_than)

    scheduler.next_start = wrong  # type: ignore[attr-defined]


CHAPTER_FAULTS: Final = (
    ChapterFault(
        "hours are not looked at",
        "hours",
        "law hours",
        900,
        _hours_are_not_looked_at,
        # What was begun before goes on after it.
        lambda turn: hours_of(turn) == "begins",
    ),
    ChapterFault("suspensions are not looked at", "suspension", "law suspended", 710, _suspensions_are_not_looked_at),
    ChapterFault(
        "chunks go to another account while they are sent",
        "accounts",
        "carriers accepted",
        50,
        _chunks_wander_while_they_are_sent,
    ),
    ChapterFault(
        "a start of a schedule and its send are two transactions",
        "schedule",
        "law schedule",
        370,
        _a_start_and_its_send_are_two_transactions,
    ),
    ChapterFault(
        "every second start of a schedule is forgotten",
        "schedule",
        "law schedule",
        10,
        _every_second_start_is_forgotten,
    ),
)
