"""What was sent lately, counted, and the limits that an operator has set for a tenant."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from muster.customer.domain.limits import Key, Scope
from muster.kit.pg import Tx

# In one order, so that two who count for the same tenants wait for one another and never each for the other.
_COUNT: Final = """
INSERT INTO velocity AS v (tenant_id, since, scope, digits, messages)
SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::smallint[], $4::bigint[], $5::integer[]) AS n (t, s, c, d, m)
ORDER BY t, s, c, d
ON CONFLICT (tenant_id, since, scope, digits) DO UPDATE SET messages = v.messages + excluded.messages
RETURNING tenant_id, since, scope, digits, messages
"""

Counts = Mapping[tuple[UUID, Key], int]


async def count(tx: Tx, more: Counts) -> dict[tuple[UUID, Key], int]:
    """Add to these counters; what they say now. They are this transaction's until it ends."""
    return {
        (row["tenant_id"], Key(Scope(row["scope"]), row["since"], row["digits"])): row["messages"]
        for row in await tx.fetch(_COUNT, *_columns(more))
    }


# allow ordered-locks: this transaction has counted by them and holds them
_TAKE_BACK: Final = """
UPDATE velocity v SET messages = v.messages - n.m
FROM unnest($1::uuid[], $2::timestamptz[], $3::smallint[], $4::bigint[], $5::integer[]) AS n (t, s, c, d, m)
WHERE v.tenant_id = n.t AND v.since = n.s AND v.scope = n.c AND v.digits = n.d
"""


async def take_back(tx: Tx, less: Counts) -> None:
    """Count so much less again; the counters were added to in this transaction."""
    await tx.execute(_TAKE_BACK, *_columns(less))


def _columns(counts: Counts) -> list[list[Any]]:
    rows = [(tenant_id, key.since, key.scope.value, key.digits, value) for (tenant_id, key), value in counts.items()]
    return [list(column) for column in zip(*rows, strict=True)]


_TODAY: Final = "SELECT messages FROM velocity WHERE tenant_id = $1 AND since = $2 AND scope = $3 AND digits = $4"


async def counted(tx: Tx, tenant_id: UUID, key: Key) -> int:
    """What a counter says."""
    found: int | None = await tx.fetchval(_TODAY, tenant_id, key.since, key.scope.value, key.digits)
    return found or 0


_DROP: Final = """
DELETE FROM velocity WHERE (tenant_id, since, scope, digits) IN (
    SELECT tenant_id, since, scope, digits FROM velocity
    WHERE since < kit_now() - make_interval(hours => $1) FOR UPDATE SKIP LOCKED LIMIT $2)
"""


async def drop_old(tx: Tx, hours: int, limit: int) -> bool:
    """Forget what was counted so long ago, of all tenants (worker); whether there may be more."""
    done: str = await tx.execute(_DROP, hours, limit)
    return done == f"DELETE {limit}"


_BUSIEST: Final = """
SELECT since, scope, digits, messages FROM velocity
WHERE tenant_id = $1 AND since > kit_now() - interval '36 hours' ORDER BY messages DESC, since DESC LIMIT $2
"""


async def busiest(tx: Tx, tenant_id: UUID, limit: int) -> list[tuple[Key, int]]:
    """A tenant's fullest counters of today and yesterday."""
    rows = await tx.fetch(_BUSIEST, tenant_id, limit)
    return [(Key(Scope(row["scope"]), row["since"], row["digits"]), row["messages"]) for row in rows]


@dataclass(frozen=True, slots=True)
class Own:
    """What an operator has set for a tenant: None as for all, 0 no limit."""

    range_hourly: int | None = None
    prefix_hourly: int | None = None
    plan_range: int | None = None
    daily: int | None = None
    reason: str = ""
    user_id: str = ""
    changed_at: datetime | None = None


_OWN: Final = """
SELECT range_hourly, prefix_hourly, plan_range, daily, reason, user_id, changed_at FROM tenant_limit
WHERE tenant_id = $1
"""


async def own(tx: Tx, tenant_id: UUID) -> Own:
    """The limits of a tenant's own."""
    row = await tx.fetchrow(_OWN, tenant_id)
    return Own(**row) if row else Own()


_SET: Final = """
INSERT INTO tenant_limit (tenant_id, range_hourly, prefix_hourly, plan_range, daily, reason, user_id)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant_id) DO UPDATE SET range_hourly = $2, prefix_hourly = $3, plan_range = $4, daily = $5, reason = $6,
    user_id = $7, changed_at = kit_now()
"""


async def set_own(tx: Tx, tenant_id: UUID, given: Own) -> None:
    """Keep what an operator has set."""
    values = (given.range_hourly, given.prefix_hourly, given.plan_range, given.daily)
    await tx.execute(_SET, tenant_id, *values, given.reason, given.user_id)


_BEGIN_ANEW: Final = """
UPDATE tenant SET clean_since = $2
WHERE tenant_id = $1 AND clean_since < $2 AND clean_since > $2 - make_interval(days => $3)
"""


async def begin_anew(tx: Tx, tenant_id: UUID, at: datetime, start_days: int) -> None:
    """Something bad was heard of a tenant: if it was new then, its first days begin anew at that moment."""
    await tx.execute(_BEGIN_ANEW, tenant_id, at, start_days)


_DENSEST: Final = """
SELECT count(*) FROM plan_frozen f, unnest(f.numbers) n
WHERE f.tenant_id = $1 AND f.bulk_id = $2 AND f.reason = 0 GROUP BY n / 1000 ORDER BY 1 DESC LIMIT 1
"""


async def densest(tx: Tx, tenant_id: UUID, bulk_id: UUID) -> int:
    """The recipients of a send in that range of a thousand numbers that has the most of them."""
    found: int | None = await tx.fetchval(_DENSEST, tenant_id, bulk_id)
    return found or 0
