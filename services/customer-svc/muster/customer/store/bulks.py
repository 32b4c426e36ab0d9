"""Sends: what was asked, what the plan came to, and what was heard of it since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from muster.customer.domain.approvals import Allowed
from muster.customer.domain.audience import Cap
from muster.kit import trace
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class NewBulk:
    """A send that was asked for. Enumerations are those of the events; reference_base: see BulkRecipientsAttached."""

    bulk_id: UUID
    kind: int
    message_class: int
    lane: int
    quote_id: UUID | None
    answer_id: str | None
    sender: str
    text: str
    partial: int
    send_by: datetime
    reference_base: int
    created_at: datetime
    created_by: str
    credits_confirmed: int
    test: bool = False


@dataclass(frozen=True, slots=True)
class Total:
    """What a plan came to."""

    recipients: int
    chunks: int
    parts: int
    credits: int


_ADD = """
INSERT INTO bulk (tenant_id, bulk_id, kind, message_class, lane, quote_id, answer_id, sender, text, partial, send_by,
                  reference_base, created_at, created_by, credits_confirmed, traceparent, phase, credits_allowed,
                  approval_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'planning', $17, $18)
"""


async def add_bulk(tx: Tx, tenant_id: UUID, bulk: NewBulk, allowed: Allowed) -> None:
    """Store a new send, to be planned. What it may spend is held to what was allowed, from here on."""
    await tx.execute(_ADD, tenant_id, *_columns(bulk), allowed.credits, allowed.approval_id)


_CAP = """
UPDATE bulk SET credits_max = least($3, credits_allowed) WHERE tenant_id = $1 AND bulk_id = $2
"""


async def cap_credits(tx: Tx, tenant_id: UUID, bulk_id: UUID, credits_max: int) -> None:
    """At most so much is reserved for a new send, whatever its plan comes to: the first whom it covers are sent."""
    await tx.execute(_CAP, tenant_id, bulk_id, credits_max)


_SCHEDULED = "UPDATE bulk SET schedule_id = $3, schedule_wall = $4 WHERE tenant_id = $1 AND bulk_id = $2"


async def set_schedule(tx: Tx, tenant_id: UUID, bulk_id: UUID, schedule_id: UUID, wall: datetime) -> None:
    """Which start of a schedule a new send is."""
    await tx.execute(_SCHEDULED, tenant_id, bulk_id, schedule_id, wall)


_ADD_PLANNED = """
INSERT INTO bulk (tenant_id, bulk_id, kind, message_class, lane, quote_id, answer_id, sender, text, partial, send_by,
                  reference_base, created_at, created_by, credits_confirmed, traceparent, phase, left_out, customers,
                  recipients, chunks, parts, credits)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'requested', '{}', $17, $17, $18,
        $19, $20)
"""


async def add_planned(tx: Tx, tenant_id: UUID, bulk: NewBulk, total: Total) -> None:
    """Store a send that is planned and requested in this transaction, with nobody left out."""
    sums = (total.recipients, total.chunks, total.parts, total.credits)
    await tx.execute(_ADD_PLANNED, tenant_id, *_columns(bulk), *sums)


_ADD_ALL_PLANNED = """
INSERT INTO bulk (tenant_id, bulk_id, kind, message_class, lane, quote_id, answer_id, sender, text, partial, send_by,
                  reference_base, created_at, created_by, credits_confirmed, traceparent, phase, left_out, customers,
                  recipients, chunks, parts, credits, test)
SELECT tenant_id, bulk_id, kind, message_class, lane, quote_id, answer_id, sender, text, partial, send_by,
    reference_base, created_at, created_by, credits_confirmed, traceparent, 'requested', '{}', recipients, recipients,
    chunks, parts, credits, test
FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::smallint[], $5::smallint[], $6::uuid[], $7::text[], $8::text[],
    $9::text[], $10::smallint[], $11::timestamptz[], $12::bigint[], $13::timestamptz[], $14::text[], $15::bigint[],
    $16::text[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::boolean[])
    AS n (tenant_id, bulk_id, kind, message_class, lane, quote_id, answer_id, sender, text, partial, send_by,
        reference_base, created_at, created_by, credits_confirmed, traceparent, recipients, chunks, parts,
        credits, test)
