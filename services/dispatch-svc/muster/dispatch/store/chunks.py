"""Rows of chunks: the home of outcomes, prices, carrier ids and receipts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from muster.dispatch.domain.slots import ChunkSums, Slot
from muster.dispatch.events import ChunkFacts, ChunkKey, Recipients, read_recipients
from muster.dispatch.store.sagas import SagaKey
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk as it arrived, with its first attempt. `allowed`: when its recipients may be texted, as PostgreSQL writes
    a tstzmultirange; None for at any time."""

    key: ChunkKey
    about: ChunkFacts
    route: str
    due_at: datetime
    send_by: datetime
    allowed: str | None
    reference_base: int
    reference_bits: int
    recipients: Recipients
    plain: bytes
    personal: bytes


# The number of slots is that of parts; zero octets are queued ones. What has no more hours has no more time.
_ADD: Final = """
WITH n AS (
    SELECT *, allowed::tstzmultirange AS hours, least(send_by, upper(allowed::tstzmultirange)) AS until
    FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::smallint[], $5::smallint[], $6::smallint[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[], $13::int[], $14::smallint[],
        $15::bigint[], $16::bytea[], $17::bytea[], $18::bigint[], $19::bytea[], $20::bytea[], $21::text[], $22::text[])
    AS n(tenant_id, bulk_id, chunk, lane, message_class, kind, route, account, country, sender, due_at, send_by,
        reference_base, reference_bits, upto, parts, slots, credits, plain, personal, allowed, traceparent)
), added AS (
    INSERT INTO chunk (tenant_id, bulk_id, chunk, lane, message_class, kind, route, account, country, sender, send_by,
        reference_base, reference_bits, recipients, upto, parts, slots, open_credits, open, traceparent)
    SELECT tenant_id, bulk_id, chunk, lane, message_class, kind, route, account, country, sender, until,
        reference_base, reference_bits, octet_length(parts), upto, parts, slots, credits, octet_length(parts),
        traceparent
    FROM n ORDER BY tenant_id, bulk_id, chunk
    ON CONFLICT DO NOTHING
    RETURNING tenant_id, bulk_id, chunk
), queued AS (
    INSERT INTO attempt (tenant_id, bulk_id, chunk, attempt, account, lane, kind, parts, due_at, send_by, allowed)
    SELECT tenant_id, bulk_id, chunk, 0, account, lane, kind, octet_length(slots), due_at, until, hours
    FROM n JOIN added USING (tenant_id, bulk_id, chunk)
), bodies AS (
    INSERT INTO chunk_body (tenant_id, bulk_id, chunk, plain, personal)
    SELECT tenant_id, bulk_id, chunk, plain, personal FROM n JOIN added USING (tenant_id, bulk_id, chunk)
)
SELECT tenant_id, bulk_id, count(*)::int AS chunks FROM added GROUP BY tenant_id, bulk_id
"""


async def add(tx: Tx, chunks: Sequence[NewChunk]) -> dict[SagaKey, int]:
    """Store chunks that are new, with their first attempts; how many were new, by send. Keys must differ."""
    rows = await tx.fetch(_ADD, *map(list, zip(*map(_new_row, chunks), strict=True)))
    return {SagaKey(row["tenant_id"], row["bulk_id"]): row["chunks"] for row in rows}


def _new_row(new: NewChunk) -> tuple[Any, ...]:
    key, about, recipients = new.key, new.about, new.recipients
    return (
        *(key.tenant_id, key.bulk_id, key.chunk, about.lane, about.message_class, about.kind, new.route),
        *(about.account, about.country, about.sender, new.due_at, new.send_by, new.reference_base),
        *(new.reference_bits, recipients.uptos[-1], recipients.parts, bytes(sum(recipients.parts))),
        *(sum(recipients.prices), new.plain, new.personal, new.allowed, about.traceparent),
    )


