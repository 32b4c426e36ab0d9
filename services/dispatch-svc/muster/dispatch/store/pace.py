"""What there is to send by whom, what carriers take, and what was promised.

Rows of `pace` are changed only by who holds the turn.
"""

import math
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from muster.dispatch.domain.meter import Taken
from muster.dispatch.domain.pace import Course, Ended, Piece, Work
from muster.dispatch.store.sagas import SagaKey
from muster.events import NIL_TENANT
from muster.kit.pg import Record, Tx

_SAVE_RATE: Final = """
INSERT INTO pace_account (account, parts_per_second, doubt, at) VALUES ($1, $2, $3, kit_now())
ON CONFLICT (account) DO UPDATE SET parts_per_second = excluded.parts_per_second, doubt = excluded.doubt,
    at = excluded.at
"""


async def save_rate(tx: Tx, account: str, taken: Taken) -> None:
    """What a carrier takes now, by its sender."""
    await tx.execute(_SAVE_RATE, account, *taken)


_ARRIVING: Final = """
SELECT EXISTS (SELECT FROM saga WHERE state = 'sending' AND ending = '' AND parked = '' AND requested
    AND arrived < chunks) -- tenant_id: of all of them
"""


async def arriving(tx: Tx) -> bool:
    """Whether messages of a send that is being sent are still on their way to the queue."""
    return bool(await tx.fetchval(_ARRIVING))


_RATES: Final = """
SELECT account, parts_per_second, doubt FROM pace_account WHERE at > kit_now() - make_interval(secs => $1)
"""


async def rates(tx: Tx, fresh_s: float) -> dict[str, Taken]:
    """What each account takes whose sender has said so within the last `fresh_s`."""
    rows = await tx.fetch(_RATES, fresh_s)
    return {row["account"]: Taken(row["parts_per_second"], row["doubt"]) for row in rows}


_BUSY: Final = """
SELECT EXISTS (SELECT FROM pace) OR EXISTS (SELECT FROM saga WHERE state = 'sending' AND ending = '' AND parked = ''
    AND NOT (requested AND done >= chunks)) -- tenant_id: of all of them
"""
_TURN: Final = """
UPDATE pace_turn SET at = kit_now() WHERE one IN (
    SELECT one FROM pace_turn WHERE at <= kit_now() - make_interval(secs => $1) FOR UPDATE SKIP LOCKED)
RETURNING kit_now() AS now
"""


async def take_turn(tx: Tx, every_s: float) -> datetime | None:
    """The time by the database, for the one of all workers who may speak now; None where there is nothing to say."""
    if not await tx.fetchval(_BUSY):
        return None
    now: datetime | None = await tx.fetchval(_TURN, every_s)
    return now


# `held` attempts wait for a person's word on a reply: nobody can promise when that comes, so they are in no promise.
# What is due within a second is due together; who may be texted at some hours only is due when they begin. Senders
# take nothing of who is suspended.
_WORKS: Final = """
SELECT s.tenant_id, s.bulk_id, s.control_version, s.done > 0 AS any_done, s.chunks, s.arrived, s.requested,
    coalesce(s.reserved, 0) AS reserved, q.*
FROM saga s LEFT JOIN LATERAL (
    SELECT a.account, a.kind, a.lane,
        greatest(0, ceil(extract(epoch FROM w.due_at - kit_now())))::float8 AS due_s,
        extract(epoch FROM w.until - kit_now())::float8 AS until_s,
        sum(a.parts - a.intent_upto)::bigint AS parts, sum(a.parts)::bigint AS all_parts, count(*) AS attempts,
        bool_or(a.intent_upto > 0 OR a.attempt > 0) AS begun
    FROM attempt a CROSS JOIN LATERAL (
        SELECT greatest(a.due_at, kit_now()) AS due_at, NULL::timestamptz AS until WHERE a.allowed IS NULL
        UNION ALL
        (SELECT greatest(lower(hours), a.due_at, kit_now()), upper(hours) FROM unnest(a.allowed) AS hours
        WHERE upper(hours) > greatest(a.due_at, kit_now()) ORDER BY hours LIMIT 1)) w
    WHERE a.tenant_id = s.tenant_id AND a.bulk_id = s.bulk_id AND a.state <> 2 AND a.why <> 'held'
    GROUP BY 1, 2, 3, 4, 5) q ON true
WHERE s.state = 'sending' AND s.ending = '' AND s.parked = '' AND NOT (s.requested AND s.done >= s.chunks)
    AND NOT EXISTS (SELECT FROM suspension h WHERE h.suspended AND h.tenant_id IN (s.tenant_id, $2))
LIMIT $1
"""


async def works(tx: Tx, limit: int) -> dict[SagaKey, Work]:
    """What is left of each send that is being sent; without those of which nothing is left that can be promised."""
    rows: dict[SagaKey, list[Record]] = {}
    for row in await tx.fetch(_WORKS, limit, NIL_TENANT):
        if row["account"] is not None:
            rows.setdefault(SagaKey(row["tenant_id"], row["bulk_id"]), []).append(row)
    return {key: _work(key, found) for key, found in rows.items()}


