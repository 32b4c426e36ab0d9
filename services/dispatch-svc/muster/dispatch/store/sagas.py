"""Rows of sagas."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from muster.dispatch.domain.accounting import Tally, Totals
from muster.dispatch.domain.saga import Bulk, State
from muster.dispatch.domain.slots import Reason
from muster.dispatch.domain.waits import wait_of
from muster.kit.pg import Record, Tx


class SagaKey(NamedTuple):
    """Which send of whom. Its order is the order of locks."""

    tenant_id: UUID
    bulk_id: UUID


_CREATE: Final = """
INSERT INTO saga (tenant_id, bulk_id)
SELECT * FROM unnest($1::uuid[], $2::uuid[]) ORDER BY 1, 2 ON CONFLICT DO NOTHING
"""

_COLUMNS: Final = """
tenant_id, bulk_id, state, control_version, paused, ending, overdue, requested, recipients, chunks, asked, send_by,
reserved, arrived, done, used, released, held, refunded, accepted, unknown, rejected, stopped, suppressed, reason,
account_version, settled_version, sweep, parked, withdrawn, given_up, last_submit_ms
"""

_LOCK: Final = f"""
SELECT {_COLUMNS} FROM saga WHERE (tenant_id, bulk_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
ORDER BY tenant_id, bulk_id FOR NO KEY UPDATE
"""  # noqa: S608 - the columns are the constant above


async def lock(tx: Tx, keys: Collection[SagaKey]) -> dict[SagaKey, Bulk]:
    """Lock sagas alone, in order; the first fact about a send makes its row."""
    ordered = sorted(set(keys))
    columns = [key.tenant_id for key in ordered], [key.bulk_id for key in ordered]
    rows = await tx.fetch(_LOCK, *columns)
    if len(rows) < len(ordered):
        await tx.execute(_CREATE, *columns)
        rows = await tx.fetch(_LOCK, *columns)
    return {SagaKey(row["tenant_id"], row["bulk_id"]): _bulk(row) for row in rows}


_READ: Final = f"SELECT {_COLUMNS} FROM saga WHERE tenant_id = $1 AND bulk_id = $2"  # noqa: S608


async def read(tx: Tx, tenant_id: UUID, bulk_id: UUID) -> Bulk | None:
    """A send as it is, without a lock."""
    row = await tx.fetchrow(_READ, tenant_id, bulk_id)
    return None if row is None else _bulk(row)


def _bulk(row: Record) -> Bulk:
    return Bulk(
        state=State(row["state"]),
        control_version=row["control_version"],
        paused=row["paused"],
        ending=Reason(row["ending"]),
        overdue=row["overdue"],
        requested=row["requested"],
        recipients=row["recipients"],
        chunks=row["chunks"],
        asked=row["asked"],
        send_by_unix_ms=_unix_ms(row["send_by"]),
        reserved=row["reserved"],
        arrived=row["arrived"],
        done=row["done"],
        totals=_totals(row),
        account_version=row["account_version"],
        settled_version=row["settled_version"],
        sweep=row["sweep"],
        parked=row["parked"],
        withdrawn=row["withdrawn"],
        given_up=row["given_up"],
    )


def _totals(row: Record) -> Totals:
    return Totals(
        used=row["used"],
        released=row["released"],
        held=row["held"],
        refunded=row["refunded"],
        accepted=row["accepted"],
        unknown=row["unknown"],
        rejected=row["rejected"],
        stopped=row["stopped"],
        suppressed=row["suppressed"],
        reason=Reason(row["reason"]),
        last_submit_ms=row["last_submit_ms"],
    )


# allow ordered-locks: `lock` has locked them, in order
_SAVE: Final = """
UPDATE saga s SET
    state = n.state, control_version = n.control_version, paused = n.paused, ending = n.ending, overdue = n.overdue,
    requested = n.requested, recipients = n.recipients, chunks = n.chunks, asked = n.asked, send_by = n.send_by,
    reserved = n.reserved, arrived = n.arrived, done = n.done, used = n.used, released = n.released, held = n.held,
    refunded = n.refunded, accepted = n.accepted, unknown = n.unknown, rejected = n.rejected, stopped = n.stopped,
    suppressed = n.suppressed, reason = n.reason, account_version = n.account_version,
    settled_version = n.settled_version, sweep = n.sweep, parked = n.parked, withdrawn = n.withdrawn,
    given_up = n.given_up, last_submit_ms = n.last_submit_ms, wait = n.wait, updated_at = kit_now(),
    wait_since = CASE WHEN n.wait <> s.wait THEN kit_now() ELSE s.wait_since END,
    unsettled_since = CASE WHEN n.account_version > n.settled_version THEN coalesce(s.unsettled_since, kit_now()) END,
    accounted_at = CASE WHEN n.account_version > s.account_version THEN kit_now() ELSE s.accounted_at END
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::bool[], $6::text[], $7::bool[], $8::bool[], $9::int[],
    $10::int[], $11::bigint[], $12::timestamptz[], $13::bigint[], $14::int[], $15::int[], $16::bigint[], $17::bigint[],
    $18::bigint[], $19::bigint[], $20::int[], $21::int[], $22::int[], $23::int[], $24::int[], $25::text[], $26::int[],
    $27::int[], $28::bool[], $29::text[], $30::bool[], $31::bool[], $32::bigint[], $33::text[])
