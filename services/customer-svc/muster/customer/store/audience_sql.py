"""The statements that judge each customer of an audience: one that counts them, one that others build on."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from muster.customer.domain.tally import VERDICTS_MAX
from muster.customer.store.audience_asked import ASKED
from muster.customer.store.audience_few import OF_FEW
from muster.customer.store.audience_rules import FIRST
from muster.customer.store.hours import HoursSql
from muster.kit.pg import Tx

# $1 tenant, $2 marketing, $3 countries that can be reached, $4 named ones that cannot, $5 all others can be reached,
# $6 tag, $7 ids, $8 search pattern, $9 its digits, $10 names of own fields, $11 snapshot of the quote, $12 its time;
# the last but what hours and rules add: all countries that the business sends to (NULL: to all).
#
# Of a customer no more is read than is needed to find the first reason that holds. What few have is asked one by one,
# or was found beforehand.
_REASON: Final = """
        -- A word on the number itself goes before the one on all of them: domain/consent.py says the same.
        CASE WHEN coalesce(c.joined_at > $12::timestamptz - interval '1 hour'
                           AND NOT pg_visible_in_snapshot(c.joined_xid, $11::text::pg_snapshot), false){came_later}
                 THEN '1'
             WHEN NOT CASE WHEN w.kind IN ('express', 'inferred') THEN true WHEN w.kind = 'none' AND $2 THEN false
                           ELSE c.allow_bulk_sms IS TRUE AND (NOT $2 OR c.consent IN ('express', 'inferred')) END
                 THEN '2'
             WHEN m.country IS NULL AND {abroad}::text[] IS NOT NULL AND EXISTS (
                 -- With a number of a country that the business does not send to.
                 SELECT FROM customer_number n WHERE n.tenant_id = $1 AND n.customer_id = c.customer_id
                     AND n.country <> ALL({abroad}::text[]) OFFSET 0) THEN '8'
             WHEN m.country IS NULL THEN '3'
             WHEN o.customer_id IS NOT NULL THEN '4' WHEN w.kind = 'withdrawn' AND $2 THEN '2'
             WHEN u.undeliverable_at IS NOT NULL THEN '9'{ruled_out}
             WHEN {missing} THEN '5' WHEN {hours} < 0 THEN '7' ELSE {otherwise} END"""
JUDGED: Final = """
    FROM customer c{listed} {mobile}{numbers}{rules_join} {hours_join}
    WHERE c.tenant_id = $1 AND c.archived_at IS {archived} NULL AND $10::text[] IS NOT NULL AND {audience}{rules}
""".replace("{audience}", ASKED)
CHOSEN: Final = (
    """
WITH {messaged}judged AS (
    -- OFFSET 0: the reason is worked out once, however often it is asked for.
    SELECT c.customer_id, m.number, m.country, m.number_hash, {joined} AS joined, {hours} AS hours{ruling},
        {reason} AS reason {judged} OFFSET 0
), chosen AS (
    -- Who shares a number is texted once: the oldest who may be.
    SELECT customer_id, number, country, number_hash, joined, hours{fact},
        CASE WHEN reason = 0 AND {first} <> customer_id THEN 6 ELSE reason END AS reason
    FROM judged
)
""".replace("{first}", FIRST)
    .replace("{reason}", _REASON.replace("{otherwise}", "0"))
    .replace("{judged}", JUDGED.replace(" {archived}", ""))
)
_MOBILE: Final = """n.customer_id, n.number, n.country, n.number_hash, {number_zones} AS zones
        FROM customer_number n WHERE n.tenant_id = $1 AND n.position {position}
            AND (n.country = ANY($3::text[]) OR ($5 AND n.country <> ALL($4::text[])))"""
# Where nobody has more, it is known that there are as many numbers as customers: both are read as they lie.
_ONE_NUMBER: Final = f"""LEFT JOIN (
        SELECT {_MOBILE.replace("{position}", "= 1")}) m USING (customer_id) """
# Where somebody has more numbers than one, it is the first of them that can be texted.
_SEVERAL: Final = f"""LEFT JOIN (
        SELECT {_MOBILE.replace("{position}", "= 1")}) e USING (customer_id) LEFT JOIN (
        SELECT DISTINCT ON (n.customer_id) {_MOBILE.replace("{position}", "> 1")}
        ORDER BY n.customer_id, n.position
    ) l USING (customer_id) CROSS JOIN LATERAL (
        SELECT coalesce(e.number, l.number) AS number, coalesce(e.country, l.country) AS country,
            coalesce(e.number_hash, l.number_hash) AS number_hash,
            CASE WHEN e.number IS NULL THEN l.zones ELSE e.zones END AS zones
    ) m """

# Words on single numbers, opt-outs and numbers that fail are rare, and a join with none of them would cost a tenth of
# the whole.
_RARE: Final = """
SELECT EXISTS (SELECT FROM number_consent WHERE tenant_id = $1) AS words,
    EXISTS (SELECT FROM suppression WHERE tenant_id = $1 AND suppressed) AS opted_out,
    EXISTS (SELECT FROM number_failure WHERE tenant_id = $1 AND undeliverable_at IS NOT NULL) AS undeliverable,
    EXISTS (SELECT FROM customer_number WHERE tenant_id = $1 AND position > 1) AS later
