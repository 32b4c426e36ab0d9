"""Credits that come back by a tenant's rule: chunks with failed messages, and answers about unknown ones."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from muster.dispatch.events import FAILED_RULE_RELEASE, ChunkKey, read_recipients
from muster.dispatch.store.chunks import HOME_COLUMNS, Home, home_of, key_columns, key_of
from muster.dispatch.store.sagas import SagaKey
from muster.kit.pg import Tx

_ADD: Final = """
INSERT INTO refund_due (tenant_id, bulk_id, chunk)
SELECT n.* FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS n(tenant_id, bulk_id, chunk)
JOIN tenant t ON t.tenant_id = n.tenant_id WHERE t.failed_rule = $4 ORDER BY n.tenant_id, n.bulk_id, n.chunk
ON CONFLICT DO NOTHING
"""


async def add_due(tx: Tx, keys: Collection[ChunkKey]) -> None:
    """Failed messages of these chunks, which this transaction has locked, are to be refunded, where the tenant's rule
    says so as it now stands."""
    if keys:
        await tx.execute(_ADD, *key_columns(keys), FAILED_RULE_RELEASE)


# A chunk that somebody holds has its turn later: what is due is taken by its time, which is not the order of locks, so
# nothing is waited for with others in hand.
_LOCK_DUE: Final = f"""
SELECT {HOME_COLUMNS} FROM refund_due d JOIN chunk c USING (tenant_id, bulk_id, chunk)
JOIN chunk_body b USING (tenant_id, bulk_id, chunk)
WHERE d.due_at <= kit_now() ORDER BY d.due_at LIMIT $1 FOR NO KEY UPDATE OF c SKIP LOCKED
"""  # noqa: S608 - the columns are a constant


async def lock_due(tx: Tx, limit: int) -> dict[ChunkKey, Home]:
    """Lock chunks whose refunds are to be counted, with their receipts as they are then."""
    return {home.key: home for home in map(home_of, await tx.fetch(_LOCK_DUE, limit))}


# allow ordered-locks: _LOCK_DUE has locked them
_SAVE: Final = """
UPDATE chunk c SET refunded = n.refunded
FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::bigint[]) AS n(tenant_id, bulk_id, chunk, refunded)
WHERE c.tenant_id = n.tenant_id AND c.bulk_id = n.bulk_id AND c.chunk = n.chunk AND c.refunded < n.refunded
"""


async def save(tx: Tx, refunded: Mapping[ChunkKey, int]) -> None:
    """Store what chunks give back, which never falls."""
    await tx.execute(_SAVE, *key_columns(refunded), list(refunded.values()))


# allow ordered-locks: whoever changes what is due of a chunk holds the chunk
_DROP: Final = """
DELETE FROM refund_due WHERE (tenant_id, bulk_id, chunk) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[]))
"""
# allow ordered-locks: the same
_POSTPONE: Final = """
UPDATE refund_due SET due_at = kit_now() + make_interval(secs => $4)
WHERE (tenant_id, bulk_id, chunk) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[]))
"""


async def drop_due(tx: Tx, counted: Collection[ChunkKey], later: Collection[ChunkKey], later_s: float) -> None:
    """What was counted is not due any more; chunks with receipts of parts without an outcome are, a little later."""
    await tx.execute(_DROP, *key_columns(counted))
    await tx.execute(_POSTPONE, *key_columns(later), later_s)


# -- unknown outcomes -------------------------------------------------------------------------------------------------

_RULE: Final = "SELECT unknown_rule FROM tenant WHERE tenant_id = $1"


async def unknown_rule(tx: Tx, tenant_id: UUID) -> int:
    """The tenant's rule, a number of UnknownRule of the events; 0 where nothing was heard of it."""
    return await tx.fetchval(_RULE, tenant_id) or 0