@dataclass(frozen=True, slots=True)
class Home:
    """A chunk as it is stored."""

    key: ChunkKey
    about: ChunkFacts
    recipients: Recipients
    slots: bytes
    said: int
    done: bool
    carrier_ids: str | None
    receipts: bytes | None
    receipts_said: int
    submitted_at: datetime | None
    again: bool = False


HOME_COLUMNS: Final = """
c.tenant_id, c.bulk_id, c.chunk, c.lane, c.message_class, c.kind, c.account, c.country, c.sender, c.slots, c.said,
c.done_at, c.carrier_ids, c.receipts, c.receipts_said, c.submitted_at, c.again, c.traceparent, b.plain
"""

_LOCK: Final = f"""
SELECT {HOME_COLUMNS} FROM chunk c JOIN chunk_body b USING (tenant_id, bulk_id, chunk)
WHERE (c.tenant_id, c.bulk_id, c.chunk) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[]))
ORDER BY c.tenant_id, c.bulk_id, c.chunk FOR NO KEY UPDATE OF c
"""  # noqa: S608 - the columns are the constant above


async def lock(tx: Tx, keys: Collection[ChunkKey]) -> dict[ChunkKey, Home]:
    """Lock chunks in order."""
    rows = await tx.fetch(_LOCK, *key_columns(keys))
    return {home.key: home for home in map(home_of, rows)}


_OF_SEND: Final = """
SELECT tenant_id, bulk_id, chunk FROM chunk WHERE tenant_id = $1 AND bulk_id = $2 AND kind <> $4
ORDER BY chunk LIMIT $3
"""


async def of_send(tx: Tx, tenant_id: UUID, bulk_id: UUID, limit: int, *, but_kind: int) -> list[ChunkKey]:
    """The chunks of a send, the first ones first; none of one of that kind."""
    return [key_of(row) for row in await tx.fetch(_OF_SEND, tenant_id, bulk_id, limit, but_kind)]


def key_columns(keys: Collection[ChunkKey]) -> tuple[list[Any], list[Any], list[int]]:
    """Keys as three columns."""
    return [key.tenant_id for key in keys], [key.bulk_id for key in keys], [key.chunk for key in keys]


def key_of(row: Record) -> ChunkKey:
    """The key in a row."""
    return ChunkKey(row["tenant_id"], row["bulk_id"], row["chunk"])


def about_of(row: Record) -> ChunkFacts:
    """What the messages of a row's chunk share."""
    return ChunkFacts(
        country=row["country"],
        account=row["account"],
        message_class=row["message_class"],
        kind=row["kind"],
        sender=row["sender"],
        lane=row["lane"],
        traceparent=row["traceparent"],
    )


