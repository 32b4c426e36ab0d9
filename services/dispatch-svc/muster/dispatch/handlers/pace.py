"""How sends go on, said while they do: what is left, how fast it leaves, and when the last message will have left."""

import logging
import math
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from muster.dispatch.domain.pace import (
    PROMISED_AFTER_S,
    Course,
    Ended,
    Outlook,
    Work,
    error_ratio,
    finishes,
    follow,
    outlook,
)
from muster.dispatch.events import KIND_BULK
from muster.dispatch.events.pace import pace_ended, paced
from muster.dispatch.store import pace
from muster.dispatch.store import rates as tenant_rates
from muster.dispatch.store.sagas import SagaKey
from muster.kit import clock, metrics, observe
from muster.kit.outbox import Fact, emit
from muster.kit.pg import Database, Tx

log = observe.logger(__name__)

EVERY_S = 1.0
# A sender says each second what its carrier takes, while it sends.
_FRESH_S = 5.0
_SENDS_MAX = 20_000
# Of so many sends in one look; where there are more, each is said less often.
_SAID_MAX = 500
# Looks take at most this share of the time, however long the queue is: they are further apart then.
_SHARE_MAX = 0.2


class Pacer:
    """Looks at the queue once a second, of all workers one at a time."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._next_at = 0.0

    async def look(self) -> bool:
        """Say how each send goes on; False: there is no more to do at once."""
        began = clock.monotonic()
        if began < self._next_at:
            return False
        async with self._db.worker() as tx:
            now = await pace.take_turn(tx, 0.9 * EVERY_S)
            if now is not None:
                await say(tx, now)
        ended = clock.monotonic()
        self._next_at = ended + (ended - began) / _SHARE_MAX - EVERY_S
        return False


async def say(tx: Tx, at: datetime) -> None:
    """What there is to say at this time of the database, by the one whose turn it is."""
    now = at.timestamp()
    works = await pace.works(tx, _SENDS_MAX)
    courses = await pace.courses(tx)
    taken = await pace.rates(tx, _FRESH_S)
    _tell(works)
    pieces = (piece for work in works.values() for piece in work.pieces)
    rates = {account: one.parts_per_second for account, one in taken.items()}
    ends = finishes(pieces, rates, await tenant_rates.every(tx))
    doubts = {account: one.doubt for account, one in taken.items()}
    found = {key.bulk_id: outlook(work, ends[key.bulk_id], doubts) for key, work in works.items()}
    await emit(tx, *await _under_way(tx, works, courses, found, now), *await _ended(tx, works, courses, now))


async def _under_way(
    tx: Tx,
    works: Mapping[SagaKey, Work],
    courses: Mapping[SagaKey, Course],
    found: Mapping[UUID, Outlook],
    now: float,
) -> list[Fact]:
    """Bulk sends that have begun: single messages are gone before anybody looks."""
    watched = [key for key, work in works.items() if work.begun and work.kind == KIND_BULK]
    watched.sort(key=lambda key: courses[key].said if key in courses else 0.0)
    told = [(key, follow(courses.get(key), works[key], found[key.bulk_id], now)) for key in watched[:_SAID_MAX]]
    await pace.save(tx, told)
    return [paced(*key, course, found[key.bulk_id].finish_s, works[key]) for key, course in told]


async def _ended(tx: Tx, works: Mapping[SagaKey, Work], courses: Mapping[SagaKey, Course], now: float) -> list[Fact]:
    """Sends that are not being sent any more: what was promised of them was kept, or is void."""
    gone = [key for key in courses if key not in works]
    if not gone:
        return []
    ends = await pace.ends(tx, gone)
    await pace.drop(tx, gone)
    for key, end in ends.items():
        log.debug("pace.ended", bulk_id=str(key.bulk_id), why=end.why, last=end.last)
        _measure(courses[key], end, now)
    return [pace_ended(*key, courses[key], end, now) for key, end in ends.items()]


def _measure(course: Course, end: Ended, now: float) -> None:
    finished = end.last if end.last is not None else now
    if end.why:
        return
    if course.promised_finish is not None:
        metrics.finish_promise_error_ratio.observe(error_ratio(course.began, course.promised_finish, finished))
    elif finished - course.began > PROMISED_AFTER_S:
        metrics.finishes_unpromised.inc()


def _tell(works: Mapping[SagaKey, Work]) -> None:
    """For who has asked for debug logs: what there is to send, from which a promise can be followed afterwards."""
    if log.is_enabled_for(logging.DEBUG):
        pieces = [
            (str(piece.tenant_id), str(piece.bulk_id), piece.account, piece.parts, piece.due_s, piece.rank[:2], until)
            for work in works.values()
            for piece in work.pieces
            for until in [None if piece.until_s == math.inf else piece.until_s]
        ]
        begun = [str(key.bulk_id) for key, work in works.items() if work.begun]
        coming = [str(key.bulk_id) for key, work in works.items() if work.coming]
        log.debug("pace.looked", pieces=pieces, begun=begun, coming=coming)