AS n(tenant_id, bulk_id, state, control_version, paused, ending, overdue, requested, recipients, chunks, asked, send_by,
    reserved, arrived, done, used, released, held, refunded, accepted, unknown, rejected, stopped, suppressed, reason,
    account_version, settled_version, sweep, parked, withdrawn, given_up, last_submit_ms, wait)
WHERE s.tenant_id = n.tenant_id AND s.bulk_id = n.bulk_id
"""


async def save(tx: Tx, bulks: Mapping[SagaKey, Bulk]) -> None:
    """Store sagas that this transaction has locked."""
    if bulks:
        await tx.execute(_SAVE, *map(list, zip(*(_row(key, bulk) for key, bulk in bulks.items()), strict=True)))


def _row(key: SagaKey, bulk: Bulk) -> tuple[Any, ...]:
    totals = bulk.totals
    return (
        *(key.tenant_id, key.bulk_id, bulk.state.value, bulk.control_version, bulk.paused, bulk.ending.value),
        *(bulk.overdue, bulk.requested, bulk.recipients, bulk.chunks, bulk.asked, from_unix_ms(bulk.send_by_unix_ms)),
        *(bulk.reserved, bulk.arrived, bulk.done, totals.used, totals.released, totals.held, totals.refunded),
        *(totals.accepted, totals.unknown, totals.rejected, totals.stopped, totals.suppressed, totals.reason.value),
        *(bulk.account_version, bulk.settled_version, bulk.sweep, bulk.parked, bulk.withdrawn, bulk.given_up),
        *(totals.last_submit_ms, wait_of(bulk).value),
    )


def from_unix_ms(unix_ms: int) -> datetime | None:
    """A time of the wire; None for 0, which is no time."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC) if unix_ms else None


def _unix_ms(at: datetime | None) -> int:
    return 0 if at is None else round(at.timestamp() * 1000)


_TALLIES: Final = """
SELECT k.tenant_id, k.bulk_id, t.* FROM unnest($1::uuid[], $2::uuid[]) AS k(tenant_id, bulk_id)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(c.accepted), 0) AS accepted, coalesce(sum(c.unknown), 0) AS unknown,
        coalesce(sum(c.rejected), 0) AS rejected, coalesce(sum(c.stopped), 0) AS stopped,
        coalesce(sum(c.suppressed), 0) AS suppressed, coalesce(sum(c.short), 0) AS short,
        coalesce(sum(c.open), 0) AS open, coalesce(sum(c.used), 0)::bigint AS used,
        coalesce(sum(c.unknown_credits), 0)::bigint AS unknown_credits,
        coalesce(extract(epoch FROM max(c.submitted_at) FILTER (WHERE c.unknown_credits > 0)) * 1000, 0)::bigint
            AS last_submit_ms,
        coalesce(sum(c.refunded), 0)::bigint AS refunded,
        coalesce(sum(c.open_credits) FILTER (WHERE EXISTS (
            SELECT FROM attempt a WHERE a.tenant_id = c.tenant_id AND a.bulk_id = c.bulk_id AND a.chunk = c.chunk
                AND a.state = 1)), 0)::bigint AS on_wire_credits
    FROM chunk c WHERE c.tenant_id = k.tenant_id AND c.bulk_id = k.bulk_id) t
"""