"""


@dataclass(frozen=True, slots=True)
class Rare:
    """What a business has any of. Where it has none, it is not joined."""

    words: bool = True
    opted_out: bool = True
    undeliverable: bool = True
    later: bool = True


async def rare_of(tx: Tx, tenant_id: UUID) -> Rare:
    """What this business has."""
    row = await tx.fetchrow(_RARE, tenant_id)
    assert row is not None
    return Rare(*row)


_WORDS: Final = """LEFT JOIN number_consent w
        ON w.tenant_id = $1 AND w.customer_id = c.customer_id AND w.number_hash = m.number_hash"""
_NO_WORDS: Final = "CROSS JOIN (SELECT NULL::text AS kind) w"
# The numbers of each suppression, and not the suppressions of each number.
_OPTED_OUT: Final = """ LEFT JOIN (
        SELECT DISTINCT n.customer_id FROM suppression s CROSS JOIN LATERAL (
            SELECT f.customer_id FROM customer_number f
            WHERE f.tenant_id = $1 AND f.number_hash = s.number_hash OFFSET 0) n
        WHERE s.tenant_id = $1 AND s.suppressed AND (s.scope = 2 OR $2)) o ON o.customer_id = c.customer_id"""
_NOBODY_OPTED_OUT: Final = " CROSS JOIN (SELECT NULL::bigint AS customer_id) o"
_UNDELIVERABLE: Final = " LEFT JOIN number_failure u ON u.tenant_id = $1 AND u.number_hash = m.number_hash"
_NONE_UNDELIVERABLE: Final = " CROSS JOIN (SELECT NULL::timestamptz AS undeliverable_at) u"


def numbers_sql(rare: Rare, hours: HoursSql, first: int) -> dict[str, str]:
    """What is joined of numbers, and hours, whose arguments begin with number `first`."""
    opted_out = _OPTED_OUT if rare.opted_out else _NOBODY_OPTED_OUT
    undeliverable = _UNDELIVERABLE if rare.undeliverable else _NONE_UNDELIVERABLE
    fragments = hours.fragments(first)
    mobile = (_SEVERAL if rare.later else _ONE_NUMBER).replace("{number_zones}", fragments.pop("number_zones"))
    numbers = (_WORDS if rare.words else _NO_WORDS) + opted_out + undeliverable
    return {"mobile": mobile, "numbers": numbers, **fragments}


# Numbers that there are twice: only of these it is counted who of those who share one is texted. In their order an
# index has them.
_TWICE: Final = """ LEFT JOIN unnest((
        SELECT array_agg(number) FROM (
            SELECT number FROM (SELECT number FROM customer_number WHERE tenant_id = $1 ORDER BY number OFFSET 0) n
            GROUP BY number HAVING count(*) > 1) n
    )) AS twice (number) ON twice.number = m.number"""
SHARING_MAX: Final = 100_000
"""Of more customers who share numbers it is not kept who they are."""
# Of recipients of marketing each has a consent that permits it.
_RECIPIENT: Final = """m.country || E'\\x1f' || CASE WHEN NOT $2 THEN '' WHEN w.kind IN ('express', 'inferred')
    THEN w.kind ELSE c.consent END || E'\\x1f' || ({hours})::text || E'\\x1f' || {joined}"""
VERDICT: Final = _REASON.replace("{otherwise}", _RECIPIENT)
# Recipients are grouped by country, kind of consent, hours and merge values, the others by reason, as one word each: so
# it is worked out once, in the same statement that reads them, and several processes can take part in it, in the
# counting too: what is grouped by has no number in it, of which there seem to be as many as customers. Behind the
# counts comes who is judged so, those who share a number by number.
COUNTED: Final = (
    """