def _work(key: SagaKey, rows: Sequence[Record]) -> Work:
    first = rows[0]
    pieces = [_piece(key, row, row["parts"]) for row in rows]
    coming = max(0, first["chunks"] - first["arrived"]) if first["requested"] else 0
    if coming:
        # Chunks that are on their way are like those that are here.
        each = sum(row["all_parts"] for row in rows) / sum(row["attempts"] for row in rows)
        pieces.append(_piece(key, max(rows, key=lambda row: row["parts"]), coming * each))
    return Work(
        pieces=tuple(pieces),
        kind=first["kind"],
        control_version=first["control_version"],
        reserved=first["reserved"],
        begun=first["any_done"] or any(row["begun"] for row in rows),
        coming=bool(coming),
    )


def _piece(key: SagaKey, row: Record, parts: float) -> Piece:
    rank = (row["kind"] == _BULK_KIND, row["lane"], key.bulk_id)
    until_s = math.inf if row["until_s"] is None else row["until_s"]
    return Piece(key.tenant_id, key.bulk_id, row["account"], parts, row["due_s"], rank, until_s)


# MessageKind.BULK of the events.
_BULK_KIND: Final = 1

_COURSES: Final = """
SELECT tenant_id, bulk_id, control_version, parts_left, parts_per_second,
    extract(epoch FROM began_at)::float8 AS began, extract(epoch FROM said_at)::float8 AS said,
    extract(epoch FROM promised_at)::float8 AS promised,
    extract(epoch FROM promised_finish_at)::float8 AS promised_finish
FROM pace ORDER BY said_at -- tenant_id: of all of them
"""


async def courses(tx: Tx) -> dict[SagaKey, Course]:
    """What was promised of sends that were being sent, those that were said longest ago first."""
    return {
        SagaKey(row["tenant_id"], row["bulk_id"]): Course(
            control_version=row["control_version"],
            began=row["began"],
            said=row["said"],
            parts_left=row["parts_left"],
            parts_per_second=row["parts_per_second"],
            promised=row["promised"],
            promised_finish=row["promised_finish"],
        )
        for row in await tx.fetch(_COURSES)
    }


# allow ordered-locks: pace_turn is held by whoever changes rows of pace
_SAVE: Final = """
INSERT INTO pace (tenant_id, bulk_id, control_version, began_at, said_at, parts_left, parts_per_second, promised_at,
    promised_finish_at)
SELECT tenant_id, bulk_id, control_version, to_timestamp(began), to_timestamp(said), parts_left, parts_per_second,
    to_timestamp(promised), to_timestamp(promised_finish)
FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::float8[], $5::float8[], $6::bigint[], $7::float8[], $8::float8[],
    $9::float8[])
AS n(tenant_id, bulk_id, control_version, began, said, parts_left, parts_per_second, promised, promised_finish)
ON CONFLICT (tenant_id, bulk_id) DO UPDATE SET control_version = excluded.control_version,
    began_at = excluded.began_at, said_at = excluded.said_at, parts_left = excluded.parts_left,
    parts_per_second = excluded.parts_per_second, promised_at = excluded.promised_at,
    promised_finish_at = excluded.promised_finish_at
"""


async def save(tx: Tx, found: Sequence[tuple[SagaKey, Course]]) -> None:
    """Remember what is said now."""
    rows = [
        (*key, one.control_version, one.began, one.said, one.parts_left, one.parts_per_second, *_promise(one))
        for key, one in found
    ]
    if rows:
        await tx.execute(_SAVE, *map(list, zip(*rows, strict=True)))


def _promise(course: Course) -> tuple[float | None, float | None]:
    return course.promised, course.promised_finish


# allow ordered-locks: as above
_DROP: Final = """
DELETE FROM pace WHERE (tenant_id, bulk_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
"""


async def drop(tx: Tx, keys: Collection[SagaKey]) -> None:
    """Forget sends that are not being sent any more."""
    if keys:
        await tx.execute(_DROP, [key.tenant_id for key in keys], [key.bulk_id for key in keys])


_ENDS: Final = """
SELECT s.tenant_id, s.bulk_id, s.control_version, s.ending <> '' AS stopped,
    s.state = 'paused' OR s.paused OR s.parked <> '' AS paused, coalesce(s.reserved, 0) AS reserved,
    EXISTS (SELECT FROM attempt a WHERE a.tenant_id = s.tenant_id AND a.bulk_id = s.bulk_id AND a.state <> 2
        AND a.why <> 'held') AS open,
    (SELECT extract(epoch FROM max(c.submitted_at))::float8 FROM chunk c
        WHERE c.tenant_id = s.tenant_id AND c.bulk_id = s.bulk_id) AS last
FROM saga s WHERE (s.tenant_id, s.bulk_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
"""


async def ends(tx: Tx, keys: Collection[SagaKey]) -> dict[SagaKey, Ended]:
    """Why sends are not being sent any more, and when the last message of each had left."""
    rows: list[Any] = await tx.fetch(_ENDS, [key.tenant_id for key in keys], [key.bulk_id for key in keys])
    return {
        SagaKey(row["tenant_id"], row["bulk_id"]): Ended(
            control_version=row["control_version"],
            stopped=row["stopped"],
            paused=row["paused"],
            open=row["open"],
            reserved=row["reserved"],
            last=row["last"],
        )
        for row in rows
    }
