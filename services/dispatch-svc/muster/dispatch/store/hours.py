"""Sends whose recipients may be texted at some hours only: the moment before which nothing of one can be claimed.

It keeps sends that wait for the morning out of the way of those that can go. It decides nothing: each claim and each
intent is judged by the attempt's own hours.
"""

from collections.abc import Collection
from typing import Final

from muster.dispatch.store.sagas import SagaKey
from muster.kit.pg import Tx

# allow ordered-locks: `sagas.lock` has locked them, in order
_LOOK: Final = """
UPDATE saga SET due_at = kit_now()
WHERE (tenant_id, bulk_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND (due_at IS NULL OR due_at > kit_now())
"""


async def look(tx: Tx, keys: Collection[SagaKey]) -> None:
    """Something of these sends, which this transaction has locked, may be due."""
    await tx.execute(_LOOK, [key.tenant_id for key in keys], [key.bulk_id for key in keys])


_LOCK: Final = """
SELECT tenant_id, bulk_id FROM saga WHERE due_at <= kit_now() AND state NOT IN ('closed', 'refused')
ORDER BY random() LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
"""


async def lock_due(tx: Tx, limit: int) -> list[SagaKey]:
    """Some sends with hours of which something may be due, locked; chunks that come later wait for that."""
    return [SagaKey(*row) for row in await tx.fetch(_LOCK, limit)]


# What is leased comes back at any moment, and a retry at the latest when its time has come.
# allow ordered-locks: `lock_due` has locked them
_PUT_OFF: Final = """
UPDATE saga s SET due_at = n.due_at FROM (
    SELECT a.tenant_id, a.bulk_id, min(CASE
        WHEN a.state = 1 OR a.allowed IS NULL OR a.allowed @> kit_now() THEN kit_now()
        ELSE coalesce((SELECT min(lower(w)) FROM unnest(a.allowed) w WHERE lower(w) > kit_now()), a.send_by)
        END) AS due_at
    FROM attempt a
    WHERE (a.tenant_id, a.bulk_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND a.state <> 2
    GROUP BY a.tenant_id, a.bulk_id) n
WHERE s.tenant_id = n.tenant_id AND s.bulk_id = n.bulk_id AND n.due_at > kit_now()
"""


async def put_off(tx: Tx, keys: Collection[SagaKey]) -> None:
    """Until when nothing of these sends, which this transaction has locked, can be claimed, where that is later."""
    await tx.execute(_PUT_OFF, [key.tenant_id for key in keys], [key.bulk_id for key in keys])
