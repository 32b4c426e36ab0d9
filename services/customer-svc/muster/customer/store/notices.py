"""The words of a business that its marketing has by rule."""

from uuid import UUID

from muster.customer.domain.notices import Notices
from muster.kit.pg import Record, Tx

_SAVE = """
INSERT INTO notices (tenant_id, identity, reply, by_link, changed_by) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant_id) DO UPDATE SET identity = $2, reply = $3, by_link = $4, changed_by = $5, changed_at = kit_now()
"""


async def save_notices(tx: Tx, tenant_id: UUID, notices: Notices, by: str) -> None:
    """Keep these from now on."""
    await tx.execute(_SAVE, tenant_id, notices.identity, notices.reply, notices.by_link, by)


_ROW = "SELECT identity, reply, by_link, changed_at, changed_by FROM notices WHERE tenant_id = $1"


async def notices_row(tx: Tx, tenant_id: UUID) -> Record | None:
    """What a business has chosen; None where it says what is said by default."""
    return await tx.fetchrow(_ROW, tenant_id)
