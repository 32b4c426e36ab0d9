"""Schedules, and what became of each of their starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from muster.customer.domain.audience import Audience, audience_in, audience_out
from muster.customer.domain.recurrence import Rule, Start, plain, read
from muster.customer.domain.schedules import Above, State, Verdict
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as it stands. message_class and partial are the events'; sender None: the tenant's own at the start.

    next_at is by the time zone database of tz_version. local_time: next_wall is each recipient's own time,
    and next_at is when the first of them are there.
    """

    schedule_id: UUID
    name: str
    state: State
    rule: Rule
    time_zone: str
    text: str
    template_id: UUID | None
    template_version: int | None
    audience: Audience
    sender: str | None
    message_class: int
    credits_max: int
    above: Above
    partial: int
    send_within_min: int
    late_max_min: int
    next_wall: datetime | None
    next_at: datetime | None
    tz_version: str
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    changed_role: str
    local_time: bool = False
    version: int = 1


_SAVE = """
INSERT INTO schedule (tenant_id, schedule_id, name, state, rule, time_zone, text, template_id, template_version,
    audience, sender, message_class, credits_max, above, partial, send_within_min, late_max_min, next_wall, next_at,
    tz_version, created_at, created_by, changed_at, changed_by, changed_role, local_time, version)
VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8, $9, $10::text::jsonb, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        $20, $21, $22, $23, $24, $25, $26, $27)
ON CONFLICT (tenant_id, schedule_id) DO UPDATE SET name = $3, state = $4, rule = $5::text::jsonb, time_zone = $6,
    text = $7, template_id = $8, template_version = $9, audience = $10::text::jsonb, sender = $11, message_class = $12,
    credits_max = $13, above = $14, partial = $15, send_within_min = $16, late_max_min = $17, next_wall = $18,
    next_at = $19, tz_version = $20, changed_at = $23, changed_by = $24, changed_role = $25,
    local_time = $26, version = $27
"""


async def save(tx: Tx, tenant_id: UUID, schedule: Schedule) -> None:
    """Store a new schedule, or all of one whose row this transaction has locked."""
    s = schedule
    await tx.execute(
        _SAVE,
        *(tenant_id, s.schedule_id, s.name, s.state.value, _json(plain(s.rule)), s.time_zone, s.text, s.template_id),
        *(s.template_version, _json(audience_out(s.audience)), s.sender, s.message_class, s.credits_max, s.above.value),
        *(s.partial, s.send_within_min, s.late_max_min, s.next_wall, s.next_at, s.tz_version, s.created_at),
        *(s.created_by, s.changed_at, s.changed_by, s.changed_role, s.local_time, s.version),
    )


_SCHEDULE = """
SELECT schedule_id, name, state, rule::text AS rule, time_zone, text, template_id, template_version,
    audience::text AS audience, sender, message_class, credits_max, above, partial, send_within_min, late_max_min,
    next_wall, next_at, tz_version, created_at, created_by, changed_at, changed_by, changed_role, local_time, version
FROM schedule WHERE tenant_id = $1 """
_ONE = _SCHEDULE + "AND schedule_id = $2"
_LOCKED = _ONE + " FOR UPDATE"
_TAKEN = _ONE + " AND next_at IS NOT NULL FOR UPDATE SKIP LOCKED"


async def schedule_of(tx: Tx, tenant_id: UUID, schedule_id: UUID) -> Schedule | None:
    """A schedule as it stands."""
    return _schedule(await tx.fetchrow(_ONE, tenant_id, schedule_id))


async def lock(tx: Tx, tenant_id: UUID, schedule_id: UUID) -> Schedule | None:
    """As `schedule_of`, for a change: waits for a start that is being made."""
    return _schedule(await tx.fetchrow(_LOCKED, tenant_id, schedule_id))


async def take(tx: Tx, tenant_id: UUID, schedule_id: UUID) -> Schedule | None:
    """As `lock`, if it is active and nobody else has it in hand."""
    return _schedule(await tx.fetchrow(_TAKEN, tenant_id, schedule_id))


_PAGE = (
    _SCHEDULE
    + """AND ($2::uuid IS NULL OR schedule_id < $2) AND CASE WHEN $3::text IS NULL THEN state <> 'archived' ELSE
    state = $3 END ORDER BY schedule_id DESC LIMIT $4"""
)


async def page(tx: Tx, tenant_id: UUID, before: UUID | None, state: str | None, limit: int) -> list[Schedule]:
    """Schedules, the newest first; archived ones only where they are asked for."""
    rows = await tx.fetch(_PAGE, tenant_id, before, state, limit)
    return [found for row in rows if (found := _schedule(row))]


