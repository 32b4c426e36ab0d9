"""The membership of sends, asked for one person: by customer through an index of reaches, by number through hashes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from muster.kit.pg import Record, Tx

# A seq counts the recipients of earlier chunks; the hashes say how many they are without being read.
_PLACE: Final = """
    f.bulk_id, f.reason, f.chunk, f.country, f.customer_ids[p.at] AS customer_id, f.numbers[p.at] AS number,
    f.joined[p.at] AS joined, f.facts[p.at] AS fact,
    CASE f.reason WHEN 0 THEN substring(f.hashes FROM (p.at - 1) * 17 + 1 FOR 17) END AS number_hash,
    CASE f.reason WHEN 0 THEN p.at + (
        SELECT coalesce(sum(octet_length(e.hashes)), 0) / 17 FROM plan_frozen e
        WHERE e.tenant_id = $1 AND e.bulk_id = f.bulk_id AND e.reason = 0 AND e.chunk < f.chunk) END AS seq
"""
_WITH_MISSED: Final = """
SELECT found.*, ARRAY(SELECT DISTINCT r.kind FROM not_received r
    WHERE r.tenant_id = $1 AND r.bulk_id = found.bulk_id AND r.chunk = found.chunk
        AND found.seq = ANY(r.seqs)) AS missed
FROM found
"""
_OF_CUSTOMER: Final = f"""
WITH found AS (
    SELECT {_PLACE}
    FROM (SELECT * FROM plan_frozen f
          WHERE f.tenant_id = $1 AND f.bulk_id = $2 AND f.low_id <= $3 AND $3 - f.low_id < (1::bigint << f.reach)
          OFFSET 0) f -- before any ids are read
        CROSS JOIN LATERAL (SELECT array_position(f.customer_ids, $3::bigint) AS at) p
    WHERE p.at IS NOT NULL LIMIT 1
) {_WITH_MISSED}
"""  # noqa: S608 - constants


async def of_customer(tx: Tx, tenant_id: UUID, bulk_id: UUID, customer_id: int) -> Record | None:
    """Where a customer is in the membership of a send: reason, chunk and seq, number and values, and what is known of
    their message; None where they were not asked for."""
    return await tx.fetchrow(_OF_CUSTOMER, tenant_id, bulk_id, customer_id)


_OF_NUMBER: Final = f"""
WITH found AS (
    SELECT {_PLACE} FROM plan_frozen f
        CROSS JOIN LATERAL (SELECT (position($3::bytea IN f.hashes) + 16) / 17 AS at) p
    WHERE f.tenant_id = $1 AND f.bulk_id = $2 AND f.reason = 0 AND p.at > 0
    LIMIT 1
) {_WITH_MISSED}
"""  # noqa: S608 - constants


async def of_number(tx: Tx, tenant_id: UUID, bulk_id: UUID, number_hash: bytes) -> Record | None:
    """The same of the customer who was texted at a number."""
    return await tx.fetchrow(_OF_NUMBER, tenant_id, bulk_id, number_hash)


_FORGOTTEN: Final = """
SELECT EXISTS (
    SELECT FROM customer_number n JOIN plan_frozen f ON f.tenant_id = $1 AND f.bulk_id = $2 AND f.reason = 0
        CROSS JOIN LATERAL (SELECT (position(n.number_hash IN f.hashes) + 16) / 17 AS at) p
    WHERE n.tenant_id = $1 AND n.customer_id = $3 AND p.at > 0 AND f.numbers[p.at] = 0)
"""


async def is_forgotten(tx: Tx, tenant_id: UUID, bulk_id: UUID, customer_id: int) -> bool:
    """Whether the message of a send to one of a customer's numbers was taken out: with somebody who was erased."""
    return bool(await tx.fetchval(_FORGOTTEN, tenant_id, bulk_id, customer_id))


_HOLDERS: Final = """
SELECT DISTINCT customer_id FROM customer_number WHERE tenant_id = $1 AND number_hash = ANY($2::bytea[])
ORDER BY customer_id LIMIT $3
"""


async def holders(tx: Tx, tenant_id: UUID, hashes: Sequence[bytes], limit: int) -> list[int]:
    """Customers who have one of these numbers, the oldest first."""
    return [row["customer_id"] for row in await tx.fetch(_HOLDERS, tenant_id, list(hashes), limit)]


