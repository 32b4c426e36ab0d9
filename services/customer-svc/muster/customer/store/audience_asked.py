"""Whom an audience asks for, as customers are now and as its quote has seen them."""

from typing import Final

from muster.kit.pg import Tx

# Also the search of the list of customers: $1 is the tenant.
SEARCH: Final = """(c.first_name || ' ' || c.last_name ILIKE {pattern} OR EXISTS (
    SELECT FROM customer_number f WHERE f.tenant_id = $1 AND f.customer_id = c.customer_id
        AND f.number::text LIKE {digits}))"""

# $6 tag, $7 ids, $8 search pattern, $9 its digits.
ASKED: Final = """
    ($6::text IS NULL OR c.tags @> ARRAY[$6])
    AND ($7::bigint[] IS NULL OR c.customer_id = ANY($7))
    AND ($8::text IS NULL OR {search})""".format(search=SEARCH.format(pattern="$8", digits="coalesce($9::text, '-')"))

# $11 the quote's snapshot, $12 its time. The time keeps rows in where transaction ids started anew, as after a logical
# restore.
SEEN: Final = "({at} <= $12::timestamptz - interval '1 hour' OR pg_visible_in_snapshot({xid}, $11::text::pg_snapshot))"
ON_LIST_THEN: Final = SEEN.format(at="{member}.added_at", xid="{member}.added_xid")

# Who was changed since, as they were until the first of these changes.
WERE: Final = """
        LEFT JOIN (SELECT DISTINCT ON (w.customer_id) w.customer_id, w.customer FROM customer_was w
                   WHERE w.tenant_id = $1 AND NOT {seen} ORDER BY w.customer_id, w.n) was USING (customer_id)
""".replace("{seen}", SEEN.format(at="w.changed_at", xid="w.changed_xid"))
# {asked}: a condition on `c`, with lists as they were then; {moved}: of somebody who was not changed.
CAME_LATER: Final = """ OR CASE WHEN was.customer IS NULL THEN {moved} ELSE NOT EXISTS (
                SELECT FROM jsonb_populate_record(NULL::customer, was.customer) c
                WHERE c.archived_at IS NULL AND {asked}) END"""

_FORGET: Final = """
DELETE FROM customer_was WHERE (tenant_id, customer_id, n) IN (
    SELECT tenant_id, customer_id, n FROM customer_was WHERE changed_at < kit_now() - make_interval(hours => $1)
    ORDER BY changed_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


async def forget_were(tx: Tx, hours: int, limit: int) -> bool:
    """Forget how customers were before changes so long ago, of all tenants (worker); whether there may be more."""
    done: str = await tx.execute(_FORGET, hours, limit)
    return done == f"DELETE {limit}"
