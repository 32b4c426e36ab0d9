"""What carriers reported: receipts of chunks, receipts that wait, and the ids that tie the two together."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from muster.dispatch.events import ChunkKey
from muster.dispatch.store.chunks import HOME_COLUMNS, Home, home_of, key_columns, key_of
from muster.kit.pg import Tx

_SAVE: Final = """
WITH n AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::bytea[], $5::int[])
    AS n(tenant_id, bulk_id, chunk, receipts, said)
), locked AS (
    SELECT tenant_id, bulk_id, chunk FROM chunk c JOIN n USING (tenant_id, bulk_id, chunk)
    ORDER BY tenant_id, bulk_id, chunk FOR NO KEY UPDATE OF c
)
UPDATE chunk c SET receipts = n.receipts, receipts_said = n.said
FROM n JOIN locked USING (tenant_id, bulk_id, chunk)
WHERE c.tenant_id = n.tenant_id AND c.bulk_id = n.bulk_id AND c.chunk = n.chunk AND c.receipts_said = n.said - 1
RETURNING c.tenant_id, c.bulk_id, c.chunk
"""


async def save(tx: Tx, receipts: Sequence[tuple[ChunkKey, bytes, int]]) -> set[ChunkKey]:
    """Store the receipts of chunks with the version they are said under; those whose version was the one before."""
    rows = await tx.fetch(
        _SAVE,
        *key_columns([key for key, _, _ in receipts]),
        *([octets for _, octets, _ in receipts], [said for _, _, said in receipts]),
    )
    return {key_of(row) for row in rows}


_RECENT: Final = f"""
SELECT {HOME_COLUMNS} FROM chunk c JOIN chunk_body b USING (tenant_id, bulk_id, chunk)
WHERE c.account = $1 AND c.submitted_at > kit_now() - make_interval(secs => $2) AND c.carrier_ids IS NOT NULL
    AND (c.receipts IS NULL OR position('\\x00'::bytea IN c.receipts) > 0)
    AND (c.submitted_at, c.tenant_id, c.bulk_id, c.chunk) > ($3, $4, $5, $6)
ORDER BY c.submitted_at, c.tenant_id, c.bulk_id, c.chunk LIMIT $7
"""  # noqa: S608 - the columns are a constant


async def recent(tx: Tx, account: str, within_s: float, after: Home | None, limit: int) -> list[Home]:
    """Chunks that were submitted within the last while and wait for receipts, oldest first, a page after `after`."""
    nil = UUID(int=0)
    place: tuple[Any, ...] = (_EPOCH, nil, nil, 0)
    if after is not None:
        place = (after.submitted_at, after.key.tenant_id, after.key.bulk_id, after.key.chunk)
    return [home_of(row) for row in await tx.fetch(_RECENT, account, within_s, *place, limit)]


_WITH_IDS: Final = f"""
SELECT {HOME_COLUMNS} FROM chunk c JOIN chunk_body b USING (tenant_id, bulk_id, chunk)
WHERE c.account = $1 AND c.submitted_at > $2 AND EXISTS (
    SELECT FROM unnest(string_to_array(lower(c.carrier_ids), E'\\n')) AS said
    WHERE coalesce(nullif(ltrim(btrim(said), '0'), ''), right(btrim(said), 1)) = ANY ($3))