_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('schedules/' || $1::uuid::text, 0))"
_LIVE = "SELECT count(*) FROM schedule WHERE tenant_id = $1 AND state IN ('active', 'paused')"


async def live(tx: Tx, tenant_id: UUID) -> int:
    """How many schedules of a tenant are active or paused; nobody adds one before this transaction has ended."""
    await tx.execute(_ALONE, tenant_id)
    count: int = await tx.fetchval(_LIVE, tenant_id)
    return count


# The longest waiting one of each tenant: who missed a thousand starts keeps nobody else waiting.
_DUE = """
SELECT DISTINCT ON (tenant_id) tenant_id, schedule_id FROM schedule WHERE next_at <= kit_now()
ORDER BY tenant_id, next_at, schedule_id LIMIT $1
"""


async def due(tx: Tx, limit: int) -> list[tuple[UUID, UUID]]:
    """Tenant and schedule of starts whose time has come, one for each tenant (worker)."""
    return [(row["tenant_id"], row["schedule_id"]) for row in await tx.fetch(_DUE, limit)]


_OUTDATED = "SELECT tenant_id, schedule_id FROM schedule WHERE next_at IS NOT NULL AND tz_version < $1 LIMIT $2"


async def outdated(tx: Tx, tz_version: str, limit: int) -> list[tuple[UUID, UUID]]:
    """Tenant and schedule of next starts that an older time zone database has told (worker)."""
    return [(row["tenant_id"], row["schedule_id"]) for row in await tx.fetch(_OUTDATED, tz_version, limit)]


_ADD_START = """
INSERT INTO schedule_start (tenant_id, schedule_id, wall, at, outcome, bulk_id, code, detail, credits, decided_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (tenant_id, schedule_id, wall) DO NOTHING RETURNING true
"""


async def add_start(
    tx: Tx,
    tenant_id: UUID,
    schedule_id: UUID,
    start: tuple[datetime, datetime],
    verdict: Verdict,
    decided_at: datetime,
    *,
    bulk_id: UUID | None = None,
    credits: int | None = None,
) -> bool:
    """What became of a start, given as its wall time and moment; False where that was decided before."""
    wall, at = start
    outcome = (verdict.outcome.value, bulk_id, verdict.code, verdict.detail, credits, decided_at)
    return await tx.fetchval(_ADD_START, tenant_id, schedule_id, wall, at, *outcome) is not None


_NEXT = """
UPDATE schedule SET state = $3, next_wall = $4, next_at = $5, tz_version = $6
WHERE tenant_id = $1 AND schedule_id = $2
"""


async def set_next(tx: Tx, tenant_id: UUID, schedule_id: UUID, following: Start | None, tz_version: str) -> None:
    """The next start of an active schedule; without one it has ended."""
    state = State.ACTIVE if following else State.ENDED
    place = (following.wall, following.at) if following else (None, None)
    await tx.execute(_NEXT, tenant_id, schedule_id, state.value, *place, tz_version)


_STARTS = """
SELECT wall, at, outcome, bulk_id, code, detail, credits, decided_at FROM schedule_start
WHERE tenant_id = $1 AND schedule_id = $2 AND ($3::timestamp IS NULL OR wall < $3) ORDER BY wall DESC LIMIT $4
"""


async def starts_of(tx: Tx, tenant_id: UUID, schedule_id: UUID, before: datetime | None, limit: int) -> list[Record]:
    """What became of the starts of a schedule, the newest first."""
    return await tx.fetch(_STARTS, tenant_id, schedule_id, before, limit)


_LAST = """
SELECT max(wall) AS wall, max(at) AS at FROM schedule_start WHERE tenant_id = $1 AND schedule_id = $2
"""


async def last_start(tx: Tx, tenant_id: UUID, schedule_id: UUID) -> tuple[datetime | None, datetime | None]:
    """The latest wall time and moment of which something was decided already."""
    row = await tx.fetchrow(_LAST, tenant_id, schedule_id)
    return (row["wall"], row["at"]) if row else (None, None)


def _schedule(row: Record | None) -> Schedule | None:
    if row is None:
        return None
    kept = dict(row)
    kept["state"], kept["above"] = State(row["state"]), Above(row["above"])
    kept["rule"], kept["audience"] = read(orjson.loads(row["rule"])), audience_in(orjson.loads(row["audience"]))
    return Schedule(**kept)


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()
