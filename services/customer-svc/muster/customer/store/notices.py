"""The words of a business that its marketing has by rule."""

from collections.abc import Mapping
from dataclasses import asdict
from uuid import UUID

import orjson

from muster.customer.domain.notices import Notices
from muster.kit.pg import Record, Tx

_SAVE = """
INSERT INTO notices (tenant_id, identity, reply, by_link, changed_by, others)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb)
ON CONFLICT (tenant_id) DO UPDATE SET identity = $2, reply = $3, by_link = $4, changed_by = $5, changed_at = kit_now(),
    others = excluded.others
WHERE (notices.identity, notices.reply, notices.by_link, notices.others) IS DISTINCT FROM ($2, $3, $4, excluded.others)
RETURNING true
"""


async def save_notices(tx: Tx, tenant_id: UUID, notices: Notices, others: Mapping[str, Notices], by: str) -> bool:
    """Keep these from now on; others: in other languages, by tag. False where they were kept before."""
    plain = orjson.dumps({tag: asdict(words) for tag, words in others.items()}).decode()
    return bool(await tx.fetchval(_SAVE, tenant_id, notices.identity, notices.reply, notices.by_link, by, plain))


_ROW = """
SELECT identity, reply, by_link, others::text AS others, changed_at, changed_by FROM notices WHERE tenant_id = $1
"""


async def notices_row(tx: Tx, tenant_id: UUID) -> Record | None:
    """What a business has chosen; None where it says what is said by default."""
    return await tx.fetchrow(_ROW, tenant_id)


def others_in(stored: str) -> dict[str, Notices]:
    """Words in other languages, by tag, as they are stored."""
    return {tag: Notices(**words) for tag, words in orjson.loads(stored).items()}
