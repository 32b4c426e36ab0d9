"""The statement that judges an audience, for the few who have changed since a snapshot and who shares their numbers.

It is the same statement. What it reads goes by the names of the tables that it reads and holds the rows of these few:
there is no second form of a rule that could say something else.
"""

from typing import Final

CHANGED_MAX: Final = 500
"""More customers or numbers that have changed are not looked for one by one."""
JUDGED_MAX: Final = 2_000
"""With those who share their numbers."""

BY_CUSTOMER: Final = ("customer", "customer_number", "customer_other_number", "number_consent", "customer_list_member")
BY_NUMBER: Final = ("suppression", "number_failure")

# {seen}: the snapshot. Whoever has shared a number with a customer, and does not any more, needs no new verdict.
_WHO: Final = f"""
WITH said AS MATERIALIZED (
    SELECT DISTINCT a.customer_id, a.number_hash FROM audience_change a
    WHERE a.tenant_id = $1 AND a.xid >= pg_snapshot_xmin({{seen}}::text::pg_snapshot)
        AND NOT pg_visible_in_snapshot(a.xid, {{seen}}::text::pg_snapshot) AND (a.customer_id >= 0 OR {{sends}})
    LIMIT {CHANGED_MAX + 1}
), changed AS MATERIALIZED (
    SELECT customer_id FROM said WHERE customer_id > 0
    UNION ALL
    (SELECT n.customer_id FROM customer_number n
    WHERE n.tenant_id = $1 AND n.number_hash = ANY(ARRAY(SELECT number_hash FROM said WHERE number_hash <> ''))
    LIMIT {JUDGED_MAX + 1})
), near AS MATERIALIZED (
    SELECT customer_id FROM changed
    UNION ALL
    (SELECT n.customer_id FROM customer_number n
    WHERE n.tenant_id = $1 AND n.number = ANY(ARRAY(
        SELECT o.number FROM customer_number o
        WHERE o.tenant_id = $1 AND o.customer_id = ANY(ARRAY(SELECT customer_id FROM changed))))
    LIMIT {JUDGED_MAX + 1})
), told AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM said WHERE customer_id <= 0 AND number_hash = '')
        OR (SELECT count(*) > {CHANGED_MAX} FROM said)
        OR (SELECT count(*) > {JUDGED_MAX} FROM near) AS whole
), affected AS MATERIALIZED (
    SELECT DISTINCT customer_id FROM near WHERE NOT (SELECT whole FROM told)
), """  # noqa: S608 - constants alone
_OF_CUSTOMERS: Final = """{table} AS MATERIALIZED (
    SELECT t.* FROM {table} t WHERE t.tenant_id = $1 AND t.customer_id = ANY(ARRAY(SELECT customer_id FROM affected))
), """
_OF_NUMBERS: Final = """{table} AS MATERIALIZED (
    SELECT t.* FROM {table} t
    WHERE t.tenant_id = $1 AND t.number_hash = ANY(ARRAY(SELECT number_hash FROM customer_number))
), """
_ROWS: Final = "".join(_OF_CUSTOMERS.replace("{table}", one) for one in BY_CUSTOMER) + "".join(
    _OF_NUMBERS.replace("{table}", one) for one in BY_NUMBER
)
OF_FEW: Final = _WHO + _ROWS
"""What stands before a statement for these few: `told` says whether all are to be asked again, `affected` who they
are."""
_FEW_ROWS: Final = (
    OF_FEW
    + """more AS MATERIALIZED ({sql})
SELECT t.whole, pg_current_snapshot()::text AS snapshot, m.* FROM told t LEFT JOIN more m ON true
"""
)


def rows_of_few(sql: str, seen: int) -> str:
    """A statement for those few, behind whether all have to be asked again and the snapshot. seen: the number of its
    last parameter, which is the snapshot since which they have changed."""
    return _FEW_ROWS.format(seen=f"${seen}", sends="false", sql=sql)
