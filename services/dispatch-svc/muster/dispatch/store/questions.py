"""Messages that a carrier is asked about, since their receipts never came."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from muster.dispatch.events import ChunkKey
from muster.dispatch.store.chunks import key_columns, key_of
from muster.kit.pg import Record, Tx

_CHUNKS_AT_ONCE: Final = 50

# From where it was left; chunks that have gone out before the account was first asked are old news by a day.
_OVERDUE: Final = """
SELECT c.tenant_id, c.bulk_id, c.chunk, c.submitted_at, c.carrier_ids, c.receipts
FROM chunk c LEFT JOIN status_looked l ON l.account = $1
WHERE c.account = $1 AND c.submitted_at < kit_now() - make_interval(secs => $2)
    AND c.submitted_at >= greatest(l.submitted_at, kit_now() - make_interval(secs => $3))
    AND (l.account IS NULL
        OR (c.submitted_at, c.bulk_id, c.chunk) > (l.submitted_at, l.bulk_id, l.chunk))
ORDER BY c.submitted_at, c.bulk_id, c.chunk LIMIT $4
"""
_LOOKED: Final = """
INSERT INTO status_looked (account, submitted_at, bulk_id, chunk) VALUES ($1, $2, $3, $4)
ON CONFLICT (account) DO UPDATE SET submitted_at = EXCLUDED.submitted_at, bulk_id = EXCLUDED.bulk_id,
    chunk = EXCLUDED.chunk
"""
_ADD: Final = """
INSERT INTO status_question (tenant_id, bulk_id, chunk, slot, account)
SELECT n.tenant_id, n.bulk_id, n.chunk, n.slot, $1
FROM unnest($2::uuid[], $3::uuid[], $4::int[], $5::int[]) AS n(tenant_id, bulk_id, chunk, slot)
ORDER BY n.tenant_id, n.bulk_id, n.chunk, n.slot
ON CONFLICT DO NOTHING
"""


async def look(tx: Tx, account: str, after_s: float, within_s: float) -> None:
    """Look at the next chunks of an account whose receipts are overdue, each once: what is open of them is to be
    asked."""
    rows = await tx.fetch(_OVERDUE, account, after_s, within_s, _CHUNKS_AT_ONCE)
    if not rows:
        return
    await add(tx, account, [(key_of(row), slot) for row in rows for slot in _open(row)])
    last = rows[-1]
    await tx.execute(_LOOKED, account, last["submitted_at"], last["bulk_id"], last["chunk"])


async def add(tx: Tx, account: str, parts: Sequence[tuple[ChunkKey, int]]) -> None:
    """These are to be asked about, by the id that the carrier gave them."""
    if parts:
        await tx.execute(_ADD, account, *key_columns([key for key, _ in parts]), [slot for _, slot in parts])


def _open(row: Record) -> list[int]:
    """Slots with an id and without a receipt; one of those that follow each other under the same id."""
    ids = (row["carrier_ids"] or "").split("\n")
    receipts = row["receipts"] or bytes(len(ids))
    return [
        slot
        for slot, carrier_id in enumerate(ids)
        if carrier_id and not receipts[slot] and (not slot or ids[slot - 1] != carrier_id)
    ]


@dataclass(frozen=True, slots=True)
class Due:
    """A part that is to be asked about now. `asked`: how often it was."""

    key: ChunkKey
    slot: int
    carrier_id: str
    sender: str
    asked: int


# One whose receipt has come meanwhile needs no question.
_DROP_KNOWN: Final = """
DELETE FROM status_question WHERE (tenant_id, bulk_id, chunk, slot) IN (
    SELECT q.tenant_id, q.bulk_id, q.chunk, q.slot
    FROM status_question q JOIN chunk c USING (tenant_id, bulk_id, chunk)
    WHERE q.account = $1 AND q.due_at <= kit_now() AND c.receipts IS NOT NULL AND get_byte(c.receipts, q.slot) <> 0
    ORDER BY q.tenant_id, q.bulk_id, q.chunk, q.slot FOR UPDATE OF q)
"""
_DUE: Final = """
SELECT q.tenant_id, q.bulk_id, q.chunk, q.slot, q.asked, c.sender,
    split_part(c.carrier_ids, E'\\n', q.slot + 1) AS carrier_id
