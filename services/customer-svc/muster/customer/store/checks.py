"""What was checked of a send before it was confirmed, as it was signed: stored once, and never changed."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

from muster.kit.pg import Tx

_ADD = "INSERT INTO send_checks (tenant_id, bulk_id, signed, signature) VALUES ($1, $2, $3::text::jsonb, $4)"


async def add_checks(tx: Tx, tenant_id: UUID, bulk_id: UUID, signed: Mapping[str, Any], signature: bytes) -> None:
    """Keep the checks of a new send."""
    await tx.execute(_ADD, tenant_id, bulk_id, orjson.dumps(signed).decode(), signature)


_CHECKS = "SELECT signed::text AS signed, signature FROM send_checks WHERE tenant_id = $1 AND bulk_id = $2"


async def checks_of(tx: Tx, tenant_id: UUID, bulk_id: UUID) -> tuple[dict[str, Any], bytes] | None:
    """What is kept, and its signature; None for a single message, and for sends of before there were checks."""
    row = await tx.fetchrow(_CHECKS, tenant_id, bulk_id)
    return None if row is None else (orjson.loads(row["signed"]), row["signature"])
