"""Erasures: what was asked for, the numbers of each, and what the services have confirmed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from muster.customer.domain.erasing import HOLDERS, WITHIN, Traces
from muster.kit.erasure import Erasure
from muster.kit.pg import Record, Tx

_ADD: Final = """
INSERT INTO erasure (tenant_id, erasure_id, customer_ids, ground, asked_by, deadline_at, traces)
VALUES ($1, $2, $3, $4, $5, kit_now() + $6::interval, $7::text::jsonb)
"""


async def add(
    tx: Tx, tenant_id: UUID, erasure_id: UUID, customer_ids: Sequence[int], ground: str, by: str, traces: Traces
) -> None:
    """Store what was asked for."""
    told = orjson.dumps(traces.as_json()).decode()
    await tx.execute(_ADD, tenant_id, erasure_id, list(customer_ids), ground, by, WITHIN, told)


# The versions of a number's erasures are this service's.
_NUMBERS: Final = """
WITH said AS (
    INSERT INTO erased_number AS e (tenant_id, number_hash, version, erased_at)
    SELECT DISTINCT $1::uuid, h, 1, $4::timestamptz FROM unnest($3::bytea[]) h ORDER BY h
    ON CONFLICT (tenant_id, number_hash) DO UPDATE SET version = e.version + 1, heard_at = kit_now(), seen_xid = NULL,
        forgotten_at = NULL, erased_at = greatest(e.erased_at, excluded.erased_at)
    RETURNING number_hash, version, erased_at
), kept AS (
    INSERT INTO erasure_number (tenant_id, erasure_id, number_hash, version)
    SELECT $1, $2, number_hash, version FROM said ORDER BY number_hash
    ON CONFLICT (tenant_id, erasure_id, number_hash) DO UPDATE SET version = excluded.version
)
SELECT number_hash, version, erased_at FROM said
"""


async def add_numbers(
    tx: Tx, tenant_id: UUID, erasure_id: UUID, hashes: Sequence[bytes], at: datetime
) -> list[Erasure]:
    """Remember that these numbers are erased, or that they are until a later moment; what is to be said of each."""
    rows = await tx.fetch(_NUMBERS, tenant_id, erasure_id, list(hashes), at)
    return [Erasure(tenant_id, row["number_hash"], row["version"], row["erased_at"]) for row in rows]


_SELECT: Final = """
SELECT erasure_id, customer_ids, ground, asked_at, asked_by, deadline_at, swept_at, done_at, p.numbers, p.services
FROM erasure e CROSS JOIN LATERAL (
    SELECT (SELECT count(*) FROM erasure_number n WHERE n.tenant_id = e.tenant_id AND n.erasure_id = e.erasure_id)
            AS numbers,
        jsonb_object_agg(s.service, s.at)::text AS services
    FROM (
        SELECT s.service, CASE WHEN bool_and(n.number_hash IS NULL OR c.confirmed_at IS NOT NULL)
                               THEN coalesce(max(c.confirmed_at), e.swept_at) END AS at
        FROM unnest($2::text[]) AS s (service)
            LEFT JOIN erasure_number n ON n.tenant_id = e.tenant_id AND n.erasure_id = e.erasure_id
            LEFT JOIN erasure_confirmed c ON c.tenant_id = e.tenant_id AND c.number_hash = n.number_hash
                AND c.service = s.service AND c.version >= n.version
        GROUP BY s.service) s) p
WHERE e.tenant_id = $1 """
_PAGE: Final = (
    _SELECT
    + """AND ($3::uuid IS NULL OR erasure_id < $3) AND ($4::boolean IS NULL OR (done_at IS NOT NULL) = $4)
ORDER BY erasure_id DESC LIMIT $5"""
)
_BY_ID: Final = _SELECT + "AND erasure_id = $3"
_OF_CUSTOMER: Final = _SELECT + "AND customer_ids @> ARRAY[$3::bigint] ORDER BY erasure_id DESC LIMIT 1"


async def page(tx: Tx, tenant_id: UUID, before: UUID | None, *, done: bool | None, limit: int) -> list[Record]:
    """Erasures, the newest first."""
    return await tx.fetch(_PAGE, tenant_id, list(HOLDERS), before, done, limit)


async def find(tx: Tx, tenant_id: UUID, erasure_id: UUID) -> Record | None:
    """One erasure. services: when each of the others had forgotten all its numbers, as JSON."""
    return await tx.fetchrow(_BY_ID, tenant_id, list(HOLDERS), erasure_id)


async def of_customer(tx: Tx, tenant_id: UUID, customer_id: int) -> Record | None:
    """The newest erasure of a customer."""
    return await tx.fetchrow(_OF_CUSTOMER, tenant_id, list(HOLDERS), customer_id)


_CONFIRM: Final = """
INSERT INTO erasure_confirmed AS c (tenant_id, number_hash, service, version, confirmed_at)
SELECT DISTINCT ON (tenant_id, number_hash, service) * FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::bigint[],
    $5::timestamptz[]) AS n (tenant_id, number_hash, service, version, confirmed_at)
