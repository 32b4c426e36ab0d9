"""Chunks that wait, which may go by another account: those of which nothing was ever intended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from muster.dispatch.domain.routing import Needs
from muster.dispatch.domain.sandbox import ACCOUNT as SANDBOX
from muster.dispatch.events import ChunkKey
from muster.dispatch.store.chunks import key_columns, key_of
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class Queued:
    """A chunk in the queue, and the way that it has."""

    key: ChunkKey
    account: str
    route: str
    needs: Needs


_PAGE: Final = """
SELECT c.tenant_id, c.bulk_id, c.chunk, c.account, c.route, c.country, c.sender, c.reference_bits,
    octet_length(c.slots) > c.recipients AS is_long
FROM attempt a JOIN chunk c USING (tenant_id, bulk_id, chunk)
WHERE a.state = 0 AND a.attempt = 0 AND a.intent_upto = 0 AND a.account <> $5
    AND (a.tenant_id, a.bulk_id, a.chunk) > ($1, $2, $3)
ORDER BY a.tenant_id, a.bulk_id, a.chunk LIMIT $4
"""


async def page(tx: Tx, after: ChunkKey, limit: int) -> list[Queued]:
    """Chunks that wait and of which nothing was intended, after `after`; nothing is locked."""
    return [_queued(row) for row in await tx.fetch(_PAGE, after.tenant_id, after.bulk_id, after.chunk, limit, SANDBOX)]


def _queued(row: Record) -> Queued:
    needs = Needs(row["country"], row["sender"], row["reference_bits"], row["is_long"])
    return Queued(key_of(row), row["account"], row["route"], needs)


@dataclass(frozen=True, slots=True)
class Move:
    """A chunk, the account that it was seen at, and where it is to go."""

    key: ChunkKey
    before: str
    account: str
    route: str


# A chunk that a sender has claimed meanwhile is left to him: whoever claims it locks the attempt, as this does.
_MOVE: Final = """
WITH n AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[])
    AS n(tenant_id, bulk_id, chunk, before, account, route)
), locked AS (
    SELECT t.tenant_id, t.bulk_id, t.chunk, n.account, n.route FROM attempt t JOIN n USING (tenant_id, bulk_id, chunk)
    WHERE t.state = 0 AND t.attempt = 0 AND t.intent_upto = 0 AND t.account = n.before
    ORDER BY t.tenant_id, t.bulk_id, t.chunk FOR UPDATE OF t SKIP LOCKED
), homes AS (
    SELECT c.tenant_id, c.bulk_id, c.chunk FROM chunk c JOIN locked USING (tenant_id, bulk_id, chunk)
    ORDER BY c.tenant_id, c.bulk_id, c.chunk FOR NO KEY UPDATE OF c
), moved AS (
    UPDATE attempt t SET account = locked.account FROM locked JOIN homes USING (tenant_id, bulk_id, chunk)
    WHERE t.tenant_id = locked.tenant_id AND t.bulk_id = locked.bulk_id AND t.chunk = locked.chunk AND t.attempt = 0
    RETURNING t.tenant_id, t.bulk_id, t.chunk, t.account, locked.route
)
UPDATE chunk c SET account = moved.account, route = moved.route FROM moved
WHERE c.tenant_id = moved.tenant_id AND c.bulk_id = moved.bulk_id AND c.chunk = moved.chunk
RETURNING c.tenant_id, c.bulk_id, c.chunk
"""


async def move(tx: Tx, moves: Sequence[Move]) -> int:
    """Let chunks go by other accounts, if they still wait where they were seen; how many did."""
    rows = await tx.fetch(
        _MOVE,
        *key_columns([one.key for one in moves]),
        *([one.before for one in moves], [one.account for one in moves], [one.route for one in moves]),
    )
    return len(rows)
