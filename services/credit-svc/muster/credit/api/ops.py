"""For the operator: how far the laws hold in the ledger, and the sums of each send."""

from typing import Any
from uuid import UUID

from muster.credit.store import laws
from muster.kit.auth import Tx
from muster.kit.http import Model
from muster.kit.laws import LawResult, Violation, laws_router, sums_router


class BulkSums(Model):
    """What the ledger has for one send: reserved = used + released + held."""

    tenant_id: UUID
    bulk_id: UUID
    reserved: int
    used: int
    released: int
    held: int
    refunded: int
    closed: bool
    version: int


async def check_laws(tx: Tx) -> list[LawResult]:
    """Laws 1, 2 and 7 over the whole ledger."""
    return [await _granted(tx), await _reserved(tx), await _tenant(tx)]


async def _granted(tx: Tx) -> LawResult:
    rows = await laws.accounts_with_entries(tx)
    promises = ("conserved", "gapless", "summed", "last_equal")
    broken = [(row, [name for name in promises if not row[name]]) for row in rows]
    violations = [Violation(str(row["tenant_id"]), f"not {', '.join(names)}") for row, names in broken if names]
    return LawResult("granted", sum(1 + row["entries"] for row in rows), violations)


async def _reserved(tx: Tx) -> LawResult:
    count, broken, unequal = await laws.bulks_checked(tx)
    violations = [Violation(str(row["tenant_id"]), _detail(row), bulk_id=str(row["bulk_id"])) for row in broken]
    violations += [Violation(str(row["tenant_id"]), _detail(row)) for row in unequal]
    return LawResult("reserved", count, violations)


async def _tenant(tx: Tx) -> LawResult:
    count, crossing = await laws.rows_crossing(tx)
    violations = [
        Violation(str(row["tenant_id"]), row["what"], bulk_id=row["bulk_id"] and str(row["bulk_id"]))
        for row in crossing
    ]
    return LawResult("tenant", count, violations)


def _detail(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items() if not name.endswith("_id"))


ROUTERS = (sums_router("credit", BulkSums, laws.bulks), laws_router("credit", check_laws))