# own ($2): the customer, and who was merged into them; $3: others with one of their numbers ($4), whose messages to
# those are theirs too. A number is in a send once. {reasons}: 0 texted, 6 rendered for another.
HISTORY: Final = f"""
WITH who AS (
    SELECT u.id, u.id = ANY($2::bigint[]) AS own FROM unnest($2::bigint[] || $3::bigint[]) AS u (id)
), looked AS MATERIALIZED (
    -- Row-level security lets an index be asked for nothing that is reckoned on the way.
    SELECT who.*, r.reach::smallint AS reach, who.id - (1::bigint << r.reach) + 1 AS low
    FROM who CROSS JOIN generate_series(0, 62) AS r (reach)
), place AS (
    SELECT DISTINCT ON (f.bulk_id) f.bulk_id, f.reason, f.chunk, p.at
    FROM looked who CROSS JOIN LATERAL (
            SELECT * FROM plan_frozen f
            WHERE f.tenant_id = $1 AND f.reach = who.reach AND f.low_id >= who.low AND f.low_id <= who.id
            OFFSET 0) f -- for each by itself, whatever statistics say
        CROSS JOIN LATERAL (SELECT array_position(f.customer_ids, who.id) AS at) p
    WHERE p.at IS NOT NULL AND ($5::uuid IS NULL OR f.bulk_id < $5)
        AND CASE WHEN who.own THEN $7 OR f.reason IN (0, 6)
                 ELSE f.reason = 0 AND f.numbers[p.at] = ANY($4::bigint[]) END
    ORDER BY f.bulk_id DESC, f.reason <> 0, NOT who.own LIMIT $6
), found AS (
    SELECT {_PLACE} FROM place p CROSS JOIN LATERAL (
        SELECT * FROM plan_frozen f
        WHERE f.tenant_id = $1 AND f.bulk_id = p.bulk_id AND f.reason = p.reason AND f.chunk = p.chunk OFFSET 0) f
) {_WITH_MISSED} ORDER BY bulk_id DESC
"""  # noqa: S608 - constants


async def history(
    tx: Tx,
    tenant_id: UUID,
    own: Sequence[int],
    others: Sequence[int],
    numbers: Sequence[int],
    *,
    before: UUID | None,
    left_out: bool,
    limit: int,
) -> list[Record]:
    """Sends of a customer, the newest first, one entry for each. left_out: also those that they were asked for and are
    out of."""
    return await tx.fetch(HISTORY, tenant_id, list(own), list(others), list(numbers), before, limit, left_out)


_CONSENT: Final = """
SELECT version, number IS NOT NULL AS of_number, kind, allow_bulk_sms, given_at, how, source, recorded_at
FROM consent_version
WHERE tenant_id = $1 AND customer_id = $2 AND recorded_at <= $3
    AND ($4::bytea IS NULL OR number_hash IS NULL OR number_hash = $4)
ORDER BY version DESC LIMIT 1
"""


async def consent_at(
    tx: Tx, tenant_id: UUID, customer_id: int, at: datetime, number_hash: bytes | None
) -> Record | None:
    """The last word on a customer's consent, or on this number of theirs, at a time."""
    return await tx.fetchrow(_CONSENT, tenant_id, customer_id, at, number_hash)


_SUPPRESSED: Final = """
SELECT * FROM (
    SELECT DISTINCT ON (number_hash) number_hash, version, suppressed, scope, source, changed_at
    FROM suppression_version
    WHERE tenant_id = $1 AND changed_at <= $3 AND number_hash IN (
        SELECT number_hash FROM customer_number WHERE tenant_id = $1 AND customer_id = $2
        UNION SELECT number_hash FROM consent_version
        WHERE tenant_id = $1 AND customer_id = $2 AND number_hash IS NOT NULL)
    ORDER BY number_hash, version DESC) v
WHERE suppressed ORDER BY changed_at DESC LIMIT 1
"""


async def suppression_at(tx: Tx, tenant_id: UUID, customer_id: int, at: datetime) -> Record | None:
    """What suppressed a number of a customer at a time."""
    return await tx.fetchrow(_SUPPRESSED, tenant_id, customer_id, at)


_KNOWN: Final = """
SELECT EXISTS (SELECT FROM customer WHERE tenant_id = $1 AND customer_id = $2)
    OR EXISTS (SELECT FROM consent_version WHERE tenant_id = $1 AND customer_id = $2) AS known,
    EXISTS (SELECT FROM erasure WHERE tenant_id = $1 AND customer_ids @> ARRAY[$2::bigint]) AS erased
"""


async def standing(tx: Tx, tenant_id: UUID, customer_id: int) -> tuple[bool, bool]:
    """Whether there is, or was, such a customer; and whether they were erased."""
    row = await tx.fetchrow(_KNOWN, tenant_id, customer_id)
    assert row is not None
    return row["known"], row["erased"]