def home_of(row: Record) -> Home:
    """A chunk from HOME_COLUMNS."""
    return Home(
        key=key_of(row),
        about=about_of(row),
        recipients=read_recipients(row["plain"]),
        slots=row["slots"],
        said=row["said"],
        done=row["done_at"] is not None,
        carrier_ids=row["carrier_ids"],
        receipts=row["receipts"],
        receipts_said=row["receipts_said"],
        submitted_at=row["submitted_at"],
        again=row["again"],
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a chunk has come to. `submitted` where something may have been written since the last word."""

    slots: bytes
    sums: ChunkSums
    said: int
    done: bool
    carrier_ids: str | None
    submitted: bool
    again: bool = False


_SAVE: Final = """
WITH n AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::bytea[], $5::int[], $6::bool[], $7::text[], $8::bool[],
        $9::int[], $10::int[], $11::int[], $12::int[], $13::int[], $14::int[], $15::int[], $16::bigint[],
        $17::bigint[], $18::bigint[], $19::bool[])
    AS n(tenant_id, bulk_id, chunk, slots, said, done, carrier_ids, submitted, accepted, unknown, rejected, stopped,
        suppressed, short, open, used, unknown_credits, open_credits, again)
), locked AS (
    SELECT tenant_id, bulk_id, chunk FROM chunk c JOIN n USING (tenant_id, bulk_id, chunk)
    ORDER BY tenant_id, bulk_id, chunk FOR NO KEY UPDATE OF c
), saved AS (
    UPDATE chunk c SET slots = n.slots, said = n.said, carrier_ids = n.carrier_ids, accepted = n.accepted,
        unknown = n.unknown, rejected = n.rejected, stopped = n.stopped, suppressed = n.suppressed, short = n.short,
        open = n.open, used = n.used, unknown_credits = n.unknown_credits, open_credits = n.open_credits,
        again = n.again, submitted_at = CASE WHEN n.submitted THEN kit_now() ELSE c.submitted_at END,
        done_at = CASE WHEN n.done THEN coalesce(c.done_at, kit_now()) END
    FROM n JOIN locked USING (tenant_id, bulk_id, chunk)
    WHERE c.tenant_id = n.tenant_id AND c.bulk_id = n.bulk_id AND c.chunk = n.chunk
)
UPDATE chunk_body b SET personal = NULL FROM n JOIN locked USING (tenant_id, bulk_id, chunk)
WHERE n.done AND b.tenant_id = n.tenant_id AND b.bulk_id = n.bulk_id AND b.chunk = n.chunk AND b.personal IS NOT NULL
"""


async def save(tx: Tx, outcomes: Mapping[ChunkKey, Outcome]) -> None:
    """Store outcomes of chunks whose attempt or row this transaction has locked, in the order of locks; blank what is
    done."""
    if outcomes:
        await tx.execute(
            _SAVE, *map(list, zip(*(_row(key, outcome) for key, outcome in outcomes.items()), strict=True))
        )


def _row(key: ChunkKey, outcome: Outcome) -> tuple[Any, ...]:
    sums = outcome.sums
    return (
        *(key.tenant_id, key.bulk_id, key.chunk, outcome.slots, outcome.said, outcome.done, outcome.carrier_ids),
        *(outcome.submitted, sums.accepted, sums.unknown, sums.rejected, sums.stopped, sums.suppressed, sums.short),
        *(sums.open, sums.used, sums.unknown_credits, sums.open_credits, outcome.again),
    )


_ADD_UNKNOWN: Final = """
INSERT INTO unknown_part (tenant_id, bulk_id, chunk, slot, account, sender, number_hash, submitted_at)
SELECT n.*, kit_now()
FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::text[], $6::text[], $7::bytea[]) AS n
ORDER BY 1, 2, 3, 4
ON CONFLICT DO NOTHING
"""


async def add_unknown(
    tx: Tx, key: ChunkKey, about: ChunkFacts, recipients: Recipients, before: bytes, after: bytes
) -> None:
    """Remember the parts that have become unknown, so that a receipt can resolve them."""
    owners = [position for position, count in enumerate(recipients.parts) for _ in range(count)]
    slots = [
        slot
        for slot, (old, new) in enumerate(zip(before, after, strict=True))
        if new == Slot.UNKNOWN and old != Slot.UNKNOWN
    ]
    if slots:
        count = len(slots)
        hashes = [recipients.hashes[owners[slot]] for slot in slots]
        await tx.execute(
            _ADD_UNKNOWN,
            *([key.tenant_id] * count, [key.bulk_id] * count, [key.chunk] * count, slots),
            *([about.account] * count, [about.sender] * count, hashes),
        )


_AGED: Final = """
SELECT c.tenant_id, c.bulk_id, c.chunk FROM chunk c
WHERE c.unknown_credits > 0 AND c.submitted_at < kit_now() - make_interval(secs => $1) AND c.done_at IS NOT NULL
ORDER BY c.submitted_at LIMIT $2
"""


async def with_aged_unknowns(tx: Tx, older_than_s: float, limit: int) -> list[ChunkKey]:
    """Chunks whose unknown outcomes have waited long enough."""
    return [key_of(row) for row in await tx.fetch(_AGED, older_than_s, limit)]