FROM status_question q JOIN chunk c USING (tenant_id, bulk_id, chunk)
WHERE q.account = $1 AND q.due_at <= kit_now()
ORDER BY q.due_at, q.tenant_id, q.bulk_id, q.chunk, q.slot LIMIT $2
"""


async def due(tx: Tx, account: str, limit: int) -> list[Due]:
    """What is to be asked now, what has waited longest first."""
    await tx.execute(_DROP_KNOWN, account)
    return [
        Due(key_of(row), row["slot"], row["carrier_id"], row["sender"], row["asked"])
        for row in await tx.fetch(_DUE, account, limit)
    ]


# allow ordered-locks: only the account's one sender changes these rows
_DROP: Final = """
DELETE FROM status_question WHERE (tenant_id, bulk_id, chunk, slot) IN (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]))
"""
# allow ordered-locks: only the account's one sender changes these rows
_LATER: Final = """
UPDATE status_question SET asked = asked + 1, due_at = kit_now() + make_interval(secs => $5 * 2 ^ asked)
WHERE (tenant_id, bulk_id, chunk, slot) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]))
"""


async def answered(tx: Tx, parts: Collection[Due]) -> None:
    """Nothing more is to be asked of these."""
    if parts:
        await tx.execute(_DROP, *key_columns([one.key for one in parts]), [one.slot for one in parts])


async def ask_again(tx: Tx, parts: Sequence[Due], after_s: float, times_max: int) -> None:
    """Ask later, each time after twice as long; no more once they were asked so often."""
    await answered(tx, [one for one in parts if one.asked + 1 >= times_max])
    later = [one for one in parts if one.asked + 1 < times_max]
    if later:
        await tx.execute(_LATER, *key_columns([one.key for one in later]), [one.slot for one in later], after_s)


# allow ordered-locks: only the account's one sender changes these rows, and who has none any more asks nothing
_DROP_OLD: Final = """
DELETE FROM status_question WHERE (tenant_id, bulk_id, chunk, slot) IN (
    SELECT tenant_id, bulk_id, chunk, slot FROM status_question WHERE created_at < kit_now() - make_interval(secs => $1)
    FOR UPDATE SKIP LOCKED)
"""


async def drop_old(tx: Tx, kept_s: float) -> None:
    """What nobody has asked by then is asked no more: its account was closed, or asks no longer."""
    await tx.execute(_DROP_OLD, kept_s)


@dataclass(frozen=True, slots=True)
class DueUnknown:
    """A message that is unknown, and is to be asked about now: all of its parts."""

    key: ChunkKey
    slots: list[int]


# Parts of a message have one number, and no other message of its send has that.
_DUE_UNKNOWN: Final = """
SELECT tenant_id, bulk_id, chunk, array_agg(slot ORDER BY slot) AS slots FROM unknown_part
WHERE account = $1 AND settled_at IS NULL AND asked < $4 AND submitted_at > kit_now() - make_interval(secs => $3)
    AND coalesce(ask_at, submitted_at + make_interval(secs => $2)) <= kit_now()
GROUP BY tenant_id, bulk_id, chunk, number_hash
ORDER BY min(coalesce(ask_at, submitted_at)), tenant_id, bulk_id, chunk, number_hash LIMIT $5
"""


async def due_unknown(
    tx: Tx, account: str, after_s: float, within_s: float, times_max: int, limit: int
) -> list[DueUnknown]:
    """Unknown messages of an account that were not asked about so often yet, what has waited longest first."""
    rows = await tx.fetch(_DUE_UNKNOWN, account, after_s, within_s, times_max, limit)
    return [DueUnknown(key_of(row), row["slots"]) for row in rows]


# Whoever resolves or settles them meanwhile is not waited for: then there is nothing to be asked.
_UNKNOWN_LATER: Final = """
UPDATE unknown_part SET asked = asked + 1, ask_at = kit_now() + make_interval(secs => $5 * 2 ^ (asked + 1))
WHERE (tenant_id, bulk_id, chunk, slot) IN (
    SELECT tenant_id, bulk_id, chunk, slot FROM unknown_part
    WHERE (tenant_id, bulk_id, chunk, slot) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]))
    FOR UPDATE SKIP LOCKED)
"""


async def ask_unknown_again(tx: Tx, messages: Sequence[DueUnknown], after_s: float) -> None:
    """They were asked about once more; again later, after twice as long."""
    parts = [(one.key, slot) for one in messages for slot in one.slots]
    if parts:
        await tx.execute(_UNKNOWN_LATER, *key_columns([key for key, _ in parts]), [slot for _, slot in parts], after_s)