ORDER BY tenant_id, number_hash, service, version DESC
ON CONFLICT (tenant_id, number_hash, service) DO UPDATE SET version = excluded.version,
    confirmed_at = excluded.confirmed_at
WHERE c.version < excluded.version
"""


async def confirm(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """Keep (tenant, hash, service, version, when): a service has forgotten a number (worker)."""
    await tx.execute(_CONFIRM, *map(list, zip(*rows, strict=True)))


# allow ordered-locks: a row is done once, and who else locks it locks it alone
_FINISH: Final = """
UPDATE erasure e SET done_at = kit_now()
WHERE tenant_id IS NOT NULL AND done_at IS NULL AND swept_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM erasure_number n CROSS JOIN unnest($1::text[]) AS s (service)
    WHERE n.tenant_id = e.tenant_id AND n.erasure_id = e.erasure_id AND NOT EXISTS (
        SELECT FROM erasure_confirmed c WHERE c.tenant_id = e.tenant_id AND c.number_hash = n.number_hash
            AND c.service = s.service AND c.version >= n.version))
"""
_OLDEST: Final = """
SELECT coalesce(extract(epoch FROM kit_now() - min(asked_at)), 0)::float8 FROM erasure
WHERE done_at IS NULL -- of every tenant_id
"""


async def finish(tx: Tx) -> float:
    """Note which are done by now, of all tenants (worker); how old the oldest is that is not, in seconds."""
    await tx.execute(_FINISH, list(HOLDERS))
    return float(await tx.fetchval(_OLDEST))


# All that was under way when the numbers were erased has ended, and what waits in the kit's tables is blanked. By lot,
# since some wait for an import or a send to end, and would keep all others back if the oldest always came first.
_DUE: Final = """
SELECT tenant_id, erasure_id FROM erasure e WHERE swept_at IS NULL AND NOT EXISTS (
    SELECT FROM erasure_number n JOIN erased_number k USING (tenant_id, number_hash)
    WHERE n.tenant_id = e.tenant_id AND n.erasure_id = e.erasure_id AND k.forgotten_at IS NULL)
ORDER BY random() LIMIT $1
"""


async def due(tx: Tx, limit: int) -> list[tuple[UUID, UUID]]:
    """Some of the erasures (tenant, id) that can be gone on with, of all tenants (worker)."""
    return [(row["tenant_id"], row["erasure_id"]) for row in await tx.fetch(_DUE, limit)]


_LOCK: Final = """
SELECT e.customer_ids, e.asked_at, e.traces::text AS traces, ARRAY(SELECT number_hash FROM erasure_number n
    WHERE n.tenant_id = e.tenant_id AND n.erasure_id = e.erasure_id) AS hashes,
    (SELECT min(k.erased_at) FROM erasure_number n JOIN erased_number k USING (tenant_id, number_hash)
     WHERE n.tenant_id = e.tenant_id AND n.erasure_id = e.erasure_id) AS said_at
FROM erasure e WHERE tenant_id = $1 AND erasure_id = $2 AND swept_at IS NULL FOR UPDATE
"""
_SWEPT: Final = "UPDATE erasure SET swept_at = kit_now(), traces = NULL WHERE tenant_id = $1 AND erasure_id = $2"


async def lock(tx: Tx, tenant_id: UUID, erasure_id: UUID) -> Record | None:
    """An erasure whose traces are still to be gone over, for a change. said_at: until when all its numbers are erased;
    None where it has none yet."""
    return await tx.fetchrow(_LOCK, tenant_id, erasure_id)


async def swept(tx: Tx, tenant_id: UUID, erasure_id: UUID) -> None:
    """Nothing of the person is here any more."""
    await tx.execute(_SWEPT, tenant_id, erasure_id)


_RECENT: Final = """
SELECT tenant_id, number_hash, version, erased_at FROM erased_number
WHERE heard_at > kit_now() - make_interval(mins => $1) ORDER BY heard_at LIMIT $2 -- of every tenant_id
"""


async def recent(tx: Tx, minutes: int, limit: int) -> list[Erasure]:
    """What was said within the last minutes, of all tenants (worker)."""
    rows = await tx.fetch(_RECENT, minutes, limit)
    return [Erasure(row["tenant_id"], row["number_hash"], row["version"], row["erased_at"]) for row in rows]
