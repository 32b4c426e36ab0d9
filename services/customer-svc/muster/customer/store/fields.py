"""Definitions of own fields."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from muster.customer.domain.fields import KNOWN_MAX, NAME_CHARACTERS_MAX, Kind
from muster.kit.pg import Record, Tx

_ALL: Final = "SELECT key, name, kind, created_at, created_by FROM own_field WHERE tenant_id = $1 ORDER BY key"


async def defined_fields(tx: Tx, tenant_id: UUID) -> list[Record]:
    """Every definition, by key."""
    return await tx.fetch(_ALL, tenant_id)


async def kinds_of_fields(tx: Tx, tenant_id: UUID) -> dict[str, Kind]:
    """What the values of each defined field are, by key; all others are texts."""
    return {row["key"]: Kind(row["kind"]) for row in await defined_fields(tx, tenant_id)}


_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1::text || '.own_field', 0))"


async def lock_fields(tx: Tx, tenant_id: UUID) -> None:
    """Let nobody else define fields of this tenant until the transaction ends."""
    await tx.execute(_LOCK, str(tenant_id))


_DEFINE: Final = """
INSERT INTO own_field (tenant_id, key, name, kind, created_by) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant_id, key) DO UPDATE SET name = $3, kind = $4
WHERE (own_field.name, own_field.kind) IS DISTINCT FROM ($3, $4) RETURNING true
"""


async def define_field(tx: Tx, tenant_id: UUID, key: str, name: str, kind: Kind, by: str) -> bool:
    """Say what a field is called and what it holds; False where that was said before."""
    return bool(await tx.fetchval(_DEFINE, tenant_id, key, name, kind.value, by))


_KEEP: Final = """
INSERT INTO own_field (tenant_id, key, name, kind, created_by)
SELECT $1, key, name, 'text', $4 FROM unnest($2::text[], $3::text[]) AS k (key, name)
WHERE (SELECT count(*) FROM own_field WHERE tenant_id = $1) < $5
ORDER BY key ON CONFLICT DO NOTHING
"""


async def keep_fields(tx: Tx, tenant_id: UUID, names: Mapping[str, str], by: str) -> None:
    """Know fields that were given values, as texts, so that a query may name them; those that are known stay. Whoever
    stores values of own fields says so here. names: by key, as they were written."""
    if names:
        keys = sorted(names)
        shown = [names[key][:NAME_CHARACTERS_MAX] for key in keys]
        await tx.execute(_KEEP, tenant_id, keys, shown, by, KNOWN_MAX)


async def forget_field(tx: Tx, tenant_id: UUID, key: str) -> bool:
    """Forget a definition; the values stay, as texts. False if there was none."""
    return await tx.execute("DELETE FROM own_field WHERE tenant_id = $1 AND key = $2", tenant_id, key) == "DELETE 1"


# The forms in which dates and numbers are stored (domain/fields.py).
_FORMS: Final[Mapping[Kind, str]] = {
    Kind.DATE: r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    Kind.NUMBER: r"^-?[0-9]{1,15}(\.[0-9]{1,6})?$",
}
_UNFIT: Final = """
SELECT customer_id FROM customer
WHERE tenant_id = $1 AND own_fields ? $2 AND own_fields ->> $2 !~ $3 ORDER BY customer_id LIMIT $4
"""


async def unfit_customers(tx: Tx, tenant_id: UUID, key: str, kind: Kind, limit: int) -> list[int]:
    """The first customers whose value of a field is none of this kind."""
    if kind not in _FORMS:
        return []
    rows = await tx.fetch(_UNFIT, tenant_id, key, _FORMS[kind], limit)
    return [row["customer_id"] for row in rows]