_UNKNOWN: Final = """
SELECT coalesce(sum(unknown), 0)::bigint AS messages, coalesce(sum(unknown_credits), 0)::bigint AS credits,
    min(submitted_at) + make_interval(secs => $3) AS until
FROM chunk WHERE tenant_id = $1 AND bulk_id = $2 AND unknown_credits > 0
"""


@dataclass(frozen=True, slots=True)
class Unknowns:
    """What is unknown of a send, and from when on the tenant's rule decides the oldest of it."""

    messages: int
    credits: int
    until: datetime | None


async def unknowns(tx: Tx, tenant_id: UUID, bulk_id: UUID, kept_s: float) -> Unknowns:
    """What is unknown of a send and waits."""
    row = await tx.fetchrow(_UNKNOWN, tenant_id, bulk_id, kept_s)
    assert row is not None, "an aggregate has one row"
    return Unknowns(**row)


_ANSWER: Final = "SELECT answer FROM unknown_answer WHERE tenant_id = $1 AND bulk_id = $2"


async def answer(tx: Tx, tenant_id: UUID, bulk_id: UUID) -> str | None:
    """What was answered for a send."""
    found: str | None = await tx.fetchval(_ANSWER, tenant_id, bulk_id)
    return found


_ADD_ANSWER: Final = """
INSERT INTO unknown_answer (tenant_id, bulk_id, answer, user_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
RETURNING true
"""


async def add_answer(tx: Tx, tenant_id: UUID, bulk_id: UUID, answer: str, user_id: str) -> bool:
    """Store an answer; False where one is there, which stays."""
    return bool(await tx.fetchval(_ADD_ANSWER, tenant_id, bulk_id, answer, user_id))


_ANSWERED: Final = """
SELECT c.tenant_id, c.bulk_id, c.chunk, a.answer FROM chunk c JOIN unknown_answer a USING (tenant_id, bulk_id)
WHERE c.unknown_credits > 0 AND c.done_at IS NOT NULL ORDER BY c.tenant_id, c.bulk_id, c.chunk LIMIT $1
"""


async def answered(tx: Tx, limit: int) -> dict[ChunkKey, str]:
    """Chunks with unknown outcomes of sends for which somebody has answered."""
    return {key_of(row): row["answer"] for row in await tx.fetch(_ANSWERED, limit)}


_ANSWERS: Final = """
SELECT tenant_id, bulk_id, answer FROM unknown_answer
WHERE (tenant_id, bulk_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
"""


async def answers(tx: Tx, keys: Collection[ChunkKey]) -> dict[SagaKey, str]:
    """What was answered for the sends of these chunks."""
    tenants, bulks, _ = key_columns(keys)
    rows = await tx.fetch(_ANSWERS, tenants, bulks)
    return {SagaKey(row["tenant_id"], row["bulk_id"]): row["answer"] for row in rows}


@dataclass(frozen=True, slots=True)
class UnknownChunk:
    """A chunk of which something is unknown, as its messages are counted."""

    chunk: int
    submitted_at: datetime
    slots: bytes
    parts: bytes
    prices: list[int]
    seq: list[int]


_CHUNKS: Final = """
SELECT c.chunk, c.submitted_at, c.slots, b.plain FROM chunk c JOIN chunk_body b USING (tenant_id, bulk_id, chunk)
WHERE c.tenant_id = $1 AND c.bulk_id = $2 AND c.unknown_credits > 0 AND c.chunk >= $3 ORDER BY c.chunk LIMIT $4
"""


async def unknown_chunks(tx: Tx, tenant_id: UUID, bulk_id: UUID, first: int, limit: int) -> list[UnknownChunk]:
    """Chunks of a send with unknown outcomes, from chunk `first` on."""
    found = []
    for row in await tx.fetch(_CHUNKS, tenant_id, bulk_id, first, limit):
        recipients = read_recipients(row["plain"])
        each = recipients.parts, list(recipients.prices), list(recipients.seq)
        found.append(UnknownChunk(row["chunk"], row["submitted_at"], row["slots"], *each))
    return found