async def tallies(tx: Tx, keys: Collection[SagaKey]) -> dict[SagaKey, Tally]:
    """What the chunks of sends add up to. Read after the sagas were locked, so that totals never go back."""
    ordered = sorted(keys)
    rows = await tx.fetch(_TALLIES, [key.tenant_id for key in ordered], [key.bulk_id for key in ordered])
    return {
        SagaKey(row["tenant_id"], row["bulk_id"]): Tally(**{name: int(row[name]) for name in Tally.__slots__})
        for row in rows
    }


_DUE_SEND_BY: Final = """
(SELECT tenant_id, bulk_id FROM saga
WHERE send_by <= kit_now() AND NOT overdue AND state NOT IN ('closed', 'refused') ORDER BY send_by LIMIT $1)
UNION ALL
(SELECT tenant_id, bulk_id FROM saga
WHERE send_by IS NULL AND created_at < kit_now() - make_interval(secs => $2) AND NOT overdue
    AND state NOT IN ('closed', 'refused') ORDER BY created_at LIMIT $1)
"""


async def past_send_by(tx: Tx, silent_s: float, limit: int) -> list[SagaKey]:
    """Sends whose time is over by the database's clock; also those of which nobody said until when for so long."""
    return [SagaKey(*row) for row in await tx.fetch(_DUE_SEND_BY, limit, silent_s)]


_UNSETTLED: Final = """
UPDATE saga SET accounted_at = kit_now() WHERE (tenant_id, bulk_id) IN (
    SELECT tenant_id, bulk_id FROM saga
    WHERE account_version > settled_version AND accounted_at < kit_now() - make_interval(secs => $1)
    ORDER BY tenant_id, bulk_id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)
RETURNING tenant_id, bulk_id
"""


async def take_unsettled(tx: Tx, older_than_s: float, limit: int) -> list[SagaKey]:
    """Sends whose totals nobody has answered for this long; their clock starts again."""
    return [SagaKey(*row) for row in await tx.fetch(_UNSETTLED, older_than_s, limit)]


_TO_SWEEP: Final = "SELECT tenant_id, bulk_id FROM saga WHERE sweep ORDER BY tenant_id, bulk_id LIMIT $1"


async def to_sweep(tx: Tx, limit: int) -> list[SagaKey]:
    """Ended sends of which chunks may still be queued."""
    return [SagaKey(*row) for row in await tx.fetch(_TO_SWEEP, limit)]


_WAITS: Final = """
SELECT wait, count(*), extract(epoch FROM kit_now() - min(wait_since))::float8 AS oldest_s FROM saga
WHERE wait <> '' GROUP BY wait -- tenant_id: of all of them
"""


async def waits(tx: Tx) -> dict[str, tuple[int, float]]:
    """How many sends wait for what, and for how many seconds the oldest of them does."""
    return {row["wait"]: (row["count"], row["oldest_s"]) for row in await tx.fetch(_WAITS)}


_STUCK: Final = """
SELECT s.tenant_id, s.bulk_id, s.state, s.wait, s.wait_since, s.parked, s.ending, s.send_by, s.recipients, s.chunks,
    s.arrived, s.done, coalesce(s.reserved, 0) AS reserved, s.held, s.account_version, s.settled_version
FROM saga s JOIN unnest($1::text[], $2::float8[]) AS w(wait, patience_s) USING (wait)
WHERE s.wait <> '' AND s.wait_since <= kit_now() - make_interval(secs => w.patience_s)
    AND (s.tenant_id, s.bulk_id) > ($3, $4)
ORDER BY s.tenant_id, s.bulk_id LIMIT $5
"""


async def stuck(tx: Tx, patience_s: Mapping[str, float], after: tuple[UUID, UUID], limit: int) -> list[Record]:
    """Sends that wait for longer than is given for that kind of wait, in order of tenant and id."""
    return await tx.fetch(_STUCK, list(patience_s), list(patience_s.values()), *after, limit)
