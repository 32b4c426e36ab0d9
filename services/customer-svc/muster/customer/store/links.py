"""The numbers by which links in messages say of which send they are, and whom they stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from muster.kit.pg import Tx

_NUMBER = """
WITH given AS (
    INSERT INTO send_link (tenant_id, bulk_id)
    SELECT tenant_id, bulk_id FROM unnest($1::uuid[], $2::uuid[]) AS s (tenant_id, bulk_id)
    ORDER BY tenant_id, bulk_id ON CONFLICT (tenant_id, bulk_id) DO NOTHING
    RETURNING tenant_id, bulk_id, link
)
SELECT coalesce(g.link, l.link) AS link
FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS s (tenant_id, bulk_id, place)
    LEFT JOIN given g USING (tenant_id, bulk_id) LEFT JOIN send_link l USING (tenant_id, bulk_id)
ORDER BY s.place
"""


async def number_sends(tx: Tx, sends: Sequence[tuple[UUID, UUID]]) -> list[int]:
    """The number of each of these sends (tenant, send), a new one where it has none yet (worker)."""
    return [row["link"] for row in await tx.fetch(_NUMBER, *map(list, zip(*sends, strict=True)))]


_SEND = "SELECT tenant_id, bulk_id FROM send_link WHERE link = $1 AND tenant_id IS NOT NULL"


async def send_of(tx: Tx, link: int) -> tuple[UUID, UUID] | None:
    """The tenant and the send of a number (worker)."""
    row = await tx.fetchrow(_SEND, link)
    return (row["tenant_id"], row["bulk_id"]) if row else None


@dataclass(frozen=True, slots=True)
class Texted:
    """Whom a link stands for. number: None after its person was erased. business: the name of it, None where it was not
    heard of. stopped: whether the number gets no more marketing."""

    number_hash: bytes
    business: str
    stopped: bool


_TEXTED = """
SELECT f.number_hash, t.name AS business, coalesce(s.suppressed, false) AS stopped
FROM (
    SELECT tenant_id, substring(hashes FROM $4 * 17 + 1 FOR 17) AS number_hash FROM plan_frozen
    WHERE tenant_id = $1 AND bulk_id = $2 AND reason = 0 AND chunk = $3 AND length(hashes) >= ($4 + 1) * 17
) f JOIN tenant t USING (tenant_id) LEFT JOIN suppression s USING (tenant_id, number_hash)
"""


async def texted(tx: Tx, tenant_id: UUID, bulk_id: UUID, chunk: int, nth: int) -> Texted | None:
    """Recipient `nth` (from 0) of a chunk; None where it is kept no longer."""
    row = await tx.fetchrow(_TEXTED, tenant_id, bulk_id, chunk, nth)
    return Texted(**row) if row else None
