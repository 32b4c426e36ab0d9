"""SQL of law 7: no reply is tied to another tenant's message, and nothing else crosses."""

from muster.kit.pg import Tx
from muster.laws.system import Reference

_COUNT = """
SELECT (SELECT count(tenant_id) FROM inbound_message) + (SELECT count(tenant_id) FROM email)
    + (SELECT count(tenant_id) FROM sent_chunk)
"""
# A reply's send is another tenant's, and none of its own.
_REPLIES = """
SELECT DISTINCT i.tenant_id, 'a reply to a send' AS what, c.tenant_id AS owner, i.bulk_id, i.inbound_id AS message
FROM inbound_message i
JOIN sent_chunk c ON c.bulk_id = i.bulk_id AND c.tenant_id <> i.tenant_id
WHERE NOT EXISTS (SELECT FROM sent_chunk o WHERE o.tenant_id = i.tenant_id AND o.bulk_id = i.bulk_id) LIMIT 101
"""
_BULKS = """
SELECT min(tenant_id::text)::uuid AS tenant_id, 'a send' AS what, max(tenant_id::text)::uuid AS owner, bulk_id,
    NULL::uuid AS message FROM sent_chunk GROUP BY bulk_id HAVING count(DISTINCT tenant_id) > 1 LIMIT 101
"""
_EMAILS = """
SELECT e.tenant_id, 'an e-mail' AS what, NULL::uuid AS owner, NULL::uuid AS bulk_id, e.inbound_id AS message
FROM email e LEFT JOIN tenant t ON t.tenant_id = e.tenant_id WHERE t.tenant_id IS NULL LIMIT 101
"""


async def rows_crossing(tx: Tx) -> tuple[int, list[Reference]]:
    """How many rows there are, and those that touch another tenant."""
    found = [Reference(**row) for sql in (_REPLIES, _BULKS, _EMAILS) for row in await tx.fetch(sql)]
    return await tx.fetchval(_COUNT), found