ORDER BY tenant_id, bulk_id
"""


async def add_all_planned(tx: Tx, sends: Sequence[tuple[UUID, NewBulk, Total]]) -> None:
    """The same for sends of several tenants (worker), each with its tenant."""
    rows = [
        (tenant_id, *_columns(bulk), total.recipients, total.chunks, total.parts, total.credits, bulk.test)
        for tenant_id, bulk, total in sends
    ]
    await tx.execute(_ADD_ALL_PLANNED, *map(list, zip(*rows, strict=True)))


def _columns(bulk: NewBulk) -> tuple[Any, ...]:
    return (
        *(
            bulk.bulk_id,
            bulk.kind,
            bulk.message_class,
            bulk.lane,
            bulk.quote_id,
            bulk.answer_id,
            bulk.sender,
            bulk.text,
        ),
        *(bulk.partial, bulk.send_by, bulk.reference_base, bulk.created_at, bulk.created_by, bulk.credits_confirmed),
        trace.of(str(bulk.bulk_id)),
    )


_JSON = (
    "left_out::text AS left_out, problem::text AS problem, credits_refused::text AS credits_refused, "
    "hours::text AS hours, frequency_cap::text AS frequency_cap"
)
_SELECT = f"""
SELECT tenant_id, bulk_id, kind, message_class, lane, quote_id, answer_id, sender, text, partial, send_by,
    reference_base, created_at, created_by, phase, credits_confirmed, customers, recipients, chunks, parts, credits,
    credits_reserved, control_version, control, account_version, credits_used, credits_released, credits_held,
    credits_refunded, accepted, unknown, rejected, stopped, suppressed, stop_reason, closed, dispatched,
    control_reason, last_submit_ms, again_of, closed_at, credits_max, approval_id, test, schedule_id, schedule_wall,
    frozen_at, traceparent,
    {_JSON},
    (SELECT q.local_time FROM quote q WHERE q.tenant_id = bulk.tenant_id AND q.quote_id = bulk.quote_id) AS local_time,
    (SELECT q.template_id FROM quote q WHERE q.tenant_id = bulk.tenant_id AND q.quote_id = bulk.quote_id)
        AS template_id,
    (SELECT q.template_version FROM quote q WHERE q.tenant_id = bulk.tenant_id AND q.quote_id = bulk.quote_id)
        AS template_version
FROM bulk WHERE tenant_id = $1 """  # noqa: S608 - constants alone
_BULK = _SELECT + "AND bulk_id = $2"
_BULK_LOCKED = _BULK + " FOR UPDATE"
_PAGE = (
    _SELECT
    + """AND ($2::uuid IS NULL OR bulk_id < $2) AND ($3::smallint IS NULL OR kind = $3)
    AND ($4::uuid IS NULL OR schedule_id = $4) ORDER BY bulk_id DESC LIMIT $5"""
)


async def bulk_of(tx: Tx, tenant_id: UUID, bulk_id: UUID) -> Record | None:
    """A send with all that is known of it; JSON members as text."""
    return await tx.fetchrow(_BULK, tenant_id, bulk_id)


async def lock_bulk(tx: Tx, tenant_id: UUID, bulk_id: UUID) -> Record | None:
    """As `bulk_of`, for a change."""
    return await tx.fetchrow(_BULK_LOCKED, tenant_id, bulk_id)


async def page_of_bulks(
    tx: Tx, tenant_id: UUID, before: UUID | None, kind: int | None, schedule_id: UUID | None, limit: int
) -> list[Record]:
    """Sends, the newest first (their ids are in order of time); of one kind or schedule, where that is said."""
    return await tx.fetch(_PAGE, tenant_id, before, kind, schedule_id, limit)


_PHASE = "UPDATE bulk SET phase = $3, problem = $4::text::jsonb WHERE tenant_id = $1 AND bulk_id = $2"


async def set_phase(tx: Tx, tenant_id: UUID, bulk_id: UUID, phase: str, problem: Mapping[str, Any] | None) -> None:
    """How far customer-svc has come, and what it found."""
    await tx.execute(_PHASE, tenant_id, bulk_id, phase, _json(problem))


_WITHDRAW = """
UPDATE bulk SET phase = 'withdrawn', problem = NULL, stop_reason = $3 WHERE tenant_id = $1 AND bulk_id = $2
"""


async def withdraw(tx: Tx, tenant_id: UUID, bulk_id: UUID, reason: str) -> None:
    """End a send that was not requested yet, and keep why."""
    await tx.execute(_WITHDRAW, tenant_id, bulk_id, reason)


_FROZEN = """
UPDATE bulk SET customers = $3, recipients = $4, chunks = $5, left_out = $6::text::jsonb, hours = $7::text::jsonb,
    frequency_cap = $8::text::jsonb, frozen_at = coalesce($9, kit_now())
WHERE tenant_id = $1 AND bulk_id = $2
"""


async def save_frozen(
    tx: Tx,
    tenant_id: UUID,
    bulk_id: UUID,
    customers: int,
    recipients: int,
    chunks: int,
    left_out: Mapping[str, int],
    hours: Mapping[str, Any] | None,
    cap: Cap | None,
    at: datetime | None,
) -> None:
    """Who is texted and who is not, who waits for their hours, and the business's cap that held of all. at: as of when
    they were judged, which is before what was said since then; None: now."""
    kept = None if cap is None else {"messages": cap.messages, "days": cap.days}
    sums = (customers, recipients, chunks)
    await tx.execute(_FROZEN, tenant_id, bulk_id, *sums, _json(left_out), _json(hours), _json(kept), at)


async def save_total(tx: Tx, tenant_id: UUID, bulk_id: UUID, parts: int, credits: int) -> None:
    """What the plan costs."""
    await tx.execute(
        "UPDATE bulk SET parts = $3, credits = $4 WHERE tenant_id = $1 AND bulk_id = $2",
        tenant_id,
        bulk_id,
        parts,
        credits,
    )


_CONFIRM = """
UPDATE bulk SET credits_confirmed = $3, credits_allowed = $4, approval_id = coalesce($5, approval_id),
    phase = 'planning', problem = NULL