"""  # noqa: S608 - the columns are a constant


async def with_ids(tx: Tx, account: str, since: datetime, ids: Collection[str]) -> list[Home]:
    """Chunks submitted since then of which a message has one of these normalised ids."""
    return [home_of(row) for row in await tx.fetch(_WITH_IDS, account, since, list(ids))]


_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class WaitingReceipt:
    """A final receipt that fits nothing yet. `state` is a number of domain.receipts.Receipt; numbers are digits."""

    carrier_id: str
    state: int
    error: str
    done_at: datetime
    submitted_at: datetime | None
    number: str
    sender: str


_KEEP_WAITING: Final = """
INSERT INTO receipt_waiting (account, carrier_id, state, error, done_at, submitted_at, number, sender)
SELECT $1, n.* FROM unnest($2::text[], $3::smallint[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::text[],
    $8::text[]) AS n ORDER BY 2
ON CONFLICT DO NOTHING
"""


async def keep_waiting(tx: Tx, account: str, receipts: Sequence[WaitingReceipt]) -> None:
    """Store receipts that nothing is known of; the first word on an id stays."""
    if receipts:
        await tx.execute(
            _KEEP_WAITING,
            account,
            *([one.carrier_id for one in receipts], [one.state for one in receipts], [one.error for one in receipts]),
            *([one.done_at for one in receipts], [one.submitted_at for one in receipts]),
            *([one.number for one in receipts], [one.sender for one in receipts]),
        )


_WAITING: Final = """
SELECT carrier_id, state, error, done_at, submitted_at, number, sender FROM receipt_waiting
WHERE account = $1 AND received_at > kit_now() - make_interval(secs => $2) ORDER BY received_at DESC LIMIT $3
"""


async def waiting(tx: Tx, account: str, within_s: float, limit: int) -> list[WaitingReceipt]:
    """Receipts that wait, newest first."""
    return [WaitingReceipt(**dict(row)) for row in await tx.fetch(_WAITING, account, within_s, limit)]


_DROP_WAITING: Final = """
DELETE FROM receipt_waiting WHERE account = $1 AND carrier_id IN (
    SELECT carrier_id FROM receipt_waiting WHERE account = $1 AND carrier_id = ANY ($2) ORDER BY carrier_id FOR UPDATE)
"""


async def drop_waiting(tx: Tx, account: str, carrier_ids: Collection[str]) -> None:
    """These receipts have found their messages."""
    if carrier_ids:
        await tx.execute(_DROP_WAITING, account, list(carrier_ids))


_TENANTS_WITH_UNKNOWN: Final = "SELECT DISTINCT tenant_id FROM unknown_part WHERE account = $1"


async def tenants_with_unknown(tx: Tx, account: str) -> list[UUID]:
    """Tenants of which something is unknown at this account: under each, a number has another hash."""
    return [row["tenant_id"] for row in await tx.fetch(_TENANTS_WITH_UNKNOWN, account)]


_MATCH: Final = """
SELECT u.tenant_id, u.bulk_id, u.chunk, u.slot, u.submitted_at, u.sender, u.number_hash,
    u.settled_at IS NOT NULL AS settled
FROM unknown_part u
WHERE u.account = $1 AND u.number_hash = ANY ($2)
"""


@dataclass(frozen=True, slots=True)
class UnknownPart:
    """A part whose outcome is unknown, or was when it was `settled`: charged or released for good."""

    key: ChunkKey
    slot: int
    submitted_at: datetime
    sender: str
    number_hash: bytes
    settled: bool = False


async def unknown_parts(tx: Tx, account: str, hashes: Collection[bytes]) -> list[UnknownPart]:
    """Unknown parts that went to any of these numbers."""
    rows = await tx.fetch(_MATCH, account, list(hashes))
    return [
        UnknownPart(
            key=key_of(row),
            slot=row["slot"],
            submitted_at=row["submitted_at"],
            sender=row["sender"],
            number_hash=row["number_hash"],
            settled=row["settled"],
        )
        for row in rows
    ]


# allow ordered-locks: whoever deletes the parts of a chunk holds the chunk
_FORGET_UNKNOWN: Final = """
DELETE FROM unknown_part WHERE (tenant_id, bulk_id, chunk, slot) IN (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]))
"""


async def forget_unknown(tx: Tx, parts: Sequence[tuple[ChunkKey, int]]) -> None:
    """What became of these parts is known."""
    if parts:
        await tx.execute(_FORGET_UNKNOWN, *key_columns([key for key, _ in parts]), [slot for _, slot in parts])


# allow ordered-locks: whoever settles the parts of a chunk holds the chunk
_SETTLE_UNKNOWN: Final = """
UPDATE unknown_part SET settled_at = kit_now() WHERE (tenant_id, bulk_id, chunk, slot) IN (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]))
"""


async def settle_unknown(tx: Tx, parts: Sequence[tuple[ChunkKey, int]]) -> None:
    """These parts were charged or released without anybody knowing what became of them."""
    if parts:
        await tx.execute(_SETTLE_UNKNOWN, *key_columns([key for key, _ in parts]), [slot for _, slot in parts])


_KEEP_IDS: Final = """
INSERT INTO carrier_id (tenant_id, bulk_id, chunk, slot, account, carrier_id)
SELECT n.tenant_id, n.bulk_id, n.chunk, n.slot, $1, n.carrier_id
FROM unnest($2::uuid[], $3::uuid[], $4::int[], $5::int[], $6::text[]) AS n(tenant_id, bulk_id, chunk, slot, carrier_id)
ORDER BY n.tenant_id, n.bulk_id, n.chunk, n.slot
ON CONFLICT DO NOTHING
"""


async def keep_ids(tx: Tx, account: str, ids: Sequence[tuple[ChunkKey, int, str]]) -> None:
    """Keep ids that are too old for memory: (chunk, slot, carrier's id)."""
    if ids:
        await tx.execute(
            _KEEP_IDS,
            account,
            *key_columns([key for key, _, _ in ids]),
            *([slot for _, slot, _ in ids], [carrier_id for _, _, carrier_id in ids]),
        )


_FIND_IDS: Final = """
SELECT tenant_id, bulk_id, chunk, slot, carrier_id FROM carrier_id WHERE account = $1 AND carrier_id = ANY ($2)
"""


async def find_ids(tx: Tx, account: str, carrier_ids: Collection[str]) -> dict[str, tuple[ChunkKey, int]]:
    """Where the messages of these ids are."""
    rows = await tx.fetch(_FIND_IDS, account, list(carrier_ids))
    return {row["carrier_id"]: (key_of(row), row["slot"]) for row in rows}


_HOMES: Final = f"""
SELECT {HOME_COLUMNS} FROM chunk c JOIN chunk_body b USING (tenant_id, bulk_id, chunk)
WHERE (c.tenant_id, c.bulk_id, c.chunk) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[]))
"""  # noqa: S608 - the columns are a constant


async def homes(tx: Tx, keys: Collection[ChunkKey]) -> list[Home]:
    """Chunks as they are, without a lock."""
    return [home_of(row) for row in await tx.fetch(_HOMES, *key_columns(keys))]


_DROP_WAITING_OLD: Final = """
DELETE FROM receipt_waiting WHERE (account, carrier_id) IN (
    SELECT account, carrier_id FROM receipt_waiting WHERE received_at < kit_now() - make_interval(secs => $1)
    FOR UPDATE SKIP LOCKED)
"""
_DROP_IDS_OLD: Final = """
DELETE FROM carrier_id WHERE (tenant_id, bulk_id, chunk, slot) IN (
    SELECT tenant_id, bulk_id, chunk, slot FROM carrier_id WHERE kept_at < kit_now() - make_interval(secs => $1)
    FOR UPDATE SKIP LOCKED)
"""


_DROP_SETTLED_OLD: Final = """
DELETE FROM unknown_part WHERE (tenant_id, bulk_id, chunk, slot) IN (
    SELECT tenant_id, bulk_id, chunk, slot FROM unknown_part WHERE settled_at < kit_now() - make_interval(secs => $1)
    FOR UPDATE SKIP LOCKED)
"""


async def drop_old(tx: Tx, waiting_s: float, ids_s: float, settled_s: float) -> None:
    """Forget receipts that never found a message, ids that never got a receipt, and settled parts that no receipt can
    be about any more."""
    await tx.execute(_DROP_WAITING_OLD, waiting_s)
    await tx.execute(_DROP_IDS_OLD, ids_s)
    await tx.execute(_DROP_SETTLED_OLD, settled_s)
