"""Withdrawals that wait for somebody to apply them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class Request:
    """A withdrawal as it came. due_on: the last day where the business is, which ends at due_at; address_hash: of the
    number that it came from, None where its address is none."""

    request_id: UUID
    received_at: datetime
    channel: str
    address: str
    wording: str
    scope: int
    due_on: date
    due_at: datetime
    law: str
    address_hash: bytes | None = None


_ADD: Final = """
INSERT INTO withdrawal_request (tenant_id, request_id, received_at, channel, address, wording, scope, due_on, due_at,
                                law, created_by, address_hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""


async def add(tx: Tx, tenant_id: UUID, request: Request, by: str) -> None:
    """Keep one until it is applied."""
    told: tuple[Any, ...] = (request.request_id, request.received_at, request.channel, request.address, request.wording)
    due = (request.due_on, request.due_at, request.law)
    await tx.execute(_ADD, tenant_id, *told, request.scope, *due, by, request.address_hash)


_SELECT: Final = """
SELECT request_id, received_at, channel, address, wording, scope, due_on, due_at, law, state, created_at, created_by,
    ended_at, ended_by, reason, number_hashes
FROM withdrawal_request WHERE tenant_id = $1 """
_ONE: Final = _SELECT + "AND request_id = $2"
_LOCK: Final = _ONE + " FOR UPDATE"
_PAGE: Final = (
    _SELECT
    + """AND ($2::text IS NULL OR state = $2)
    AND ($3::timestamptz IS NULL OR (due_at, request_id) > ($3, $4::uuid))
ORDER BY due_at, request_id LIMIT $5"""
)


async def one_of(tx: Tx, tenant_id: UUID, request_id: UUID) -> Record | None:
    """One of them."""
    return await tx.fetchrow(_ONE, tenant_id, request_id)


async def lock(tx: Tx, tenant_id: UUID, request_id: UUID) -> Record | None:
    """The same, for a change."""
    return await tx.fetchrow(_LOCK, tenant_id, request_id)


async def page(
    tx: Tx, tenant_id: UUID, state: str | None, after: tuple[datetime, UUID] | None, limit: int
) -> list[Record]:
    """Those of a state, or all, what is due first."""
    return await tx.fetch(_PAGE, tenant_id, state, *(after or (None, None)), limit)


_END: Final = """
UPDATE withdrawal_request SET state = $3, ended_at = kit_now(), ended_by = $4, reason = $5, number_hashes = $6
WHERE tenant_id = $1 AND request_id = $2
"""


async def end(tx: Tx, tenant_id: UUID, request_id: UUID, state: str, by: str, reason: str, hashes: list[bytes]) -> None:
    """One that is locked was applied to these numbers, or dismissed for a reason."""
    await tx.execute(_END, tenant_id, request_id, state, by, reason, hashes)


# One that somebody is about to end is theirs.
_FULFIL: Final = """
UPDATE withdrawal_request w SET state = 'applied', ended_at = kit_now(), ended_by = $4,
    number_hashes = ARRAY[w.address_hash]
FROM (SELECT request_id FROM withdrawal_request
      WHERE tenant_id = $1 AND state = 'waiting' AND address_hash = ANY ($2::bytea[]) AND scope <= $3
      ORDER BY request_id FOR UPDATE SKIP LOCKED) done
WHERE w.tenant_id = $1 AND w.request_id = done.request_id
"""


async def fulfil(tx: Tx, tenant_id: UUID, hashes: Sequence[bytes], scope: int, by: str) -> None:
    """These numbers are stopped as far as this: what waits of a withdrawal that came from one of them is done."""
    await tx.execute(_FULFIL, tenant_id, list(hashes), scope, by)


# allow tenant-in-tenant-sql: how many wait, of all tenants, for the operator's alert
_WAITING: Final = """
SELECT count(*) AS waiting, count(*) FILTER (WHERE due_at < kit_now()) AS overdue,
    count(*) FILTER (WHERE due_at >= kit_now() AND due_at < kit_now() + interval '1 day') AS due
FROM withdrawal_request WHERE state = 'waiting'
"""


async def waiting(tx: Tx) -> Record:
    """How many wait, of all tenants: all, those that are due within a day, and those whose day has passed (worker)."""
    row = await tx.fetchrow(_WAITING)
    assert row is not None
    return row