WHERE tenant_id = $1 AND bulk_id = $2
"""


async def confirm_credits(tx: Tx, tenant_id: UUID, bulk_id: UUID, credits_confirmed: int, allowed: Allowed) -> None:
    """The user agrees to so many credits, which are allowed: the plan goes on."""
    await tx.execute(_CONFIRM, tenant_id, bulk_id, credits_confirmed, allowed.credits, allowed.approval_id)


_CONTROLLED = """
UPDATE bulk SET control_version = $3, control = $4, control_reason = $5
WHERE tenant_id = $1 AND bulk_id = $2 AND control_version < $3
"""


async def save_control(tx: Tx, tenant_id: UUID, bulk_id: UUID, version: int, control: str, reason: str) -> None:
    """Keep the control ("stop", "pause", "resume") of the highest version, with its code."""
    await tx.execute(_CONTROLLED, tenant_id, bulk_id, version, control, reason)


_RESERVED = """
WITH r AS (
    SELECT tenant_id, bulk_id, r.credits FROM bulk b
    JOIN unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS r (tenant_id, bulk_id, credits) USING (tenant_id, bulk_id)
    WHERE b.credits_reserved IS DISTINCT FROM r.credits ORDER BY tenant_id, bulk_id FOR NO KEY UPDATE OF b
)
UPDATE bulk b SET credits_reserved = r.credits FROM r WHERE b.tenant_id = r.tenant_id AND b.bulk_id = r.bulk_id
"""


async def save_reserved(tx: Tx, reservations: Sequence[tuple[UUID, UUID, int]]) -> None:
    """Each a tenant, a send and the credits set aside for it."""
    if reservations:
        await tx.execute(_RESERVED, *map(list, zip(*reservations, strict=True)))


_REFUSED = """
UPDATE bulk SET credits_refused = $3::text::jsonb WHERE tenant_id = $1 AND bulk_id = $2
RETURNING tenant_id, bulk_id, credits, schedule_id, schedule_wall
"""


async def save_refused(tx: Tx, tenant_id: UUID, bulk_id: UUID, problem: Mapping[str, Any]) -> Record | None:
    """Nothing was set aside, and why; the send, as far as its schedule needs to know it."""
    return await tx.fetchrow(_REFUSED, tenant_id, bulk_id, _json(problem))


@dataclass(frozen=True, slots=True)
class Account:
    """Running totals of a send, in credits and messages, at a version."""

    tenant_id: UUID
    bulk_id: UUID
    version: int
    used: int
    released: int
    held: int
    refunded: int
    closed: bool
    accepted: int
    unknown: int
    rejected: int
    stopped: int
    suppressed: int
    stop_reason: str
    last_submit_ms: int


_ACCOUNTED = """
UPDATE bulk SET account_version = $3, credits_used = $4, credits_released = $5, credits_held = $6,
    credits_refunded = $7, closed = closed OR $8, accepted = $9, unknown = $10, rejected = $11, stopped = $12,
    suppressed = $13, stop_reason = $14, last_submit_ms = $15,
    closed_at = CASE WHEN $8 THEN coalesce(closed_at, kit_now()) ELSE closed_at END
WHERE tenant_id = $1 AND bulk_id = $2 AND account_version < $3
"""


async def save_account(tx: Tx, account: Account) -> None:
    """Keep the totals of the highest version; a closed send stays closed."""
    await tx.execute(
        _ACCOUNTED,
        *(account.tenant_id, account.bulk_id, account.version, account.used, account.released, account.held),
        *(account.refunded, account.closed, account.accepted, account.unknown, account.rejected, account.stopped),
        *(account.suppressed, account.stop_reason, account.last_submit_ms),
    )


_DISPATCHED = """
UPDATE bulk SET dispatched = true WHERE (tenant_id, bulk_id) IN (
    SELECT tenant_id, bulk_id FROM bulk
    WHERE (tenant_id, bulk_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND NOT dispatched
    ORDER BY tenant_id, bulk_id FOR NO KEY UPDATE)
"""


async def save_dispatched(tx: Tx, sends: Sequence[tuple[UUID, UUID]]) -> None:
    """Messages of these sends, each a tenant and a send, have begun to leave."""
    await tx.execute(_DISPATCHED, *map(list, zip(*sends, strict=True)))


_ANSWERED = "SELECT bulk_id FROM bulk WHERE tenant_id = $1 AND answer_id = $2"


async def bulk_of_answer(tx: Tx, tenant_id: UUID, answer_id: str) -> UUID | None:
    """The send that an answer became already."""
    bulk_id: UUID | None = await tx.fetchval(_ANSWERED, tenant_id, answer_id)
    return bulk_id


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