WITH {messaged}counted AS MATERIALIZED (
    SELECT {verdict} AS verdict, count(*) FILTER (WHERE twice.number IS NULL) AS customers,
        min(c.customer_id) FILTER (WHERE twice.number IS NULL) AS oldest,
        string_agg(int8send(c.customer_id), ''::bytea) FILTER (WHERE twice.number IS NULL) AS ids,
        array_agg(twice.number) FILTER (WHERE twice.number IS NOT NULL) AS numbers,
        array_agg(c.customer_id) FILTER (WHERE twice.number IS NOT NULL) AS sharing
    {judged} GROUP BY 1
), grouped AS MATERIALIZED (
    SELECT verdict, NULL::bigint AS shared, customers, oldest, ids, NULL::bigint[] AS sharing FROM counted
    WHERE customers > 0
    UNION ALL
    SELECT verdict, number, count(*), min(customer_id), NULL, array_agg(customer_id)
    FROM (SELECT verdict, unnest(numbers) AS number, unnest(sharing) AS customer_id FROM counted) s GROUP BY 1, 2
), texted AS (
    SELECT verdict, customers, oldest, CASE WHEN shared IS NULL OR NOT texted THEN customers
        WHEN oldest = min(oldest) FILTER (WHERE texted) OVER (PARTITION BY shared) THEN 1 ELSE 0 END AS texted
    FROM (SELECT *, strpos(verdict, E'\\x1f') > 0 AS texted FROM grouped) g
), few AS (
    SELECT count(*) FILTER (WHERE shared IS NULL) <= {verdicts_max}
        AND coalesce(sum(customers) FILTER (WHERE shared IS NOT NULL), 0) <= {sharing_max} AS enough FROM grouped
)
SELECT verdict, sum(customers)::bigint AS customers, min(oldest) AS oldest,
    (SELECT pg_current_snapshot()::text) AS snapshot,
    NULL::bigint AS shared, NULL::bytea AS ids, NULL::bigint[] AS sharing
FROM (SELECT verdict, oldest, texted AS customers FROM texted
    UNION ALL SELECT '6', NULL, customers - texted FROM texted) r
WHERE customers > 0 GROUP BY 1
UNION ALL
SELECT verdict, NULL, NULL, NULL, shared, ids, sharing FROM grouped WHERE (SELECT enough FROM few)
""".replace("{verdict}", VERDICT)
    .replace("{judged}", JUDGED.replace("{hours_join}", "{hours_join}" + _TWICE))
    .replace("{verdicts_max}", str(VERDICTS_MAX))
    .replace("{sharing_max}", str(SHARING_MAX))
)

FEW: Final = (
    OF_FEW
    + """{messaged_few}verdicts AS MATERIALIZED (
    SELECT c.customer_id, {verdict} AS verdict, m.number {judged}
)
SELECT t.whole, pg_current_snapshot()::text AS snapshot, a.customer_id, coalesce(v.verdict, '') AS verdict, v.number
FROM told t LEFT JOIN affected a ON true LEFT JOIN verdicts v USING (customer_id)
""".replace("{verdict}", VERDICT).replace("{judged}", JUDGED)
)
"""Rows: whether all have to be judged again, the snapshot that the statement has, and by customer the verdict (empty:
not in the audience) and the number."""

# Statistics know nothing of customers that were just imported: the planner expects one, joins by nested loops, and
# 4,000 customers take 26 s instead of 20 ms. All joins here are of whole tenants. With less memory, six sorts of 50,000
# customers go by way of a disk, and take a sixth more of the CPU.
WHOLE_TENANTS: Final = "SET LOCAL enable_nestloop = off; SET LOCAL enable_sort = on; SET LOCAL work_mem = '32MB'"
# Nor does it know how few groups there are: it would sort a million customers, rather than count them as they come; and
# let one process count what several have judged, rather than each its own.
COUNTING: Final = f"{WHOLE_TENANTS}; SET LOCAL enable_sort = off; SET LOCAL parallel_tuple_cost = 0.01"
