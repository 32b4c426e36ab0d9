"""Which chunks may have what is unknown of them sent again: at least once, where a tenant has asked for it."""

from collections.abc import Collection
from typing import Final

from muster.dispatch.events import CLASSES_AT_LEAST_ONCE, ChunkKey
from muster.dispatch.store.chunks import key_columns, key_of
from muster.dispatch.store.queue import AttemptKey
from muster.kit.pg import Tx

RESENDS_MAX: Final = 2

_ALLOWED: Final = """
SELECT c.tenant_id, c.bulk_id, c.chunk FROM chunk c JOIN tenant t USING (tenant_id)
WHERE (c.tenant_id, c.bulk_id, c.chunk) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[]))
    AND t.at_least_once AND c.message_class = ANY ($4::smallint[]) AND c.send_by > kit_now()
    AND (SELECT count(*) FROM attempt a WHERE a.tenant_id = c.tenant_id AND a.bulk_id = c.bulk_id
        AND a.chunk = c.chunk AND a.why = 'again') < $5
"""


_SENT_AGAIN: Final = """
SELECT DISTINCT tenant_id, bulk_id, chunk FROM attempt
WHERE (tenant_id, bulk_id, chunk) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[]))
    AND why = 'again' AND jsonb_array_length(intents) > 0
"""


async def sent_again(tx: Tx, keys: Collection[ChunkKey]) -> set[ChunkKey]:
    """Those of these chunks of which something was sent again: that it was not taken the first time says not all."""
    return {key_of(row) for row in await tx.fetch(_SENT_AGAIN, *key_columns(keys))} if keys else set()


# allow ordered-locks: it is one, and its sender has it
_LEAVE_OUT: Final = """
UPDATE attempt SET left_out = ARRAY(SELECT DISTINCT unnest(left_out || $5::smallint[]))
WHERE tenant_id = $1 AND bulk_id = $2 AND chunk = $3 AND attempt = $4
"""


async def leave_out(tx: Tx, key: AttemptKey, slots: Collection[int]) -> None:
    """An attempt that this sender leases passes over these slots, with the intent that is stored beside this."""
    chunk = key.chunk
    await tx.execute(_LEAVE_OUT, chunk.tenant_id, chunk.bulk_id, chunk.chunk, key.attempt, list(slots))


async def allowed(tx: Tx, keys: Collection[ChunkKey]) -> set[ChunkKey]:
    """Those of these chunks of which something unknown may be sent once more."""
    if not keys:
        return set()
    rows = await tx.fetch(_ALLOWED, *key_columns(keys), list(CLASSES_AT_LEAST_ONCE), RESENDS_MAX)
    return {key_of(row) for row in rows}
